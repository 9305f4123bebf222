"""The tracking store: what is kept, in real SQLite files and by real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from store_processes import child
from tracking_processes import HOME

from hybridq.errors import UserError
from hybridq.tracking import RunView, Store, open_store
from hybridq.tracking.metrics import METRICS, mlflow_name, name_from_mlflow


def the_store(store: Store) -> Path:
    """The folder of the shared store."""
    assert store.root is not None
    return store.root


def test_only_tracking_imports_mlflow() -> None:
    sources = {path: path.read_text() for path in (HOME / "hybridq").rglob("*.py")}
    inside = [path for path, text in sources.items() if "import mlflow" in text or "from mlflow" in text]
    assert inside
    assert all(path.parent.name == "tracking" for path in inside)
    heavy = "import sys, hybridq.tracking, hybridq.results.compare; print({'mlflow', 'matplotlib'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    assert subprocess.check_output([sys.executable, "-c", heavy], env=environment, text=True) == "set()\n"


def test_metric_names_are_accepted_and_come_back(store: Store) -> None:
    values = {name: float(at) for at, name in enumerate(METRICS)} | {"words per hour %": 3.0}
    with store.start_run("names", params={}, tags={}) as run:
        run.metrics(values)
        run.metrics({"training loss": float("nan")}, step=3)
    found = store.find(run.id).metrics
    assert found.pop("training loss") != values.pop("training loss")  # NaN, which MLflow keeps
    assert found.pop("words per hour pct") == values.pop("words per hour %")
    assert found == values
    assert all(name_from_mlflow(mlflow_name(name)) == name for name in METRICS)


def test_a_run_keeps_what_was_logged(store: Store, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.keras").write_bytes(b"weights")
    params = {f"key{at}": str(at) for at in range(150)} | {"long": "x" * 9000, "empty": ""}
    tags = {"description": "A *small* network.", "data.synthetic": "true", "empty": ""}
    with store.start_run("kept", params=params, tags=tags) as run:
        run.metrics({"training loss": 2.0}, step=1)
        run.metrics({"training loss": 1.0}, step=2)
        run.artifact(tmp_path / "model")
        run.artifact(tmp_path / "model" / "weights.keras", "best")
        run.text("recipe.yaml", "name: kept\n")
        run.json("reports/profile.json", {"totals": {"macc": 1}})
        run.dataset("voices", "ab" * 32, "/data/voices", words=["yes", "no"], synthetic=True, clips={"training": 9})
    view = store.find("kept")
    assert (view.id, view.status, view.parent) == (run.id, "FINISHED", None)
    assert view.ended is not None
    assert view.ended >= view.started
    assert len(view.params) == 152
    assert len(view.params["long"]) == 6000
    assert view.params["long"].endswith("...")
    note = "**Synthetic data: for trying the tool, not a result.**\n\nA *small* network."
    assert view.tags["mlflow.note.content"] == note
    assert view.tags["data.words"] == "yes no"
    assert view.tags["version.python"]
    assert store.download(run.id, "model/weights.keras").read_bytes() == b"weights"
    assert store.download(run.id, "best/weights.keras").read_bytes() == b"weights"
    assert json.loads(store.download(run.id, "reports/profile.json").read_text())["totals"]["macc"] == 1
    history = store.client.get_metric_history(run.id, mlflow_name("training loss"))
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]
    (dataset,) = store.client.get_run(run.id).inputs.dataset_inputs
    assert dataset.dataset.name == "voices"
    assert len(dataset.dataset.digest) == 36
    listed = sorted(entry.path for entry in store.client.list_artifacts(run.id))
    assert listed == ["best", "model", "recipe.yaml", "reports"]
    with pytest.raises(UserError, match="no artifact 'nothing'"):
        store.download(run.id, "nothing")


def test_a_picture_is_kept(store: Store) -> None:
    from matplotlib.figure import Figure

    with store.start_run("picture", params={}, tags={}) as run:
        run.figure(Figure(), "confusion")
    assert store.download(run.id, "pictures/confusion.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("error", "status", "tag"),
    [
        (
            UserError("the loss became NaN in epoch 3", 1),
            "FAILED",
            ("failure", "the loss became NaN in epoch 3"),
        ),
        (ZeroDivisionError("division"), "FAILED", ("failure", "ZeroDivisionError: division")),
        (KeyboardInterrupt(), "KILLED", ("interrupted", "Ctrl-C")),
    ],
)
def test_how_a_run_ends(store: Store, error: BaseException, status: str, tag: tuple[str, str]) -> None:
    with pytest.raises(type(error)), store.start_run("ends", params={}, tags={}) as run:
        raise error
    assert (store.find(run.id).status, store.find(run.id).tags[tag[0]]) == (status, tag[1])
    with store.resume_run(run.id) as resumed:
        assert store.find(run.id).status == "RUNNING"
        resumed.metrics({"test accuracy %": 90.0})
    assert store.find(run.id).status == "FINISHED"
    assert tag[0] not in store.find(run.id).tags


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_to_end_marks_the_run_and_its_sweep(store: Store, ending: signal.Signals) -> None:
    code = """
import signal, sys, time
from pathlib import Path
from hybridq.tracking import open_store
store = open_store(Path(sys.argv[1]))
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
with store.start_run("stopped sweep", params={}, tags={}) as sweep:
    with store.start_run("stopped", params={}, tags={}, parent=sweep.id) as run:
        print("ready", flush=True)
        time.sleep(60)
"""
    process = child(code, store.root)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(ending)
    process.communicate(timeout=20)
    for name in ("stopped", "stopped sweep"):
        assert (store.find(name).status, store.find(name).tags["interrupted"]) == ("KILLED", ending.name)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_a_run_that_is_stopped_while_it_writes_is_marked(store: Store, ending: signal.Signals) -> None:
    """SQLite's lock would be held by the statement for as long as the traceback of the interrupt is known."""
    from sqlalchemy import Engine, event

    struck = []

    def interrupt(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT latest_metrics") and not struck:
            struck.append(statement)
            signal.raise_signal(ending)

    # whoever runs the tests may ignore it, and Ray has a handler of its own, which a test before this one may have set
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    event.listen(Engine, "after_cursor_execute", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), store.start_run("writing", params={}, tags={}) as run:
            run.metrics({"training loss": 1.0}, step=1)
    finally:
        event.remove(Engine, "after_cursor_execute", interrupt)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert store.find(run.id).status == "KILLED"
    assert store.find(run.id).metrics == {"training loss": 1.0}


def test_runs_of_a_sweep_and_by_name(store: Store) -> None:
    with store.start_run("paper", params={}, tags={}) as sweep:
        for seed in range(2):
            with store.start_run("tiny", params={"training.seed": str(seed)}, tags={}, parent=sweep.id) as run:
                run.metrics({"test accuracy %": 90.0 + seed})

    def seeds(runs: list[RunView]) -> list[str]:
        return [run.params["training.seed"] for run in runs]

    assert seeds(store.runs(sweep="paper")) == seeds(store.runs(sweep=sweep.id[:12])) == ["0", "1"]
    assert seeds(store.runs(ids_or_names=["tiny"])) == ["0", "1"]
    assert seeds(store.runs(ids_or_names=["paper", run.id])) == ["0", "1"]
    assert store.find("tiny").id == run.id == store.find(run.id[:10]).id
    assert {sweep.id, run.id} <= {one.id for one in store.runs()}
    with pytest.raises(UserError, match=r"no run 'tinny' in .*; the nearest names: tiny") as caught:
        store.find("tinny")
    assert caught.value.exit_code == 2


def test_a_moved_store_keeps_its_artifacts(store: Store, tmp_path: Path) -> None:
    before, after = tmp_path / "before 100%?" / "mlruns", tmp_path / "after" / "mlruns"
    shutil.copytree(the_store(store), before)
    with open_store(before).start_run("moved", params={}, tags={}) as run:
        run.text("labels.txt", "yes\nno\n")
    after.parent.mkdir()
    shutil.move(before, after)
    moved = open_store(after)
    assert moved.download(run.id, "labels.txt").is_relative_to(after)
    assert moved.download(run.id, "labels.txt").read_text() == "yes\nno\n"
    assert [entry.path for entry in moved.client.list_artifacts(run.id)] == ["labels.txt"]
    with moved.start_run("later", params={}, tags={}) as later:
        later.text("a.txt", "a")
    assert moved.download(later.id, "a.txt").is_relative_to(after)
    shutil.copytree(after, tmp_path / "copy")  # a copy must not write into the original
    with open_store(tmp_path / "copy").start_run("copied", params={}, tags={}) as copied:
        copied.text("b.txt", "b")
    assert not list(after.rglob("b.txt"))
    assert list((tmp_path / "copy").rglob("b.txt"))


def test_a_killed_process_leaves_a_run_that_shows_it(store: Store) -> None:
    code = """
import sys, time
from pathlib import Path
from hybridq.tracking import open_store
run = open_store(Path(sys.argv[1])).start_run("abandoned", params={}, tags={})
run.metrics({"training loss": 1.0}, step=1)
run.metrics({"training loss": float("nan")}, step=2)
print(run.id, flush=True)
time.sleep(60)
"""
    process = child(code, store.root)
    run = process.stdout.readline().strip()
    alive = store.find(run)
    assert not store.abandoned(alive)
    process.kill()  # not yet waited for: a zombie
    deadline = time.monotonic() + 10
    while not store.abandoned(alive) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.abandoned(alive)
    process.communicate()
    assert store.abandoned(store.find(run))
    tags = {"process.host": "another", "process.id": str(os.getpid()), "process.started": "1.0"}
    assert not store.abandoned(replace(alive, tags=dict(alive.tags) | {"process.host": "another"}))
    assert store.abandoned(replace(alive, tags=tags | {"process.host": socket.gethostname()}))  # an id used again
    assert not store.abandoned(replace(alive, tags={}))

    with store.resume_run(run) as resumed:
        assert not store.abandoned(store.find(run))
        assert store.find(run).ended is None
        for epoch, loss in ((1, 1.0), (2, float("nan")), (3, 0.5)):  # two of them logged before
            resumed.metrics({"training loss": loss}, step=epoch)
    history = store.client.get_metric_history(run, mlflow_name("training loss"))
    assert [point.step for point in history] == [1, 2, 3]
    assert store.find(run).status == "FINISHED"


def test_a_database_held_by_another_process_is_waited_for(store: Store) -> None:
    """MLflow itself waits, for a time that is its own; then hybridq asks again."""
    run = store.start_run("held", params={}, tags={})
    with closing(sqlite3.connect(the_store(store) / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        writing = threading.Thread(target=lambda: run.metrics({"training loss": 1.0}, step=1))
        writing.start()
        time.sleep(1.0)
        assert writing.is_alive()
        other.execute("COMMIT")
        writing.join(timeout=30)
    run.close()
    assert store.find(run.id).metrics == {"training loss": 1.0}


@pytest.mark.parametrize("seconds", ["soon", "-1", "inf", "nan"])
def test_the_wait_is_a_number_of_seconds(store: Store, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("HYBRIDQ_TRACKING_WAIT", seconds)
    with pytest.raises(UserError, match="is not a number of seconds"):
        store.runs()
