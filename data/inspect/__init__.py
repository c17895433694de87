"""Data set inspection: counts, duplicates, contact sheets."""
