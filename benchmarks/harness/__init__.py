"""Measurement and records that all benchmarks share."""
