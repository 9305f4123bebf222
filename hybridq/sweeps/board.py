"""What a person sees while runs are made: a live table on a terminal; without one, a line an epoch."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hybridq.data.task import SYNTHETIC_WARNING
from hybridq.errors import plain
from hybridq.sweeps.events import Died, EpochDone, Event, Failed, Finished, LogLine, Ready
from hybridq.sweeps.schedule import Entry, Schedule, State

STYLES = {State.RUNNING: "bold", State.FAILED: "red", State.FINISHED: "green", State.WAITING: "dim"}


class Board:
    """Shows a schedule while it is open; `tell` is for the engine. `slots`: how many runs are made at once."""

    def __init__(self, schedule: Schedule, slots: int = 1, console: Console | None = None) -> None:
        self.schedule, self.slots = schedule, slots
        self.console = console or Console(stderr=True, markup=False, emoji=False)
        self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=2, redirect_stdout=False)
        self._log = _ToBoard(self)

    def __enter__(self) -> Self:
        logger = logging.getLogger("hybridq")
        self._before, logger.handlers = logger.handlers, [self._log]
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()
        logging.getLogger("hybridq").handlers = self._before

    def tell(self, event: Event) -> None:
        """Print what a table does not show, and without a terminal the rest."""
        entry = self.schedule.entries[event.job]
        name = entry.job.name
        match event:
            case Ready(data=data, synthetic=synthetic):
                self.say(data)
                if synthetic:
                    self.say(SYNTHETIC_WARNING, "yellow")
            case EpochDone(epoch=epoch) if not self.console.is_terminal:
                left = (entry.seconds_left or 0.0) / 60
                self.say(
                    f"{name} epoch {epoch}/{entry.epochs}: training {event.figures[0]}, "
                    f"validation {event.figures[1]}, about {left:.1f} min left"
                )
            case LogLine(text=text, level=level):
                self.say(plain(text), "yellow" if level >= logging.WARNING else "")
            case Finished(in_words=text) if not self.console.is_terminal and text:
                self.say(f"{name}: {text}")
            case Failed(reason=reason):
                self.say(f"{name} failed: {reason}", "red")
            case Died(reason=reason):
                again = "; it goes on in another process" if entry.state is State.WAITING else ""
                self.say(f"{name}: {reason}{again}", "yellow")

    def say(self, text: str, style: str = "") -> None:
        """Print a line, above the table where there is one."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def _table(self) -> Group:
        entries = self.schedule.entries
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("run", "state", "epoch", "validation", "test %", "left"):
            table.add_column(heading, justify="left" if heading in ("run", "state") else "right", no_wrap=True)
        shown = self._shown(entries)
        for entry in shown:
            table.add_row(*_cells(entry), style=STYLES[entry.state])
        hidden = len(entries) - len(shown)
        rest = [Text(f"and {hidden} more", style="dim")] if hidden else []
        return Group(table, *rest, Text(self._summary()))

    def _shown(self, entries: list[Entry]) -> list[Entry]:
        """As many as the terminal has room for: those that run, then the newest results, then what is next."""
        room = max(3, self.console.height - 6)
        order = [State.RUNNING, State.FAILED, State.FINISHED, State.WAITING]
        ranked = sorted(entries, key=lambda e: (order.index(e.state), -(e.ended or 0.0)))[:room]
        return sorted(ranked, key=lambda e: e.job.number)

    def _summary(self) -> str:
        entries = self.schedule.entries
        counts = {state: sum(entry.state is state for entry in entries) for state in State}
        parts = [f"{counts[State.FINISHED]} of {len(entries)} finished"]
        if counts[State.FAILED]:
            parts.append(f"{counts[State.FAILED]} failed")
        left = self._seconds_left()
        if left is not None:
            parts.append(f"about {_duration(left)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        """By the pace of the epochs so far, whatever the network; None before there is one."""
        begun = [entry for entry in self.schedule.entries if entry.began and entry.epoch > entry.first]
        if not begun:
            return None
        now = time.monotonic()
        spent = sum((entry.ended or now) - (entry.began or now) for entry in begun)
        pace = spent / sum(entry.epoch - entry.first for entry in begun)
        open_ = [entry for entry in self.schedule.entries if entry.state in (State.WAITING, State.RUNNING)]
        if not open_:
            return None
        return pace * sum(entry.epochs - entry.epoch for entry in open_) / min(self.slots, max(1, len(open_)))


class _ToBoard(logging.Handler):
    """Lines of the program itself go above the table."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.board = board

    def emit(self, record: logging.LogRecord) -> None:
        self.board.say(plain(record.getMessage()), "yellow" if record.levelno >= logging.WARNING else "")


def _cells(entry: Entry) -> tuple[str, ...]:
    state = entry.state.value
    if entry.state is State.RUNNING:
        state = "preparing" if not entry.epoch else "measuring" if entry.epoch >= entry.epochs else "training"
    return (
        entry.job.name if entry.job.asked else f"{entry.job.name} (needed)",
        state,
        f"{int(entry.epoch)}/{entry.epochs}" if entry.state is not State.WAITING else str(entry.epochs),
        entry.validation,
        "" if entry.accuracy is None else f"{entry.accuracy:.1f}",
        "" if not entry.seconds_left else _duration(entry.seconds_left),
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
