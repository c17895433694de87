"""Certificates of an encrypted connection."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lnlattennet.errors import UsageError


@dataclass(frozen=True)
class TLSConfig:
    """Certificates of a ``grpcs://`` or ``https://`` connection, as PEM files.

    Attributes:
        ca: authorities that may have signed the server's certificate; None takes those of the system, or,
            with ``grpcs://``, those that come with gRPC.
        certificate: the client's own, for a server that asks for one, with its chain.
        key: the private key of ``certificate``.

    Raises:
        UsageError: a file cannot be read, holds no certificate or key, or ``key`` is given without
            ``certificate`` or the other way round.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError("a client's certificate needs its key, and a key its certificate: give both")
        if self.ca is not None or self.certificate is not None:
            # Made here, because gRPC would only say that no connection could be made. Without files there is
            # nothing to check, and to load the system's certificates takes longer than a request.
            self.context()

    def context(self, library: ModuleType = ssl) -> Any:
        """Return an SSL context of a library that has the interface of ``ssl``."""
        try:
            context = library.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(file) for file in (self.ca, self.certificate, self.key) if file is not None)
            raise UsageError(f"TLS needs PEM files of certificates and keys, got {files}: {error}") from error
        return context
