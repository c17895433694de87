"""How the time of a bundle grows with batch, threads, size of the image and number of faces or requests."""
