"""Files and folders of this machine and of object stores, by one interface."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow
from pyarrow import fs

from lnlattennet._command import on_one_line, printable
from lnlattennet.errors import UsageError


@dataclass(frozen=True)
class Store:
    """A file system: that of this machine, or one that a URL names.

    Attributes:
        origin: URL up to its host or bucket, without a password; "" for this machine.
        base: what the file system's paths start with in place of it.
        filesystem: of pyarrow; another process may use it too.
    """

    origin: str
    base: str
    filesystem: Any


@dataclass(frozen=True)
class Place:
    """A file or folder.

    Attributes:
        store: the file system that it is in.
        path: absolute path below the store's origin, with a slash at its start.
        name: as rows and messages tell it: the path as it was given, or the URL without password and options.
    """

    store: Store
    path: str
    name: str

    @classmethod
    def of(cls, text: str) -> Place:
        """Return the place that a path or URL names; nothing is looked up there.

        Raises:
            UsageError: it is empty, no file system is known for such a URL, or its options are wrong.
        """
        if not text:
            # It would be the current folder.
            raise UsageError("a path or URL must not be empty; is a variable of the shell not set?")
        scheme, mark, rest = text.partition("://")
        if not mark:
            path = os.path.abspath(text)  # noqa: PTH100  # keeps symbolic links
            return cls(_store("", "", ""), path, printable(text))
        address, _, options = rest.partition("?")
        host, slash, path = address.partition("/")
        store = _store(scheme, host, options)
        return cls(store, slash + path or "/", store.origin + slash + path)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, or on what is mounted here."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def filesystem(self) -> Any:
        """The file system, for ``inner_bytes``."""
        return self.store.filesystem

    @property
    def inner(self) -> str:
        """Path in ``filesystem``."""
        return (self.store.base + self.path).rstrip("/") or "/"

    @property
    def real(self) -> tuple[str, str]:
        """Origin and path, which two names of one place share: links of this machine are followed."""
        return ("", os.path.realpath(self.inner)) if self.is_local else (self.store.origin, self.path)

    @property
    def inner_bytes(self) -> bytes:
        """``inner`` as ``filesystem`` takes it: of texts, pyarrow refuses names that are not UTF-8."""
        return os.fsencode(self.inner)

    def __truediv__(self, relative: str) -> Place:
        """Return the place ``relative`` to this folder."""
        name = posixpath.join(self.name or ".", printable(relative))
        return Place(self.store, posixpath.join(self.path, relative), name)

    def beside(self, text: str) -> Place:
        """Return the place that a file at this one names: by a URL, or relative to the file's folder."""
        if self.store.origin and text.startswith(f"{self.store.origin}/"):
            # Its own bucket may have been given with options that the text lacks.
            return Place(self.store, text.removeprefix(self.store.origin), text)
        if "://" in text:
            return Place.of(text)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), text))
        return Place(self.store, path, printable(self.store.origin + path))


@cache
def _store(scheme: str, host: str, options: str) -> Store:
    if not scheme:
        return Store("", "", fs.LocalFileSystem())
    origin = f"{scheme}://{host.rpartition('@')[2]}"
    url = f"{scheme}://{host}/" + (f"?{options}" if options else "")
    try:
        filesystem, base = fs.FileSystem.from_uri(url)
    except pyarrow.ArrowInvalid as error:
        if not str(error).startswith("Unrecognized filesystem type"):
            raise UsageError(f"the address {on_one_line(origin)} is wrong: {_without(url, error)}") from error
        filesystem, base = _of_fsspec(url)
    except OSError as error:
        raise UsageError(f"{on_one_line(origin)} cannot be opened here: {_without(url, error)}") from error
    return Store(origin, base.rstrip("/"), filesystem)


def _of_fsspec(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec for a scheme that pyarrow does not know."""
    import fsspec

    try:
        filesystem, base = fsspec.core.url_to_fs(url.partition("?")[0])
    except (ValueError, ImportError) as error:
        scheme = url.partition("://")[0]
        raise UsageError(
            f"no file system is known for {scheme}://: {error}; use a path, file://, s3://, gs://, abfs:// "
            "or hdfs://, or install the fsspec package of that scheme"
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), base


def _without(url: str, error: Exception) -> str:
    """Return an error's text without the URL, which may hold a password."""
    return on_one_line(str(error).replace(url, "URL"))
