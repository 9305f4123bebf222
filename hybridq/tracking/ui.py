"""MLflow's own web pages on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.tracking.local import ARTIFACTS
from hybridq.tracking.store import Store

TRIES = 20
START_SECONDS = 60.0


def serve_ui(store: Store, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Run `mlflow ui` until it is stopped, saying where it is; a taken port gives way to the next free one.

    Returns the exit status; a store that is a server already is only named.
    """
    if store.uri.startswith(("http://", "https://")):
        print(f"The tracking store is an MLflow server already: open {store.label}")
        return 0
    free = free_port(host, port)
    if free != port:
        print(f"Port {port} is taken, using {free}.")
    root = ["--default-artifact-root", str(store.root / ARTIFACTS)] if store.root else []
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", host, "--port", str(free)]
    command += ["--backend-store-uri", store.uri, *root]
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "ERROR"}
    server = subprocess.Popen(command, env=quiet, cwd=Path.cwd())
    threading.Thread(target=_announce, args=(f"http://{host}:{free}", server), daemon=True).start()
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0


def free_port(host: str, port: int) -> int:
    """The first port from `port` on at which nobody listens; raises UserError if twenty are taken."""
    for candidate in range(port, port + TRIES):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, candidate))
            except OSError:
                continue
            return candidate
    raise UserError(f"the ports {port} to {port + TRIES - 1} on {host} are all taken", ENVIRONMENT)


def _announce(address: str, server: subprocess.Popen[bytes]) -> None:
    print("Starting MLflow ...", flush=True)
    start = time.monotonic()
    while server.poll() is None and time.monotonic() - start < START_SECONDS:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
            continue
        print(f"MLflow is at {address} (Ctrl-C stops it)", flush=True)
        return
