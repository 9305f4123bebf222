"""What a report says in sentences: the totals, the verdict, what else there is to know."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from hybridq.profiler.accounting import OWN
from hybridq.profiler.estimates import Estimate, estimates, unmeasured
from hybridq.profiler.render.table import Note
from hybridq.profiler.report import Held, Profile
from hybridq.profiler.targets import Limit
from hybridq.profiler.tflm.setup import setup_lines
from hybridq.settings.units import format_size

if TYPE_CHECKING:
    from hybridq.profiler.tflm.cost import Tflm

LONGEST = 60  # characters of a name in a sentence
# Bytes of flash and RAM that an image takes besides its network. By itself: code and structs (2,000 to 9,300 in images
# of MLPerf Tiny's networks, by their kinds and numbers of layers), stack (2,048) and variables, and its input. With
# the front end of a keyword spotter, as in pretrained:reference-hybrid: code (7,684), its tables (3,140), structs
# and other constants (462); columns (2,090), samples (1,536), variables (42), stack (2,048).
BESIDES, BESIDES_WITH_FRONT_END = (9_300, 2_150), (11_286, 5_712)
NOTHING_TO_NARROW = "narrows no layer here: there is no dense layer but the last"
SCALES = {  # the units to read an estimate in, the smallest first
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "uJ": {"nJ": 1e-3, "uJ": 1.0, "mJ": 1e3, "J": 1e6},
}


def totals(report: Profile) -> tuple[Note, ...]:
    """The sums, each in percent of what the target has."""
    sums, least = report.totals, "at least " * bool(report.not_costed)
    lines = [f"Total: {least}{sums.macc:,} MACC, {least}{sums.parameters:,} parameters"]
    if len(report.widths) > 1:
        each = (f"{w.bits}-bit {w.parameters:,} and {w.macc:,}" for w in report.widths)
        lines.append(f"Parameters and MACC by width: {'; '.join(each)}")
    flash, ram, *further = report.limits
    least = "at least " * bool(uncounted(report))
    lines.append(f"Flash: {least}{format_size(sums.flash_bytes)} {flash_parts(report)}, {part(flash)}")
    lines.append(f"RAM:   {least}{format_size(sums.ram_bytes)} = {ram_parts(report)}, {part(ram)}")
    if bounds := ram_bounds(report):
        lines.append(f"       {bounds}")
    lines += [f"{capital(limit.name)}: {amount(limit, limit.needed)}, {part(limit)}" for limit in further]
    return tuple(map(Note, lines))


def flash_parts(report: Profile) -> str:
    """What the flash is made of: weights; under tflm the file, with all that it says besides, and code."""
    if report.tflm:
        return f"= file {report.tflm.file_bytes:,} B + code {report.tflm.code_bytes:,} B (estimate)"
    return "of weights"


def ram_parts(report: Profile) -> str:
    """What the RAM is made of: activations, and the network's inputs and outputs inside or outside them."""
    if report.tflm:
        arena = report.tflm.arena
        states = f", {arena.variables:,} B of them states" if arena.variables else ""
        return f"arena: tensors and scratch {arena.non_persistent:,} B, what stays {arena.persistent:,} B{states}"
    joined = "with" if report.buffers_inside else "+"
    held = f"activations {report.totals.activations_bytes:,} B {joined} input and output {report.totals.io_bytes:,} B"
    return f"{held}, without the program's own input, {input_bytes(report):,} B" if is_image(report) else held


def is_image(report: Profile) -> bool:
    """Whether the figures are those of an image, which a program calls with an input of its own."""
    return report.accounting == OWN and not report.no_image


def input_bytes(report: Profile) -> int:
    """What the whole input takes in the program around an image: a byte a value."""
    return prod(report.rows[0].input_shapes[0]) if report.rows else 0


def ram_bounds(report: Profile) -> str:
    """Between which figures X-CUBE-AI's own lies, where its plan is not known to the byte; else ""."""
    least, most = report.totals.ram_least_bytes, report.totals.ram_most_bytes
    if least is None or most is None:
        return ""
    return f"at least {format_size(least)}, at most {format_size(most)}: {report.planner}"


def verdict(report: Profile) -> Note:
    """Whether it fits, and if not, what it exceeds and by how much; how much at least where a layer is not counted."""
    board, missing = report.target, not_counted(uncounted(report))
    about = f" ({board.description})" if board.description else ""
    if report.tflm and report.tflm.refused:
        return Note(f"Does not run on {board.label}{about}: {refusal(report.tflm)}", warning=True)
    least = "at least " * bool(missing)
    over = [f"{limit.name} by {least}{amount(limit, limit.needed - limit.allowed)}" for limit in report.exceeded]
    if over:
        return Note(f"Does not fit {board.label}{about}: exceeds {listed(over)}{missing}", warning=True)
    if report.totals.fits is None:
        ram = report.totals.ram_least_bytes or report.totals.ram_bytes
        takes = f"{format_size(report.totals.flash_bytes)} of flash and {format_size(ram)} of RAM"
        most = report.totals.ram_most_bytes
        beyond = "" if most is None else f", at most {format_size(most)},"
        return Note(f"Takes at least {takes}{beyond} of {board.label}{about}{missing}", warning=True)
    return Note(f"Fits {board.label}{about}")


def uncounted(report: Profile) -> tuple[str, ...]:
    """Layers without which flash and RAM are lower bounds; under tflm these do not rest on the rules for MACC."""
    return report.tflm.uncounted if report.tflm else report.not_costed


def not_counted(layers: Sequence[str]) -> str:
    """ "; 3 layers not counted"; "" for none."""
    return f"; {len(layers)} layer{'s' * (len(layers) > 1)} not counted" if layers else ""


def remarks(report: Profile) -> tuple[Note, ...]:
    """What else there is to know: first what warns of something, then estimates, then how it was counted."""
    warnings, lines = [], []
    if report.not_costed:
        warnings.append(f"Not costed, the totals leave them out: {', '.join(report.not_costed)}")
    if by_arrays := [row.name for row in report.rows if row.kind.startswith("unknown") and row.weights_bytes]:
        warnings.append(f"But for weights that the model stores, float32 where it says nothing: of {listed(by_arrays)}")
    if report.tflm:
        lines += tflm_lines(report.tflm)
    block = report.target.block_bytes
    if block and report.totals.activations_bytes > block:
        warnings.append(f"The activations do not fit the largest block of RAM, {format_size(block)}: split them")
    estimated = estimates(report)
    lines += [f"{name}: {estimate_line(one)}" for name, one in estimated.items() if one]
    if (time := estimated["Time"]) and time.accuracy:
        lines.append(f"Time rests on {time.accuracy}")
    elif not time and (missing := unmeasured(report)):
        lines.append(f"Time: no estimate, nothing was measured of {listed(missing)}")
    names, share = report.dominant
    if names:
        lines.append(f"{listed(names)} {'holds' if len(names) == 1 else 'hold'} {share:.1f} % of the flash")
    if report.peak:
        lines.append(f"Most RAM: in {listed([report.peak])}")
    for label, flash in report.plans:
        saved = 100 * (1 - flash / report.totals.flash_bytes) if report.totals.flash_bytes else 0.0
        lines.append(f"With {label} weights: {format_size(flash)} of flash, {saved:.1f} % less")
    if report.plans and not report.narrows:
        lines.append(f"hybrid {NOTHING_TO_NARROW}")
    if report.file:
        lines.append(file_line(report.file))
    if report.assumed:
        lines.append(f"Assumed, no published report has it: the MACC of {', '.join(report.assumed)}")
    if report.stored_wider:
        wider = listed([f"{layer} ({format_}, as {stored})" for layer, format_, stored in report.stored_wider])
        lines.append(f"Stored in more bits, for want of a kernel: {wider}")
    if report.no_image:
        lines.append(f"Not the figures of an image: {report.no_image}")
    elif is_image(report):
        code, memory, heard_code, heard_memory = map(format_size, (*BESIDES, *BESIDES_WITH_FRONT_END))
        rest = f"up to {code} of flash, and of RAM {memory} and the input, {format_size(input_bytes(report))}"
        heard = f"with a front end for sound {heard_code} and {heard_memory}"
        lines.append(f"Estimate: the rest of an image takes {rest}; {heard}")
    kernels = f" with {report.tflm.kernels}" if report.tflm else ""
    lines.append(f"Accounting: {report.accounting}{kernels}; RAM: {report.planner}")
    return (*(Note(line, warning=True) for line in warnings), *map(Note, lines))


def file_line(file: Held) -> str:
    """What the file holds, and why that is not what is counted."""
    reasons = []
    if file.expanded:
        reasons.append(
            f"the 8-bit weights of {listed(file.expanded)} are expanded to float32, as they compute in float"
        )
    if file.sparse:
        reasons.append(f"{listed(file.sparse)}: sparse there, counted with the zeros")
    return f"The file holds {format_size(file.bytes)} of weights; {'; '.join(reasons)}"


def refusal(tflm: Tflm) -> str:
    """Why the interpreter refuses a file."""
    return f"TensorFlow Lite for Microcontrollers has no kernel for {listed(tflm.refused)}"


def tflm_lines(tflm: Tflm) -> list[str]:
    """The arena as a program has it, and what the interpreter says of it."""
    arena, (_, line) = tflm.arena, setup_lines(tflm)[0]
    planning = f"; while it plans it needs {arena.needed:,} B" if arena.needed > arena.used else ""
    lines = [f"Arena: {line}  // aligned to 16; arena_used_bytes() is {arena.used:,}{planning}"]
    lines += [f"Arena with {kernels}: {size:,} B" for kernels, size in tflm.also]
    return lines


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
