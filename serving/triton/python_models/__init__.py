"""What runs inside Triton's Python models: steps from a request's tensors to its answer."""
