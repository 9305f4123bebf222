"""Processes of their own, and refusals, for tests of the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tracking_processes import HOME, Process

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.tracking import open_store


def child(code: str, *arguments: object, **extra: str) -> Process:
    """A Python process that has MLflow, and uses the local store where `extra` does not name another."""
    env = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return Process(code, [*map(str, arguments)], env | {"PYTHONPATH": str(HOME)} | extra)


def refused(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_store(root).start_run("x", params={}, tags={})
    assert caught.value.exit_code == ENVIRONMENT
    assert "\n" not in str(caught.value)
    return str(caught.value)
