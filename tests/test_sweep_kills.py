"""A sweep whose processes are killed at random moments, fifty times, and started again each time."""

import json
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import forked
import psutil
import pytest

from hybridq.tracking import open_store

KILLS = 50
LONGEST_SECONDS = 5.0  # from a start to a kill
RECIPE = """
data: {words: ["yes", "no"]}
model: {name: dnn, units: [4, 4]}
training: {epochs: 6}
"""
EPOCHS = 6
ARTIFACTS = {"recipe.yaml", "evaluation.json", "profile.json", "model/model.keras", "pictures/confusion matrix.png"}


@pytest.fixture
def work(tmp_path, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYBRIDQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    recipe = RECIPE.replace("data: {", f"data: {{source: {json.dumps(str(folder))}, ")
    (tmp_path / "float.yaml").write_text(recipe)
    (tmp_path / "narrow.yaml").write_text(
        'extends: float.yaml\nstart_from: float.yaml\nprecision: {"dense*": binary}\n'
        "sweep: {training.learning_rate: [0.001, 0.002]}\n"
    )
    (tmp_path / "wild.yaml").write_text("extends: float.yaml\ntraining: {learning_rate: 1.0e+30}\n")
    return tmp_path


def start(work: Path, seed: int, *more: str) -> BaseProcess:
    recipes = [str(work / f"{name}.yaml") for name in ("float", "narrow", "wild")]
    return forked.start("sweep", *recipes, "--seeds", str(seed), "--resume", *more)


def killed(process: BaseProcess, dice: random.Random) -> bool:
    """Kill the sweep or one of its workers; False where it was over already."""
    time.sleep(LONGEST_SECONDS * dice.random() ** 2)  # sooner more often
    if process.exitcode is not None:
        return False
    workers = psutil.Process(process.pid).children(recursive=True)
    victim = dice.choice([process.pid, *(worker.pid for worker in workers)])
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return False
    if victim == process.pid:
        process.join()
    return True


def finish(work: Path, seed: int) -> None:
    process = start(work, seed)
    process.join(300)
    assert process.exitcode == 1, Path("said.txt").read_text()[-2000:]  # 1: `wild` fails, as it should


def assert_whole(root: Path, seed: int) -> dict[str, str]:
    """Every run of that seed is there once, with all that belongs to it; the digests of their weights."""
    store = open_store()
    (sweep,) = [run for run in store.runs() if "sweep" in run.tags and f"s{seed}" in seeds_of(store, run)]
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
        home = root / "mlruns" / "artifacts" / "hybridq" / run.id / "artifacts"
        there = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        assert there >= ARTIFACTS
        assert not [name for name in there if name.endswith(".part")]
    return {run.tags["recipe"]: run.tags.get("weights.sha256", "") for run in runs}


def seeds_of(store, sweep) -> set[str]:
    return {f"s{run.params['training.seed']}" for run in store.runs(sweep=sweep.id) if run.params}


def test_a_sweep_survives_fifty_kills_at_random_moments(work, monkeypatch):
    dice = random.Random(0)
    kills, seed, process = 0, 0, start(work, 0, "--workers", "2")
    while kills < KILLS:
        kills += killed(process, dice)
        if process.exitcode is not None:
            if process.exitcode in (0, 1):  # it got to its end between two kills
                assert_whole(work, seed)
                seed += 1
            process = start(work, seed, *dice.choice([(), ("--workers", "2")]))
    process.kill()
    process.join()
    finish(work, seed)
    broken = assert_whole(work, seed)
    assert not list((work / "mlruns" / "checkpoints").glob("*.lock"))

    (work / "undisturbed").mkdir()
    monkeypatch.chdir(work / "undisturbed")
    finish(work, seed)
    assert assert_whole(Path(), seed) == broken  # the same weights
