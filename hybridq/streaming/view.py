"""What a person sees: a live view in a terminal, else a line for each command; the table of an evaluation."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hybridq.streaming.rule import Moment

if TYPE_CHECKING:
    from hybridq.streaming.evaluation import StreamEvaluation
    from hybridq.streaming.outcome import Outcome

LAST = 8  # commands in the live view
BAR = 40  # columns
Heard = Iterable[tuple[Moment, bool]]


def print_lines(heard: Heard, rate: int, as_json: bool) -> None:
    """A line for each command as it is heard: the second, the word, the probability."""
    for moment, hit in heard:
        if not hit:
            continue
        seconds = moment.sample / rate
        if as_json:
            said = {"seconds": seconds, "word": moment.word, "probability": moment.score}
            print(json.dumps(said, ensure_ascii=False), flush=True)
        else:
            print(f"{seconds:8.2f} s  {moment.word}  {moment.score:.2f}", flush=True)


def show_live(heard: Heard, rate: int, labels: Sequence[str], threshold: float, title: str, out: Console) -> None:
    """Bars of the smoothed probabilities, and the last commands; they stay when the stream ends."""
    last: deque[str] = deque(maxlen=LAST)
    with Live(console=out, refresh_per_second=12) as live:
        for moment, hit in heard:
            if hit:
                last.append(f"{moment.sample / rate:8.2f} s  {moment.word}  {moment.score:.2f}")
            live.update(_bars(moment, labels, threshold, rate, title, last))


def _bars(
    moment: Moment, labels: Sequence[str], threshold: float, rate: int, title: str, last: Iterable[str]
) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    for label, share in zip(labels, moment.probabilities, strict=True):
        over = label == moment.word and moment.score >= threshold
        bar = ProgressBar(total=1.0, completed=float(share), width=BAR)
        rows.add_row(Text(label, style="bold green" if over else ""), bar, f"{share:.2f}")
    head = Text(f"{title}  {moment.sample / rate:.1f} s", style="dim")
    return Group(head, rows, *(Text(line) for line in last))


def evaluation_table(found: StreamEvaluation) -> RenderableType:
    """By SNR and of all; of validation clips also what other thresholds would give."""
    synthetic = "\nsynthetic voices: for trying the tool, not a result" if found.synthetic else ""
    head = (
        f"{found.name} ({found.counts}): {found.whole.seconds / 60:.0f} minutes of {found.request.split} clips, "
        f"threshold {found.settings.threshold:g}, an inference every {found.settings.every} columns{synthetic}"
    )
    rows = Table("SNR dB", *_HEADINGS, box=SIMPLE_HEAD, pad_edge=False)
    for snr, one in found.at.items():
        rows.add_row(f"{snr:g}", *_cells(one))
    if len(found.at) > 1:
        rows.add_row("all", *_cells(found.whole))
    parts: list[RenderableType] = [head, rows]
    if found.request.split == "validation":
        other = Table("threshold", *_HEADINGS, box=SIMPLE_HEAD, pad_edge=False)
        for one in found.thresholds():
            other.add_row(f"{one.threshold:g}", *_cells(one))
        parts.append(other)
    else:
        parts.append("--split validation shows what other thresholds give: choose one there.")
    return Group(*parts, str(found.cost)) if found.cost else Group(*parts)


_HEADINGS = ("commands", "missed", "%", "false alarms/h", "on commands", "on other words", "in noise", "latency ms")


def _cells(one: Outcome) -> list[str]:
    latency = "-" if one.latency is None else f"{one.latency:.0f}"
    missed = [str(one.commands), str(one.commands - one.found), f"{one.missed:.1f}"]
    return [*missed, f"{one.false_alarms_per_hour:.1f}", *map(str, one.false_alarms.values()), latency]
