"""Benchmark of expression models against those of other packages, on the same images in the same run."""
