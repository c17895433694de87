"""Tracks: one number for one person through a shot, and probabilities smoothed along it."""
