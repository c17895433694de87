"""Benchmark of a bundle's selected engine against other engines."""
