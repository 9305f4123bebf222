"""Processes for tests of the store: copies of one that has imported MLflow, which takes most of a start.

Run as a program, this file is that one. For each message it begins a copy that ends as a program of its own would, or
waits for one: until then, one that has ended is a zombie.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[1]
LONGEST = 1 << 20  # bytes of a message


class Process:
    """A process that runs Python code in the current folder, with what the tests need of `subprocess.Popen`."""

    def __init__(self, code: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        task = {"code": code, "arguments": arguments, "environment": dict(environment), "folder": os.getcwd()}
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        self.pid = _asked(task, its_out, its_err)
        os.close(its_out)
        os.close(its_err)
        self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """The rest of what it prints until its end, to which it is brought after so many seconds."""
        limit = threading.Timer(timeout, self.kill)
        limit.start()
        with self.stdout, self.stderr:
            printed = self.stdout.read(), self.stderr.read()
        limit.cancel()
        self.returncode = _asked({"wait": self.pid})
        return printed


def _asked(task: Mapping[str, Any], *ends: int) -> int:
    server = _server()
    socket.send_fds(server, [json.dumps(task).encode()], ends)
    return int(server.recv(LONGEST))


@functools.cache
def _server() -> socket.socket:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, __file__, str(its.fileno())]
        environment = os.environ | {"PYTHONPATH": str(HOME)}
        process = subprocess.Popen(command, pass_fds=[its.fileno()], env=environment)
    atexit.register(process.wait)
    atexit.register(ours.close)  # before that: it ends when there are no more messages
    return ours


def _serve(tests: socket.socket) -> None:
    """Answer the tests until there are no more; also returns in each copy, at the end of its program."""
    while True:
        message, ends, _, _ = socket.recv_fds(tests, LONGEST, 2)
        if not message:
            return
        task = json.loads(message)
        if "wait" in task:
            answer = os.waitstatus_to_exitcode(os.waitpid(task["wait"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                tests.close()
                _run(task, ends)
                return
        for end in ends:
            os.close(end)
        tests.send(str(answer).encode())


def _run(task: Mapping[str, Any], ends: Sequence[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, end in enumerate((nothing, *ends)):
        os.dup2(end, descriptor)
        os.close(end)
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    sys.argv = ["-c", *task["arguments"]]
    exec(task["code"], {"__name__": "__main__"})


if __name__ == "__main__":
    from hybridq.backend.startup import spare_imports

    spare_imports()

    import hybridq.tracking  # noqa: F401
    from hybridq.tracking.guard import quiet_mlflow

    quiet_mlflow()

    import mlflow.store.tracking.rest_store
    import mlflow.store.tracking.sqlalchemy_workspace_store
    import mlflow.tracking  # noqa: F401

    _serve(socket.socket(fileno=int(sys.argv[1])))
