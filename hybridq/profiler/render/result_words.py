"""What the other results say in sentences: two reports side by side, a suggestion, what a program needs."""

from __future__ import annotations

from hybridq.profiler.diff import Diff, Pair
from hybridq.profiler.render.table import Note
from hybridq.profiler.render.words import known, not_counted, refusal, tflm_lines, verdict
from hybridq.profiler.suggest import Suggestion
from hybridq.profiler.tflm.setup import Setup
from hybridq.settings.units import format_size

TOTALS = {  # those of `diff.TOTALS`
    "flash_bytes": "Flash",
    "ram_bytes": "RAM",
    "activations_bytes": "Activations",
    "macc": "MACC",
    "parameters": "Parameters",
}

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
    before, missing = f", before {start}" * bool(number), not_counted(suggestion.not_costed)
    least = "at least " * bool(missing)
    if suggestion.fits:
        line = f"Fits {limit} of flash {how}: {flash}{before}"
    elif suggestion.fits is None:
        line = f"Takes at least {flash} of {limit} of flash {how}{before}{missing}"
    else:
        over = format_size(suggestion.flash_bytes - suggestion.limit_bytes)
        takes = f"it takes {least}{flash}, {over} too much{missing}"
        line = f"No choice of layers to {to} fits {limit} of flash: {how} {takes}"
    notes = [Note(line, warning=not suggestion.fits)]
    if suggestion.not_costed:
        names = f"Not costed, only what the model stores of them is counted: {', '.join(suggestion.not_costed)}"
        notes.insert(0, Note(names, warning=True))
    return tuple(notes)


def needs(setup: Setup) -> tuple[Note, ...]:
    """What stands against a file, and what its arena is made of."""
    notes = [Note(f"The file is refused: {refusal(setup.tflm)}", warning=True)] if setup.tflm.refused else []
    if setup.not_costed:
        notes.append(Note(f"At least: not counted is what these keep: {', '.join(setup.not_costed)}", warning=True))
    return (*notes, *map(Note, tflm_lines(setup.tflm)))
