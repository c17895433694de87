"""Latency and throughput measurements; records are kept in `results/`."""

__all__ = ["attention", "bundle", "figures", "gpu_suite", "network", "serving", "training"]
