"""`mlflow server`, whose processes are copies of this one, which has imported MLflow: that takes most of a start.

It reads a line of JSON for each start, the words behind `mlflow`, and answers with the id of its first process. It runs
in the environment of the servers, which MLflow reads in part as it is imported.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

import mlflow.cli
import uvicorn._subprocess
import uvicorn.main

import mlflow.server  # isort: skip  # behind uvicorn, by which it knows that it is a server
import mlflow.server.auth  # isort: skip
import mlflow.server.fastapi_app  # isort: skip

LONGEST = 1 << 20  # bytes of a message


class Uvicorn:
    """A copy of this process that becomes what serves, when it is told the command; MLflow has it as a `Popen`."""

    def __init__(self) -> None:
        self._ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if not self._pid:
            self._ours.close()
            if message := its.recv(LONGEST):
                task = json.loads(message)
                os.environ.update(task["environment"])
                uvicorn.main.main(task["words"])
            os._exit(0)
        its.close()

    def begin(self, command: Sequence[str], extra_env: Mapping[str, str], **_: object) -> Uvicorn:
        words = command[command.index("uvicorn") + 1 :]
        self._ours.send(json.dumps({"words": words, "environment": extra_env}).encode())
        return self

    def wait(self) -> int:
        return os.waitpid(self._pid, 0)[1]


def serve(words: Sequence[str]) -> None:
    """Be `mlflow` with these words."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    mlflow.server._exec_cmd = Uvicorn().begin
    mlflow.cli.cli([*words])


if __name__ == "__main__":
    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a server that is killed leaves no zombie
    for line in sys.stdin:
        first = os.fork()
        if not first:
            serve(json.loads(line))
            os._exit(0)
        print(first, flush=True)
