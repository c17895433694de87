"""Commands `lnlattennet predict` and `lnlattennet serve`."""
