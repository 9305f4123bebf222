"""The tracking store where it cannot be had: a place that cannot hold one, a limit on files, no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from effort import no_pauses
from store_processes import child, refused

from hybridq.tracking import open_store


def test_a_place_that_cannot_hold_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in refused(tmp_path / "file")
    assert "cannot write" in refused(tmp_path / "file" / "mlruns")
    for name, content in (("noise", b"this is not a database " * 100), ("empty", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mlflow.db").write_bytes(content)
        assert "mlflow" in refused(tmp_path / name).lower()
        assert (tmp_path / name / "mlflow.db").read_bytes() == content


def test_file_size_limit_while_making_the_store(tmp_path: Path) -> None:
    """What a full disk does without the right to mount: nothing half-made stays."""
    code = """
import resource, sys, signal
from pathlib import Path
from hybridq.errors import UserError
from hybridq.tracking import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import mlflow.store.tracking.sqlalchemy_store
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    open_store(Path(sys.argv[1]))
except UserError as error:
    print(error.exit_code, error)
"""
    out, err = child(code, tmp_path / "mlruns", PYTHONDONTWRITEBYTECODE="1").communicate(timeout=60)
    assert (out[:2], out.count("\n")) == ("3 ", 1), (out, err)
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()
    open_store(tmp_path / "mlruns")


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with no_pauses():
        for uri in (
            "http://127.0.0.1:9",
            "postgresql://me:secret@127.0.0.1:9/runs",
            "http://no.such.host.invalid",
        ):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            message = refused(tmp_path)
            assert "out of reach" in message
            assert "secret" not in message
    for uri in (str(tmp_path), f"file://{tmp_path}", "mlruns", f"sqlite:///{tmp_path}/none/x.db", "odd://x"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        refused(tmp_path)
