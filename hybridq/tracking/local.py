"""The default store: `mlflow.db` and `artifacts/` in one folder, which may be moved and shared.

MLflow records where artifacts lie as absolute paths, so after a move the new place is written into the
database. To know which paths are ours, each experiment that hybridq makes has the artifacts folder as a tag.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

from hybridq.errors import ENVIRONMENT, NotWritable, UserError
from hybridq.paths import locked
from hybridq.tracking.guard import plainly, quiet_mlflow
from hybridq.tracking.retry import patiently

DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"
LOCK = ".lock"  # keeps other processes out while a database is made
HOME_TAG = "hybridq.artifacts"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow 3 opens its pages for language models
WAIT_SECONDS = 20.0

# Every column in which MLflow 3 records a place below an artifacts folder.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)


def open_local(root: Path, experiment: str) -> str:
    """Make the store under `root` if there is none, mend its paths if it was moved; its MLflow address."""
    database = root / DATABASE
    if not database.exists():
        try:
            root.mkdir(parents=True, exist_ok=True)
            with locked(root / LOCK):
                if not database.exists():
                    _create(root, experiment)
        except OSError as error:
            raise NotWritable(root, error) from error
    patiently(str(database), lambda: _follow_move(root))
    return address(database)


def address(database: Path) -> str:
    """The MLflow address of a SQLite file; in an address `%` and `?` would mean something else."""
    return "sqlite:///" + str(database).replace("%", "%25").replace("?", "%3F")


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address; None for another address."""
    return Path(unquote(uri.removeprefix("sqlite:///"))).absolute() if uri.startswith("sqlite:///") else None


def check_writable(root: Path) -> None:
    """Raise UserError if nothing can be logged here."""
    for path in (root, root / DATABASE, root / ARTIFACTS):
        if path.exists() and not os.access(path, os.W_OK):
            raise UserError(f"cannot write {path}: it is read-only", ENVIRONMENT)


def _create(root: Path, experiment: str) -> None:
    """Make the database under another name and rename it, so that a half-made one is never opened."""
    quiet_mlflow()
    from mlflow.entities import ExperimentTag
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    artifacts = root / ARTIFACTS
    artifacts.mkdir(exist_ok=True)
    new = root / (DATABASE + ".new")
    for left in (new, new.with_name(new.name + "-journal")):  # by a killed process
        left.unlink(missing_ok=True)
    try:
        with plainly(str(root)):
            store: Any = cast(Any, SqlAlchemyStore)(address(new), str(artifacts))
            tags = [ExperimentTag(key, value) for key, value in ({HOME_TAG: str(artifacts)} | KIND).items()]
            store.create_experiment(experiment, str(artifacts / experiment), tags)
            store.engine.dispose()
        new.rename(root / DATABASE)
    finally:
        new.unlink(missing_ok=True)


def _follow_move(root: Path) -> None:
    now = str(root / ARTIFACTS)
    writable = os.access(root, os.W_OK) and os.access(root / DATABASE, os.W_OK)
    mode = "rw" if writable else "ro"
    where = f"file:{quote(str(root / DATABASE))}?mode={mode}"
    with closing(sqlite3.connect(where, uri=True, timeout=WAIT_SECONDS, isolation_level=None)) as db:
        stale = "SELECT DISTINCT value FROM experiment_tags WHERE key = ? AND value != ?"
        if not db.execute(stale, (HOME_TAG, now)).fetchall() or not writable:
            return  # a read-only store can still be read; only its artifacts are not found after a move
        db.execute("BEGIN IMMEDIATE")
        for (old,) in db.execute(stale, (HOME_TAG, now)).fetchall():
            for table, column in PLACES:
                db.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                    f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (now, len(old) + 1, old, len(old) + 1, old + "/"),
                )
            mend_tag = "UPDATE experiment_tags SET value = ? WHERE key = ? AND value = ?"
            db.execute(mend_tag, (now, HOME_TAG, old))
        db.execute("COMMIT")
