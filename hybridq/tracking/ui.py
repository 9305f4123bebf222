"""MLflow's own web pages on this machine."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from hybridq.backend.startup import sealed
from hybridq.errors import ENVIRONMENT, RUN_FAILED, UserError
from hybridq.tracking.connection import INTERRUPTS
from hybridq.tracking.local import ARTIFACTS, address, sqlite_file
from hybridq.tracking.store import Store

TRIES = 20
LAST_PORT = 65_535
START_SECONDS = 120.0
# No usage reports, no job runners: they serve language-model features that hybridq has no use for.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def serve_ui(store: Store, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Run `mlflow ui` until it is stopped, saying where it is; a taken port gives way to the next free one.

    Returns 0 when it was stopped; a store that is a server already is only named.
    """
    if store.uri.startswith(("http://", "https://")):
        print(f"The tracking store is an MLflow server already: open {store.label}")
        return 0
    free = free_port(host, port)
    if free != port:
        print(f"Port {port} is taken, using {free}.")
    root = ["--default-artifact-root", str(store.root / ARTIFACTS)] if store.root else []
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", host, "--port", str(free)]
    command += root
    # The address may hold a password, and a command line is for all to see.
    database = sqlite_file(store.uri)
    uri = address(database) if database else store.uri  # by its whole path
    place = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_REGISTRY_STORE_URI": uri}
    # SIGTERM and SIGHUP as Ctrl-C, or the server would outlive this process; Ctrl-C itself, since background jobs
    # ignore it.
    old = {number: signal.signal(number, signal.default_int_handler) for number in INTERRUPTS}
    # In a folder of its own: uvicorn imports modules of the current folder, whatever Python is told.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory(prefix="hybridq-") as elsewhere:
        # Its own session: Ctrl-C reaches this process alone, which then ends the server in good order.
        server = subprocess.Popen(
            command,
            cwd=elsewhere,
            env=sealed() | QUIET | place,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _announce(f"http://{host}:{free}", _page(store), server)
            server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            return 0
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
        output.seek(0)
        last = output.read().decode(errors="replace").strip().splitlines()[-1:]
    why = " ".join(last) or f"exit status {server.returncode}"
    raise UserError(f"mlflow ui stopped by itself: {why}", RUN_FAILED)


def free_port(host: str, port: int) -> int:
    """The first port from `port` on at which nobody listens; raises UserError if twenty are taken."""
    last = min(port + TRIES - 1, LAST_PORT)
    for candidate in range(port, last + 1):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, candidate))
            except OSError:
                continue
            return candidate
    raise UserError(f"the ports {port} to {last} on {host} are all taken", ENVIRONMENT)


def _page(store: Store) -> str:
    """Where the runs are: MLflow's first page is about language models, and leads to more such pages."""
    experiment = store.ask(lambda client: client.get_experiment_by_name(store.experiment))
    return f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning" if experiment else ""


def _announce(address: str, page: str, server: subprocess.Popen[bytes]) -> None:
    print("Starting MLflow ...", flush=True)
    start = time.monotonic()
    while server.poll() is None and time.monotonic() - start < START_SECONDS:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
        except OSError:
            time.sleep(0.3)
            continue
        print(f"MLflow is at {address}{page} (Ctrl-C stops it)", flush=True)
        return
