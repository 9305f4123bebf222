"""The report as text: for a terminal, as CSV, as Markdown."""

from __future__ import annotations

import csv as csv_module
import io
from typing import TYPE_CHECKING, Literal

from hybridq.precision import LayerPrecision, Precision

if TYPE_CHECKING:
    from rich.console import Group

    from hybridq.profiler.report import Profile, Row

WIDTH = 100
BAR = 8  # characters of a full bar
HEADER = ("Layer", "Output", "Weights", "Parameters", "Bytes", "MACC", "MACC %", "Flash %")


def terminal(report: Profile) -> Group:
    """The table and the lines below it, as a rich renderable of at most 100 columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), title_justify="left")
    table.title = Text(f"{report.name} on {report.target.label}", style="bold")
    for i, name in enumerate(HEADER):
        justify: Literal["left", "right"] = "left" if i in (0, 2) else "right"
        # only the names give way where the table is wider than the terminal
        table.add_column(name, justify=justify, no_wrap=name != "Layer", overflow="ellipsis")
    table.add_column("", no_wrap=True, width=BAR)
    dominant = set(report.dominant[0])
    for row in report.rows:
        style = "bold" if row.name in dominant else "red" if row.macc is None else ""
        table.add_row(*(Text(cell, style=style) for cell in _cells(row)), Text(_bar(row.flash_share), style="cyan"))
    return Group(table, *(Text(line, style="red" if line.startswith("Not costed") else "") for line in lines(report)))


def plain(report: Profile) -> str:
    """The same as plain text of at most 100 columns."""
    from rich.console import Console

    console = Console(width=WIDTH, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(terminal(report))
    return captured.get()


def markdown(report: Profile) -> str:
    """The same as Markdown."""
    rows = [HEADER, tuple("---" if i in (0, 2) else "---:" for i in range(len(HEADER)))]
    rows += [_cells(row) for row in report.rows]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    items = "\n".join(f"- {line}" for line in lines(report))
    return f"## {report.name} on {report.target.label}\n\n{table}\n\n{items}\n"


def csv(report: Profile) -> str:
    """The rows as CSV; an empty cell where a figure is not known."""
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(
        (
            "name",
            "kind",
            "output_shape",
            "weights",
            "bias",
            "outputs",
            "parameters",
            "weights_bytes",
            "macc",
            "macc_share",
            "flash_share",
        )
    )
    for row in report.rows:
        p = row.precision
        writer.writerow(
            (
                row.name,
                row.kind,
                _shape(row),
                *((p.weights, p.bias, p.outputs) if p else ("", "", "")),
                row.parameters,
                row.weights_bytes,
                row.macc,
                round(row.macc_share, 4),
                round(row.flash_share, 4),
            )
        )
    return text.getvalue()


def lines(report: Profile) -> list[str]:
    """What the table says, in words."""
    totals, board = report.totals, report.target
    names, share = report.dominant
    said = [
        f"Total: {totals.macc:,} MACC, {totals.parameters:,} parameters",
        f"Flash: {size(totals.flash_bytes)} of weights, {totals.target_flash_share:.1f} % of {size(board.flash_bytes)}",
        f"RAM:   {size(totals.ram_bytes)} = activations {totals.activations_bytes:,} B "
        f"{'with' if report.buffers_inside else '+'} input and output {totals.io_bytes:,} B, "
        f"{totals.target_ram_share:.1f} % of {size(board.ram_bytes)}"
        + (f"; most in {report.peak}" * bool(report.peak)),
        _verdict(report),
    ]
    if len(report.widths) > 1:
        each = (f"{w.bits}-bit {w.parameters:,} and {w.macc:,}" for w in report.widths)
        said.insert(1, f"Parameters and MACC by width: {'; '.join(each)}")
    said += [f"{name}: {found}" for name, found in report.estimates.items() if found]
    if names:
        verb = "holds" if len(names) == 1 else "hold"
        said.append(f"{_listed(names)} {verb} {share:.1f} % of the flash")
    for label, flash in report.plans:
        saved = 100 * (1 - flash / totals.flash_bytes) if totals.flash_bytes else 0.0
        said.append(f"With {label} weights: {size(flash)} of flash, {saved:.1f} % less")
    if report.assumed:
        said.append(f"Assumed, no published report has it: the MACC of {', '.join(report.assumed)}")
    if report.not_costed:
        said.append(f"Not costed, the totals leave them out: {', '.join(report.not_costed)}")
    said.append(f"Accounting: {report.accounting}; RAM: {report.planner}")
    return said


def _verdict(report: Profile) -> str:
    """Whether it fits, and if not, what it exceeds."""
    board, about = report.target, f" ({report.target.description})" * bool(report.target.description)
    if report.totals.fits:
        return f"Fits {board.label}{about}"
    return f"Does not fit {board.label}{about}: {_listed(report.exceeded)} exceeded"


def _listed(names: tuple[str, ...]) -> str:
    """ "a, b and c"; of many, the first four and how many more."""
    ends = names if len(names) <= 5 else (*names[:4], f"{len(names) - 4} more")
    return " and ".join(filter(None, (", ".join(ends[:-1]), ends[-1])))


def size(count: int) -> str:
    """Bytes as a person reads them: 2.12 MiB, 127.5 KiB, 640 B."""
    if count >= 2**20:
        return f"{count / 2**20:.2f} MiB"
    return f"{count / 2**10:.1f} KiB" if count >= 2**10 else f"{count} B"


def _cells(row: Row) -> tuple[str, ...]:
    name = "\N{NO-BREAK SPACE}+".join((row.name, *row.marks))
    figures = (f"{n:,}" if n is not None else "?" for n in (row.parameters, row.weights_bytes, row.macc))
    shares = (
        f"{row.macc_share:.1f}" if row.macc is not None else "?",
        f"{row.flash_share:.1f}" if row.weights_bytes is not None else "?",
    )
    return (name, _shape(row), _precision(row.precision), *figures, *shares)


def _shape(row: Row) -> str:
    return "x".join(map(str, row.output_shape)) or "?"


def _precision(precision: LayerPrecision | None) -> str:
    """Weights alone where bias and outputs are float32: "8-bit"; else "8-bit b8 o8"."""
    if precision is None:
        return ""
    parts = (("b", precision.bias), ("o", precision.outputs))
    return " ".join((str(precision.weights), *(f"{key}{p.bits}" for key, p in parts if p is not Precision.FLOAT32)))


def _bar(share: float) -> str:
    eighths = round(share / 100 * BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
