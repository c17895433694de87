"""Commands `lnlattennet serve`, `deploy` and `versions`."""
