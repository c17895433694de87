"""LNLAttenNet on Triton: from a training checkpoint to a verified, fast, served engine.

Importing this package imports neither torch nor any runtime; each room does so when it is used.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__"]
