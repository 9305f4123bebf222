"""An LSTM whose outputs are projected from its cells, with peepholes; importing this registers it with Keras.

QKeras has no such layer: `QProjectedLSTM` is the one with its quantizers.

After Sak et al., "Long Short-Term Memory Based Recurrent Neural Network Architectures for Large Vocabulary Speech
Recognition" (arXiv 1402.1128): what is fed back is the projection, so that the matrices of the gates are as wide as
that and not as the cells. The gates also see the cell itself, each by one weight a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from hybridq.backend.tensorflow import load_qkeras

PACKAGE = "hybridq"
Tensors = list[Any]


class _Cell(layers.Layer):  # type: ignore[misc]
    """One step: the states are the projected output (batch, projection) and the cells (batch, units)."""

    def __init__(self, units: int, projection: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.projection = units, projection
        self.state_size, self.output_size = [projection, units], projection

    def build(self, shape: tuple[int, ...]) -> None:
        gates = 4 * self.units  # input, forget, candidate, output
        self.kernel = self.add_weight(shape=(shape[-1], gates), initializer="glorot_uniform", name="kernel")
        self.recurrent = self.add_weight(shape=(self.projection, gates), initializer="orthogonal", name="recurrent")
        self.bias = self.add_weight(shape=(gates,), initializer=_forget_nothing, name="bias")
        self.peepholes = self.add_weight(shape=(3, self.units), initializer="zeros", name="peepholes")
        self.project = self.add_weight(
            shape=(self.units, self.projection), initializer="glorot_uniform", name="projection"
        )

    def call(self, x: Any, states: Tensors, training: bool = False) -> tuple[Any, Tensors]:
        fed_back, cells = states
        kernel, recurrent, bias, peepholes, project = self.acting()
        sums = ops.matmul(x, kernel) + ops.matmul(fed_back, recurrent) + bias
        enter, forget, candidate, leave = ops.split(sums, 4, axis=-1)
        enter = ops.sigmoid(enter + peepholes[0] * cells)
        forget = ops.sigmoid(forget + peepholes[1] * cells)
        cells = forget * cells + enter * ops.tanh(candidate)
        leave = ops.sigmoid(leave + peepholes[2] * cells)
        projected = ops.matmul(leave * ops.tanh(cells), project)
        return projected, [projected, cells]

    def acting(self) -> Tensors:
        """The weights as a step uses them: kernel, recurrent kernel, bias, peepholes, projection."""
        return [self.kernel, self.recurrent, self.bias, self.peepholes, self.project]


class _QuantizedCell(_Cell):
    """The kernel's quantizer is that of the peepholes and of the projection too; each has scales of its own."""

    def __init__(self, units: int, projection: int, kernel: Any, recurrent: Any, bias: Any) -> None:
        super().__init__(units, projection)
        self.quantizers = [_quantizer(one) for one in (kernel, recurrent, bias, kernel, kernel)]

    def get_config(self) -> dict[str, Any]:
        """Nothing: the layer around it is what is saved."""
        return {}

    def acting(self) -> Tensors:
        kernel, recurrent, bias, peepholes, project = super().acting()
        weights = (kernel, recurrent, bias, ops.transpose(peepholes), project)  # scales are those of the last axis
        *others, peepholes, project = [to(one) for to, one in zip(self.quantizers, weights, strict=True)]
        return [*others, ops.transpose(peepholes), project]


@keras.saving.register_keras_serializable(package=PACKAGE)
class ProjectedLSTM(layers.RNN):  # type: ignore[misc]
    """Input (batch, steps, features), output the last step's (batch, projection)."""

    def __init__(self, units: int, projection: int, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(_Cell(units, projection), name=name, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to make it again."""
        config = super().get_config()
        del config["cell"]
        return {**config, "units": self.cell.units, "projection": self.cell.projection}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ProjectedLSTM:
        """The layer of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package=PACKAGE)
class QProjectedLSTM(ProjectedLSTM):
    """ProjectedLSTM with quantized weights.

    Quantizers are given as to QKeras' QLSTM: objects, their saved form or their text; None is float32.
    """

    def __init__(
        self,
        units: int,
        projection: int,
        kernel_quantizer: Any = None,
        recurrent_quantizer: Any = None,
        bias_quantizer: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        cell = _QuantizedCell(units, projection, kernel_quantizer, recurrent_quantizer, bias_quantizer)
        layers.RNN.__init__(self, cell, name=name, **kwargs)
        self.given = {
            "kernel_quantizer": kernel_quantizer,
            "recurrent_quantizer": recurrent_quantizer,
            "bias_quantizer": bias_quantizer,
        }

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to make it again."""
        saved = {key: keras.saving.serialize_keras_object(one) for key, one in self.given.items()}
        return {**super().get_config(), **saved}


def _quantizer(given: Any) -> Callable[[Any], Any]:
    """A quantizer like the given one, with scales of its own; None lets everything pass."""
    if given is None:
        return lambda weights: weights
    quantizer = load_qkeras().get_quantizer(given)
    return type(quantizer).from_config(quantizer.get_config())  # type: ignore[no-any-return]


def _forget_nothing(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Biases of 1 for the forget gates, 0 for the others, as Keras' own LSTM begins."""
    units = shape[0] // 4
    return ops.concatenate([ops.zeros(units, dtype), ops.ones(units, dtype), ops.zeros(2 * units, dtype)])
