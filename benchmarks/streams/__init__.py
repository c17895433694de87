"""Benchmark of folders of images."""
