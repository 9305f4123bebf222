"""Runs side by side: accuracy, flash, RAM and MACC, with the published figures of each.

Runs of one recipe that differ only in the seed make one row, with mean and spread.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.results.comparison import Clips, Comparison, Row
from hybridq.results.query import ordered

if TYPE_CHECKING:
    from hybridq.tracking import RunView

ACCURACY = {"test": "test accuracy %", "validation": "validation accuracy best %"}  # by the clips measured on
SEED = "training.seed"
SOURCE = "data.source"
NOT_TOLD = ("name", SOURCE, SEED)  # parameters that never tell two rows of one recipe apart
LONGEST = 40  # characters of a value in the name of a row
LONG_AGO = datetime.min.replace(tzinfo=UTC)
Kind = tuple[Any, ...]


def table(runs: Sequence[RunView], *, sort: str = "", each: bool = False) -> Comparison:
    """The comparison of these runs; raises UserError if none has an accuracy.

    The accuracy is that of the test clips; where a trial of a search is among the runs, of the validation clips.
    Where a recipe was run twice with the same seed and settings, the newest run counts. `sort` names a column
    (see `hybridq.results.query`), else the most flash comes first. With `each`, every run has a row of its own.
    """
    clips: Clips = "validation" if any(run.trial for run in runs) else "test"
    groups: dict[Kind, dict[str, RunView]] = {}
    for run in sorted((run for run in runs if has_result(run, clips)), key=lambda run: run.started):
        key = (*_kind(run), run.id) if each else _kind(run)
        groups.setdefault(key, {})[_seed(run)] = run
    left_out = [f"{run.name} ({reason(run)})" for run in without_result(runs, clips)]
    if not groups:
        reasons = f": {'; '.join(left_out)}" if left_out else ""
        raise UserError(f"no finished run to compare{reasons}")
    rows: list[Sequence[RunView]] = [list(seeds.values()) for seeds in groups.values()]
    names = _names([row[0] for row in rows])
    found = (_row(row, names[_kind(row[0])], clips) for row in ordered(rows, sort or "-flash"))
    return Comparison(tuple(found), tuple(left_out), each, clips)


def newest(runs: Sequence[RunView]) -> list[RunView]:
    """Of each network the runs that belong with the newest one: same settings and data, any seed.

    With them the runs without a result that started later than the first of those, for `table` to name. The trials of
    a search are not looked at.
    """
    runs = [run for run in runs if not run.trial]
    finished = sorted(filter(has_result, runs), key=lambda run: run.started)
    kinds = {_network(run): _kind(run) for run in finished}
    chosen = [run for run in finished if _kind(run) == kinds[_network(run)]]
    since = {_network(run): run.started for run in reversed(chosen)}
    later = [run for run in runs if not has_result(run) and run.started > since.get(_network(run), LONG_AGO)]
    return chosen + later


def without_result(runs: Sequence[RunView], clips: Clips = "test") -> list[RunView]:
    """The runs that failed or did not end, oldest first, less those that were done again with success.

    The run of a sweep is not one of them: it has no parameters, and no result of its own.
    """
    done: dict[Kind, datetime] = {}  # the start of the newest finished run of a kind and seed
    for run in sorted((run for run in runs if has_result(run, clips)), key=lambda run: run.started):
        done[*_kind(run), _seed(run)] = run.started
    open_ends = [run for run in runs if run.params and not has_result(run, clips)]
    lost = [run for run in open_ends if run.started > done.get((*_kind(run), _seed(run)), LONG_AGO)]
    return sorted(lost, key=lambda run: run.started)


def has_result(run: RunView, clips: Clips = "test") -> bool:
    """Whether the run was finished and measured on these clips."""
    return run.status == "FINISHED" and ACCURACY[clips] in run.metrics


def reason(run: RunView) -> str:
    """Why a run has no result."""
    if run.status == "RUNNING":
        return "still running, or its process was killed"
    if run.status == "FINISHED":
        return "finished, but logged no test accuracy"
    why = run.tags.get("failure") or run.tags.get("interrupted")
    return f"{run.status.lower()}: {why}" if why else run.status.lower()


def _network(run: RunView) -> str:
    return run.tags.get("recipe") or run.name


def _seed(run: RunView) -> str:
    return run.params.get(SEED, "")


def _kind(run: RunView) -> Kind:
    """What the runs of one row share: everything but the seed, and where the data lay if it is known what they are."""
    digest = run.tags.get("data.digest")
    beside = (SEED, SOURCE) if digest else (SEED,)
    settings = tuple(sorted((key, value) for key, value in run.params.items() if key not in beside))
    return _network(run), digest, settings


def _names(runs: Sequence[RunView]) -> dict[Kind, str]:
    """The name of each kind of run: the recipe's, and the settings that differ where a recipe has several kinds."""
    found = {}
    for run in runs:
        beside = [other for other in runs if _network(other) == _network(run)]
        keys = dict.fromkeys(key for other in beside for key in other.params if key not in NOT_TOLD)
        telling = [key for key in keys if len({other.params.get(key) for other in beside}) > 1]
        told = [f"{key.rpartition('.')[2]} {_cut(run.params.get(key, '-'))}" for key in telling]
        for tag, length in (("data.name", LONGEST), ("data.digest", 8)):
            if not told and len({other.tags.get(tag) for other in beside}) > 1:
                told = [f"data {run.tags.get(tag, '-')[:length]}"]
        found[_kind(run)] = ", ".join([_network(run), *told])
    return found


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _row(runs: Sequence[RunView], network: str, clips: Clips) -> Row:
    first, accuracy, tested = runs[0], ACCURACY[clips], clips == "test"

    def mean(name: str) -> float | None:
        values = [run.metrics[name] for run in runs if name in run.metrics]
        return statistics.fmean(values) if values else None

    def spread(name: str) -> float | None:
        values = [run.metrics[name] for run in runs if name in run.metrics]
        return statistics.stdev(values) if len(values) > 1 else None

    fits = mean("fits")
    marked = "published."
    return Row(
        network=network,
        runs=tuple(run.id for run in runs),
        seeds=tuple(run.params.get(SEED, "") for run in runs),
        data=first.tags.get("data.name", first.params.get("data.source", "")),
        words=tuple(first.tags.get("data.words", "").split()),
        synthetic=first.tags.get("data.synthetic") == "true",
        accuracy=statistics.fmean(run.metrics[accuracy] for run in runs),
        accuracy_spread=spread(accuracy),
        low=mean(f"{clips} accuracy low %"),
        high=mean(f"{clips} accuracy high %"),
        word_accuracy=mean(f"{clips} mean word accuracy %"),
        word_accuracy_spread=spread(f"{clips} mean word accuracy %"),
        integer_accuracy=mean(f"integer {clips} accuracy %"),
        integer_accuracy_spread=spread(f"integer {clips} accuracy %"),
        flash_kib=mean("flash KiB"),
        flash_published_rule_kib=mean("flash as published KiB"),
        ram_kib=mean("RAM KiB"),
        macc_m=mean("MACC M"),
        flash_share=mean("flash share %"),
        ram_share=mean("RAM share %"),
        fits=None if fits is None else fits == 1,
        minutes=mean("training minutes"),
        helped=first.tags.get("training.synthetic") == "true",
        backends=tuple(sorted({run.tags["backend"] for run in runs if "backend" in run.tags})),
        published={
            key.removeprefix(marked): value
            for key, value in {**first.params, **first.tags}.items()
            if tested and key.startswith(marked) and value not in ("", "None", "null")
        },
    )
