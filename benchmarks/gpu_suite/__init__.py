"""Everything on a machine with a GPU."""
