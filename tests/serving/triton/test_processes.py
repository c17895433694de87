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

ENDING = """
import os, random, signal, time
from lnlattennet.serving.triton._processes import has_work
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they leave no zombie
for _ in range(300):
    if not (pid := os.fork()):
        time.sleep(0.004 * random.random())
        os._exit(0)
    while os.path.exists(f"/proc/{pid}"):
        has_work(pid)
    assert not has_work(pid)
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


def test_a_process_may_end_while_it_is_looked_at() -> None:
    subprocess.run([sys.executable, "-c", ENDING], check=True)
