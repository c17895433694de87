"""Benchmark of a process's way to its first answer."""
