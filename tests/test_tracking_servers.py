"""Tracking for teams: a real PostgreSQL, a real MLflow server on it, real outages, several processes at once."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from effort import no_pauses
from team import ADMIN_PASSWORD, DATABASE_PASSWORD, USER, Database, Server, postgres
from tracking_processes import HOME, Process

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.tracking import Store, open_store
from hybridq.tracking.metrics import mlflow_name

pytestmark = pytest.mark.slow
EPOCHS, LONG = 6, 10
PAUSE = 0.1  # seconds between the epochs of those who write until they are told to stop
WRITER = """
import sys, time
from pathlib import Path
from hybridq.tracking import open_store
root, name, runs, epochs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = open_store(root, experiment=sys.argv[5])
for number in range(runs):
    if Path("stop").exists():
        break
    with store.start_run(f"{name} {number}", params={"writer": name}, tags={"number": str(number)}) as run:
        run.dataset("voices", "ab" * 32, "/data/voices", words=["yes", "no"], synthetic=False)
        for epoch in range(1, epochs + 1):
            run.metrics({"training loss": number + 1 / epoch, "training accuracy %": epoch}, step=epoch)
            time.sleep(float(sys.argv[6]))
        run.text("notes/last.txt", f"{name} {number}")
    print(name, number, flush=True)
"""


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def started(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(database, tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture
def server(started: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """The server, running, and this process as one of its clients."""
    started.wait()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", started.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
    monkeypatch.setenv("HYBRIDQ_CACHE", str(tmp_path / "cache"))
    return started


def writer(
    name: str, runs: int, experiment: str = "hybridq", epochs: int = EPOCHS, pause: float = 0, **extra: str
) -> Process:
    arguments = ["mlruns", name, str(runs), str(epochs), experiment, str(pause)]
    return Process(WRITER, arguments, os.environ | {"PYTHONPATH": str(HOME)} | extra)


def history(store: Store, run: str, name: str) -> list[tuple[int, float]]:
    points = store.client.get_metric_history(run, mlflow_name(name))
    return sorted((point.step, point.value) for point in points)


def check_written(store: Store, said: str, epochs: int = EPOCHS) -> None:
    """Every run of which a writer said that it ended is there, once and whole, and no other run of that writer."""
    ended = said.splitlines()
    writers = {line.split()[0] for line in ended}
    runs = [run for run in store.runs() if run.name.split()[0] in writers]
    assert sorted(run.name for run in runs) == sorted(ended)
    for run in runs:
        number = int(run.tags["number"])
        assert (run.status, run.params) == ("FINISHED", {"writer": run.name.split()[0]})
        steps = range(1, epochs + 1)
        assert history(store, run.id, "training loss") == [(step, number + 1 / step) for step in steps]
        assert history(store, run.id, "training accuracy %") == [(step, float(step)) for step in steps]
        assert store.download(run.id, "notes/last.txt").read_text() == run.name
        assert len(store.client.get_run(run.id).inputs.dataset_inputs) == 1


def refused(store: Store) -> str:
    with pytest.raises(UserError) as caught:
        store.start_run("refused", params={}, tags={})
    assert caught.value.exit_code == ENVIRONMENT
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_processes_write_to_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local store, and a SQLite file of MLflow's own; neither exists before."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    own = f"sqlite:///{tmp_path}/own.db"
    local = [writer(name, 2) for name in "ab"]
    others = [writer(name, 1, MLFLOW_TRACKING_URI=own) for name in "ab"]
    ends = [process.communicate(timeout=120) for process in local + others]
    assert [errors for _, errors in ends] == [""] * 4
    assert not (tmp_path / "mlruns" / "mlflow.db.new").exists()
    check_written(open_store(Path("mlruns")), ends[0][0] + ends[1][0])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own)
    check_written(open_store(), ends[2][0] + ends[3][0])


def test_processes_write_to_one_server_at_once(server: Server) -> None:
    ends = [process.communicate(timeout=120) for process in [writer(name, 2) for name in "de"]]
    assert [errors for _, errors in ends] == [""] * 2
    check_written(open_store(), ends[0][0] + ends[1][0])


def test_a_server_keeps_runs_and_their_files(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.keras").write_bytes(os.urandom(1_000_000))
    store = open_store()
    run = store.start_run("kept", params={"a": "b"}, tags={"recipe": "tiny"})
    run.metrics({"training loss": 1.0}, step=1)
    run.close(KeyboardInterrupt())
    with store.resume_run(run.id) as resumed:
        resumed.metrics({"training loss": 1.0}, step=1)  # computed again, since the checkpoint came later
        resumed.metrics({"training loss": float("nan")}, step=2)
        resumed.artifact(tmp_path / "model")
    (view,) = open_store().runs(ids_or_names=["tiny"])
    assert (view.name, view.status, view.params) == ("kept", "FINISHED", {"a": "b"})
    assert [step for step, _ in history(store, run.id, "training loss")] == [1, 2]
    got = store.download(run.id, "model") / "weights.keras"
    assert got.read_bytes() == (tmp_path / "model" / "weights.keras").read_bytes()
    assert store.download(run.id, "model/weights.keras") == got
    with pytest.raises(UserError, match=f"run {run.id[:8]} has no artifact 'nothing' \\(looked in {server.uri}"):
        store.download(run.id, "nothing")


def test_passwords_stay_out_of_sight(
    server: Server, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store()
    with store.start_run("seen", params={}, tags={}) as run:
        run.text("a.txt", "a")
    stored = json.dumps(store.client.get_run(run.id).to_dictionary())
    command_lines = " ".join(word for process in server.processes() for word in process.cmdline())
    said = server.log + caplog.text + stored + command_lines
    assert f"{USER}@127.0.0.1" in command_lines
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-wrong-password")
    said += refused(open_store())
    assert "it refuses the user or the password (MLFLOW_TRACKING_USERNAME" in said
    address = server.uri.removeprefix("http://")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://admin:a-wrong-password@{address}")  # an address may hold one
    said += refused(open_store())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"admin:a-wrong-password@{address}")
    with pytest.raises(UserError) as caught:
        open_store()
    said += str(caught.value)
    with no_pauses():  # nor MLflow's many tries
        monkeypatch.setenv("PGPASSWORD", "a-wrong-password")
        for name in ("runs", "no_such_database"):
            said += refused(Store(database.uri(name), "hybridq", None))
        said += refused(Store(database.uri("runs", f"{USER}:a-wrong-password"), "hybridq", None))
        monkeypatch.setenv("PGPASSWORD", DATABASE_PASSWORD)
        assert "its database or its user does not exist" in refused(Store(database.uri("none"), "hybridq", None))
    for secret in (ADMIN_PASSWORD, DATABASE_PASSWORD, "a-wrong-password", "key-of-the-server"):
        assert secret not in said


def test_runs_outlive_a_restart_of_their_database_and_of_their_server(
    server: Server, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who may wait, waits and loses nothing; who may not, fails with one line, and its run can be resumed."""
    monkeypatch.setenv("PGPASSWORD", DATABASE_PASSWORD)
    monkeypatch.chdir(tmp_path)
    store = open_store()

    direct = Store(database.uri("runs"), "direct", None)

    def ended(where: Store) -> int:
        return sum(run.status == "FINISHED" and "writer" in run.params for run in where.runs())

    before = ended(store)
    by_server = writer("f", 1000, epochs=LONG, pause=PAUSE)
    by_itself = writer("g", 1000, "direct", LONG, PAUSE, MLFLOW_TRACKING_URI=database.uri("runs"))  # no server between
    wait_for(lambda: ended(store) > before and ended(direct) > 0)
    database.stop()
    time.sleep(1.5)
    database.start()
    before = ended(store)
    wait_for(lambda: ended(store) > before)

    monkeypatch.setenv("HYBRIDQ_TRACKING_WAIT", "1")
    run = store.start_run("impatient", params={}, tags={})
    run.metrics({"training loss": 1.0}, step=1)
    server.kill()
    with pytest.raises(UserError) as caught, run:
        run.metrics({"training loss": 0.5}, step=2)
    assert str(caught.value).startswith(f"tracking store {server.uri}: Connection refused (waited ")
    assert caught.value.exit_code == ENVIRONMENT
    with pytest.raises(UserError, match="out of reach"):
        open_store()
    server.start()
    server.wait()
    monkeypatch.delenv("HYBRIDQ_TRACKING_WAIT")
    before = ended(store)
    wait_for(lambda: ended(store) > before)
    (tmp_path / "stop").touch()
    told, warned = by_server.communicate(timeout=60)
    assert "Connection refused; trying again for 300 s\n" in warned
    assert "nothing is lost\n" in warned
    assert by_server.returncode == 0
    check_written(store, told, LONG)
    check_written(direct, by_itself.communicate(timeout=60)[0], LONG)

    assert store.find(run.id).status == "RUNNING"
    with store.resume_run(run.id) as resumed:
        for epoch, loss in ((1, 1.0), (2, 0.5)):
            resumed.metrics({"training loss": loss}, step=epoch)
    assert store.find(run.id).status == "FINISHED"
    assert history(store, run.id, "training loss") == [(1, 1.0), (2, 0.5)]


def test_an_answer_that_is_lost(server: Server) -> None:
    """The server did what it was asked, but its answer did not arrive: asked again, nothing is there twice."""
    with forgetful(server.uri) as uri:
        store = Store(uri, "lost answers", None)
        with store.start_run("once", params={"a": "b"}, tags={"c": "d"}) as run:
            run.metrics({"training loss": 1.0}, step=1)
            run.text("a.txt", "a")
            run.dataset("voices", "ab" * 32, "/data/voices", words=["yes"], synthetic=False)
        assert store.find(run.id).status == "FINISHED"
        assert store.download(run.id, "a.txt").read_text() == "a"
        with store.resume_run(run.id) as resumed:
            resumed.metrics({"training loss": 1.0}, step=1)
    store = Store(server.uri, "lost answers", None)
    (view,) = store.runs()
    assert (view.id, view.status, view.params) == (run.id, "FINISHED", {"a": "b"})
    assert history(store, run.id, "training loss") == [(1, 1.0)]
    assert len(store.client.get_run(run.id).inputs.dataset_inputs) == 1


class forgetful:
    """A proxy that does not pass on the first answer to each kind of request, but for the one at the start."""

    def __init__(self, uri: str) -> None:
        lost: set[str] = set()

        class Proxy(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                passed = urllib.request.Request(uri + self.path, body or None, dict(self.headers), method=self.command)
                try:
                    answer = urllib.request.urlopen(passed, timeout=30)
                except urllib.error.HTTPError as error:
                    answer = error
                content = answer.read()
                request = f"{self.command} {self.path.partition('?')[0]}"
                if "experiments/search" not in self.path and request not in lost:
                    lost.add(request)
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

            def log_message(self, *words: object) -> None: ...

        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)

    def __enter__(self) -> str:
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._proxy.server_port}"

    def __exit__(self, *error: object) -> None:
        self._proxy.shutdown()


def wait_for(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.3)
