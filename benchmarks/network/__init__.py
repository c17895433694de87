"""Benchmark of the whole network in every runtime."""
