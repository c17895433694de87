"""Triton model repository, server process, and stages of the Python models."""
