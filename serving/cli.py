"""The commands of this room."""

from lnlattennet.serving.cli_predict import predict
from lnlattennet.serving.cli_serve import serve

__all__ = ["predict", "serve"]
