"""Engines of sweeps: all make the same runs, to the last bit, and so does a sweep that is killed and started again."""

import json
import signal
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import forked
import pytest
from conftest import write_tones
from dying import DEATHS, PLACES
from traps import Traps

from hybridq import sweeps
from hybridq.errors import UserError
from hybridq.runs import experiment
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


def whole_runs() -> dict[str, str]:
    """Every run of the newest sweep is there once, with all that belongs to it; the digests of their weights."""
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
        home = Path("mlruns") / "artifacts" / "hybridq" / run.id / "artifacts"
        there = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        assert there >= ARTIFACTS
        assert not [name for name in there if name.endswith(".part")]
    left = {path.name for path in Path("mlruns", "checkpoints").iterdir()}  # no lock, no checkpoint of what finished
    assert left <= {run.tags["fingerprint"][:16] for run in runs if run.name == "wild"}
    return {run.name: run.tags.get("weights.sha256", "") for run in runs}


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


def test_ray_makes_the_same_runs(made, tmp_path, move_in, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'hybridq[ray]'")
    move_in(monkeypatch, tmp_path)
    traps = Traps(tmp_path)
    swept(planned(made.home, "float", "wild"), sweeps.engine("ray", 2))
    assert not traps.sprung
    over_ray = {run.name: run for run in newest()[1]}
    assert {name: run.status for name, run in over_ray.items()} == {"float": "FINISHED", "wild": "FAILED"}
    assert {name: run.tags.get("weights.sha256", "") for name, run in over_ray.items()} == {
        name: made.weights[name] for name in over_ray
    }


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
    experiment.open_audio.cache_clear()  # as in a new process
    try:
        with pytest.raises(UserError, match="not the clips"):
            logged_recipe(store, "float")
    finally:
        (made.home / clip.name).rename(clip)
        experiment.open_audio.cache_clear()


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
