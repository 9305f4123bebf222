"""Prefetching: the next thing is made in a thread while the one before it is used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any, TypeVar

Made = TypeVar("Made")
TURN = 0.0002  # seconds


def prefetch(
    numbers: Iterable[int], make: Callable[[int, threading.Event], Made], name: str
) -> Generator[Made, None, None]:
    """What `make` gives for each number, made one ahead in a thread of that name.

    `make` is also given an event, which is set when nobody wants the rest any more; what it returns then is dropped.
    What it raises is raised here. Close the generator (`contextlib.closing`) where it is left early: its thread ends
    then.
    """
    wanted = list(numbers)
    queue: Queue[Any] = Queue(1)
    cancelled = threading.Event()

    def work() -> None:
        try:
            for number in wanted:
                made = make(number, cancelled)
                if cancelled.is_set():
                    return
                queue.put(made)
        except BaseException as error:
            queue.put(error)

    thread = threading.Thread(target=work, daemon=True, name=name)
    thread.start()
    try:
        with _short_turns():
            for _ in wanted:
                item = queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
    finally:
        cancelled.set()
        while thread.is_alive():  # it may be waiting for room in the queue
            if not queue.empty():
                queue.get_nowait()
            thread.join(timeout=0.05)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Python's threads take turns of at most `TURN`, not of the usual 5 ms.

    A training asks for the interpreter a few times in each step, and the thread beside it that makes clips would keep
    it for a whole turn each time.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
