"""Search for the instances, threads and queues that serve a bundle best on this machine."""
