"""Predictors: checkpoint, bundle and server behind one interface."""
