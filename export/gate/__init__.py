"""Accuracy gate: an engine is published only if it gives what the checkpoint gives in PyTorch."""
