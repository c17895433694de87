"""What is read about processes, whatever they are called."""

from __future__ import annotations

import os
import subprocess
import sys

from lnlattennet.serving.triton._processes import cpu_ticks, group_members

CALLED = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


def test_a_name_may_be_cut_in_a_letter_and_hold_parentheses() -> None:
    name = ") S 1 " + "é" * 5
    command = [sys.executable, "-c", CALLED, name.encode()[:15].hex()]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert group_members(process.pid) == [process.pid]
        assert os.getpid() in group_members(os.getpgrp())
        assert cpu_ticks(process.pid) >= 0
        process.communicate()
    assert group_members(process.pid) == []
