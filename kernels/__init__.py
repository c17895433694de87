"""The per-region attention operation."""
