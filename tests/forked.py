"""`hybridq` as the copy of a process that has imported TensorFlow and MLflow, which takes most of a start.

A module by itself: the copy imports the one that its function is in, and a test's would bring pytest along.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess

import dying


def start(*arguments: str, killed: str = "") -> BaseProcess:
    """Begin a command in the current folder and a session of its own; what it says is added to said.txt.

    It is killed at the places of `dying` for a sweep "in process", or its "worker" processes are.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["preloaded", "forked"])
    process = forks.Process(target=_command, args=(killed, arguments))
    process.start()
    return process


def _command(killed: str, arguments: tuple[str, ...]) -> None:
    os.setsid()
    with open("said.txt", "ab") as said:
        for descriptor in (1, 2):
            os.dup2(said.fileno(), descriptor)
    sys.argv = ["hybridq", *arguments]
    if killed == "worker":
        dying.arm_workers()
    elif killed:
        dying.arm(killed)
    from hybridq.cli import main

    main()
