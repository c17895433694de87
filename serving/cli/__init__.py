"""Commands `lnlattennet predict` and `lnlattennet serve`."""

from lnlattennet.serving.cli._predict import predict
from lnlattennet.serving.cli._serve import serve

__all__ = ["predict", "serve"]
