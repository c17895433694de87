"""Benchmark of the fused attention against other formulations of it."""
