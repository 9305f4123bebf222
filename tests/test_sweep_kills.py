"""Sweeps whose processes are killed, at each of many places in the program once, and started again each time."""

import json
import signal
from pathlib import Path

import forked
import pytest
from conftest import command, write_tones
from dying import DEATHS, PLACES

from hybridq.tracking import open_store

pytestmark = pytest.mark.slow
RECIPE = """
data: {words: ["yes", "no"]}
model: {name: dnn, units: [4, 4]}
training: {epochs: 4}
"""
EPOCHS = 4
ARTIFACTS = {"recipe.yaml", "evaluation.json", "profile.json", "model/model.keras", "pictures/confusion matrix.png"}


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    """A float recipe, a binary one that starts from it, in two variants, and one that diverges."""
    folder = tmp_path_factory.mktemp("recipes")
    clips = json.dumps(str(write_tones(folder / "clips")))
    (folder / "float.yaml").write_text(RECIPE.replace("data: {", f"data: {{source: {clips}, "))
    (folder / "narrow.yaml").write_text(
        'extends: float.yaml\nstart_from: float.yaml\nprecision: {"dense*": binary}\n'
        "sweep: {training.learning_rate: [0.001, 0.002]}\n"
    )
    (folder / "wild.yaml").write_text("extends: float.yaml\ntraining: {learning_rate: 1.0e+30}\n")
    return [str(folder / f"{name}.yaml") for name in ("float", "narrow", "wild")]


@pytest.fixture(scope="module")
def undisturbed(recipes, tmp_path_factory):
    """The digests of the weights of a sweep that nobody kills."""
    with pytest.MonkeyPatch.context() as patch:
        move_out(patch, tmp_path_factory.mktemp("undisturbed"))
        assert command("sweep", *recipes) == 1
        return whole_runs()


@pytest.fixture
def work(tmp_path, undisturbed, monkeypatch):
    """An empty folder, the current one, without a store."""
    move_out(monkeypatch, tmp_path)
    DEATHS.mkdir()


def move_out(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.chdir(folder)
    patch.setenv("HYBRIDQ_CACHE", str(folder / "cache"))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)


def ended(recipes: list[str], *more: str, killed: str = "") -> int | None:
    """How a sweep ended: 1 where it came to its end, for `wild` fails, as it should; below 0 where it was killed."""
    process = forked.start("sweep", *recipes, "--resume", *more, killed=killed)
    process.join(300)
    return process.exitcode


def whole_runs() -> dict[str, str]:
    """Every run is there once, with all that belongs to it; the digests of their weights."""
    store = open_store()
    (sweep,) = [run for run in store.runs() if "sweep" in run.tags]
    assert sweep.status == "FINISHED"
    runs = store.runs(sweep=sweep.id)
    names = sorted(run.tags["recipe"] for run in runs)
    assert names == ["float", "narrow learning_rate=0.001", "narrow learning_rate=0.002", "wild"]
    for run in runs:
        history = store.client.get_metric_history(run.id, "training/validation loss")
        if run.tags["recipe"] == "wild":
            assert run.status == "FAILED"
            assert "diverged" in run.tags["failure"]
            continue
        assert run.status == "FINISHED"
        assert "failure" not in run.tags
        assert [entry.step for entry in history] == list(range(1, EPOCHS + 1)), run.name
        assert len(store.client.get_metric_history(run.id, "test accuracy pct")) == 1
        home = Path("mlruns") / "artifacts" / "hybridq" / run.id / "artifacts"
        there = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        assert there >= ARTIFACTS
        assert not [name for name in there if name.endswith(".part")]
    left = {
        path.name for path in Path("mlruns", "checkpoints").iterdir()
    }  # no lock, and no checkpoint of what finished
    assert left <= {run.tags["fingerprint"][:16] for run in runs if run.status == "FAILED"}
    return {run.tags["recipe"]: run.tags.get("weights.sha256", "") for run in runs}


def deaths() -> set[str]:
    return {path.name for path in DEATHS.iterdir()}


def test_a_sweep_survives_a_kill_at_each_place(recipes, work, undisturbed):
    kills = 0
    while (code := ended(recipes, killed="in process")) == -signal.SIGKILL:
        kills += 1
        assert len(deaths()) == kills
    assert code == 1, Path("said.txt").read_text()[-2000:]
    assert deaths() == {place.name for place in PLACES["in process"]}
    assert whole_runs() == undisturbed  # the same weights


def test_a_sweep_survives_its_workers_and_they_do_not_survive_it(recipes, work, undisturbed):
    assert ended(recipes, "--workers", "2", killed="worker") == -signal.SIGKILL
    assert ended(recipes) == 1, Path("said.txt").read_text()[-2000:]
    assert deaths() == {place.name for place in PLACES["worker"]}
    assert whole_runs() == undisturbed
