"""Models saved with Larq (https://docs.larq.dev), of which Keras 3 knows no layers.

A layer of Larq has a quantizer of its kernel, here one of QKeras', and one of what it reads: the sign. `functional`
makes of it a sign and a plain QKeras layer, so that the integer network looks the sign up in a table.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hybridq.backend.tensorflow import load_qkeras
from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.quantization.quantizers import PACKAGE, binary

load_qkeras()
import qkeras  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNS = ("ste_sign", "approx_sign", "swish_sign")  # they differ in their gradients alone
SCALED = "magnitude_aware_sign"  # the sign times the mean magnitude of the channel's weights
KERNELS = ("kernel_quantizer", "depthwise_quantizer")


@keras.saving.register_keras_serializable(package=PACKAGE)  # type: ignore[untyped-decorator]
def sign(x: Any) -> Any:
    """1 where x is 0 or more, else -1; the gradient passes unchanged within -1 to 1 (straight-through estimator)."""
    clipped = ops.clip(x, -1, 1)
    return clipped + ops.stop_gradient(ops.where(x >= 0, 1.0, -1.0) - clipped)


class _ReadsSigns:
    """A layer of QKeras that may read the signs of its input."""

    def __init__(self, *, reads_signs: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.reads_signs = reads_signs

    def call(self, inputs: Any) -> Any:
        """The layer, of the signs."""
        return super().call(sign(inputs) if self.reads_signs else inputs)  # type: ignore[misc]

    def plain(self, name: str) -> Any:
        """A layer of the same settings that reads what it is given."""
        config = self.get_config() | {"name": name}  # type: ignore[attr-defined]
        return type(self).__mro__[2](**config)


class QuantConv1D(_ReadsSigns, qkeras.QConv1D):  # type: ignore[misc]
    """Larq's layer of that name."""


class QuantConv2D(_ReadsSigns, qkeras.QConv2D):  # type: ignore[misc]
    """Larq's layer of that name."""


class QuantDepthwiseConv2D(_ReadsSigns, qkeras.QDepthwiseConv2D):  # type: ignore[misc]
    """Larq's layer of that name."""


class QuantDense(_ReadsSigns, qkeras.QDense):  # type: ignore[misc]
    """Larq's layer of that name."""


LAYERS: dict[str, Any] = {one.__name__: one for one in (QuantConv1D, QuantConv2D, QuantDepthwiseConv2D, QuantDense)}


def is_larq(saved: Any) -> bool:
    """Whether a saved model has layers of Larq."""
    return any(str(layer.get("class_name")) in LAYERS for layer in _layers(saved))


def translated(saved: Any, path: Path) -> Any:
    """What a file says of the model, with Larq's layers described as those here: to be built with LAYERS.

    Raises UserError for what has no counterpart here.
    """
    made = copy.deepcopy(saved)
    for layer in _layers(made):
        if layer["class_name"] not in LAYERS:
            continue
        config = layer["config"]
        where = f"{path}: layer '{config.get('name')}'"
        if pads := config.pop("pad_values", 0):
            raise UserError(f"{where}: pads with {pads} instead of zeros, which has no form here")
        config.pop("metrics", None)
        reads = _name(config.pop("input_quantizer", None))
        if reads not in (None, *SIGNS):
            raise UserError(f"{where}: reads by the quantizer {reads}; there are {', '.join(SIGNS)}")
        config["reads_signs"] = reads is not None
        for key in KERNELS:
            if key in config:
                config[key] = _kernel(_name(config[key]), where)
        for key in [key for key in config if key.endswith("_constraint")]:
            config[key] = None
    return made


def _layers(saved: Any) -> Iterator[dict[str, Any]]:
    """Every layer of a saved model, and of the models inside it."""
    config = saved.get("config") if isinstance(saved, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            yield layer
            yield from _layers(layer)


def _name(quantizer: Any) -> str | None:
    """The name of a quantizer, as Larq writes it in a layer's settings."""
    if isinstance(quantizer, dict):
        return str(keras.src.utils.naming.to_snake_case(str(quantizer.get("class_name"))))
    return None if quantizer is None else str(quantizer)


def _kernel(name: str | None, where: str) -> Any:
    if name is None:
        return None
    if name not in (*SIGNS, SCALED):
        raise UserError(f"{where}: its kernel has the quantizer {name}; there are {', '.join((*SIGNS, SCALED))}")
    quantizer = binary(alpha="auto" if name == SCALED else 1.0)
    quantizer.format = Format.BINARY
    return keras.saving.serialize_keras_object(quantizer)
