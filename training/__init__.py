"""Training: data sets, synthetic faces, protocols and the Lightning module."""
