"""How much work and waiting something may take, counted: as much on a slow or a busy machine as on any other."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


class _TooMuch(BaseException):
    """No `except Exception` of the action lets it go on."""


def within(action: Callable[[], T], lines: int = 1_000_000) -> T:
    """What the action gives; AssertionError as soon as it has executed more than so many lines of Python.

    A line of a loop counts each time, and lines of libraries count too. Code in C has none, nor has another process.
    """
    executed = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal executed
        executed += event == "line"
        if executed > lines:
            raise _TooMuch
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        given = action()
    except _TooMuch:
        pass
    finally:
        sys.settrace(before)
    assert executed <= lines, f"takes more than {lines:,} lines of Python"
    return given


@contextmanager
def no_pauses() -> Iterator[None]:
    """Whatever is done inside never sleeps, so it does not try again what has failed."""
    pauses: list[float] = []
    this, sleep = threading.current_thread(), time.sleep

    def noted(seconds: float) -> None:
        if threading.current_thread() is this:
            pauses.append(seconds)
        sleep(seconds)

    with patch("time.sleep", noted):
        yield
    assert not pauses
