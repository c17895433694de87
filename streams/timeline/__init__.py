"""Expressions of every person over time: figures, a page and a table."""
