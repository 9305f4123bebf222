"""What can go wrong between hybridq and MLflow, turned into one plain line."""

from __future__ import annotations

import logging
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from hybridq.backend.startup import large_import
from hybridq.errors import ENVIRONMENT, UserError

PROBE_SECONDS = 3.0
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
LIBRARIES = {"mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3", "alembic", "psycopg"}
LOCKED = "database is locked"
PLAIN = {
    "database or disk is full": "the disk is full",
    "No space left on device": "the disk is full",
    "disk I/O error": "the disk failed or is full",
    "attempt to write a readonly database": "it is read-only",
    "unable to open database file": "the database cannot be opened",
    "file is not a database": "the file is damaged or is not an MLflow database",
    "database disk image is malformed": "the database file is damaged",
    LOCKED: "another process holds the database",
    "no such table": "the database is not MLflow's",
    "authentication failed": "it refuses the user or the password (PGUSER, PGPASSWORD or ~/.pgpass)",
    "no password supplied": "it asks for a password (PGPASSWORD or ~/.pgpass)",
    '" does not exist': "its database or its user does not exist",
    "error code 401": "it refuses the user or the password (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD)",
    "error code 403": "it refuses this user the right (MLFLOW_TRACKING_USERNAME)",
    "Client Error: FORBIDDEN": "it refuses this user the right (MLFLOW_TRACKING_USERNAME)",
    "No module named 'psycopg": "PostgreSQL needs the package psycopg: pip install 'hybridq[server]'",
}
FINAL = tuple(symptom for symptom in PLAIN if symptom != LOCKED)  # waiting does not mend these
SECRETS = (
    (re.compile(r"(?<![^\s'\"(=])([A-Za-z][\w+.-]*://)\S*@"), r"\1"),  # in an address
    (re.compile(r"\S*:\S*@"), ""),  # in what is no address, because `://` was forgotten
    (re.compile(r"(?i)(password|passwd|token|secret)=[^&\s]*"), r"\1=***"),
)


@contextmanager
def plainly(where: str) -> Iterator[None]:
    """Turn an error of MLflow, the database, the network or the disk into a UserError with exit status 3."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        known = {type(one).__module__.split(".")[0] for one in chain(error)} & LIBRARIES
        if not known and not isinstance(error, (OSError, ModuleNotFoundError)):
            raise
        raise UserError(f"tracking store {where}: {reason(error)}", ENVIRONMENT) from error


def reason(error: BaseException) -> str:
    """Why it failed, in one line that holds no password."""
    texts = [str(one) for one in chain(error)]
    for symptom, plain in PLAIN.items():
        if any(symptom in text for text in texts):
            return plain
    for one in chain(error):
        kind = type(one).__name__
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
        if kind == "ResponseError":  # of urllib3; its text is "too many 503 error responses"
            return f"its server cannot answer now (HTTP {''.join(re.findall('[0-9]+', str(one)))})"
        if kind in ("ReadTimeout", "ConnectTimeout"):
            return "no answer in time"
        if kind in ("RemoteDisconnected", "ProtocolError", "ChunkedEncodingError"):
            return "the connection broke off"
    text = re.sub(r"^\([\w.]+\) ", "", texts[0].strip())  # SQLAlchemy begins with the class of the driver's error
    return redacted(text.splitlines()[0])[:300] if text else type(error).__name__


def redacted(text: str) -> str:
    """The text without user names and passwords in addresses, fit for a message.

    Those of `MLFLOW_TRACKING_URI` are known, so they are found whatever they hold, spaces and slashes too.
    """
    own = re.match(r"[A-Za-z][\w+.-]*://(.*)@", os.environ.get("MLFLOW_TRACKING_URI", ""), re.DOTALL)
    for secret in {own[1], unquote(own[1])} - {""} if own else ():
        text = text.replace(f"{secret}@", "")
    for pattern, harmless in SECRETS:
        text = pattern.sub(harmless, text)
    return text


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def quiet_mlflow() -> None:
    """Import mlflow without its chatter (progress bars, usage reports, logs of what is raised anyway) and tries."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # hybridq.tracking.retry asks again
    with large_import("mlflow"):
        import mlflow  # noqa: F401  (its import sets the level of its loggers, so it comes first)
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)


def probe(uri: str) -> None:
    """Raise UserError if nobody answers at the store's address.

    MLflow tries a server that is away for minutes: right in the middle of a training, wrong at its start.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:  # its text has a part of the password
        shown = redacted(uri)
        raise UserError(
            f"MLFLOW_TRACKING_URI={shown}: no address; in a password write # / ? [ ] @ as %23 %2F %3F %5B %5D %40",
            ENVIRONMENT,
        ) from None
    scheme = parts.scheme.split("+")[0]
    if scheme not in PORTS or not host or _through_proxy(scheme, host):
        return
    try:
        with socket.create_connection((host, port or PORTS[scheme]), PROBE_SECONDS):
            return
    except (OSError, ValueError) as error:
        raise UserError(f"tracking store {redacted(uri)} is out of reach: {error}", ENVIRONMENT) from None


def _through_proxy(scheme: str, host: str) -> bool:
    return scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
