"""Benchmark of served requests."""

__all__ = ["in_process", "latency", "soak", "stalls"]
