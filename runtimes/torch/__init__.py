"""The checkpoint itself in torch: eager, and compiled ahead of time (AOTInductor)."""
