"""Triton model repository, versions of a deployment, and server process."""
