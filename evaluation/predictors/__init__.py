"""Checkpoint, bundle or server behind one interface."""
