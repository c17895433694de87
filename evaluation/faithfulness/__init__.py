"""Faithfulness: whether the regions that a reading of the network ranks high are those its answer needs."""
