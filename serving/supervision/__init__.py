"""Supervision of a served bundle: is it right, is it there, start it again, tell others."""
