"""Benchmark of exports."""
