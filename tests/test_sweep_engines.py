"""Engines of sweeps: all make the same runs, to the last bit, also where a process or a machine is killed."""

import json
import shutil
import signal
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import forked
import psutil
import pytest
from conftest import write_tones
from dying import DEATHS, PLACES
from team import ADMIN_PASSWORD, BUCKET, KEYS, Server, postgres, s3_store, two_nodes
from traps import Traps

from hybridq import sweeps
from hybridq.errors import UserError
from hybridq.runs.clips import open_audio
from hybridq.runs.reproduce import logged_recipe, reproduction
from hybridq.tracking import RunView, open_store

pytestmark = pytest.mark.slow
NAMES = ("float", "narrow", "wild", "wrong")
EPOCHS = 3
RECIPE = f"""
data: {{source: CLIPS, words: ["yes", "no"]}}
model: {{name: dnn, units: [4]}}
training: {{epochs: {EPOCHS}}}
"""
ENDS = {
    "float": "FINISHED",
    "narrow learning_rate=0.001": "FINISHED",
    "narrow learning_rate=0.002": "FINISHED",
    "wild": "FAILED",
    "wrong": "FAILED",
}
ARTIFACTS = {"recipe.yaml", "evaluation.json", "profile.json", "model/model.keras", "pictures/confusion matrix.png"}


@dataclass(frozen=True)
class Made:
    """A sweep over all the recipes, made in this process and not disturbed."""

    home: Path
    plan: sweeps.Plan
    schedule: sweeps.Schedule
    weights: dict[str, str]  # their digests

    @property
    def recipes(self) -> list[str]:
        return [str(self.home / f"{name}.yaml") for name in NAMES]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("tones") / "clips")


@pytest.fixture(scope="module")
def made(tmp_path_factory, clips, move_in):
    """Of a float recipe, a binary one that starts from it, in two variants, one that diverges, and one that is none."""
    home = tmp_path_factory.mktemp("made")
    (home / "float.yaml").write_text(RECIPE.replace("CLIPS", json.dumps(str(clips))))
    (home / "narrow.yaml").write_text(
        'extends: float.yaml\nstart_from: float.yaml\nprecision: {"dense*": binary}\n'
        "sweep:\n  training.learning_rate: [0.001, 0.002]\n"
    )
    (home / "wild.yaml").write_text("extends: float.yaml\ntraining: {learning_rate: 1.0e+30}\n")
    (home / "wrong.yaml").write_text("training: {epoch: 2}\n")
    with pytest.MonkeyPatch.context() as patch:
        move_in(patch, home)
        plan = planned(home, *NAMES)
        return Made(home, plan, swept(plan), whole_runs())


@pytest.fixture
def at_home(made, monkeypatch):
    """The folder of `made` is the current one."""
    move_out(monkeypatch, made.home)


def move_out(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.chdir(folder)
    patch.setenv("HYBRIDQ_CACHE", str(folder / "cache"))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)


def planned(root: Path, *names: str) -> sweeps.Plan:
    return sweeps.plan(*sweeps.read_recipes([root / f"{name}.yaml" for name in names]))


def swept(plan: sweeps.Plan, engine=sweeps.in_process, resume=False) -> sweeps.Schedule:
    schedule = sweeps.Schedule(plan)
    sweeps.run_sweep(open_store(), schedule, lambda event: None, name="trial", engine=engine, resume=resume)
    return schedule


def ended(recipes: list[str], *more: str, killed: str = "") -> int | None:
    """How a sweep ended: 1 where it came to its end, for `wild` fails, as it should; below 0 where it was killed."""
    process = forked.start("sweep", *recipes, *more, killed=killed)
    process.join(300)
    return process.exitcode


def newest() -> tuple[RunView, list[RunView]]:
    """The newest sweep and its runs."""
    store = open_store()
    sweep = [run for run in store.runs() if "sweep" in run.tags][-1]
    return sweep, store.runs(sweep=sweep.id)


def whole_runs(files_of=None) -> dict[str, str]:
    """Every run of the newest sweep is there once, with all that belongs to it; the digests of their weights.

    files_of: gives the paths of a run's artifacts; without it they lie in the store of the current folder.
    """
    store = open_store()
    sweep, runs = newest()
    assert sweep.status == "FINISHED"
    assert sorted((run.name, run.status) for run in runs) == sorted(ENDS.items())
    for run in runs:
        if run.name == "wrong":
            assert "unknown key" in run.tags["failure"]
            continue
        assert run.tags["recipe"] == run.name
        if run.name == "wild":
            assert "diverged" in run.tags["failure"]
            continue
        assert "failure" not in run.tags
        history = store.client.get_metric_history(run.id, "training/validation loss")
        assert [entry.step for entry in history] == list(range(1, EPOCHS + 1)), run.name
        assert len(store.client.get_metric_history(run.id, "test accuracy pct")) == 1
        there = (files_of or files_here)(run.id)
        assert there >= ARTIFACTS
        assert not [name for name in there if name.endswith(".part")]
    left = {path.name for path in Path("mlruns", "checkpoints").iterdir()}  # no lock, no checkpoint of what finished
    assert left <= {run.tags["fingerprint"][:16] for run in runs if run.name == "wild"}
    return {run.name: run.tags.get("weights.sha256", "") for run in runs}


def files_here(run: str) -> set[str]:
    home = Path("mlruns") / "artifacts" / "hybridq" / run / "artifacts"
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


def deaths() -> set[str]:
    return {path.name for path in DEATHS.iterdir()}


def test_every_engine_makes_the_same_runs_and_a_failure_stops_no_other(made, at_home):
    plan, alone = made.plan, made.schedule
    assert set(alone.failed) == {"wild"}
    assert "diverged" in alone.failed["wild"]
    traps = Traps(made.home)
    assert ended(made.recipes, "--workers", "2") == 1, Path("said.txt").read_text()[-2000:]
    assert not traps.sprung
    assert whole_runs() == made.weights
    together = [run.id for run in newest()[1] if run.status == "FINISHED"]
    assert len(together) == 3
    assert not set(together) & set(alone.finished)  # without resume, they are made anew

    again = swept(plan, resume=True)
    assert sorted(again.finished) == sorted(together)  # with it, nothing is
    assert sum("sweep" in run.tags for run in open_store().runs()) == 2
    assert sweeps.unfinished_sweep(open_store(), plan) is None


def test_a_machine_that_is_lost_loses_no_run(made, team, tmp_path, monkeypatch):
    """What it trained is lost with it, checkpoints too: the other machine makes the run anew, as the same run."""
    server, files = team
    move_out(monkeypatch, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
    traps = Traps(tmp_path)
    with two_nodes() as cluster:
        process = forked.start(
            "sweep", *made.recipes, "--engine", "ray", "--workers", "2", "--address", cluster.address
        )
        (second,) = cluster.worker_nodes
        lost = trained_on(second, process)
        cluster.remove_node(second, allow_graceful=False)
        shutil.rmtree(Path("mlruns") / "checkpoints" / lost.tags["fingerprint"][:16], ignore_errors=True)
        process.join(600)
    said = Path("said.txt").read_text()
    assert process.exitcode == 1, said[-2000:]
    assert "it goes on in another process" in said
    assert not [secret for secret in (*KEYS.values(), ADMIN_PASSWORD) if secret in said]
    assert not traps.sprung
    assert whole_runs(files.of) == made.weights
    (again,) = [run for run in newest()[1] if run.id == lost.id]
    assert again.tags["process.id"] != lost.tags["process.id"]


@pytest.fixture
def team(tmp_path):
    """A tracking server on PostgreSQL, and the S3 store where it keeps files: its clients have no key to that."""
    (tmp_path / "server").mkdir()
    with s3_store() as files, postgres() as database:
        server = Server(database, tmp_path / "server", f"s3://{BUCKET}", files.keys)
        try:
            server.start()
            server.wait()
            yield server, files
        finally:
            server.end()


def trained_on(node, process) -> RunView:
    """A run of which that node has trained an epoch, and not logged all, as soon as there is one."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    while process.is_alive():
        for run in open_store().runs():
            begun = run.status == "RUNNING" and "training loss" in run.metrics
            if begun and int(run.tags["process.id"]) in {child.pid for child in raylet.children(recursive=True)}:
                return run
        time.sleep(0.1)
    raise AssertionError("no run was trained there: " + Path("said.txt").read_text()[-2000:])


def test_a_run_is_reproduced_to_the_last_bit_and_only_on_its_own_clips(made, at_home, clips):
    store = open_store()
    first, recipe = logged_recipe(store, "float")
    schedule = sweeps.Schedule(sweeps.plan([recipe]))
    sweeps.run_plan(store, schedule, lambda event: None, reproduces=first.id)
    result = reproduction(store, first, schedule.finished[-1])
    assert result.same_weights
    assert result.again.id != first.id
    assert "version.keras" not in result.differences()
    assert result.to_json()["verdict"] == "the same: every weight, to the last bit"

    again = (result.again.id,)
    with sqlite3.connect(made.home / "mlruns" / "mlflow.db") as database:  # as if it had become another network
        database.execute("UPDATE tags SET value = 'other' WHERE key = 'weights.sha256' AND run_uuid = ?", again)
        database.execute("UPDATE latest_metrics SET value = 12 WHERE key = 'test accuracy pct' AND run_uuid = ?", again)
    other = reproduction(store, first, result.again.id)
    assert not other.same
    assert "not the same" in other.verdict

    clip = next(clips.glob("yes/*"))
    clip.rename(made.home / clip.name)
    open_audio.cache_clear()  # as in a new process
    try:
        with pytest.raises(UserError, match="not the clips"):
            logged_recipe(store, "float")
    finally:
        (made.home / clip.name).rename(clip)
        open_audio.cache_clear()


def test_a_sweep_survives_a_kill_at_each_place(made, tmp_path, monkeypatch):
    move_out(monkeypatch, tmp_path)  # a store is yet to be made
    DEATHS.mkdir()
    kills = 0
    while (code := ended(made.recipes, "--resume", killed="in process")) == -signal.SIGKILL:
        kills += 1
        assert len(deaths()) == kills
    assert code == 1, Path("said.txt").read_text()[-2000:]
    assert deaths() == {place.name for place in PLACES["in process"]}
    one_sweep_of_the_same_weights(made)


def test_a_sweep_survives_its_workers_and_they_do_not_survive_it(made, tmp_path, move_in, monkeypatch):
    move_in(monkeypatch, tmp_path)
    DEATHS.mkdir()
    assert ended(made.recipes, "--resume", "--workers", "2", killed="worker") == -signal.SIGKILL
    assert ended(made.recipes, "--resume") == 1, Path("said.txt").read_text()[-2000:]
    assert deaths() == {place.name for place in PLACES["worker"]}
    one_sweep_of_the_same_weights(made)


def one_sweep_of_the_same_weights(made):
    assert sum("sweep" in run.tags for run in open_store().runs()) == 1
    assert whole_runs() == made.weights
