"""Precision in the graph: plans, calibration, quantisation and casts."""
