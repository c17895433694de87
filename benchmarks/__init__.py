"""Measurements of time and accuracy; records are kept in `results/`."""

__all__ = [
    "attention",
    "bundle",
    "faces",
    "figures",
    "gpu_suite",
    "leaderboard",
    "network",
    "peers",
    "serving",
    "startup",
    "streams",
    "training",
]
