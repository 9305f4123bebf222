"""QKeras' own quantizers of tensors, as the grids of int8 that hold the same numbers.

A `quantized_bits(8, 3, 1)` between layers stores int8 of step 2**-4. An unsigned `quantized_relu(8, 3)` has twice as
many levels as int8 has above zero: it becomes a ReLU and the grid that reaches as far, of twice the step; one of 7 bits
or fewer becomes a ReLU with its highest level as a bound, and loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hybridq.errors import UserError

# Functions that QKeras' quantizers compute before they round, and whether the results are never negative.
FUNCTIONS = {"quantized_bits": "", "quantized_linear": "", "quantized_relu": "relu", "quantized_tanh": "tanh"}
BITS = 8


@dataclass(frozen=True)
class OwnGrid:
    """What a quantizer does in int8: a nonlinearity as a Keras layer, None for none; then the grid."""

    function: Any
    grid: Any


def grid_of(activation: Any, where: str) -> OwnGrid | None:
    """What a layer's activation is in int8; None for what is no quantizer of QKeras, or one of this project's.

    Raises UserError, naming the layer, for a quantizer whose step follows the data or has no form in int8.
    """
    kind = type(activation).__name__
    if not type(activation).__module__.startswith("qkeras") or kind not in FUNCTIONS:
        return None
    import keras

    from hybridq.quantization.quantizers import Grid

    alpha = getattr(activation, "alpha", None)
    if isinstance(alpha, str):
        raise UserError(
            f"{where}: the step of {kind}(alpha={alpha!r}) follows the data, so a device cannot know it; give alpha 1"
        )
    bits, integer = int(activation.bits), int(getattr(activation, "integer", 0))
    if kind == "quantized_relu":
        fraction = bits - integer
        if getattr(activation, "negative_slope", 0):
            raise UserError(f"{where}: a quantized_relu with a negative slope has no form in int8; use LeakyReLU")
        if bits >= BITS:
            return OwnGrid(keras.layers.ReLU(), Grid(BITS - 1 - integer))
        return OwnGrid(keras.layers.ReLU(max_value=(2**bits - 1) * 2.0**-fraction), Grid(fraction))
    if bits < BITS:
        return None  # fewer levels than int8 has, on both sides: left as it is
    if kind == "quantized_tanh":
        return OwnGrid(keras.layers.Activation("tanh"), Grid(BITS - 1))
    return OwnGrid(None, Grid(BITS - 1 - integer))
