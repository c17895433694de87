"""Accuracy gate: an engine is published only if its outputs match the checkpoint's in PyTorch."""
