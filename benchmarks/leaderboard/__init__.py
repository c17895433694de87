"""Tables of docs/results.md and cards of the checkpoints, written from committed records."""
