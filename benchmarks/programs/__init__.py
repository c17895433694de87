"""Benchmark of whole programs."""
