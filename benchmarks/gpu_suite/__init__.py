"""Build, test and measure everything on a machine with a GPU."""
