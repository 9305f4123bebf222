"""A sweep from its plan to its report: the runs are children of one parent run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.errors import RUN_FAILED, UserError
from hybridq.results import compare
from hybridq.results.scatter import frontier
from hybridq.results.sweep_report import sweep_report
from hybridq.sweeps.engines import Crew, Engine, in_process
from hybridq.sweeps.events import Event
from hybridq.sweeps.parent import parent_run
from hybridq.sweeps.planning import Plan
from hybridq.sweeps.schedule import Schedule, State

if TYPE_CHECKING:
    from hybridq.tracking import Store

SWEEP = "sweep"  # tag of a sweep's parent run: what decides its runs
REPORT = "report.html"  # of a sweep's parent run
NOT_READ = "not read"  # tag of a failed run that never began: the file that is no recipe
log = logging.getLogger("hybridq")


def run_plan(
    store: Store,
    schedule: Schedule,
    tell: Callable[[Event], None],
    *,
    resume: bool = False,
    reproduces: str | None = None,
) -> None:
    """Make the runs of a plan in this process; what became of them is in the schedule.

    With `reproduces`, the id of a run, what was asked for is trained anew to be compared with it.

    Raises UserError where the disk or the store fails, for then the other runs would fail alike.
    """
    run_jobs(schedule, Crew(store, None, resume, tell, reproduces), in_process)


def run_sweep(
    store: Store,
    schedule: Schedule,
    tell: Callable[[Event], None],
    *,
    name: str,
    engine: Engine = in_process,
    resume: bool = False,
    command: str = "",
) -> str:
    """Make the runs of a plan as children of one parent run, which gets the report; returns its id.

    A run that fails is marked and does not stop the others. With `resume`, the newest sweep over the same recipes goes
    on, wherever it was stopped or killed. Raises UserError as `run_plan` does, and where the same sweep is running.
    """
    plan = schedule.plan
    asked = [job.recipe.name for job in plan.jobs if job.asked]
    about = f"A sweep over {len(asked)} runs: {', '.join(dict.fromkeys(asked))}."
    with parent_run(store, name, (SWEEP, plan.key), about, resume=resume, command=command) as parent:
        for file, reason in plan.refused.items():
            _mark(store, parent.id, file, reason)
        run_jobs(schedule, Crew(store, parent.id, resume, tell), engine)
        if schedule.finished:
            comparison = compare.table(store.runs(ids_or_names=schedule.finished))
            parent.figure(frontier(comparison), "accuracy over flash")
            failed = plan.refused | schedule.failed
            parent.text(REPORT, sweep_report(store, parent.id, failed, schedule.finished))
    return parent.id


def unfinished_sweep(store: Store, plan: Plan) -> str | None:
    """The id of a sweep over the same recipes that was stopped or killed, if it is the newest of them."""
    equal = [run for run in store.runs() if run.tags.get(SWEEP) == plan.key]
    return equal[-1].id if equal and equal[-1].status != "FINISHED" else None


def run_jobs(schedule: Schedule, crew: Crew, engine: Engine) -> None:
    """Make the runs of a schedule; raises UserError where the disk or the store fails."""
    try:
        engine(schedule, crew)
    finally:
        if crew.sweep and any(entry.died and entry.state is State.FAILED for entry in schedule.entries):
            _close_left(crew.store, schedule, crew.sweep)
    if schedule.stop:
        raise UserError(schedule.stop.reason, schedule.stop.status)


def _close_left(store: Store, schedule: Schedule, sweep: str) -> None:
    """Mark as failed the runs whose process died over them."""
    for run in store.runs(sweep=sweep):
        if run.status == "RUNNING" and run.name in schedule.failed:
            store.resume_run(run.id).close(UserError(schedule.failed[run.name], RUN_FAILED))


def _mark(store: Store, sweep: str, file: str, reason: str) -> None:
    """A failed run for a file that is no recipe, so that the sweep shows it."""
    known = [run for run in store.runs(sweep=sweep) if run.tags.get(NOT_READ) == file]
    if known:
        run = store.resume_run(known[-1].id)
    else:
        run = store.start_run(Path(file).stem, params={}, tags={NOT_READ: file}, parent=sweep)
    run.close(UserError(reason))
