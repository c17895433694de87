"""Shared memory that is full: an error of this package, and no signal."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lnlattennet.errors import ServingError
from lnlattennet.serving.client._shared_memory import RegionPool

FULL = """
import numpy as np
from lnlattennet.errors import ServingError
from lnlattennet.serving.client._shared_memory import RegionPool
regions = RegionPool()
region = regions.take(3 << 20)
for size in (3 << 20, 1 << 16):
    try:
        region.write(np.zeros(size, np.uint8))
    except ServingError as error:
        print(error)
region.remove()
"""


def test_a_tensor_for_which_there_is_no_room() -> None:
    mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*apart, mount], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a file system for himself")
    command = [*apart, f'{mount} && exec "$0" "$@"', sys.executable, "-c", FULL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "shm cannot hold a tensor of 3,145,728 bytes (No space left on device): send fewer crops" in line


def test_a_region_larger_than_memory_can_be() -> None:
    with pytest.raises(ServingError, match=r"cannot hold a tensor of 1,152,921,504,606,846,976 bytes"):
        RegionPool().take(2**60)


def test_a_region_holds_what_was_written() -> None:
    region = RegionPool().take(100)
    try:
        for size in (10, 100, 50):
            region.write(np.full(size, size, np.uint8))
        held = region._memory.buf
        assert held is not None
        assert bytes(held[:100]) == bytes([50] * 50 + [100] * 50)
    finally:
        region.remove()
