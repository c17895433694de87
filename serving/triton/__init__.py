"""Triton model repository, server process and python-backend stages."""
