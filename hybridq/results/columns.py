"""A row of a comparison: what is read from its runs, and how the printed tables show it. Two tables say all of it.

A figure more is a line in FIELDS, for JSON and CSV, and one in COLUMNS where it is to be printed. What a metric of a
run means, its unit and which way is better stands in `hybridq.tracking.metrics`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, Literal

from hybridq.data.task import CLIPS
from hybridq.settings.units import KIB, MIB
from hybridq.tracking.metrics import SCORES, first_of
from hybridq.tracking.run_view import UNIT, classes_of

if TYPE_CHECKING:
    from hybridq.tracking import RunView

Clips = Literal["test", "validation"]

SEED = "training.seed"
ACCURACY, R2 = "accuracy", "R2"  # what a score is
PUBLISHED = "published."  # begins the parameters and tags that hold published figures


@dataclass(frozen=True)
class Row:
    """One network and its runs, one a seed; `row["flash_kib"]` is what FIELDS reads from them."""

    network: str
    runs: tuple[RunView, ...]
    clips: Clips = "test"  # on which its accuracy is measured

    def __getitem__(self, field: str) -> Any:
        return FIELDS[field](self)

    def mean(self, *metrics: str) -> float | None:
        """The mean over the runs that have the metric, or the first of several; None where none has."""
        values = self._values(metrics)
        return statistics.fmean(values) if values else None

    def spread(self, *metrics: str) -> float | None:
        """The standard deviation over the runs that have the metric; None for fewer than two."""
        values = self._values(metrics)
        return statistics.stdev(values) if len(values) > 1 else None

    def tag(self, name: str, default: str = "") -> str:
        """A tag that all runs share, or the first one's."""
        return self.runs[0].tags.get(name, default)

    def param(self, name: str) -> str:
        """A parameter that all runs share, or the first one's."""
        return self.runs[0].params.get(name, "")

    def _values(self, metrics: Sequence[str]) -> list[float]:
        logged = (first_of(metrics, run.metrics) for run in self.runs)
        return [value for value in logged if value is not None]


def _fits(row: Row) -> bool | None:
    fits = row.mean("fits")
    return None if fits is None else fits == 1


def _published(row: Row) -> dict[str, str]:
    """By label, accuracy, flash_mb, ram_kb, macc_m and source; of test clips alone, for they are results."""
    logged = {**row.runs[0].params, **row.runs[0].tags} if row.clips == "test" else {}
    return {
        key.removeprefix(PUBLISHED): value
        for key, value in logged.items()
        if key.startswith(PUBLISHED) and value not in ("", "None", "null")
    }


# By its name in JSON and CSV. Accuracies, which are R2 where `score` says so, and shares are percent, a figure the mean
# over the seeds, a spread the standard deviation over them; `low` and `high` bound the accuracy of one run (its 95 %
# Wilson interval).
FIELDS: Mapping[str, Callable[[Row], Any]] = {
    "network": lambda row: row.network,
    "runs": lambda row: tuple(run.id for run in row.runs),
    "seeds": lambda row: tuple(run.params.get(SEED, "") for run in row.runs),
    "data": lambda row: row.tag("data.name", row.param("data.source")),
    "words": lambda row: classes_of(row.runs[0]),
    "unit": lambda row: row.tag(UNIT, CLIPS),
    "score": lambda row: R2 if row.mean(SCORES[row.clips][1]) is not None else ACCURACY,
    "synthetic": lambda row: row.tag("data.synthetic") == "true",
    "accuracy": lambda row: row.mean(*SCORES[row.clips]),
    "accuracy_spread": lambda row: row.spread(*SCORES[row.clips]),
    "low": lambda row: row.mean(f"{row.clips} accuracy low %"),
    "high": lambda row: row.mean(f"{row.clips} accuracy high %"),
    "word_accuracy": lambda row: row.mean(f"{row.clips} mean word accuracy %"),
    "word_accuracy_spread": lambda row: row.spread(f"{row.clips} mean word accuracy %"),
    "integer_accuracy": lambda row: row.mean(f"integer {row.clips} accuracy %", f"integer {row.clips} R2 %"),
    "integer_accuracy_spread": lambda row: row.spread(f"integer {row.clips} accuracy %", f"integer {row.clips} R2 %"),
    "auc": lambda row: row.mean(f"{row.clips} anomaly AUC"),
    "flash_kib": lambda row: row.mean("flash KiB"),
    "flash_published_rule_kib": lambda row: row.mean("flash as published KiB"),
    "ram_kib": lambda row: row.mean("RAM KiB"),
    "macc_m": lambda row: row.mean("MACC M"),
    "flash_share": lambda row: row.mean("flash share %"),
    "ram_share": lambda row: row.mean("RAM share %"),
    "fits": _fits,
    "minutes": lambda row: row.mean("training minutes"),
    # Whether synthetic voices were in the training, or in that of a network it has learnt from.
    "helped": lambda row: row.tag("training.synthetic") == "true",
    "backends": lambda row: tuple(sorted({run.tags["backend"] for run in row.runs if "backend" in run.tags})),
    "published": _published,
}


class Of(Flag):
    """What a table is of. A column is in those that are of all that it asks for."""

    ANYTHING = 0
    NETWORKS = auto()  # a row is a network, all its seeds together
    RUNS = auto()  # a row is one run
    TEST = auto()  # the accuracies are those of the test clips
    VALIDATION = auto()
    PUBLISHED = auto()  # figures, beneath some row
    INTEGERS = auto()  # the accuracy of some network in integers
    ANOMALIES = auto()  # how well some network tells them
    ROOM = auto()  # for a column that a terminal has no place for


@dataclass(frozen=True)
class Column:
    """A column of the printed tables: which FIELDS it shows and how, and the published figure that stands beneath.

    spare: a narrow terminal leaves out the columns of the smallest numbers first, and never one of 0.
    """

    heading: str
    fields: tuple[str, ...]
    form: Callable[..., str]  # of the values of the fields
    needs: Of = Of.ANYTHING
    published: str = ""
    spare: int = 0

    def cell(self, row: Row) -> str:
        """What it shows of a row."""
        return self.form(*(row[field] for field in self.fields))


def with_spread(value: float | None, spread: float | None) -> str:
    """`92.4`, `92.4 ± 0.3`, or `-` for nothing."""
    return number(value) + (f" ± {spread:.1f}" if value is not None and spread is not None else "")


def number(value: float | None, digits: int = 1) -> str:
    """The number with that many digits after the point, `-` for nothing."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(low: float | None, high: float | None) -> str:
    """`91.2-93.5`, or `-` for nothing."""
    return "-" if low is None else f"{low:.1f}-{high:.1f}"


def mib(kib: float | None) -> str:
    """KiB as MiB, three digits after the point."""
    return number(None if kib is None else kib * KIB / MIB, 3)


def shares(flash: float | None, ram: float | None) -> str:
    """`12 / 47`, percent."""
    return f"{number(flash, 0)} / {number(ram, 0)}"


def yes_or_no(fits: bool | None) -> str:
    """`yes`, `NO`, or `-` where nobody knows."""
    return {True: "yes", False: "NO", None: "-"}[fits]


COLUMNS = (
    Column("network", ("network",), str, published="label"),
    Column("run", ("runs",), lambda ids: str(ids[0][:8]), Of.RUNS),
    Column("seed", ("seeds",), lambda seeds: seeds[0] or "-", Of.RUNS),
    Column("accuracy\n%", ("accuracy", "accuracy_spread"), with_spread, Of.TEST, "accuracy"),
    Column("validation\naccuracy %", ("accuracy", "accuracy_spread"), with_spread, Of.VALIDATION),
    Column("95 %\ninterval", ("low", "high"), interval, Of.TEST, spare=6),
    Column("mean word\naccuracy %", ("word_accuracy", "word_accuracy_spread"), with_spread, Of.TEST | Of.ROOM, spare=2),
    Column("integer\naccuracy %", ("integer_accuracy", "integer_accuracy_spread"), with_spread, Of.INTEGERS),
    Column("anomaly\nAUC", ("auc",), lambda area: number(area, 3), Of.ANOMALIES),
    Column("flash\nKiB", ("flash_kib",), number),
    Column("flash\nMiB", ("flash_kib",), mib, Of.NETWORKS | Of.PUBLISHED, spare=1),
    Column("publ.\nrule\nMiB", ("flash_published_rule_kib",), mib, Of.NETWORKS | Of.PUBLISHED, "flash_mb", spare=5),
    Column("RAM\nKiB", ("ram_kib",), number, published="ram_kb", spare=8),
    Column("MACC\nM", ("macc_m",), number, published="macc_m", spare=7),
    Column("% of\nflash\n/ RAM", ("flash_share", "ram_share"), shares, Of.NETWORKS, spare=4),
    Column("training\nminutes", ("minutes",), number, Of.RUNS, spare=3),
    Column("fits", ("fits",), yes_or_no),
)
