"""Benchmarks of training: steps per second, and augmentation."""

__all__ = ["augmentation", "throughput"]
