"""Sweeps that are killed at random moments and resumed: whether anything is lost, made twice, or another network.

    python tools/kill_sweeps.py [--kills 100] [--seed 0] [--workers 2]

A sweep of four small runs on tones, one after a float run that they start from, is made once undisturbed. Then it is
made again and again, and killed (SIGKILL) after a random time: the command, one of its workers, or all at once. After
each kill of the command it is resumed. When it has come to its end, every run must be in the store once, finished, with
each epoch once, all its files, and the weights of the undisturbed one. Prints what was killed and what was lost; exit
status 1 where anything was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from hybridq.tracking import open_store

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

EPOCHS = 12
FILES = {"recipe.yaml", "evaluation.json", "profile.json", "model/model.keras"}
RECIPES = {
    "float": 'data: {{source: {clips}, words: ["yes", "no"]}}\nmodel: {{name: dnn, units: [4]}}\n'
    "training: {{epochs: {epochs}}}\n",
    "narrow": 'extends: float.yaml\nstart_from: float.yaml\nprecision: {{"dense*": binary}}\n'
    "sweep: {{training.learning_rate: [0.001, 0.002, 0.003]}}\n",
}


def main() -> None:
    """Kill until there were enough kills, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_recipes(home)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        os.environ["HYBRIDQ_CACHE"] = str(home / "cache")
        began = time.monotonic()
        started(home / "undisturbed", asked.workers).wait()
        whole = time.monotonic() - began
        expected, faults = result(home / "undisturbed")
        kills, sweeps, lost = Counter[str](), 0, list(faults)
        while kills.total() < asked.kills:
            killed(home / f"sweep {sweeps}", asked.workers, whole, rng, kills, asked.kills)
            weights, faults = result(home / f"sweep {sweeps}")
            lost += [f"sweep {sweeps}: {fault}" for fault in faults]
            lost += [
                f"sweep {sweeps}: other weights of {name}" for name in expected if weights.get(name) != expected[name]
            ]
            sweeps += 1
            print(f"{kills.total()} kills, {sweeps} sweeps, {len(lost)} faults", flush=True)
    how = ", ".join(f"{kind} {count}" for kind, count in sorted(kills.items()))
    print(f"{kills.total()} kills ({how}) of {sweeps} sweeps of {len(expected)} runs, each {whole:.0f} s undisturbed")
    print(*(lost or ["nothing lost, nothing twice, every network the same"]), sep="\n")
    sys.exit(bool(lost))


def write_recipes(home: Path) -> None:
    """The recipes and the clips that they name."""
    from conftest import write_tones

    clips = write_tones(home / "clips")
    for name, text in RECIPES.items():
        (home / f"{name}.yaml").write_text(text.format(clips=json.dumps(str(clips)), epochs=EPOCHS))


def started(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """The sweep in a folder, begun or resumed."""
    folder.mkdir(exist_ok=True)
    recipes = [str(folder.parent / f"{name}.yaml") for name in RECIPES]
    command = [sys.executable, "-m", "hybridq", "sweep", *recipes, "--resume", "--workers", str(workers)]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, start_new_session=True)


def killed(folder: Path, workers: int, whole: float, rng: random.Random, kills: Counter[str], most: int) -> None:
    """A sweep from its beginning to its end, with kills in between."""
    for _ in range(200):
        process = started(folder, workers)
        while kills.total() < most:
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, 0.4 * whole))
                break
            kind = rng.choice(["command", "worker", "all"])
            its = psutil.Process(process.pid).children(recursive=True)
            if kind == "worker" and not its:
                continue
            kills[kind] += 1
            for one in {"command": [], "worker": [rng.choice(its or [None])], "all": its}[kind]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            if kind != "worker":
                process.send_signal(signal.SIGKILL)
                process.wait()
                psutil.wait_procs(its, timeout=60)
                break
        if process.wait() == 0:
            return
    raise SystemExit(f"a sweep did not come to its end: see {folder}/said.txt")


def result(folder: Path) -> tuple[dict[str, str], list[str]]:
    """The digests of the weights by name, and what is not as it should be."""
    store = open_store(folder / "mlruns")
    (sweep, *more) = [run for run in store.runs() if "sweep" in run.tags]
    faults = [f"{len(more)} more sweeps"] if more else []
    faults += [] if sweep.status == "FINISHED" else [f"the sweep is {sweep.status}"]
    runs = store.runs(sweep=sweep.id)
    for name, count in Counter(run.name for run in runs).items():
        faults += [f"{name} is there {count} times"] if count > 1 else []
    for run in runs:
        faults += [] if run.status == "FINISHED" else [f"{run.name} is {run.status}"]
        steps = [point.step for point in store.client.get_metric_history(run.id, "training/validation loss")]
        faults += [] if steps == list(range(1, EPOCHS + 1)) else [f"{run.name} has the epochs {steps}"]
        home = folder / "mlruns" / "artifacts" / "hybridq" / run.id / "artifacts"
        there = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        faults += [f"{run.name} has no {name}" for name in sorted(FILES - there)]
    left = [path.name for path in (folder / "mlruns" / "checkpoints").iterdir()]
    faults += [f"left behind: {name}" for name in left]
    return {run.name: run.tags.get("weights.sha256", "") for run in runs}, faults


if __name__ == "__main__":
    main()
