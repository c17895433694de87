"""Ablation study: every ablation of the network, trained and evaluated alike, on rendered or real faces."""
