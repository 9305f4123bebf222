"""The trials of a search: runs as those of a sweep, but measured on the validation clips alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridq.sweeps import Board, Crew, Engine, Schedule, in_process, plan, run_jobs

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe
    from hybridq.tracking import RunView, Store


@dataclass(frozen=True)
class TrialRuns:
    """What became of the trials, in the order of their recipes; None and a reason where one failed."""

    runs: tuple[RunView | None, ...]
    reasons: tuple[str, ...]


def run_trials(
    store: Store, parent: str, recipes: Sequence[Recipe], engine: Engine = in_process, workers: int = 1
) -> TrialRuns:
    """Make the trials of different recipes, after the runs that they need, as children of the run `parent`.

    A trial that is in the store is taken as it is, one that was interrupted goes on. Raises UserError where the disk or
    the store fails.
    """
    schedule = Schedule(plan(recipes))
    with Board(schedule, workers) as board:
        run_jobs(schedule, Crew(store, parent, True, board.tell, trial=True), engine)
    asked = [entry for entry in schedule.entries if entry.job.asked]
    assert len(asked) == len(recipes)
    views = {view.id: view for view in store.runs()}
    return TrialRuns(tuple(views.get(entry.run or "") for entry in asked), tuple(entry.reason for entry in asked))
