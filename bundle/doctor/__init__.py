"""Compatibility checks of a bundle with this machine or a Triton release."""
