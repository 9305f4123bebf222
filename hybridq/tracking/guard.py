"""What can go wrong between hybridq and MLflow, turned into one plain line."""

from __future__ import annotations

import logging
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from hybridq.errors import ENVIRONMENT, UserError

PROBE_SECONDS = 3.0
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
LIBRARIES = {"mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3", "alembic"}
PLAIN = {
    "database or disk is full": "the disk is full",
    "disk I/O error": "the disk failed or is full",
    "attempt to write a readonly database": "it is read-only",
    "unable to open database file": "the database cannot be opened",
    "file is not a database": "the file is damaged or is not an MLflow database",
    "database disk image is malformed": "the database file is damaged",
    "database is locked": "another process holds the database",
    "no such table": "the database is not MLflow's",
}


@contextmanager
def plainly(where: str) -> Iterator[None]:
    """Turn an error of MLflow, the database, the network or the disk into a UserError with exit status 3."""
    try:
        yield
    except OSError as error:
        raise UserError(f"tracking store {where}: {error.strerror or _line(error)}", ENVIRONMENT) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in LIBRARIES:
            raise
        raise UserError(f"tracking store {where}: {_line(error)}", ENVIRONMENT) from error


def _line(error: Exception) -> str:
    text = str(error)
    for symptom, plain in PLAIN.items():
        if symptom in text:
            return plain
    return text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__


def quiet_mlflow() -> None:
    """Import mlflow without its chatter: progress bars, usage reports, logs of what is raised anyway."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: F401  (its import sets the level of its loggers, so it comes first)

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)


def probe(uri: str) -> None:
    """Raise UserError if nobody answers at the store's address.

    MLflow tries a server that is away for minutes: right in the middle of a training, wrong at its start.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    if scheme not in PORTS or not parts.hostname or _through_proxy(scheme, parts.hostname):
        return
    try:
        with socket.create_connection((parts.hostname, parts.port or PORTS[scheme]), PROBE_SECONDS):
            return
    except (OSError, ValueError) as error:
        raise UserError(f"tracking store {shown(uri)} is out of reach: {error}", ENVIRONMENT) from None


def _through_proxy(scheme: str, host: str) -> bool:
    return scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)


def shown(uri: str) -> str:
    """The address without its user name and password, fit for a message."""
    parts: Any = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri
