"""Machine requirements of an engine."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Requirements(BaseModel):
    """Requirements that a machine must meet to run an engine.

    Attributes:
        device: kind of processor that it runs on.
        packages: Python package -> version specifier (PEP 440), such as ">=2025.0" or "==1.7.1.116".
        platform: operating system and machine it is tied to, such as "Linux x86_64"; "" if to none.
        cpu_features: flags of /proc/cpuinfo that its code needs, or without which it would be slow.
        compute_capabilities: GPUs it runs on, such as "8.9"; empty for the CPU.
        driver: oldest NVIDIA driver, such as "580.65"; "" if none is needed or it is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["cpu", "cuda"]
    packages: dict[str, str]
    platform: str = ""
    cpu_features: list[str] = []
    compute_capabilities: list[str] = []
    driver: str = ""
