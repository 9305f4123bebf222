"""A progress bar for slow work, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(
    text: str, total: int, *, done: int = 0, unit: str = "files", show: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error, and give the function that sets how much is done.

    `unit` is "files" or "bytes". Without a terminal, or with `show` off, nothing is printed.
    """
    if not show or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    how_much = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *how_much, TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=total, completed=done)
        yield lambda done: progress.update(task, completed=done)
