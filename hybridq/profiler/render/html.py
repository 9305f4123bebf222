"""The results as HTML: what a notebook shows, and what a page has inside."""

from __future__ import annotations

from hybridq.profiler.diff import Diff
from hybridq.profiler.render.markup import Markup, frame, notes, table, verdict
from hybridq.profiler.render.pictures import flash_by_layer, ram_over_time
from hybridq.profiler.render.table import Bar, Column, Line, Sheet
from hybridq.profiler.render.words import amount, capital, part, ram_parts, remarks
from hybridq.profiler.render.words import verdict as judged
from hybridq.profiler.report import Profile
from hybridq.profiler.suggest import Suggestion
from hybridq.profiler.targets import Limit

SUMS = (
    Column("", "name"),
    Column("Before"),
    Column("of the target", "text"),
    Column("After"),
    Column("of the target", "text"),
    Column("Change"),
    Column("%"),
)


def report(found: Profile) -> Markup:
    """A memory report: the totals as bars, the layers, flash by layer, RAM over time."""
    sheet = found.sheet()
    further = [f"RAM: {ram_parts(found)}"]
    further += [f"{name} is estimated from: {'; '.join(one.sources)}" for name, one in found.estimates.items() if one]
    further.append(f"{found.target.label}: {found.target.source}")
    return frame(
        sheet.title,
        verdict(judged(found)),
        table(_limits(found)),
        table(sheet),
        flash_by_layer(found.rows),
        ram_over_time([row.name for row in found.rows], found.peak, found.lifetimes),
        notes(remarks(found), *further),
    )


def side_by_side(found: Diff) -> Markup:
    """Two reports: their totals, and their layers in one table."""
    sheet = found.sheet()
    return frame(
        sheet.title, *map(verdict, found.verdicts()), table(_sums(found)), table(sheet), notes(found.remarks())
    )


def suggestion(found: Suggestion) -> Markup:
    """The changes, and the plan that they make."""
    sheet = found.sheet()
    return frame(sheet.title, *map(verdict, sheet.notes), table(sheet) if sheet.lines else Markup())


def _limits(found: Profile) -> Sheet:
    """What the network needs of each thing that the target limits, and what it does."""
    columns = (Column("", "name"), Column(""), Column("", "text"), Column("", "text"))
    counts = (("MACC", found.totals.macc), ("Parameters", found.totals.parameters))
    lines = [Line((capital(one.name), amount(one, one.needed), _bar(one), part(one))) for one in found.limits]
    return Sheet("", columns, (*lines, *(Line((name, f"{number:,}", "", "")) for name, number in counts)), ())


def _sums(found: Diff) -> Sheet:
    """The totals of both, those that the target limits with a bar."""
    bars = [{limit.name.lower(): _bar(limit) for limit in one.limits} for one in (found.before, found.after)]
    lines = []
    for name, before, after, change, percent in found.sums():
        first, second = (each.get(name.lower(), "") for each in bars)
        lines.append(Line((name, before, first, after, second, change, percent)))
    return Sheet("", SUMS, tuple(lines), ())


def _bar(limit: Limit) -> Bar:
    return Bar(limit.share, "exceeded" if limit.exceeded else "fine")
