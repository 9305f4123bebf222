"""The linear memory of a Legendre memory unit: a fixed state space that holds the last frames of one signal.

After Voelker, Kajic and Eliasmith, "Legendre Memory Units: Continuous-Time Representation in Recurrent Neural Networks"
(NeurIPS 2019). In continuous time, with the window as the unit of time, m' = A m + B u; the states are weights of the
first Legendre polynomials, whose sum is the signal over the window. One step of a frame is its zero-order hold:

    m[t] = A m[t-1] + B u[t]

Nothing in it is learned, and it is linear: m[t] is the sum of A**k B u[t-k] over all frames k back. So what a whole
clip makes is a product with fixed numbers, the impulse response, and a stream gives the same by the step above.

The matrices are the int16 that the integer network has, in training too: only its states are rounded besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor, log2

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST = 2**15 - 1  # of the int16 that matrices and states are
LONGEST_SUM = 2**31 - 1  # of matrix and states
WINDOWS = 8  # after so many an impulse is forgotten


@dataclass(frozen=True)
class Step:
    """One frame. matrix: int16 (order, 1 + order), B and A side by side, which stand for matrix / 2**shift."""

    matrix: Integers
    shift: int

    @property
    def a(self) -> Reals:
        """(order, order)."""
        return self.matrix[:, 1:] / 2.0**self.shift

    @property
    def b(self) -> Reals:
        """(order,)."""
        return self.matrix[:, 0] / 2.0**self.shift

    def impulse_response(self, frames: int) -> Reals:
        """The states (frames, order) after a 1 and then zeros: A**k B."""
        states = [self.b]
        for _ in range(frames - 1):
            states.append(self.a @ states[-1])
        return np.stack(states)


@lru_cache(maxsize=64)
def step(order: int, window: float) -> Step:
    """The step of memories of that order over a window of so many frames; the finest that sums of 32 bits allow."""
    a, b = zero_order_hold(order, window)
    exact = np.concatenate([b[:, None], a], axis=1)
    widest = float(np.abs(exact).sum(1).max())
    shift = floor(min(log2(LARGEST / float(np.abs(exact).max())), log2(LONGEST_SUM / (widest * (LARGEST + 1)) * 0.99)))
    matrix = np.floor(exact * 2.0**shift + 0.5).astype(np.int64)
    matrix.setflags(write=False)  # it is shared
    return Step(matrix, shift)


def zero_order_hold(order: int, window: float) -> tuple[Reals, Reals]:
    """A (order, order) and B (order,) of a frame, exactly."""
    from scipy.signal import cont2discrete

    i, j = np.arange(order)[:, None], np.arange(order)[None, :]
    signs = np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    matrix, vector = (2 * i + 1) * signs, (2 * i + 1) * (-1.0) ** i
    nothing = np.zeros((1, order)), np.zeros((1, 1))  # of what is read from the states
    a, b, *_ = cont2discrete((matrix / window, vector / window, *nothing), dt=1.0, method="zoh")
    return np.asarray(a), np.asarray(b)[:, 0]


def reach(order: int, window: float) -> float:
    """How far a state can go with signals of at most 1."""
    response = step(order, window).impulse_response(floor(WINDOWS * window) + order)
    return float(np.abs(response).sum(0).max())
