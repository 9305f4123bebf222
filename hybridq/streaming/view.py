"""What a person sees: a live view in a terminal, else a line for each command; the table of an evaluation."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hybridq.data.task import SYNTHETIC_WARNING
from hybridq.streaming.outcome import Outcome
from hybridq.streaming.result import StreamEvaluation
from hybridq.streaming.rule import Moment

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
            line = {"seconds": seconds, "word": moment.word, "probability": moment.score}
            print(json.dumps(line, ensure_ascii=False), flush=True)
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


def evaluation_table(result: StreamEvaluation) -> RenderableType:
    """By SNR and of all; of validation clips also what other thresholds would give."""
    synthetic = f"\n{SYNTHETIC_WARNING}" if result.synthetic else ""
    head = (
        f"{result.name} ({result.counts}): {result.whole.seconds / 60:.0f} minutes of {result.request.split} clips, "
        f"threshold {result.settings.threshold:g}, an inference every {result.settings.every} columns{synthetic}"
    )
    rows = Table("SNR dB", *_HEADINGS, box=SIMPLE_HEAD, pad_edge=False)
    for snr, one in result.at.items():
        rows.add_row(f"{snr:g}", *_cells(one))
    if len(result.at) > 1:
        rows.add_row("all", *_cells(result.whole))
    parts: list[RenderableType] = [head, rows]
    if result.request.split == "validation":
        other = Table("threshold", *_HEADINGS, box=SIMPLE_HEAD, pad_edge=False)
        for one in result.thresholds():
            other.add_row(f"{one.threshold:g}", *_cells(one))
        parts.append(other)
    else:
        parts.append("--split validation shows what other thresholds give: choose one there.")
    return Group(*parts, str(result.cost)) if result.cost else Group(*parts)


_HEADINGS = ("commands", "missed", "%", "false alarms/h", "on commands", "on other words", "in noise", "latency ms")


def _cells(one: Outcome) -> list[str]:
    latency = "-" if one.latency is None else f"{one.latency:.0f}"
    missed = [str(one.commands), str(one.commands - one.hits), f"{one.missed:.1f}"]
    return [*missed, f"{one.false_alarms_per_hour:.1f}", *map(str, one.false_alarms.values()), latency]
