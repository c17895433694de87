"""The network: configuration, parts, joint loss, preprocessing recipe and checkpoint files."""
