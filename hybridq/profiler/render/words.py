"""What a memory report says, in words and in the cells of its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridq.precision import LayerPrecision, Precision
from hybridq.profiler.accounting import OWN
from hybridq.profiler.render.table import PAGE, Bar, Column, Line, Look, Note, Sheet, count, listed
from hybridq.profiler.report import Profile, Row
from hybridq.profiler.targets import Limit
from hybridq.settings.units import format_size

COLUMNS = (
    Column("Layer", "name"),
    Column("Output", least=70),
    Column("Weights", "text", least=80),
    Column("Parameters", least=90),
    Column("Bytes"),
    Column("MACC"),
    Column("MACC %", least=80),
    Column("", "text", least=PAGE),
    Column("Flash %"),
    Column("", "text", least=70),
)
# Bytes of an image besides its network, as the hybrid one has them: flash for code (6,736), the front end's tables
# (3,140), structs and other constants (426); RAM for columns (2,090), samples (1,536), variables (42), stack (2,048).
BESIDES, BESIDES_SOURCE = (10_302, 5_712), "as in docs/results/deploy.md"


def sheet(report: Profile) -> Sheet:
    """The layers, and what they come to."""
    dominant = set(report.dominant[0])
    return Sheet(
        title=f"{report.name or 'Network'} on {report.target.label}",
        columns=COLUMNS,
        lines=tuple(Line(_cells(row), _look(row, dominant)) for row in report.rows),
        notes=(*totals(report), verdict(report), *remarks(report)),
    )


def records(report: Profile) -> list[Sequence[Any]]:
    """The CSV: a heading, and a line a layer."""
    heading = "name kind output_shape weights bias outputs parameters weights_bytes macc macc_share flash_share"
    found: list[Sequence[Any]] = [heading.split()]
    for row in report.rows:
        precision = row.precision
        widths = (precision.weights, precision.bias, precision.outputs) if precision else ("", "", "")
        figures = (row.parameters, row.weights_bytes, row.macc, round(row.macc_share, 4), round(row.flash_share, 4))
        found.append((row.name, row.kind, _shape(row), *widths, *figures))
    return found


def totals(report: Profile) -> tuple[Note, ...]:
    """The sums, each in percent of what the target has."""
    sums = report.totals
    said = [f"Total: {sums.macc:,} MACC, {sums.parameters:,} parameters"]
    if len(report.widths) > 1:
        each = (f"{w.bits}-bit {w.parameters:,} and {w.macc:,}" for w in report.widths)
        said.append(f"Parameters and MACC by width: {'; '.join(each)}")
    flash, ram, *further = report.limits
    said.append(f"Flash: {format_size(sums.flash_bytes)} of weights, {part(flash)}")
    said.append(f"RAM:   {format_size(sums.ram_bytes)} = {ram_parts(report)}, {part(ram)}")
    said += [f"{capital(limit.name)}: {amount(limit, limit.needed)}, {part(limit)}" for limit in further]
    return tuple(map(Note, said))


def ram_parts(report: Profile) -> str:
    """What the RAM is made of: activations, and the network's inputs and outputs inside or outside them."""
    joined = "with" if report.buffers_inside else "+"
    return f"activations {report.totals.activations_bytes:,} B {joined} input and output {report.totals.io_bytes:,} B"


def verdict(report: Profile) -> Note:
    """Whether it fits, and if not, what it exceeds and by how much."""
    board = report.target
    about = f" ({board.description})" if board.description else ""
    if not report.exceeded:
        known = " as far as it is costed" if report.not_costed else ""
        return Note(f"Fits {board.label}{about}{known}", warning=bool(report.not_costed))
    over = [f"{limit.name} by {amount(limit, limit.needed - limit.allowed)}" for limit in report.exceeded]
    return Note(f"Does not fit {board.label}{about}: exceeds {listed(over)}", warning=True)


def remarks(report: Profile) -> tuple[Note, ...]:
    """What else there is to know."""
    said: list[str | Note] = []
    if report.not_costed:
        said.append(Note(f"Not costed, the totals leave them out: {', '.join(report.not_costed)}", warning=True))
    block = report.target.block_bytes
    if block and report.totals.activations_bytes > block:
        said.append(
            Note(f"The activations do not fit the largest block of RAM, {format_size(block)}: split them", True)
        )
    said += [f"{name}: {found}" for name, found in report.estimates.items() if found]
    names, share = report.dominant
    if names:
        said.append(f"{listed(names)} {'holds' if len(names) == 1 else 'hold'} {share:.1f} % of the flash")
    if report.peak:
        said.append(f"Most RAM: in {listed([report.peak])}")
    for label, flash in report.plans:
        saved = 100 * (1 - flash / report.totals.flash_bytes) if report.totals.flash_bytes else 0.0
        said.append(f"With {label} weights: {format_size(flash)} of flash, {saved:.1f} % less")
    if report.assumed:
        said.append(f"Assumed, no published report has it: the MACC of {', '.join(report.assumed)}")
    if report.no_image:
        said.append(f"Not the figures of an image: {report.no_image}")
    elif report.accounting == OWN:
        more = f"{format_size(BESIDES[0])} of flash and {format_size(BESIDES[1])} of RAM"
        said.append(f"Estimate: the rest of an image takes {more} ({BESIDES_SOURCE})")
    said.append(f"Accounting: {report.accounting}; RAM: {report.planner}")
    return tuple(one if isinstance(one, Note) else Note(one) for one in said)


def part(limit: Limit) -> str:
    """What a network needs, of what there is: "46.6 % of 320.0 KiB"."""
    return f"{limit.share:,.1f} % of {amount(limit, limit.allowed)}"


def amount(limit: Limit, number: int) -> str:
    """So much of what it limits: bytes, or operations."""
    return f"{number:,}" if limit.name == "operations" else format_size(number)


def capital(text: str) -> str:
    """The text as a line begins."""
    return text[:1].upper() + text[1:]


def _look(row: Row, dominant: set[str]) -> Look:
    if row.macc is None:
        return "unknown"
    return "dominant" if row.name in dominant else ""


def _cells(row: Row) -> tuple[str | Bar, ...]:
    weights = str(row.precision.weights) if row.precision else str(Precision.FLOAT32)
    return (
        "\N{NO-BREAK SPACE}+".join((row.name, *row.marks)),
        _shape(row),
        _precision(row.precision),
        *map(count, (row.parameters, row.weights_bytes, row.macc)),
        f"{row.macc_share:.1f}" if row.macc is not None else "?",
        Bar(row.macc_share),
        f"{row.flash_share:.1f}" if row.weights_bytes is not None else "?",
        Bar(row.flash_share, weights),
    )


def _shape(row: Row) -> str:
    return "x".join(map(str, row.output_shape)) or "?"


def _precision(precision: LayerPrecision | None) -> str:
    """Weights alone where bias and outputs are float32: "8-bit"; else "8-bit b8 o8"."""
    if precision is None:
        return ""
    parts = (("b", precision.bias), ("o", precision.outputs))
    return " ".join((str(precision.weights), *(f"{key}{p.bits}" for key, p in parts if p is not Precision.FLOAT32)))
