"""What a result says in sentences: the totals, the verdict, what else there is to know."""

from __future__ import annotations

from collections.abc import Sequence

from hybridq.profiler.accounting import OWN
from hybridq.profiler.diff import Diff, Pair
from hybridq.profiler.estimates import Estimate, estimates
from hybridq.profiler.render.table import Note
from hybridq.profiler.report import Profile
from hybridq.profiler.suggest import Suggestion
from hybridq.profiler.targets import Limit
from hybridq.settings.units import format_size

LONGEST = 60  # characters of a name in a sentence
# Bytes of an image besides its network, as the hybrid one has them: flash for code (6,736), the front end's tables
# (3,140), structs and other constants (426); RAM for columns (2,090), samples (1,536), variables (42), stack (2,048).
BESIDES, BESIDES_SOURCE = (10_302, 5_712), "as in docs/results/deploy.md"
TOTALS = {  # those of `diff.TOTALS`
    "flash_bytes": "Flash",
    "ram_bytes": "RAM",
    "activations_bytes": "Activations",
    "macc": "MACC",
    "parameters": "Parameters",
}
SCALES = {  # the units to read an estimate in, the smallest first
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "uJ": {"nJ": 1e-3, "uJ": 1.0, "mJ": 1e3, "J": 1e6},
}


# ------------------------------------------------------------------------------------------------- of a report


def totals(report: Profile) -> tuple[Note, ...]:
    """The sums, each in percent of what the target has."""
    sums = report.totals
    lines = [f"Total: {sums.macc:,} MACC, {sums.parameters:,} parameters"]
    if len(report.widths) > 1:
        each = (f"{w.bits}-bit {w.parameters:,} and {w.macc:,}" for w in report.widths)
        lines.append(f"Parameters and MACC by width: {'; '.join(each)}")
    flash, ram, *further = report.limits
    lines.append(f"Flash: {format_size(sums.flash_bytes)} of weights, {part(flash)}")
    lines.append(f"RAM:   {format_size(sums.ram_bytes)} = {ram_parts(report)}, {part(ram)}")
    lines += [f"{capital(limit.name)}: {amount(limit, limit.needed)}, {part(limit)}" for limit in further]
    return tuple(map(Note, lines))


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
    """What else there is to know: first what warns of something, then estimates, then how it was counted."""
    warnings, lines = [], []
    if report.not_costed:
        warnings.append(f"Not costed, the totals leave them out: {', '.join(report.not_costed)}")
    block = report.target.block_bytes
    if block and report.totals.activations_bytes > block:
        warnings.append(f"The activations do not fit the largest block of RAM, {format_size(block)}: split them")
    lines += [f"{name}: {estimate_line(one)}" for name, one in estimates(report).items() if one]
    names, share = report.dominant
    if names:
        lines.append(f"{listed(names)} {'holds' if len(names) == 1 else 'hold'} {share:.1f} % of the flash")
    if report.peak:
        lines.append(f"Most RAM: in {listed([report.peak])}")
    for label, flash in report.plans:
        saved = 100 * (1 - flash / report.totals.flash_bytes) if report.totals.flash_bytes else 0.0
        lines.append(f"With {label} weights: {format_size(flash)} of flash, {saved:.1f} % less")
    if report.assumed:
        lines.append(f"Assumed, no published report has it: the MACC of {', '.join(report.assumed)}")
    if report.stored_wider:
        wider = listed([f"{layer} ({format_}, as {stored})" for layer, format_, stored in report.stored_wider])
        lines.append(f"Stored in more bits, for want of a kernel: {wider}")
    if report.no_image:
        lines.append(f"Not the figures of an image: {report.no_image}")
    elif report.accounting == OWN:
        flash_besides, ram_besides = map(format_size, BESIDES)
        rest = f"{flash_besides} of flash and {ram_besides} of RAM"
        lines.append(f"Estimate: the rest of an image takes {rest} ({BESIDES_SOURCE})")
    lines.append(f"Accounting: {report.accounting}; RAM: {report.planner}")
    return (*(Note(line, warning=True) for line in warnings), *map(Note, lines))


def estimate_line(estimate: Estimate) -> str:
    """A short line: "estimate 2.26 s (2.24 to 3.08; X-CUBE-AI); covers 99 % of the MACC"."""
    scales = SCALES[estimate.unit]
    unit = next((unit for unit in reversed(scales) if estimate.value >= scales[unit]), next(iter(scales)))
    value, low, high = (_digits(one / scales[unit]) for one in (estimate.value, estimate.low, estimate.high))
    line = f"estimate {value} {unit} ({f'{low} to {high}; ' if low != high else ''}{estimate.short})"
    if estimate.covered < 99.5:
        line += f"; covers {estimate.covered:.0f} % of the MACC"
    if count := len(estimate.not_costed):
        line += f"; {count} layer{'s' * (count > 1)} not costed"
    return line


def _digits(value: float) -> str:
    """Three digits: the sources have no more."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


# ------------------------------------------------------------------------------------------ of two side by side


def verdicts(diff: Diff) -> tuple[Note, ...]:
    """Whether each of them fits."""
    both = (("Before:", verdict(diff.before)), ("After: ", verdict(diff.after)))
    return tuple(Note(f"{when} {note.text}", note.warning) for when, note in both)


def cautions(diff: Diff) -> tuple[Note, ...]:
    """Why the two may not be compared."""
    lines = []
    if diff.not_costed:
        lines.append(f"Not costed, the totals leave them out: {', '.join(diff.not_costed)}")
    if diff.before.accounting != diff.after.accounting:
        lines.append(f"Not counted alike: {diff.before.accounting} before, {diff.after.accounting} after")
    return tuple(Note(line, warning=True) for line in lines)


def sums(diff: Diff) -> list[tuple[str, str, str, str, str]]:
    """Each total: its label, before, after, and the change, absolute and in percent; "" for none."""
    lines = []
    for name, pair in diff.totals.items():
        before, after = (format_size(n or 0) if name.endswith("bytes") else known(n) for n in (pair.before, pair.after))
        lines.append((TOTALS[name], before, after, f"{pair.change:+,}" if pair.change else "", change_percent(pair)))
    return lines


def changes(diff: Diff) -> tuple[Note, ...]:
    """Each total in a sentence."""
    notes = []
    for label, before, after, change, percent in sums(diff):
        changed = f"{before} to {after}, {change}" + (f" ({percent} %)" if percent else "")
        notes.append(Note(f"{label}: {changed if change else f'{before}, unchanged'}"))
    return tuple(notes)


def change_percent(pair: Pair) -> str:
    """The change in percent, with its sign; "" for none, and from zero."""
    return f"{pair.percent:+.1f}" if pair.change and pair.percent is not None else ""


# --------------------------------------------------------------------------------------------- of a suggestion


def outcome(suggestion: Suggestion) -> tuple[Note, ...]:
    """Whether the changes are enough."""
    number, to = len(suggestion.changes), suggestion.to
    start, limit, flash = map(format_size, (suggestion.start_bytes, suggestion.limit_bytes, suggestion.flash_bytes))
    how = f"with {number} layer{'s' * (number > 1)} to {to}" if number else "as it is"
    if suggestion.fits:
        line = f"Fits {limit} of flash {how}: {flash}" + f", before {start}" * bool(number)
    else:
        over = format_size(suggestion.flash_bytes - suggestion.limit_bytes)
        line = f"No choice of layers to {to} fits {limit} of flash: {how} it takes {flash}, {over} too much"
    notes = [Note(line, warning=not suggestion.fits)]
    if suggestion.not_costed:
        missing = f"Not costed, nothing of them is counted: {', '.join(suggestion.not_costed)}"
        notes.insert(0, Note(missing, warning=True))
    return tuple(notes)


# ------------------------------------------------------------------------------------------- figures and names


def part(limit: Limit) -> str:
    """What a network needs, of what there is: "46.6 % of 320.0 KiB"."""
    return f"{limit.share:,.1f} % of {amount(limit, limit.allowed)}"


def amount(limit: Limit, number: int) -> str:
    """So much of what it limits: bytes, or operations."""
    return f"{number:,}" if limit.name == "operations" else format_size(number)


def known(number: int | None) -> str:
    """A figure; "?" where there is no rule for it."""
    return "?" if number is None else f"{number:,}"


def capital(text: str) -> str:
    """The text as a line begins."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """ "a, b and c"; of many, the first four and how many more; long ones are cut."""
    ends = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    ends = ends if len(ends) <= 5 else [*ends[:4], f"{len(ends) - 4} more"]
    return " and ".join(filter(None, (", ".join(ends[:-1]), *ends[-1:])))
