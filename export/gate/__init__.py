"""The accuracy gate: an engine is published only if it gives what the checkpoint gives in torch."""

from lnlattennet.export.gate._check import Faces, check_engine
from lnlattennet.export.gate._failure import failure_text
from lnlattennet.export.gate._limit_flags import parse_limits
from lnlattennet.export.gate._limits import Limits, default_limits
from lnlattennet.export.gate._reference import torch_reference
from lnlattennet.export.gate._schedule import batch_sizes

__all__ = [
    "Faces",
    "Limits",
    "batch_sizes",
    "check_engine",
    "default_limits",
    "failure_text",
    "parse_limits",
    "torch_reference",
]
