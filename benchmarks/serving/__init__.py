"""Benchmark of served requests."""
