"""Names of the tensors of every exported engine; free of torch, since servers need them too."""

from __future__ import annotations

INPUT_NAME = "image"
"""The normalized faces, float32 [B, 3, S, S]."""

OUTPUT_NAMES = ("logits", "region_weights", "region_affinity")
"""[B, classes], [B, K] and [B, K, K], in this order."""
