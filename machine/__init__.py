"""What this machine has: its CPUs, GPUs, and the share of them that a container may use.

Nothing of it is offered to others.
"""

from __future__ import annotations

__all__: list[str] = []
