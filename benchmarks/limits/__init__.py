"""Benchmark of what a machine can do at most, and of the share that a network's engines reach."""
