"""What made a run: the commit and the versions, as MLflow tags."""

from __future__ import annotations

import getpass
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("hybridq", "tensorflow", "jax", "keras", "qkeras-v3", "numpy", "librosa", "mlflow")


def provenance() -> dict[str, str]:
    """Tags: `mlflow.user`, `mlflow.source.*`, `commit.changed` and `version.<package>`."""
    return dict(_provenance())


@cache
def _provenance() -> tuple[tuple[str, str], ...]:
    tags = {"mlflow.source.name": "hybridq", "mlflow.source.type": "LOCAL"}
    tags["version.python"] = platform.python_version()
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            tags[f"version.{package}"] = version(package)
    with suppress(OSError, KeyError):  # a container's user without a name
        tags["mlflow.user"] = getpass.getuser()
    return tuple((tags | _commit()).items())


def _commit() -> dict[str, str]:
    """The commit of the clone that the package runs from; nothing where it was installed as a wheel."""
    home = Path(__file__).resolve().parents[2]
    if not (home / "pyproject.toml").exists() or not (home / ".git").exists():
        return {}
    try:
        commit = _git(home, "rev-parse", "HEAD")
        changed = _git(home, "status", "--porcelain", "--untracked-files=no") != ""
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": commit, "commit.changed": "true" if changed else "false"}


def _git(home: Path, *words: str) -> str:
    command = ["git", "-C", str(home), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
