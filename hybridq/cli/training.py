"""Commands that train: `train`, `reproduce`, `sweep`."""

from __future__ import annotations

import os
import shlex
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridq.cli.options import (
    Data,
    Output,
    OutputFormat,
    Settings,
    TableOrJson,
    overrides_of,
    print_comparison,
    print_result,
    table_or_json,
    the_store,
)
from hybridq.errors import BAD_INPUT, RUN_FAILED, UserError

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe
    from hybridq.sweeps import Plan
    from hybridq.tracking import Store


class EngineName(str, Enum):
    """Who makes the runs of a sweep: this machine, or a Ray cluster."""

    local = "local"
    ray = "ray"


Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run; take a finished one as done.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="TensorFlow's threads of a run: another number gives other last digits.")
]


def train(
    recipe: Path, data: Data = None, set_: Settings = None, resume: Resume = False, threads: Threads = None
) -> None:
    """Train one recipe, measure it, and log it."""
    _use(threads)
    loaded = _recipe(recipe, data, set_)
    if loaded.variants:
        raise UserError(f"{recipe} has a sweep section of {len(loaded.variants)} runs: use `hybridq sweep {recipe}`")
    plan = _planned(loaded)
    store = the_store(make=True)
    print_comparison(store, [_trained(store, plan, resume)], OutputFormat.table)


def reproduce(
    run: Annotated[str, typer.Argument(help="Id or name of a finished run.")],
    data: Data = None,
    resume: Resume = False,
    threads: Threads = None,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Train a logged run again, from its recipe on the same data, and say whether the result is the same."""
    from hybridq.runs.reproduce import logged_recipe, reproduction
    from hybridq.runs.run_recipe import THREADS

    table_or_json("reproduce", format_)
    store = the_store()
    first, recipe = logged_recipe(store, run, overrides_of(data, None))
    _use(threads or int(first.tags.get(THREADS, 0)))
    result = reproduction(store, first, _trained(store, _planned(recipe), resume, reproduces=first.id))
    print_result(result, format_)
    if not result.same:
        raise typer.Exit(RUN_FAILED)


def sweep(
    recipes: Annotated[list[Path], typer.Argument(metavar="FOLDER_OR_RECIPES...")],
    data: Data = None,
    set_: Settings = None,
    seeds: Annotated[str, typer.Option(help="Train each recipe once for each of these seeds, e.g. 0,1,2.")] = "",
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs, with sizes and times.")] = False,
    engine: Annotated[EngineName, typer.Option(help="Who makes the runs.")] = EngineName.local,
    workers: Annotated[int, typer.Option(min=1, help="Runs at once; more than one are worker processes.")] = 1,
    address: Annotated[str | None, typer.Option(help="With --engine ray: of the cluster; else one is started.")] = None,
    threads: Threads = None,
    format_: Output = OutputFormat.table,
) -> None:
    """Train several recipes, as children of one parent run, and print them side by side."""
    if address and engine is EngineName.local:
        raise UserError("--address is for --engine ray")
    _use(threads)
    from hybridq import sweeps
    from hybridq.runs.experiment import check_ready

    overrides = overrides_of(data, set_)
    ready = partial(check_ready, clips=dry_run or not address)  # those of a cluster elsewhere may have them there
    plan = sweeps.plan(*sweeps.read_recipes(_recipe_files(recipes), overrides, _seeds(seeds)), ready)
    if not plan.jobs:
        raise UserError([line for reason in dict.fromkeys(plan.refused.values()) for line in reason.split("\n")][:2])
    if dry_run:
        from hybridq.sweeps.estimate import forecast

        print_result(forecast(plan), format_)
        return
    for reason in plan.refused.values():
        print(f"hybridq: {reason}; the other runs go on", file=sys.stderr)
    store = the_store(make=True)
    left = None if resume else sweeps.unfinished_sweep(store, plan)
    if left:
        print(f"hybridq: sweep {left[:8]} over the same runs is unfinished: --resume goes on with it", file=sys.stderr)
    schedule = sweeps.Schedule(plan)
    with sweeps.Board(schedule, workers) as board:
        crew = sweeps.engine(engine.value, workers, address)
        name = _sweep_name(recipes)
        command = shlex.join(["hybridq", *sys.argv[1:]])
        run = sweeps.run_sweep(store, schedule, board.tell, name=name, engine=crew, resume=resume, command=command)
    if schedule.finished:
        print_comparison(store, schedule.finished, format_)
    failed = plan.refused | schedule.failed
    for one, reason in failed.items():
        print(f"hybridq: {one} failed: {reason}", file=sys.stderr)
    said = sys.stdout if format_ is OutputFormat.table else sys.stderr  # what programs read is by itself
    print(f"sweep {run}: compare it again with `hybridq compare {run[:8]}`, look at it with `hybridq ui`", file=said)
    if schedule.finished:
        report = store.download(run, sweeps.REPORT)
        below = report.is_relative_to(Path.cwd())
        print(f"its report: {report.relative_to(Path.cwd()) if below else report}", file=said)
    if failed:
        raise typer.Exit(RUN_FAILED)


def _recipe(path: Path, data: str | None, settings: list[str] | None) -> Recipe:
    from hybridq.recipe.file import load_recipe

    return load_recipe(path, overrides_of(data, settings))


def _recipe_files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.yaml"))
            if not inside:
                raise UserError(f"{path}: no recipe (*.yaml) in this folder")
            files += inside
        else:
            files.append(path)
    return files


def _sweep_name(paths: list[Path]) -> str:
    folder = paths[0] if paths[0].is_dir() else paths[0].parent
    return f"{folder.resolve().name} sweep"


def _planned(recipe: Recipe) -> Plan:
    """One recipe and those that it needs; UserError where its run could not begin."""
    from hybridq import sweeps
    from hybridq.runs.experiment import check_ready

    check_ready(recipe)
    return sweeps.plan([recipe])


def _trained(store: Store, plan: Plan, resume: bool, reproduces: str | None = None) -> str:
    """The id of the run of the one recipe of a plan, trained now after those that it needs."""
    from hybridq import sweeps

    schedule = sweeps.Schedule(plan)
    with sweeps.Board(schedule) as board:
        sweeps.run_plan(store, schedule, board.tell, resume=resume, reproduces=reproduces)
    for entry in schedule.entries:
        if entry.reason:
            raise UserError(f"{entry.job.name} failed: {entry.reason}", entry.status)
    return schedule.finished[-1]


def _seeds(text: str) -> list[int]:
    seeds = text.split(",") if text else []
    for seed in seeds:
        if not seed.strip().isdecimal():
            raise UserError(f"--seeds: '{seed}' is not a seed; give whole numbers, as in --seeds 0,1,2", BAD_INPUT)
    return [int(seed) for seed in seeds]


def _use(threads: int | None) -> None:
    if threads:
        os.environ["HYBRIDQ_THREADS"] = str(threads)  # worker processes inherit it
