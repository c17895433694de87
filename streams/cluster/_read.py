"""Frames of a shard: its images, read ahead of who judges them."""

from __future__ import annotations

import os
import tarfile
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, TypeVar

import pyarrow
import pyarrow.parquet

from lnlattennet._command import on_one_line, printable
from lnlattennet.errors import UnreachableError, UsageError
from lnlattennet.images._decode import FILE_SUFFIXES
from lnlattennet.images._whole_file import LARGEST_FILE
from lnlattennet.streams._frame import Frame
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.cluster._shards import Shard

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_ATTEMPTS = 3
_READ_AT_ONCE = 16
"""Requests under way at an object store: each takes tens of milliseconds, an image's answer fewer."""

_BUFFER = 8 * 2**20
_ROWS_AT_ONCE = 64


def frames(shard: Shard, column: str) -> Iterator[Frame]:
    """Yield the images of a shard in their order, one frame for each, whatever is wrong with it.

    What is damaged becomes a frame that says so. What a file system fails to give is asked for again.

    Args:
        shard: where they are.
        column: column with the images of Parquet files.

    Raises:
        UnreachableError: the file system failed three times.
    """
    if shard.kind == "images":
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            yield from _in_order(pool, _frame_of_file, shard.places())
        return
    read = _frames_of_tar if shard.kind == "tar" else _frames_of_parquet
    (place,) = shard.places()
    given = 0
    for attempt in range(_ATTEMPTS):
        try:
            for frame in islice(read(place, shard, column), given, None):
                yield frame
                given += 1
            return
        except OSError as error:
            if attempt < _ATTEMPTS - 1:
                time.sleep(4**attempt)
            elif _can_be_read(place):
                # pyarrow raises this of damaged files, too.
                yield from _damaged(place, shard, given, error)
            else:
                raise _unreachable(place, error) from error
        except (pyarrow.ArrowException, tarfile.TarError, EOFError, zlib.error) as error:
            yield from _damaged(place, shard, given, error)
            return


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Yield ``function(item)`` of every item, in order; a few results wait, however slow the consumer is."""
    pending: deque[Future[_Result]] = deque()
    failure: Exception | None = None
    iterator = iter(items)
    while failure is None:
        try:
            pending.append(pool.submit(function, next(iterator)))
        except StopIteration:
            break
        # What came before it is whole, and is given first.
        except Exception as error:
            failure = error
        if len(pending) > _READ_AT_ONCE:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
    if failure is not None:
        raise failure


def _frame_of_file(place: Place) -> Frame:
    # A pipe would be waited for. Of a name that is too long Path.is_file raises, as if the shard failed.
    if place.is_local and not os.path.isfile(place.inner):  # noqa: PTH113
        return Frame(place.name, image="it is no file, or a link to none")
    for attempt in range(_ATTEMPTS):
        try:
            with place.filesystem.open_input_stream(place.inner_bytes) as stream:
                data = stream.read(LARGEST_FILE + 1)
            return _frame(place.name, data, len(data))
        except OSError as error:
            # Of a file on this machine the system says what is wrong; an object store may answer next time.
            if place.is_local or isinstance(error, FileNotFoundError):
                return Frame(place.name, image=f"it cannot be read: {error.strerror or error}")
            if attempt == _ATTEMPTS - 1:
                raise _unreachable(place, error) from error
            time.sleep(4**attempt)
    raise AssertionError


def _unreachable(place: Place, error: OSError) -> UnreachableError:
    name = on_one_line(place.name)
    return UnreachableError(f"{name} could not be read in {_ATTEMPTS} attempts: {on_one_line(str(error))}")


def _frame(name: str, data: bytes | None, size: int) -> Frame:
    if data is None or size > LARGEST_FILE:
        return Frame(name, image=f"an image file may have at most {LARGEST_FILE:,} bytes, got {size:,}")
    return Frame(name, image=data)


class _Tail:
    """A stream that remembers whether it ended in zeros, as a whole tar file does."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.is_zero = False

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if data:
            self.is_zero = not any(data[-tarfile.BLOCKSIZE :])
        return data


def _frames_of_tar(place: Place, shard: Shard, column: str) -> Iterator[Frame]:
    compressed = not place.path.lower().endswith(".tar")
    path, filesystem = place.inner_bytes, place.filesystem
    with filesystem.open_input_stream(path, compression=None, buffer_size=_BUFFER) as stream:
        tail = _Tail(stream)
        with tarfile.open(fileobj=tail, mode="r|gz" if compressed else "r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                if not member.isfile() or PurePosixPath(member.name).suffix.lower() not in FILE_SUFFIXES:
                    continue
                small = member.size <= LARGEST_FILE
                data = archive.extractfile(member).read() if small else None
                yield _frame(f"{place.name}/{printable(member.name)}", data, member.size)
        # tarfile takes a file that is cut between two members, or within a header, for a whole one.
        if not compressed and not tail.is_zero:
            raise tarfile.ReadError("it has no end mark, and may be cut off")


def _frames_of_parquet(place: Place, shard: Shard, column: str) -> Iterator[Frame]:
    with place.filesystem.open_input_file(place.inner_bytes) as stream:
        parquet = pyarrow.parquet.ParquetFile(stream)
        start, stop = shard.rows or (0, parquet.metadata.num_rows)
        cells = enumerate(_cells(parquet, column, start, stop), start)
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            yield from _in_order(pool, lambda cell: _frame_of_cell(place, *cell), cells)


def _cells(parquet: pyarrow.parquet.ParquetFile, column: str, start: int, stop: int) -> Iterator[Any]:
    """Yield the values of a column from row ``start`` to the one before ``stop``, of their row groups."""
    first = 0
    for group in range(parquet.num_row_groups):
        count = parquet.metadata.row_group(group).num_rows
        if first < stop and start < first + count:
            batches = parquet.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[column])
            cells = (cell for batch in batches for cell in batch.column(0))
            yield from islice(cells, max(start - first, 0), stop - first)
        first += count


def _frame_of_cell(place: Place, row: int, scalar: Any) -> Frame:
    """Return the image of a cell: its bytes, its path, or Hugging Face's pair of both."""
    name = f"{place.name}/{row}"
    try:
        cell = scalar.as_py()
    except UnicodeDecodeError as error:
        return Frame(name, image=f"a path in a cell must be text in UTF-8: {error}")
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, bytes):
        return _frame(name, cell, len(cell))
    if isinstance(cell, str):
        try:
            return _frame_of_file(place.beside(cell))
        except UsageError as error:
            return Frame(name, image=f"its address cannot be opened: {error}")
    got = "null" if cell is None else type(cell).__name__
    return Frame(name, image=f"a cell must hold the bytes or the path of an image, got {got}")


def _damaged(place: Place, shard: Shard, given: int, error: Exception) -> Iterator[Frame]:
    """Yield frames in place of the images that a damaged file does not give: as many as are known of."""
    reason = f"the {shard.kind} file is damaged: {on_one_line(str(error))}"
    if shard.rows is None:
        yield Frame(place.name, image=f"{reason}; {given:,} images before that are whole")
        return
    for row in range(shard.rows[0] + given, shard.rows[1]):
        yield Frame(f"{place.name}/{row}", image=reason)


def _can_be_read(place: Place) -> bool:
    try:
        with place.filesystem.open_input_stream(place.inner_bytes) as stream:
            stream.read(1)
    except OSError:
        return False
    return True
