"""Gateway: answers clients on the network over HTTP, so that Triton itself stays on loopback."""
