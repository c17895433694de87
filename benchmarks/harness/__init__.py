"""Timing, records, requirements and command line that all benchmarks share."""
