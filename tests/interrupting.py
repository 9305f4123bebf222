"""A Ctrl-C in the middle of a command of `hybridq`: in a process of its own, or in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path


def interrupted(*arguments: object, cwd: Path, after: str) -> tuple[int, str]:
    """The exit status and the last line of a command, interrupted after the first line with this text."""
    command = [sys.executable, "-m", "hybridq", *map(str, arguments)]
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, preexec_fn=heeding
    ) as process:
        assert process.stdout
        heard = [next((line for line in process.stdout if after in line), f"it ended without {after!r}")]
        process.send_signal(signal.SIGINT)
        heard += process.stdout
    return process.returncode, heard[-1].rstrip()


@contextmanager
def interrupting(begun: Callable[[], object]) -> Iterator[None]:
    """This process gets a Ctrl-C as soon as `begun` says so, unless what is done in here has ended before that."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            if begun():
                os.kill(os.getpid(), signal.SIGINT)
                return

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)
