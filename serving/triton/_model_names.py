"""Names of the models in the served repository, and of tensors that several of them have."""

from __future__ import annotations

PIPELINE = "expression_pipeline"
"""All work in Python: images, crops or normalized faces in, what the public models answer out."""

EVERY = "every_"
"""Prefix of those of its outputs that have an axis of faces."""

ENGINE_MODEL = "lnlattennet"
"""The engine alone: normalized faces in, its outputs out."""

ENGINE_STEP = "lnlattennet_engine"
"""The same as a step of ensembles."""

ANSWER = "expression_postprocess"
"""Outputs of an engine that runs in a backend of the server's own: checked and named."""

ENSEMBLE = "expression"
"""Public: the largest face of an image; in three steps where the server has a backend for the engine."""

FUSED = "expression_fused"
"""Public: the same in one step."""

FACES = "expression_faces"
"""Public: every face of one image."""

CROPS = "expression_tensor"
"""Public: ready crops of faces, as pixels."""

STREAM = "expression_stream"
"""Public: the images of a stream one after the other, raw and smoothed over time."""

PUBLIC_MODELS = (ENSEMBLE, FUSED, FACES, CROPS, STREAM)

KEPT_MODELS = (*PUBLIC_MODELS, ENGINE_MODEL)
"""Those that are called the same in every version of a deployment."""

LABEL = "label"
"""Output of the public models: the name of the most probable class."""

IMAGE, FACE = "image", "face"
"""Tensors: the encoded images that a client sends, and the normalized faces cropped from them."""

UNCOUNTED = "lnlattennet_uncounted"
"""Parameter of a request that is not counted among the answers: a probe's."""
