"""The linear memory of a Legendre memory unit: a fixed state space that holds the last frames of one signal.

After Voelker, Kajic and Eliasmith, "Legendre Memory Units: Continuous-Time Representation in Recurrent Neural Networks"
(NeurIPS 2019). In continuous time, with the window as the unit of time, m' = A m + B u; the states are weights of the
first Legendre polynomials, whose sum is the signal over the window. One step of a frame is its zero-order hold:

    m[t] = A m[t-1] + B u[t]

Nothing in it is learned, and it is linear: m[t] is the sum of A**k B u[t-k] over all frames k back. So what a whole
clip makes is a product with fixed numbers, the impulse response, and a stream gives the same by the step above.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def state_space(order: int, window: float) -> tuple[Reals, Reals]:
    """A (order, order) and B (order,) of one step, for a window of so many frames."""
    from scipy.signal import cont2discrete

    i, j = np.arange(order)[:, None], np.arange(order)[None, :]
    signs = np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    matrix, vector = (2 * i + 1) * signs, (2 * i + 1) * (-1.0) ** i
    nothing = np.zeros((1, order)), np.zeros((1, 1))  # of what is read from the states
    a, b, *_ = cont2discrete((matrix / window, vector / window, *nothing), dt=1.0, method="zoh")
    return np.asarray(a), np.asarray(b)[:, 0]


def impulse_response(order: int, window: float, frames: int) -> Reals:
    """The states (frames, order) after a 1 and then zeros: A**k B."""
    a, b = state_space(order, window)
    states = [b]
    for _ in range(frames - 1):
        states.append(a @ states[-1])
    return np.stack(states)
