"""Benchmark of folders of images."""

__all__ = ["score"]
