"""OpenAPI description of the gateway."""

from __future__ import annotations

from typing import Any

from lnlattennet._version import __version__
from lnlattennet.serving.gateway._body import FIELD

MOST_FACES = 100
MOST_PIXELS = 100_000

_STATUSES = {
    "400": "A parameter or the form breaks a rule",
    "401": "No known API key",
    "408": "The body came too slowly",
    "413": "The image file is too large",
    "415": "The body is compressed",
    "422": "The image cannot be used",
    "429": "Too many requests; `Retry-After` has the seconds to wait",
    "431": "The headers are too large",
    "500": "The gateway failed",
    "502": "The model failed, or does not answer",
    "503": "Overloaded; `Retry-After` has the seconds to wait",
    "504": "The model took too long",
}

_NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
_ROWS: dict[str, Any] = {"type": "array", "items": _NUMBERS}
_TEXT: dict[str, Any] = {"type": "string"}

_FACE: dict[str, Any] = {
    "photo": _TEXT | {"description": "Always `-`"},
    "label": _TEXT | {"description": "Most probable class"},
    "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    "logits": _NUMBERS,
    "region_weights": _ROWS | {"description": "Weight of each face region, row by row"},
    "region_affinity": _ROWS,
    "face_box": _NUMBERS | {"description": "Left, top, right, bottom in pixels of the upright image"},
    "face_found": {"type": "boolean"},
    "face_score": {"type": ["number", "null"]},
    "face_landmarks": {"oneOf": [_ROWS, {"type": "null"}]},
    "status": {"enum": ["ok", "no_face", "too_small", "low_score"]},
    "entropy": {"type": "number", "description": "Of the probabilities, in nats"},
    "model_hash": _TEXT,
    "preprocessing_id": _TEXT,
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _parameter(name: str, kind: str, least: int, most: int, text: str) -> dict[str, Any]:
    schema = {"type": kind, "minimum": least, "maximum": most}
    return {"in": "query", "name": name, "required": False, "schema": schema, "description": text}


def _json(text: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": text, "content": content}


_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_FORM = _object({FIELD: _FILE}) | {"additionalProperties": False}

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "LNLAttenNet gateway", "version": __version__},
    "paths": {
        "/v1/predict": {
            "post": {
                "summary": "Predict the expression on the largest face, or on every face.",
                "parameters": [
                    _parameter("max_faces", "integer", 1, MOST_FACES, "Answer every face, up to so many"),
                    _parameter("min_face", "number", 0, MOST_PIXELS, "Smaller faces get `too_small`"),
                ],
                "requestBody": {
                    "required": True,
                    "description": "A JPEG or PNG file: the body itself, or the one file of a form",
                    "content": {
                        "image/jpeg": {},
                        "image/png": {},
                        "application/octet-stream": {},
                        "multipart/form-data": {"schema": _FORM},
                    },
                },
                "responses": {
                    "200": _json("The form of `lnlattennet predict --json`", "Predictions"),
                    **{status: _json(text, "Error") for status, text in _STATUSES.items()},
                },
                "security": [{}, {"key": []}],
            }
        }
    },
    "components": {
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Predictions": _object(
                {
                    "predictions": {"type": "array", "items": _object(_FACE)},
                    "errors": {"type": "array", "maxItems": 0},
                }
            ),
            "Error": _object({"error": _TEXT}),
        },
    },
}
"""Of the one operation; probes and pages are for people and machines that know their addresses."""
