"""Runs side by side: accuracy, flash, RAM and MACC, with the published figures of each.

Runs of one recipe that differ only in the seed make one row, with mean and spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.results.columns import SEED, Clips, Row
from hybridq.results.comparison import Comparison
from hybridq.results.query import ordered
from hybridq.tracking.metrics import SCORES, first_of

if TYPE_CHECKING:
    from hybridq.tracking import RunView

SOURCES = ("data.source", "data.arrays", "data.images", "data.python")  # where the data lay
NOT_TOLD = ("name", *SOURCES, SEED)  # parameters that never tell two rows of one recipe apart
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
    of_one_row = [list(seeds.values()) for seeds in groups.values()]
    names = _names([runs[0] for runs in of_one_row])
    rows = (Row(names[_kind(runs[0])], tuple(runs), clips) for runs in ordered(of_one_row, sort or "-flash"))
    return Comparison(tuple(rows), tuple(left_out), each, clips)


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
    return run.status == "FINISHED" and first_of(SCORES[clips], run.metrics) is not None


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
    beside = (SEED, *SOURCES) if digest else (SEED,)
    settings = tuple(sorted((key, value) for key, value in run.params.items() if key not in beside))
    return _network(run), digest, settings


def _names(runs: Sequence[RunView]) -> dict[Kind, str]:
    """The name of each kind of run: the recipe's, and the settings that differ where a recipe has several kinds."""
    names = {}
    for run in runs:
        beside = [other for other in runs if _network(other) == _network(run)]
        keys = dict.fromkeys(key for other in beside for key in other.params if key not in NOT_TOLD)
        telling = [key for key in keys if len({other.params.get(key) for other in beside}) > 1]
        details = [f"{key.rpartition('.')[2]} {_cut(run.params.get(key, '-'))}" for key in telling]
        for tag, length in (("data.name", LONGEST), ("data.digest", 8)):
            if not details and len({other.tags.get(tag) for other in beside}) > 1:
                details = [f"data {run.tags.get(tag, '-')[:length]}"]
        names[_kind(run)] = ", ".join([_network(run), *details])
    return names


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
