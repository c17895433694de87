"""TensorRT and TensorRT-RTX: build, inspect and run plans."""
