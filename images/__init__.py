"""Encoded images to upright RGB pixels, and the face in them."""
