"""Names of the models in the served repository."""

from __future__ import annotations

ENGINE_MODEL = "lnlattennet"
"""The engine alone: faces in, outputs of the engine out."""

ENSEMBLE = "expression"
"""Public: preprocessing, engine and postprocessing as an ensemble."""

FUSED = "expression_fused"
"""Public: the same in one Python model."""

FACES = "expression_faces"
"""Public: every face of one image."""

CROPS = "expression_tensor"
"""Public: ready crops of faces, as pixels."""

STREAM = "expression_stream"
"""Public: the images of a stream one after the other, raw and smoothed over time."""

PUBLIC_MODELS = (ENSEMBLE, FUSED, FACES, CROPS, STREAM)
