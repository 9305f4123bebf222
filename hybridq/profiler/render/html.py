"""Each kind of result as HTML: what a notebook shows, and what a page has inside."""

from __future__ import annotations

from functools import singledispatch

from hybridq.profiler.diff import Diff
from hybridq.profiler.estimates import estimates
from hybridq.profiler.render import result_words, words
from hybridq.profiler.render.markup import Markup, callout, frame, notes, table
from hybridq.profiler.render.pictures import flash_by_layer, ram_over_time
from hybridq.profiler.render.sheets import sheet
from hybridq.profiler.render.table import Bar, Column, Line, Sheet
from hybridq.profiler.report import Profile
from hybridq.profiler.result import Result
from hybridq.profiler.suggest import Suggestion
from hybridq.profiler.targets import Limit
from hybridq.profiler.tflm.setup import Setup

SUMS = (
    Column("", "name"),
    Column("Before"),
    Column("of the target", "text"),
    Column("After"),
    Column("of the target", "text"),
    Column("Change"),
    Column("%"),
)


@singledispatch
def fragment(result: Result) -> Markup:
    """HTML with its style, without a page around it. Raises TypeError for a kind of result without a handler."""
    raise TypeError(f"no HTML for {type(result).__name__}")


@fragment.register
def _(report: Profile) -> Markup:
    """The totals as bars, the layers, flash by layer, RAM over time."""
    layers = sheet(report)
    further = ["; ".join(filter(None, (f"RAM: {words.ram_parts(report)}", words.ram_bounds(report))))]
    further += [f"{name} is estimated from: {'; '.join(one.sources)}" for name, one in estimates(report).items() if one]
    further.append(f"{report.target.label}: {report.target.source}")
    return frame(
        layers.title,
        callout(words.verdict(report)),
        table(_limits(report)),
        table(layers),
        flash_by_layer(report.rows),
        ram_over_time([row.name for row in report.rows], report.peak, report.lifetimes),
        notes(words.remarks(report), *further),
    )


@fragment.register
def _(diff: Diff) -> Markup:
    """The totals of both, and their layers in one table."""
    layers = sheet(diff)
    verdicts = map(callout, result_words.verdicts(diff))
    return frame(layers.title, *verdicts, table(_sums(diff)), table(layers), notes(result_words.cautions(diff)))


@fragment.register
def _(suggestion: Suggestion) -> Markup:
    """The changes, and the plan that they make."""
    changes = sheet(suggestion)
    return frame(changes.title, *map(callout, changes.notes), table(changes) if changes.lines else Markup())


@fragment.register
def _(setup: Setup) -> Markup:
    """The lines that a program needs."""
    lines = sheet(setup)
    return frame(lines.title, table(lines), notes(lines.notes))


def _limits(report: Profile) -> Sheet:
    """What the network needs of each thing that the target limits, and what it does."""
    columns = (Column("", "name"), Column(""), Column("", "text"), Column("", "text"))
    lines = [
        Line((words.capital(limit.name), words.amount(limit, limit.needed), _bar(limit), words.part(limit)))
        for limit in report.limits
    ]
    counts = (("MACC", report.totals.macc), ("Parameters", report.totals.parameters))
    lines += [Line((name, f"{count:,}", "", "")) for name, count in counts]
    return Sheet("", columns, tuple(lines), ())


def _sums(diff: Diff) -> Sheet:
    """The totals of both, those that the target limits with a bar."""
    bars = [{limit.name.lower(): _bar(limit) for limit in one.limits} for one in (diff.before, diff.after)]
    lines = []
    for name, before, after, change, percent in result_words.sums(diff):
        first, second = (each.get(name.lower(), "") for each in bars)
        lines.append(Line((name, before, first, after, second, change, percent)))
    return Sheet("", SUMS, tuple(lines), ())


def _bar(limit: Limit) -> Bar:
    return Bar(limit.share, "exceeded" if limit.exceeded else "fine")
