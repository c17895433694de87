"""Benchmark of face finders: what they find, what they take for a face, and how long they search."""
