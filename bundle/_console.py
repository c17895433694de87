"""Tables of the commands `info`, `doctor` and `compare`."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from lnlattennet._command import printable
from lnlattennet._console import Table, readable, stdout
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import Check, EngineRecord, Latency, Manifest


def print_bundle(bundle: Bundle) -> None:
    """Print the engines of a bundle and those that were skipped."""
    manifest, console = bundle.manifest, stdout()
    console.print(_engine_table(manifest, f"{printable(bundle.path)}: engines"))
    console.print(_requirements_table(manifest))
    if manifest.skipped:
        skipped = Table("skipped", "why")
        for engine in manifest.skipped:
            skipped.add_row(engine.name, printable(engine.reason))
        console.print(skipped)
    _print_facts(console, bundle)


def print_compatibility(document: dict[str, Any]) -> None:
    """Print the document of `doctor` for a bundle."""
    target = document["target"]
    place = f"Triton {target['release']}" if target else "this machine"
    columns = ["engine", "verdict", *(["Triton backend"] if target else []), "why", "what to do"]
    table = Table(*columns, title=f"{printable(document['bundle'])} on {place}", show_lines=True)
    for engine in document["engines"]:
        name = _marked(engine["engine"], document["selected"])
        where = [engine["where"]] if target else []
        advice = (printable("\n".join(engine[key])) for key in ("reasons", "remedies"))
        table.add_row(name, engine["verdict"], *where, *advice)
    console = stdout()
    console.print(table)
    for sentence in document["security"]:
        console.print(sentence, soft_wrap=True)


def print_machine(document: dict[str, Any]) -> None:
    """Print the document of `doctor` without a bundle."""
    machine, table = document["machine"], Table(show_header=False)
    table.add_row("platform", f"{machine['platform']}, Python {machine['python']}")
    for gpu in machine["gpus"]:
        table.add_row(
            "GPU", f"{gpu['name']}, compute capability {gpu['compute_capability']}, driver {gpu['driver']}"
        )
    if machine["no_gpu"]:
        table.add_row("GPU", f"none: {machine['no_gpu']}")
    for purpose, packages in document["packages"].items():
        versions = (f"{name} {version or 'is not installed'}" for name, version in packages.items())
        table.add_row(purpose, "\n".join(versions))
    table.add_row("compilers", "\n".join(f"{name} {path}" for name, path in document["compilers"].items()))
    table.add_row("tritonserver", document["server"])
    console = stdout()
    console.print(table)
    for sentence in document["security"]:
        console.print(sentence, soft_wrap=True)


def print_comparison(document: dict[str, Any]) -> None:
    """Print the document of `compare`."""
    console, selected = stdout(), document["selected"]
    facts = Table("", "A", "B", title="bundles")
    facts.add_row("bundle", printable(document["a"]), printable(document["b"]))
    facts.add_row("selected", selected["a"], selected["b"])
    if only := document["only_in_a"]:
        facts.add_row("only in A", ", ".join(only), "")
    if only := document["only_in_b"]:
        facts.add_row("only in B", "", ", ".join(only))
    for name, same in document["same"].items():
        facts.add_row(name.replace("_", " "), "the same" if same else "DIFFERENT")
    console.print(facts)
    table = Table("engine", "batch", "A", "B", "change", "verdict", title="latency, median [95% interval]")
    if selected["a"] != selected["b"]:
        _add_latency(table, f"selected: {selected['a']} -> {selected['b']}", selected["latency"])
    for engine in document["engines"]:
        both = selected["a"] if selected["a"] == selected["b"] else ""
        _add_latency(table, _marked(engine["name"], both), engine["latency"])
    console.print(table)
    changes = _changes_table(document["engines"])
    console.print(changes if changes.row_count else "nothing else changed in the engines of both")
    console.print(
        "Each bundle was timed in a run of its own: another machine or load shows here as a change.",
        soft_wrap=True,
    )


def _marked(name: str, selected: str) -> str:
    return f"{name} (selected)" if name == selected else name


def _engine_table(manifest: Manifest, title: str) -> Table:
    table = Table("engine", "status", "precision", "layers", "batch", "checks", "median latency", title=title)
    for engine in manifest.engines:
        table.add_row(
            _marked(engine.name, manifest.selected),
            engine.status + (f": {printable(engine.reason)}" if engine.reason else ""),
            printable(plan_text(engine.plan)),
            ", ".join(f"{count} {precision}" for precision, count in engine.layers.items()) or "-",
            ":".join(map(str, engine.batch)),
            _checks_text(engine.checks),
            _latencies(engine),
        )
    return table


def _latencies(engine: EngineRecord) -> str:
    lines = [f"batch {latency.batch}: {_milliseconds(latency)}" for latency in engine.latency]
    threads = sorted({latency.threads for latency in engine.latency})
    return "\n".join([*lines, f"threads: {', '.join(map(str, threads))}"]) if lines else "-"


def _requirements_table(manifest: Manifest) -> Table:
    table = Table("engine", "needs", "built with", "size")
    for engine in manifest.engines:
        built_with = ", ".join(f"{name} {version}" for name, version in engine.versions.items())
        size = f"{manifest.engine_bytes(engine) / 2**20:.2f} MiB"
        table.add_row(engine.name, printable(_requirements_text(engine)), printable(built_with), size)
    return table


def _print_facts(console: Console, bundle: Bundle) -> None:
    document, facts = bundle.describe(), Table(show_header=False)
    facts.add_row("selected because", printable(document["selected_because"]))
    facts.add_row("size", f"{document['bytes'] / 2**20:.2f} MiB in {document['files']} files")
    facts.add_row("class names", printable(", ".join(document["class_names"])))
    for name in ("license", "created", "toolkit_version", "checkpoint_sha256"):
        facts.add_row(name.replace("_", " "), printable(document[name]))
    for name in ("preprocessing", "provenance", "verification"):
        facts.add_row(name, printable(readable(document[name])))
    facts.add_row("command", printable(shlex.join(document["command"])))
    console.print(facts)


def plan_text(plan: Mapping[str, str]) -> str:
    """Return a precision plan as its most frequent precision and the exceptions to it."""
    if not plan:
        return "-"
    usual = Counter(plan.values()).most_common(1)[0][0]
    others: dict[str, list[str]] = {}
    for block, precision in plan.items():
        if precision != usual:
            others.setdefault(precision, []).append(block)
    return "; ".join([usual, *(f"{precision}: {', '.join(names)}" for precision, names in others.items())])


def _checks_text(checks: list[Check]) -> str:
    """Return how many checks passed, and the share of equal answers where it was counted."""
    if not checks:
        return "-"
    passed = f"{sum(check.passed for check in checks)} of {len(checks)} passed"
    agreement = next((check.value for check in checks if check.metric == "top1_agreement"), None)
    return passed if agreement is None else f"{passed}\ntop-1 agreement {agreement:.2%}"


def _requirements_text(engine: EngineRecord) -> str:
    """Return an engine's requirements in one line."""
    needs = engine.requires
    parts = [needs.device, *(f"{name} {specifier}".strip() for name, specifier in needs.packages.items())]
    if needs.platform:
        parts.append(needs.platform)
    if needs.cpu_features:
        parts.append(f"CPU with {' '.join(needs.cpu_features)}")
    if needs.compute_capabilities:
        parts.append(f"compute capability {' or '.join(needs.compute_capabilities)}")
    if needs.driver:
        parts.append(f"driver >= {needs.driver}")
    return ", ".join(parts)


def _add_latency(table: Table, name: str, changes: list[dict[str, Any]]) -> None:
    for change in changes:
        cells = [_milliseconds(Latency(**change[bundle])) for bundle in "ab"]
        table.add_row(name, str(change["batch"]), *cells, f"{change['change']:+.1%}", change["outcome"])


def _milliseconds(latency: Latency) -> str:
    return f"{latency.median_ms:.3f} ms [{latency.low_ms:.3f}, {latency.high_ms:.3f}]"


def _changes_table(engines: list[dict[str, Any]]) -> Table:
    table = Table("engine", "what", "A", "B", title="other changes")
    for engine in engines:
        sizes = engine["bytes"]
        if sizes["a"] != sizes["b"]:
            table.add_row(engine["name"], "size", *(f"{sizes[bundle] / 2**20:.2f} MiB" for bundle in "ab"))
        for block, plan in engine["plan_changes"].items():
            table.add_row(engine["name"], printable(block), plan["a"] or "-", plan["b"] or "-")
        for check in engine["checks"]:
            if check["a"] != check["b"]:
                what = printable(f"{check['metric']} of {check['output']}")
                table.add_row(engine["name"], what, _check(check["a"]), _check(check["b"]))
    return table


def _check(check: dict[str, Any] | None) -> str:
    return f"{check['value']:.3g}{'' if check['passed'] else ' (failed)'}" if check else "-"
