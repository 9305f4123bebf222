"""Quantizers of our own beside those of QKeras; importing this registers them with Keras, so that saved models load.

Grid is for tensors between layers: what the integer network stores (`hybridq.integer`). QKeras' quantized_bits rounds
halves to even and lets gradients through where it clips.

The Depthwise ones give each channel a scale of its own. QKeras takes the last axis of a kernel as its channels, but a
depthwise kernel is (rows, columns, channels, multiplier): there all channels would share one scale.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hybridq.backend.tensorflow import load_qkeras

load_qkeras()
import qkeras  # noqa: E402

LOWEST, HIGHEST = -128, 127
PACKAGE = "hybridq"


@keras.saving.register_keras_serializable(package=PACKAGE)
class Grid:
    """int8 values q of step 2**-fraction: q = floor(x * 2**fraction + 1/2), clipped to -128..127.

    The gradient passes unchanged where nothing is clipped. With fraction None, everything passes: for calibration.
    """

    def __init__(self, fraction: int | None) -> None:
        self.fraction = fraction

    def __call__(self, x: Any) -> Any:
        if self.fraction is None:
            return x
        step = 2.0**-self.fraction
        if keras.backend.backend() == "tensorflow" and keras.backend.standardize_dtype(x.dtype) == "float32":
            return _rounded(x, step)
        inside = ops.clip(x, LOWEST * step, HIGHEST * step)
        rounded = ops.clip(ops.floor(x / step + 0.5), LOWEST, HIGHEST) * step
        return inside + ops.stop_gradient(rounded - inside)

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to make it again."""
        return {"fraction": self.fraction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Grid:
        """The grid of `get_config`."""
        return cls(**config)


def _rounded(x: Any, step: float) -> Any:
    """The same in fewer operations over the whole tensor: for the gradient TensorFlow has one."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rounded(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            return tf.quantization.fake_quant_with_min_max_args_gradient(
                upstream, x, min=LOWEST * step, max=HIGHEST * step
            )

        return tf.clip_by_value(tf.floor(x / step + 0.5), LOWEST, HIGHEST) * step, gradient

    return rounded(x)


class _PerChannel:
    """Shows a quantizer a depthwise kernel with its channels as the last axis."""

    def __call__(self, kernel: Any) -> Any:
        flat = ops.reshape(kernel, (*kernel.shape[:2], -1))
        return ops.reshape(super().__call__(flat), kernel.shape)  # type: ignore[misc]


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseBits(_PerChannel, qkeras.quantized_bits):  # type: ignore[misc]
    """quantized_bits with a scale for each channel of a depthwise kernel."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseTernary(_PerChannel, qkeras.ternary):  # type: ignore[misc]
    """ternary with a scale for each channel of a depthwise kernel."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseBinary(_PerChannel, qkeras.binary):  # type: ignore[misc]
    """binary with a scale for each channel of a depthwise kernel."""
