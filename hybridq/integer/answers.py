"""What the outputs of an integer network are in real numbers: values, probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.integer import arithmetic
from hybridq.integer.network import INT8, Grid, IntegerNetwork

Reals = NDArray[np.float64]
MOST_BEYOND = 0.05  # of the numbers of inputs: a calibration leaves out fewer


def answers(network: IntegerNetwork, inputs: NDArray[np.int8]) -> list[Reals]:
    """For inputs (examples, *input_shape), output by output, what the network answers: (examples, *shape).

    Integers times the step of their layer, then the function that the network's description names: of one with labels
    softmax, where it names none.
    """
    return answers_of(network, arithmetic.outputs(network, inputs))


def answers_of(network: IntegerNetwork, outputs: list[Any]) -> list[Reals]:
    """What integers (examples, *shape), output by output, answer; see `answers`."""
    values = zip(outputs, network.results, activations(network), strict=True)
    return [FUNCTIONS[function](numbers_of(made, layer.stands_for)) for made, layer, function in values]


def numbers_of(integers: Any, grid: Grid) -> Reals:
    """What integers on a grid stand for."""
    numbers: Reals = (integers.astype(np.float64) - grid.zero) * grid.scale
    return numbers


def inputs_of(network: IntegerNetwork, values: NDArray[Any]) -> NDArray[np.int8]:
    """Real numbers (examples, ...) as the network reads them: rescaled where it says so, and rounded to its grid.

    A sequence (steps, channels) is an image of one row to the network.
    """
    scaled, by = np.asarray(values), network.description.rescaling
    if by is not None:
        scaled = scaled.astype(np.float64) * np.array(by["scale"]) + np.array(by["offset"])
    return arithmetic.on_grid(scaled, network.reads).reshape(-1, *network.input_shape)


def beyond(network: IntegerNetwork, values: NDArray[Any]) -> float:
    """The share, 0 to 1, of real numbers (examples, ...) that lie more than a step beyond the grid of the input."""
    numbers, by, grid = np.asarray(values, np.float64), network.description.rescaling, network.reads
    if by is not None:
        numbers = numbers * np.array(by["scale"]) + np.array(by["offset"])
    steps = numbers / grid.scale + grid.zero
    return float(np.mean((steps < INT8[0] - 1) | (steps > INT8[1] + 1)))


def range_note(network: IntegerNetwork, share: float) -> str:
    """What a user is told where inputs are of another scale than the network reads; "" where they are not."""
    if share <= MOST_BEYOND:
        return ""
    low, high = numbers_of(np.array(INT8), network.reads)
    rescaled = " after its own rescaling" if network.description.rescaling is not None else ""
    return (
        f"{100 * share:.0f} % of the input numbers are beyond {low:.4g} to {high:.4g}, all that the network reads"
        f"{rescaled}: are they scaled as those that it was calibrated on?"
    )


def activations(network: IntegerNetwork) -> tuple[str, ...]:
    """For each output the function that makes answers of it, "" for none."""
    about = network.description
    return about.activation or ("softmax" if about.labels else "",) * len(network.outputs)


def _softmax(values: Reals) -> Reals:
    powers = np.exp(values - values.max(-1, keepdims=True))
    shares: Reals = powers / powers.sum(-1, keepdims=True)
    return shares


def _sigmoid(values: Reals) -> Reals:
    shares: Reals = 0.5 * (1 + np.tanh(0.5 * values))
    return shares


FUNCTIONS: dict[str, Callable[[Reals], Any]] = {
    "": np.asarray,
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}
