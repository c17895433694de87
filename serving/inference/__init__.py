"""Encoded image to prediction, in process."""
