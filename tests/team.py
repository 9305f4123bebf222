"""What a team shares, for real: a PostgreSQL cluster, an MLflow server on it that asks for a password, an S3 store for
files, and two machines that Ray makes one of."""

from __future__ import annotations

import getpass
import json
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
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from hybridq.tracking.ui import free_port

PROGRAM = Path(__file__).with_name("mlflow_server.py")
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
BUCKET = "files-of-the-team"
KEYS = {"AWS_ACCESS_KEY_ID": "key-of-the-files", "AWS_SECRET_ACCESS_KEY": "secret-of-the-files"}
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
    """`mlflow server` with two workers, as a copy of a process that has imported MLflow.

    Files go to a folder, or to the place `files` (`s3://...`) by its `keys`.
    """

    def __init__(
        self, database: Database, folder: Path, files: str = "", keys: Mapping[str, str] | None = None
    ) -> None:
        self._database = database
        self._folder = folder
        self._files = files or str(folder / "artifacts")
        self._keys = dict(keys or {})
        self._origin: subprocess.Popen[str] | None = None
        self._first: psutil.Process | None = None
        self.port = free_port("127.0.0.1", 5750)
        self.uri = f"http://127.0.0.1:{self.port}"
        (folder / "auth.ini").write_text(AUTH.format(users=database.uri("users")))

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text()

    def start(self) -> None:
        words = ["server", "--app-name", "basic-auth", "--workers", "2"]
        words += ["--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--backend-store-uri", self._database.uri("runs"), "--serve-artifacts"]
        words += ["--artifacts-destination", self._files]
        secrets = {
            "PGPASSWORD": DATABASE_PASSWORD,
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "key-of-the-server",
            "MLFLOW_AUTH_CONFIG_PATH": str(self._folder / "auth.ini"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        if self._origin is None:
            with (self._folder / "server.log").open("ab") as log:
                self._origin = subprocess.Popen(
                    [sys.executable, str(PROGRAM), *words],
                    env=os.environ | secrets | self._keys,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                )  # fmt: skip
        assert self._origin.stdin
        assert self._origin.stdout
        print(json.dumps(words), file=self._origin.stdin, flush=True)
        self._first = psutil.Process(int(self._origin.stdout.readline()))

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
        assert self._first is not None
        return [self._first, *self._first.children(recursive=True)]

    def kill(self) -> None:
        """All of it at once, as if the machine were switched off."""
        if self._first is not None:
            killed = self.processes()
            for process in killed:
                process.send_signal(signal.SIGKILL)
            psutil.wait_procs(killed)
            self._first = None

    def end(self) -> None:
        """Also the process that its are copies of."""
        self.kill()
        if self._origin is not None:
            self._origin.communicate()


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


class Files:
    """An S3 store with one bucket: who may write has its `keys`."""

    def __init__(self, address: str) -> None:
        import boto3

        region = {"AWS_DEFAULT_REGION": "us-east-1"}
        self.keys = KEYS | region | {"MLFLOW_S3_ENDPOINT_URL": address}
        self._client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name=region["AWS_DEFAULT_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        self._client.create_bucket(Bucket=BUCKET)

    def of(self, run: str) -> set[str]:
        """The files of a run, by their paths among its artifacts."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key.partition(f"{run}/artifacts/")[2] for key in keys if f"{run}/artifacts/" in key}


@contextmanager
def s3_store() -> Iterator[Files]:
    """A running S3 store; skips the test where there is none to run."""
    server = pytest.importorskip("moto.server", reason="needs an S3 store: pip install 'moto[server]'")
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    try:
        host, port = store.get_host_and_port()
        yield Files(f"http://{host}:{port}")
    finally:
        store.stop()


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes that make a run each; a sweep begins on the first, and the other may be lost."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'hybridq[ray]'")
    from ray.cluster_utils import Cluster

    with chdir("/"):  # nodes import what is in the folder that they are started in
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with chdir("/"):
            cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def _ordinary_user() -> str:
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
