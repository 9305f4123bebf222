"""What a team shares, for real: a PostgreSQL cluster and an MLflow server on it that asks for a password."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from hybridq.tracking.ui import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
USER, DATABASE_PASSWORD, ADMIN_PASSWORD = "hybridq", "pass-of-the-database", "pass-of-the-admin"
AUTH = """[mlflow]
default_permission = EDIT
database_uri = {users}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


class Database:
    """A cluster of its own, in a folder of its own; it must not run as root."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._folder = folder
        self._binaries = binaries
        self._owner = _ordinary_user()
        self.port = free_port("127.0.0.1", 5650)
        shutil.chown(folder, self._owner)
        secret = folder / "password"
        secret.write_text(DATABASE_PASSWORD)
        shutil.chown(secret, self._owner)
        self.run("initdb", "-D", folder / "data", "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-N")
        secret.unlink()
        self.start()
        for name in ("runs", "users"):
            self.run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", USER, name)

    def uri(self, name: str, login: str = USER) -> str:
        return f"postgresql://{login}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} -c fsync=off"
        self.run("pg_ctl", "-D", self._folder / "data", "-l", self._folder / "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "stop")

    def run(self, program: str, *words: object) -> None:
        subprocess.run(
            [self._binaries / program, *map(str, words)],
            check=True, stdout=subprocess.DEVNULL, user=self._owner, cwd=self._folder,
            env=os.environ | {"PGPASSWORD": DATABASE_PASSWORD},
        )  # fmt: skip


class Server:
    """`mlflow server` with two workers."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port("127.0.0.1", 5750)
        self.uri = f"http://127.0.0.1:{self.port}"
        (folder / "auth.ini").write_text(AUTH.format(users=database.uri("users")))

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "2"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", self._database.uri("runs"), "--serve-artifacts"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        secrets = {
            "PGPASSWORD": DATABASE_PASSWORD,
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "key-of-the-server",
            "MLFLOW_AUTH_CONFIG_PATH": str(self._folder / "auth.ini"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=os.environ | secrets, stdout=log, stderr=log)

    def wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(self.log[-2000:])

    def processes(self) -> list[psutil.Process]:
        assert self._process is not None
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """All of it at once, as if the machine were switched off."""
        if self._process is not None:
            for process in self.processes():
                process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def postgres() -> Iterator[Database]:
    """A running cluster; skips the test where PostgreSQL or the Python packages for it are not installed."""
    missing = [name for name in ("psycopg", "flask_wtf") if find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: pip install 'hybridq[server]'")
    found = shutil.which("pg_ctl")
    binaries = BINARIES[-1] if BINARIES else Path(found).parent if found else None
    if binaries is None:
        pytest.skip("needs PostgreSQL (initdb, pg_ctl)")
    folder = Path(tempfile.mkdtemp(prefix="hybridq-postgres-"))  # pytest's own folders are closed to other users
    database = None
    try:
        database = Database(folder, binaries)
        yield database
    finally:
        if database:
            database.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _ordinary_user() -> str:
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
