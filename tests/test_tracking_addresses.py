"""Where a store is, and its pages: addresses without their passwords, free ports, `hybridq ui`."""

from __future__ import annotations

import signal
import socket
import urllib.request
from pathlib import Path

import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from store_processes import child, refused
from traps import Traps

from hybridq.errors import UserError
from hybridq.tracking import Store
from hybridq.tracking.guard import redacted
from hybridq.tracking.ui import LAST_PORT, free_port

LETTERS = st.characters(min_codepoint=33, max_codepoint=126)


@given(st.text(LETTERS, min_size=1), st.sampled_from(["http://", "postgresql+psycopg://", ""]))
@example("://", "")
def test_an_address_is_shown_without_its_password(password: str, scheme: str) -> None:
    secret = f"<<{password}>>"
    assert (
        redacted(f"no answer of {scheme}me:{secret}@example.org:5000/runs")
        == f"no answer of {scheme}example.org:5000/runs"
    )
    assert secret not in redacted(f"postgresql://example.org/runs?user=me&password={secret}")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), st.booleans())
@example("my pass", False)
@example("x@[::1", False)
def test_no_message_shows_the_password_of_the_store(password: str, strange_host: bool) -> None:
    secret, host = f"<<{password}>>", "[::1" if strange_host else "127.0.0.1:9"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"http://ada:{secret}@{host}")
        message = refused(Path("nowhere"))
    assert secret not in message
    assert "<<" not in message
    assert "ada" not in message


def test_free_port_passes_over_a_taken_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port) < port + 20
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", LAST_PORT))
        with pytest.raises(UserError, match="the ports 65535 to 65535 on"):
            free_port("127.0.0.1", LAST_PORT)


@pytest.mark.slow
def test_ui_serves_the_store(store: Store, inner: Path) -> None:
    """And hybridq logs to that server, when it is named as the store; Python files of the folder are not run."""
    traps = Traps(inner)
    with store.start_run("seen", params={}, tags={}):
        pass
    code = """
import sys
from pathlib import Path
from hybridq.tracking import open_store, serve_ui
sys.exit(serve_ui(open_store(Path(sys.argv[1])), port=int(sys.argv[2])))
"""
    port = free_port("127.0.0.1", 5901)
    process = child(code, store.root, port)
    try:
        runs = f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning"
        assert any(f"MLflow is at {runs} (" in line for line in process.stdout)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert not any(store.uri in word for one in family for word in one.cmdline())  # it may hold a password
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert b"<title>MLflow</title>" in page.read()
        served = Store(f"http://127.0.0.1:{port}", store.experiment, None)
        with served.start_run("over the wire", params={"a": "b"}, tags={}) as run:
            run.metrics({"test accuracy %": 91.0})
            run.text("note.txt", "hello")
        assert store.find("over the wire").metrics == {"test accuracy %": 91.0}
        assert served.find("seen").status == "FINISHED"
        assert served.download(run.id, "note.txt").read_text() == "hello"
        assert not traps.sprung
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0
