"""Explanations: region weights, affinity and local attention of a network, as drawings and tables."""
