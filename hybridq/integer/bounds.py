"""How far sums can go: accumulators are int32 on the device, whatever a network hears."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**31 - 1  # of an int32


def worst_sum(weights: NDArray[Any], added: NDArray[Any] | int = 0, farthest: int = 128) -> NDArray[Any]:
    """The largest magnitude of a sum of products by channel, where all inputs are as far from 0 as they can be.

    weights: (..., channels); added: what each sum begins with, such as its bias; farthest: the largest magnitude of an
    input, 128 of an int8. It must be no more than LARGEST, after the doublings that a sum may have.
    """
    worst: NDArray[Any] = farthest * np.abs(weights).reshape(-1, weights.shape[-1]).sum(0) + np.abs(added)
    return worst
