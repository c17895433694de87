"""Measurements of time and accuracy; records are kept in `results/`."""

__all__ = [
    "attention",
    "bundle",
    "export",
    "faces",
    "figures",
    "gpu_suite",
    "images",
    "leaderboard",
    "limits",
    "network",
    "peers",
    "programs",
    "scaling",
    "serving",
    "startup",
    "streams",
    "training",
]
