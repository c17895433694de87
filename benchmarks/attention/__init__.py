"""Fused attention against other formulations."""
