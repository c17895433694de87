"""Training: data, synthetic faces, the Lightning module and evaluation."""
