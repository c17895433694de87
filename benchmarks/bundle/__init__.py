"""A bundle's selected engine against other engines."""
