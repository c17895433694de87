"""Latency and throughput measurements; records are kept in `results/`."""
