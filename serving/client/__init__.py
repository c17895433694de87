"""Client for a running server."""
