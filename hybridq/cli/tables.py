"""Tables of measurements and of data for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hybridq.cli.console import console
from hybridq.data.task import CLIPS, SYNTHETIC_WARNING
from hybridq.errors import plain
from hybridq.speech.audio import SILENCE, SPLITS, AudioSet, info
from hybridq.speech.decision import FALSE_ACCEPTS, FALSE_REJECTS, WRONG
from hybridq.training.evaluation import Approximation

if TYPE_CHECKING:
    from hybridq.runs.measurement import Measurement
    from hybridq.speech.decision import Decisions
    from hybridq.training.evaluation import Result

FALSE_ACCEPTS_OFFERED = (10.0, 5.0, 2.0, 1.0)  # percent, for which thresholds are shown
CHOSEN_BY = (FALSE_ACCEPTS, FALSE_REJECTS, WRONG)


def measurement_table(measurement: Measurement, name: str, split: str) -> None:
    """Print a measurement: the accuracy, of which network; each word's, and the words it is most often taken for."""
    result, out = measurement.result, console()
    examples = f"{split} {measurement.unit}".strip()
    which = f" ({measurement.counts})" if measurement.integer else ""
    clips = measurement.unit == CLIPS
    words, taken_for = ("words", "most often heard as") if clips else ("classes", "most often taken for")
    if isinstance(result, Approximation):
        line = f"{name}{which}: {_in_words(result)}, {result.examples} {examples}"
        out.print(line, highlight=False, soft_wrap=True)
        for line in _networks(measurement):
            out.print(f"  {line}", highlight=False, soft_wrap=True)
        return
    out.print(
        f"{name}{which}: {_in_words(result)} of {result.examples} {examples}; mean of the {words} "
        f"{result.mean_class_accuracy:.1f} %",
        highlight=False,
    )
    for line in _networks(measurement):
        out.print(f"  {line}", highlight=False, soft_wrap=True)
    rows = Table(
        words[:-1] if clips else "class", measurement.unit, "accuracy %", taken_for, box=SIMPLE_HEAD, pad_edge=False
    )
    for i, word in enumerate(result.labels):
        counts = result.confusion[i].copy()
        total, right = int(counts.sum()), int(counts[i])
        counts[i] = 0
        wrong = [f"{result.labels[j]} ({counts[j]})" for j in counts.argsort()[::-1][:3] if counts[j]]
        rows.add_row(word, str(total), f"{100 * right / total:.1f}" if total else "-", ", ".join(wrong))
    out.print(rows)
    for note in measurement.notes if measurement.decisions or not clips else ():
        out.print(note, highlight=False, soft_wrap=True)
    if measurement.decisions:
        _decisions_table(out, measurement.decisions, measurement.threshold, split)


def _decisions_table(out: Console, decisions: Decisions, threshold: float, split: str) -> None:
    """Print the rates at the threshold; of validation clips also what other thresholds would give."""
    out.print(f"A command counts from a probability of {threshold:g} on:", highlight=False)
    rows = Table("", "clips", "of", "%", box=SIMPLE_HEAD, pad_edge=False)
    for name, rate in decisions.rates(threshold).items():
        rows.add_row(name, str(rate.hits), str(rate.clips), f"{rate.percent:.1f}")
    out.print(rows)
    if split != "validation":
        out.print("--split validation shows what other thresholds give: choose one there.", highlight=False)
        return
    rows = Table("threshold", *CHOSEN_BY, box=SIMPLE_HEAD, pad_edge=False)
    wanted = [at for at in map(decisions.threshold_at, FALSE_ACCEPTS_OFFERED) if at is not None]
    for at in dict.fromkeys([0.0, *wanted]):
        rates = decisions.rates(at)
        rows.add_row(f"{at:.3f}", *(f"{rates[name].percent:.1f} %" if name in rates else "-" for name in CHOSEN_BY))
    out.print(rows)


def _networks(measurement: Measurement) -> Iterator[str]:
    """Of a quantized network: each of its two forms, and how they compare."""
    if measurement.integer:
        yield f"integer network: {_in_words(measurement.integer)}, SHA-256 {measurement.digest}"
        if measurement.keras:
            verb = "hears" if measurement.unit == CLIPS else "takes"
            share = measurement.agreement
            alike = "" if share is None else f"; it {verb} {share:.2f} % of the {measurement.unit} alike"
            yield f"Keras model: {_in_words(measurement.keras)}{alike}"
    elif measurement.lacking:
        yield f"there is no integer network: {measurement.lacking}"


def _in_words(of: Result) -> str:
    if isinstance(of, Approximation):
        auc = "" if of.auc is None else f", anomaly AUC {of.auc:.4f}"
        errors = f"squared error {of.squared_error:.5g}, absolute error {of.absolute_error:.5g}"
        return f"R2 {of.r2:.2f} %, {errors}{auc}"
    low, high = of.interval
    return f"{of.accuracy:.1f} % (95 % interval {low:.1f} to {high:.1f})"


def data_table(audio: AudioSet) -> None:
    """Print the clips of each word in each split."""
    out = console()
    label = f" ({SYNTHETIC_WARNING})" if audio.synthetic else ""
    out.print(f"{audio.name}{label}: {plain(str(audio.root))}", highlight=False, soft_wrap=True)
    out.print(f"splits: {audio.split_rule}; digest {audio.digest[:16]}", highlight=False)
    table = Table("word", *SPLITS, "speakers", box=SIMPLE_HEAD, pad_edge=False)
    for row in info(audio):
        table.add_row(row.word, str(row.training), str(row.validation), str(row.test), str(row.speakers))
    out.print(table)
    if audio.official:
        silent = sum(clip.word == SILENCE for clip in audio.official)
        out.print(f"official test clips: {silent} of silence, {len(audio.official) - silent} of other words")
