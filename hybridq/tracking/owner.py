"""Which process a run belongs to, so that a run left RUNNING by a killed process can be told from one in progress."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import psutil

HOST, PROCESS, STARTED = "process.host", "process.id", "process.started"  # tags; `started` in seconds since 1970
SAME_SECONDS = 2.0  # psutil computes a start from the clock and the time since boot, and the clock is set now and then


def owner_tags() -> dict[str, str]:
    """Tags that name this process: host, process id, and when it started, since ids are used again."""
    process = psutil.Process()
    return {HOST: socket.gethostname(), PROCESS: str(os.getpid()), STARTED: f"{process.create_time():.2f}"}


def owner_is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that wrote these tags ran on this machine and has ended.

    False for a process of another machine, of which nothing can be known. Machines are told apart by their names.
    """
    if tags.get(HOST) != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(tags[PROCESS]))
        another: bool = abs(process.create_time() - float(tags[STARTED])) > SAME_SECONDS
        return another or process.status() == str(psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except (KeyError, ValueError):
        return False
