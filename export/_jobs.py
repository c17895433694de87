"""Which engines an export tries to make: every backend with every precision that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lnlattennet.bundle._manifest import LeftOut
from lnlattennet.errors import UnavailableError, UsageError
from lnlattennet.export._options import AUTO, ExportOptions
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._base import Available, Backend
from lnlattennet.runtimes._precision import QUANTIZED, PrecisionPlan, read_plan, uniform_plan
from lnlattennet.runtimes._registry import BACKENDS, backend_named
from lnlattennet.runtimes.tensorrt._backend import INFO as TENSORRT
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

_EXACT = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Job:
    """One engine to make.

    Attributes:
        plan: what is wanted; with ``search``, as much of it as passes the gate.
        search: look for the blocks that can follow the plan if all of them together fail.
    """

    backend: str
    available: Available
    plan: PrecisionPlan
    search: bool = False

    @property
    def name(self) -> str:
        """Of the engine."""
        return f"{self.backend}-{self.plan.precision}"

    @property
    def quantized(self) -> bool:
        """Whether it needs calibration."""
        return bool(self.plan.precisions & set(QUANTIZED))


def chosen_backends(names: tuple[str, ...]) -> tuple[dict[str, Available], list[LeftOut]]:
    """Return the backends to build with, and those left out with the reason.

    A backend that was asked for by name must be available; without names, all that are available are used.

    Raises:
        UnavailableError: a named backend is missing.
        UsageError: a name is unknown.
    """
    usable: dict[str, Available] = {}
    left_out: list[LeftOut] = []
    for name in dict.fromkeys(names or BACKENDS):
        availability = backend_named(name).availability()
        if isinstance(availability, Available):
            usable[name] = availability
        elif names:
            raise UnavailableError(f"--backend {name}: {availability.reason}")
        else:
            left_out.append(LeftOut(backend=name, reason=availability.reason))
    return usable, left_out


def planned_jobs(options: ExportOptions, config: NetworkConfig) -> tuple[list[Job], list[LeftOut]]:
    """Return what to make, and what cannot be made here with the reason.

    Raises:
        UnavailableError: a backend that was asked for by name is missing, or lacks a precision that was asked
            for by name; or nothing at all can be made.
        UsageError: an unknown backend, a precision plan that breaks a rule, or something that no engine of
            this export makes use of.
    """
    usable, left_out = chosen_backends(options.backends)
    jobs: list[Job] = []
    for name, available in usable.items():
        backend = backend_named(name)
        for plan, search in _plans(options, config, backend):
            reason = backend.unsupported_reason(plan)
            if not reason:
                jobs.append(Job(name, available, plan, search))
            elif options.backends and AUTO not in options.precisions:
                asked = options.plan_file and f"--precision-plan {options.plan_file}"
                asked = asked or f"--precision {plan.precision}"
                raise UnavailableError(f"--backend {name} cannot give {asked}: {reason}")
            else:
                left_out.append(LeftOut(backend=name, precision=plan.precision, reason=reason))
    if not jobs:
        reasons = "; ".join(f"{item.backend} {item.precision}: {item.reason}" for item in left_out)
        raise UnavailableError(f"no backend here can make such an engine: {reasons}")
    _refuse_unused(options, jobs)
    return jobs, left_out


def _plans(
    options: ExportOptions, config: NetworkConfig, backend: Backend
) -> Iterator[tuple[PrecisionPlan, bool]]:
    if options.plan_file:
        yield read_plan(options.plan_file, config), False
    elif AUTO in options.precisions:
        for precision in _EXACT:
            yield uniform_plan(precision, config), False
        yield _plan("int8", config, backend), True
    else:
        for precision in dict.fromkeys(options.precisions or ("fp32",)):
            yield _plan(precision, config, backend), False


def _refuse_unused(options: ExportOptions, jobs: list[Job]) -> None:
    """Refuse what the user asked for in vain: nobody would notice that it had no effect."""
    if options.calibration.pictures and not any(job.quantized for job in jobs):
        raise UsageError(
            f"--calibration {options.calibration.pictures} is for int8 and fp8, which no engine of this "
            "export has; add --precision int8, or leave it out"
        )
    if options.builder != TensorRTBuilderConfig() and all(job.backend != TENSORRT.name for job in jobs):
        flags = ", ".join((*TENSORRT.builder_flags, *TENSORRT.builder_switches))
        raise UsageError(
            f"{flags} are for TensorRT's builder, and this export builds nothing with it; "
            f"add --backend {TENSORRT.name}, or leave them out"
        )


def _plan(precision: str, config: NetworkConfig, backend: Backend) -> PrecisionPlan:
    """Return the plan of one precision; what int8 and fp8 leave runs in bf16 where the backend has it."""
    plan = uniform_plan(precision, config, rest="bf16")
    return uniform_plan(precision, config) if backend.unsupported_reason(plan) else plan
