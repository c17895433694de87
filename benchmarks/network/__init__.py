"""The whole network in every runtime."""
