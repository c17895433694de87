"""Comparison of two records of one benchmark: what became slower."""
