"""A command of `hybridq` that gets a Ctrl-C in its middle."""

from __future__ import annotations

import signal
import subprocess
import sys
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
