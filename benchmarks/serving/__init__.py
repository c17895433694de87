"""Served requests."""
