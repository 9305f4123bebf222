"""What must not take long, on a machine that may be slow or busy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TRIES = 3  # neighbours on a processor's core slow a try down too
YARDSTICK_SECONDS = 0.016  # of a Xeon of 2023
_TEXT = json.dumps([{"name": f"x{i}", "shape": [i, 2, 3]} for i in range(200)])


def soon(action: Callable[[], T], seconds: float = 1.0) -> T:
    """What the action gives, which takes at most so long in one of several tries.

    The seconds are processor time, of children too, on the machine of the yardstick; one that is slower just now has
    as many more.
    """
    for _ in range(TRIES):
        start = _processor_time()
        given = action()
        taken = _processor_time() - start
        if taken < seconds or (taken := taken * YARDSTICK_SECONDS / _yardstick()) < seconds:
            return given
    raise AssertionError(f"takes {taken:.2f} s of the yardstick's machine, more than {seconds}: {given!s:.500}")


def _yardstick() -> float:
    """Seconds of processor time that a fixed piece of Python takes here and now."""
    start = _processor_time()
    for _ in range(40):
        found = [one | {"size": sum(one["shape"])} for one in json.loads(_TEXT)]
        found.sort(key=lambda one: one["size"])
    return _processor_time() - start


def _processor_time() -> float:
    """Seconds of this process and of those that it has waited for: a busy machine holds up the clock, but not these."""
    return time.process_time() + sum(os.times()[2:4])
