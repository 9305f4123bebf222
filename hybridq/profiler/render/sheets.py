"""Each kind of result as a table with notes, which a person reads, and as the records of a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from hybridq.formats import Format
from hybridq.precision import LayerPrecision
from hybridq.profiler import diff as diffs
from hybridq.profiler.diff import FIGURES, Diff, Pair, Status
from hybridq.profiler.render import result_words, words
from hybridq.profiler.render.table import PAGE_ONLY, Bar, Column, Line, Look, Sheet
from hybridq.profiler.render.words import known
from hybridq.profiler.report import Profile, Row
from hybridq.profiler.result import Result
from hybridq.profiler.suggest import Change, Suggestion
from hybridq.profiler.tflm.setup import Setup
from hybridq.settings.units import format_size

REPORT = (
    Column("Layer", "name"),
    Column("Output", least=70),
    Column("Weights", "text", least=80),
    Column("Parameters", least=90),
    Column("Bytes"),
    Column("MACC"),
    Column("MACC %", least=80),
    Column("", "text", least=PAGE_ONLY),
    Column("Flash %"),
    Column("", "text", least=70),
)
SIDE_BY_SIDE = (
    Column("", "text"),
    Column("Layer", "name"),
    Column("Weights", "text", least=90),
    Column("Bytes"),
    Column("", "text", least=PAGE_ONLY),
    Column("after"),
    Column("", "text", least=PAGE_ONLY),
    Column("%", least=80),
    Column("MACC", least=60),
    Column("after", least=60),
    Column("%", least=80),
)
SUGGESTION = (
    Column("Layer", "name"),
    Column("Weights", "text"),
    Column("Saves"),
    Column("Flash after it"),
    Column("", "text"),
)
SETUP = (Column("For", "text"), Column("Line", "name"))
MARKS: dict[Status, str] = {"same": "", "changed": "~", "removed": "-", "added": "+"}


@singledispatch
def sheet(result: Result) -> Sheet:
    """A title, a line a layer, and what they come to. Raises TypeError for a kind of result without a handler."""
    raise TypeError(f"no table for {type(result).__name__}")


@singledispatch
def records(result: Result) -> list[Sequence[Any]]:
    """The lines of the CSV, the heading first; None for a figure that is not known. Raises TypeError as `sheet`."""
    raise TypeError(f"no records for {type(result).__name__}")


# ------------------------------------------------------------------------------------------------- of a report


@sheet.register
def _(report: Profile) -> Sheet:
    dominant = set(report.dominant[0])
    return Sheet(
        title=f"{report.name or 'Network'} on {report.target.label}",
        columns=REPORT,
        lines=tuple(Line(_report_cells(row), _look(row, dominant)) for row in report.rows),
        notes=(*words.totals(report), words.verdict(report), *words.remarks(report)),
    )


@records.register
def _(report: Profile) -> list[Sequence[Any]]:
    heading = "name kind output_shape weights bias outputs parameters weights_bytes macc macc_share flash_share"
    lines: list[Sequence[Any]] = [heading.split()]
    for row in report.rows:
        precision = row.precision
        widths = (precision.weights, precision.bias, precision.outputs) if precision else ("", "", "")
        figures = (row.parameters, row.weights_bytes, row.macc, round(row.macc_share, 4), round(row.flash_share, 4))
        lines.append((row.name, row.kind, _shape(row), *widths, *figures))
    return lines


def _report_cells(row: Row) -> tuple[str | Bar, ...]:
    weights = str(row.precision.weights) if row.precision else str(Format.FLOAT32)
    return (
        "\N{NO-BREAK SPACE}+".join((row.name, *row.marks)),
        _shape(row),
        _precision(row.precision),
        *map(known, (row.parameters, row.weights_bytes, row.macc)),
        f"{row.macc_share:.1f}" if row.macc is not None else "?",
        Bar(row.macc_share),
        f"{row.flash_share:.1f}" if row.weights_bytes is not None else "?",
        Bar(row.flash_share, weights),
    )


def _look(row: Row, dominant: set[str]) -> Look:
    if row.macc is None:
        return "unknown"
    return "dominant" if row.name in dominant else ""


def _shape(row: Row) -> str:
    return "x".join(map(str, row.output_shape)) or "?"


def _precision(precision: LayerPrecision | None) -> str:
    """Weights alone where bias and outputs are float32: "8-bit"; else "8-bit b8 o8"."""
    if precision is None:
        return ""
    parts = (("b", precision.bias), ("o", precision.outputs))
    return " ".join((str(precision.weights), *(f"{key}{p.bits}" for key, p in parts if p is not Format.FLOAT32)))


# ------------------------------------------------------------------------------------------ of two side by side


@sheet.register
def _(diff: Diff) -> Sheet:
    rows = diff.rows
    most = max((n for row in rows for n in (row.weights_bytes.before, row.weights_bytes.after) if n), default=1)
    names = diff.before.name or "Network", diff.after.name or "Network"
    return Sheet(
        title=f"{names[0]}: before and after" if names[0] == names[1] else " against ".join(names),
        columns=SIDE_BY_SIDE,
        lines=tuple(Line(_diff_cells(row, most), "" if row.status == "changed" else row.status) for row in rows),
        notes=(*result_words.verdicts(diff), *result_words.changes(diff), *result_words.cautions(diff)),
    )


@records.register
def _(diff: Diff) -> list[Sequence[Any]]:
    figures = [f"{figure}_{when}" for figure in FIGURES for when in ("before", "after")]
    lines: list[Sequence[Any]] = [("name", "status", "weights_before", "weights_after", *figures)]
    for row in diff.rows:
        pairs = (getattr(row, figure) for figure in FIGURES)
        lines.append((row.name, row.status, *row.weights, *(n for pair in pairs for n in (pair.before, pair.after))))
    return lines


def _diff_cells(row: diffs.Row, most: int) -> tuple[str | Bar, ...]:
    """The cells of a layer; the bars are of `most` bytes."""
    flash = row.weights_bytes
    bars = [
        "" if size is None else Bar(100 * size / most, weights or "float32")
        for size, weights in zip((flash.before, flash.after), row.weights, strict=True)
    ]
    weights = " to ".join(dict.fromkeys(filter(None, row.weights)))
    (before, after, percent), macc = (_pair_cells(pair, row.status) for pair in (flash, row.macc))
    return (MARKS[row.status], row.name, weights, before, bars[0], after, bars[1], percent, *macc)


def _pair_cells(pair: Pair, status: Status) -> tuple[str, str, str]:
    """Before, after and the percentage; empty where the layer is not there, "?" where there is no rule for it."""
    before = "" if status == "added" else known(pair.before)
    after = "" if status == "removed" else known(pair.after)
    return before, after, result_words.change_percent(pair)


# --------------------------------------------------------------------------------------------- of a suggestion


@sheet.register
def _(suggestion: Suggestion) -> Sheet:
    return Sheet(
        title=f"{suggestion.name or 'Network'} in {format_size(suggestion.limit_bytes)} of flash",
        columns=SUGGESTION,
        lines=tuple(Line(_change_cells(suggestion, change)) for change in suggestion.changes),
        notes=result_words.outcome(suggestion),
    )


@records.register
def _(suggestion: Suggestion) -> list[Sequence[Any]]:
    lines = [(c.layer, c.before, suggestion.to, c.saved_bytes, c.flash_bytes) for c in suggestion.changes]
    return [("layer", "before", "to", "saved_bytes", "flash_bytes"), *lines]


def _change_cells(suggestion: Suggestion, change: Change) -> tuple[str | Bar, ...]:
    weights = f"{change.before} to {suggestion.to}"
    left = Bar(100 * change.flash_bytes / suggestion.start_bytes, str(suggestion.to))
    return change.layer, weights, format_size(change.saved_bytes), format_size(change.flash_bytes), left


# ------------------------------------------------------------------------------ of a file under the interpreter


@sheet.register
def _(setup: Setup) -> Sheet:
    title = f"{setup.name or 'Network'} in TensorFlow Lite for Microcontrollers on {setup.target.label}"
    return Sheet(title, SETUP, tuple(Line(line) for line in setup.lines), result_words.needs(setup))


@records.register
def _(setup: Setup) -> list[Sequence[Any]]:
    return [("for", "line"), *setup.lines]
