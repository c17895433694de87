"""How the models of a deployment share the cores: instances, their threads, and which requests they join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.serving.triton._model_names import ENGINE_MODEL, PIPELINE

if TYPE_CHECKING:
    from lnlattennet.bundle._manifest import EngineRecord

THREADS = "threads"
"""Parameter of ``expression_pipeline``: threads of each instance, if they are not to share the cores."""


@dataclass(frozen=True)
class Scheduling:
    """Instances of the models, and their queues; ``default_scheduling`` is that of a deployment.

    Attributes:
        instances: processes of ``expression_pipeline``; each handles one request, or some joined, at a time.
        threads: threads that the engine and OpenCV have in each process; 0 gives each the same share of the
            cores of the machine that serves, but each of two instances two threads on two or three cores.
        engine_instances: of an engine that runs in a backend of the server's own; else without effect.
        joined: images up to which waiting requests are joined for one run of the engine; 0 joins up to the
            engine's largest batch. A single request may hold more.
        delay_us: microseconds that a request may wait for others to join.
    """

    instances: int = 2
    threads: int = 0
    engine_instances: int = 2
    joined: int = 0
    delay_us: int = 0

    def __str__(self) -> str:
        parts = [f"{self.instances} instances"]
        if self.threads:
            parts.append(f"{self.threads} thread{'s' if self.threads > 1 else ''} each")
        if self.engine_instances != Scheduling.engine_instances:
            parts.append(f"{self.engine_instances} of the engine")
        if self.joined:
            parts.append(f"at most {self.joined} joined" if self.joined > 1 else "none joined")
        if self.delay_us:
            parts.append(f"{self.delay_us / 1000:g} ms delay")
        return ", ".join(parts)


def default_scheduling(engine: EngineRecord, native: bool) -> Scheduling:
    """Return how an engine is served without tuning: where it runs in Python on the CPU, none joined.

    The images of joined requests are decoded and searched one by one in one process while others may be idle,
    and all wait for the last. On a GPU the engine makes up for it: a batch takes little longer than one face.

    Args:
        engine: the bundle's engine.
        native: whether it runs in a backend of the server's own, where faces are joined, not images.
    """
    return Scheduling(joined=1 if engine.requires.device == "cpu" and not native else 0)


def schedule(configs: Mapping[str, Any], scheduling: Scheduling, native: bool) -> None:
    """Set instances, threads and queues.

    Args:
        configs: name of each model -> its configuration, which is changed.
        scheduling: what to set.
        native: whether the engine runs in a backend of the server's own.
    """
    pipeline = configs[PIPELINE]
    pipeline.instance_group[0].count = scheduling.instances
    if scheduling.threads:
        pipeline.parameters[THREADS].string_value = str(scheduling.threads)
    joining = pipeline
    if native:
        joining = configs[ENGINE_MODEL]
        joining.instance_group[0].count = scheduling.engine_instances
    joining.dynamic_batching.preferred_batch_size[:] = [scheduling.joined] if scheduling.joined else []
    joining.dynamic_batching.max_queue_delay_microseconds = scheduling.delay_us


def threads_of_instance(config: Mapping[str, Any]) -> int:
    """Return how many threads each instance of ``expression_pipeline`` has.

    Args:
        config: its configuration, as Triton gives it to a Python model.
    """
    if THREADS in config["parameters"]:
        return int(config["parameters"][THREADS]["string_value"])
    instances: int = sum(group["count"] for group in config["instance_group"])
    cores = usable_cpus()
    # On two cores a lone request is answered faster by two threads: in 0.7 of the time where the engine takes
    # most of it and nothing else runs. Under load a request costs a fifth more processor time; tuning for
    # throughput tries one thread.
    fewest = min(cores, 2) if instances <= 2 else 1
    return max(fewest, cores // instances)
