"""Engine timing and selection."""
