"""Benchmark of served requests."""

__all__ = ["latency"]
