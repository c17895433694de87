"""Benchmarks of training: steps per second, and augmentation."""
