"""A run as it was logged, read from MLflow's own; and one run or the runs of a sweep, found among many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hybridq.errors import UserError, nearest
from hybridq.tracking.metrics import name_from_mlflow

UNIT = "data.unit"  # tag: what the examples are called, where they are no clips
CLASSES = ", "  # between the names of classes, which may have spaces in them; words have none
PARENT = "mlflow.parentRunId"
TRIAL = "trial"  # the tag of a run that was measured on the validation clips alone, for a search to choose by


@dataclass(frozen=True)
class RunView:
    """One run as it was logged; metrics under hybridq's names, times in UTC."""

    id: str
    name: str
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    started: datetime
    ended: datetime | None
    parent: str | None

    @property
    def trial(self) -> bool:
        """Whether it was measured on the validation clips alone."""
        return self.tags.get(TRIAL) == "true"


def view_of(run: Any) -> RunView:
    """What MLflow answers about a run (an `mlflow.entities.Run`), under hybridq's names."""
    info, data = run.info, run.data
    return RunView(
        id=info.run_id,
        name=info.run_name,
        status=info.status,
        params=dict(data.params),
        metrics={name_from_mlflow(key): float(value) for key, value in data.metrics.items()},
        tags=dict(data.tags),
        started=datetime.fromtimestamp(info.start_time / 1000, UTC),
        ended=datetime.fromtimestamp(info.end_time / 1000, UTC) if info.end_time and info.status != "RUNNING" else None,
        parent=data.tags.get(PARENT),
    )


def classes_of(run: RunView) -> tuple[str, ...]:
    """The names of the classes, as it has logged them."""
    text = run.tags.get("data.words", "")
    return tuple(text.split(CLASSES if UNIT in run.tags else None)) if text else ()


def children(runs: Iterable[RunView], parent: RunView) -> list[RunView]:
    """The runs of a sweep, given its own run."""
    return [run for run in runs if run.parent == parent.id]


def find(runs: Sequence[RunView], word: str, where: str) -> RunView:
    """The run of that name (the newest finished), or of that beginning of an id, four characters at least.

    Raises UserError, with the nearest names and the place `where` they were looked for, if there is none or several.
    """
    named = [run for run in runs if run.name == word]
    if named:
        return max(named, key=lambda run: (run.status == "FINISHED", run.started))
    begun = [run for run in runs if len(word) >= 4 and run.id.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise UserError(f"'{word}' begins the ids of {len(begun)} runs; give more of it")
    names = sorted({run.name for run in runs})
    near = nearest(word, names, 3)
    hint = f"the nearest names: {', '.join(near)}" if near else "no run has been logged yet"
    raise UserError(f"no run '{word}' in {where}; {hint}")
