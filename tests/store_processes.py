"""Processes of their own, and refusals, for tests of the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.tracking import open_store

HOME = Path(__file__).parents[1]


def child(code: str, *arguments: object, **extra: str) -> subprocess.Popen[str]:
    """A Python process with hybridq importable."""
    env = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    env |= {"PYTHONPATH": str(HOME)} | extra
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_store(root).start_run("x", params={}, tags={})
    assert caught.value.exit_code == ENVIRONMENT
    assert "\n" not in str(caught.value)
    return str(caught.value)
