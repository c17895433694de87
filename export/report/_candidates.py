"""Table of candidates, figures of the selected engine, and precision plans."""

from __future__ import annotations

from typing import Any

from lnlattennet.export.report._latency import latency_at, timed_batches

_SHORT = {"local_networks": "local nets"}


def candidate_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per engine: the selected one first, then as in the manifest."""
    engines = sorted(document["engines"], key=lambda engine: engine["name"] != document["selected"])
    planned = document["verification"]["planned_layers"]
    return [
        engine
        | {
            "selected": engine["name"] == document["selected"],
            "layer_rows": _layers(engine["layers"], planned.get(engine["name"], {})),
        }
        for engine in engines
    ]


def headline(document: dict[str, Any]) -> dict[str, Any]:
    """Return the selected engine, its latency at the smallest and the optimal batch size, and its checks."""
    engine = next(engine for engine in document["engines"] if engine["name"] == document["selected"])
    first = latency_at(engine, timed_batches(document)[0]) if engine["latency"] else None
    optimum = latency_at(engine, engine["batch"][1])
    return {
        "engine": engine,
        "latency": [record for record in (first, optimum if optimum != first else None) if record],
        "checks": {check["metric"]: check["value"] for check in reversed(engine["checks"])},
        "passed": sum(entry["status"] == "passed" for entry in document["engines"]),
        "not_run": sum(entry["status"] != "passed" for entry in document["engines"]),
    }


def plan_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plans with more than one precision, each with the engines that follow it."""
    plans: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for engine in document["engines"]:
        blocks = tuple(engine["plan"].items())
        if len({precision for _, precision in blocks}) > 1:
            plans.setdefault(blocks, []).append(engine["name"])
    return [
        {
            "engines": names,
            "blocks": [
                {"name": _SHORT.get(name, name.removeprefix("unet.")), "precision": precision}
                for name, precision in blocks
            ],
        }
        for blocks, names in plans.items()
    ]


def _layers(real: dict[str, int], planned: dict[str, int]) -> list[dict[str, Any]]:
    """Return the number of layers in each precision, real and planned; None where not known.

    Nothing is said of fp32: the gate checked whatever runs in fewer bits than planned there.
    """
    return [
        {
            "precision": precision,
            "real": real.get(precision, 0) if real else None,
            "planned": planned.get(precision, 0) if planned and precision != "fp32" else None,
        }
        for precision in dict.fromkeys([*planned, *real])
    ]
