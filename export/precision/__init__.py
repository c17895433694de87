"""Precision in the graph: calibration, quantization, casts, and the search for a plan."""
