"""The way to a tracking store: its address, MLflow's client, and every question asked through it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hybridq.errors import undisturbed
from hybridq.paths import locked
from hybridq.tracking.guard import quiet_mlflow, redacted
from hybridq.tracking.local import LOCK, sqlite_file
from hybridq.tracking.retry import Answer, patiently

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DATABASES = ("postgresql", "mysql", "mssql")


class Connection:
    """A tracking store at an address; `root` is its folder if it is the default kind, None at any other address.

    `wait`: the first answer may also take as long as `HYBRIDQ_TRACKING_WAIT` says, as all later ones may.
    """

    def __init__(self, uri: str, root: Path | None, wait: bool = False) -> None:
        self.uri = uri
        self.root = root
        self.label = str(root) if root else redacted(uri)
        self._wait = wait

    @cached_property
    def client(self) -> Any:
        """MLflow's client, for hybridq.tracking only; it is made on first use."""
        quiet_mlflow()
        local = self.uri.startswith("sqlite:")  # not away, at most held by another process
        return patiently(self.label, self._connect, None if local or self._wait else 0)

    def _connect(self) -> Any:
        from mlflow.tracking import MlflowClient

        if urlsplit(self.uri).scheme.split("+")[0] in DATABASES:
            from sqlalchemy import create_engine

            engine = create_engine(self.uri)  # MLflow would try for minutes, a wrong password too
            engine.connect().close()
            engine.dispose()
        with self._making():
            client = MlflowClient(self.uri)
            client.search_experiments(max_results=1)
        return client

    def _making(self) -> AbstractContextManager[None]:
        """Keeps other processes out while MLflow makes its tables in a new SQLite file, which it does unguarded."""
        file = None if self.root else sqlite_file(self.uri)
        return locked(file.parent / LOCK) if file and os.access(file.parent, os.W_OK) else nullcontext()

    def ask(self, question: Callable[[Any], Answer], wait: float | None = None) -> Answer:
        """What MLflow's client answers; it is asked again while the store is away (see `hybridq.tracking.retry`)."""
        client = self.client
        # A statement that an interrupt cuts short keeps SQLite's lock for as long as its traceback is known.
        deferred = INTERRUPTS if self.uri.startswith("sqlite:") else ()

        def asked() -> Answer:
            with undisturbed(deferred):
                return question(client)

        return patiently(self.label, asked, wait)
