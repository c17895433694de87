"""Evaluation: how well a network, an engine or a server does, and what the network looks at."""
