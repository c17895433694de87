"""What each idea of the network gives: its ablations trained and judged alike, on rendered faces."""
