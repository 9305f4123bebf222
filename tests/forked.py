"""`hybridq` as the copy of a process that has imported TensorFlow and MLflow, which takes most of a start.

A module by itself: the copy imports the one that its function is in, and a test's would bring pytest along.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn
from unittest.mock import patch

import dying

COPIES = 3  # workers of a sweep that need no program of their own


def start(*arguments: str, killed: str = "") -> BaseProcess:
    """Begin a command in the current folder and a session of its own; what it says is added to said.txt.

    It is killed at the places of `dying` for a sweep "in process", or its "worker" processes are. The first worker of a
    sweep is a program of its own, as users have it; further ones are copies of the command's process at its start.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["preloaded", "forked"])
    only = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}  # it imports by that path
    environment = {**os.environ, **only}  # the server has that of its start
    with patch.dict(os.environ, only), contextlib.chdir("/"):
        forkserver.ensure_running()
    process = forks.Process(target=_command, args=(killed, arguments, environment))
    process.start()
    return process


def _command(killed: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    assert "preloaded" in sys.modules  # of which Python says nothing where it cannot be imported
    os.environ.clear()
    os.environ.update(environment)
    os.setsid()
    with open("said.txt", "ab") as said:
        for descriptor in (1, 2):
            os.dup2(said.fileno(), descriptor)
    sys.argv = ["hybridq", *arguments]
    if "--workers" in arguments:
        from hybridq.sweeps import engines

        engines.subprocess = _Programs(killed)  # type: ignore[assignment]
    if killed == "worker":
        dying.arm_workers()
    elif killed:
        dying.arm(killed)
    from hybridq.cli import main

    main()


class _Programs:
    """What an engine needs of the module `subprocess`."""

    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self, killed: str) -> None:
        self._copies: list[_Copy] = []
        for _ in range(COPIES):
            self._copies.append(_Copy(killed, self._copies))
        self._begun = 0

    def Popen(self, command: list[str], **options: Any) -> Any:
        self._begun += 1
        if self._begun == 1 or not self._copies:
            return subprocess.Popen(command, **options)
        copy = self._copies.pop()
        copy.begin(int(command[-1]))
        return copy


class _Copy:
    """A copy of this process that waits until it is made a worker, with what an engine needs of `subprocess.Popen`."""

    def __init__(self, killed: str, others: list[_Copy]) -> None:
        self._ours, its = socket.socketpair()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            for copy in (self, *others):  # only this process has those ends: when it is gone, the copy reads that
                copy._ours.close()
            _become_worker(its, killed)
        its.close()

    def begin(self, descriptor: int) -> None:
        with self._ours:
            socket.send_fds(self._ours, [b"begin"], [descriptor])

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a copy", timeout)
            time.sleep(0.05)
        return code

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


def _become_worker(commands: socket.socket, killed: str) -> NoReturn:
    status = 0
    try:
        _, descriptors, _, _ = socket.recv_fds(commands, 16, 1)
        if descriptors:
            os.setsid()
            if killed == "worker":
                dying.arm(killed)
            from hybridq.sweeps.worker import main

            main(descriptors[0])
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
        status = 1
    os._exit(status)
