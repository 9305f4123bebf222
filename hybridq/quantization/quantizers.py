"""The quantizers that train numbers of each format, named by the rows of `hybridq.formats`.

Importing this registers them with Keras, so that saved models load. They are QKeras' own, which bear the format's name
as a setting: a saved model says by it how its numbers are represented, and no width is read back from other settings.

The kernel of a depthwise layer has a scale for each channel. QKeras takes the last axis of a kernel as its channels,
but a depthwise kernel is (rows, columns, channels, multiplier): there all channels would share one scale.

Grid is for tensors between layers: what the integer network stores (`hybridq.integer`). QKeras' quantized_bits rounds
halves to even and lets gradients through where it clips.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hybridq.backend.tensorflow import load_qkeras
from hybridq.formats import Format, Quantizer

load_qkeras()
import qkeras  # noqa: E402
from qkeras.base_quantizer import BaseQuantizer  # noqa: E402

LOWEST, HIGHEST = -128, 127
NORMAL_SCALE = 0.624  # times the mean magnitude: the best scale of -3, -1, 1, 3 for normally distributed weights
FITS = 3  # of that scale to the weights there are
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
        return {"fraction": self.fraction, "format": Format.INT8.value}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Grid:
        """The grid of `get_config`."""
        return cls(config["fraction"])


def _rounded(x: Any, step: float) -> Any:
    """A grid of that step in fewer operations over the whole tensor: for the gradient TensorFlow has one."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rounded(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            return tf.quantization.fake_quant_with_min_max_args_gradient(
                upstream, x, min=LOWEST * step, max=HIGHEST * step
            )

        return tf.clip_by_value(tf.floor(x / step + 0.5), LOWEST, HIGHEST) * step, gradient

    return rounded(x)


class _OfFormat:
    """A quantizer of QKeras that knows the format of its numbers, and where the channels of its kernel are.

    depthwise: axes 2 and 3, transposed: axis 2; else the last.
    """

    format: Format | None = None
    depthwise = False
    transposed = False

    def __call__(self, x: Any) -> Any:
        if self.transposed:
            return ops.swapaxes(super().__call__(ops.swapaxes(x, -1, -2)), -1, -2)  # type: ignore[misc]
        if not self.depthwise:
            return super().__call__(x)  # type: ignore[misc]
        channels_last = ops.reshape(x, (*x.shape[:2], -1))
        return ops.reshape(super().__call__(channels_last), x.shape)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """The settings of QKeras, and the format."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        transposed = {"transposed": True} if self.transposed else {}
        return config | {"format": self.format and self.format.value, "depthwise": self.depthwise} | transposed

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The quantizer of `get_config`."""
        settings = dict(config)
        of_format, depthwise = settings.pop("format", None), settings.pop("depthwise", cls.depthwise)
        transposed = settings.pop("transposed", False)
        quantizer: Any = cls(**settings)
        quantizer.format, quantizer.depthwise = of_format and Format(of_format), depthwise
        quantizer.transposed = transposed
        return quantizer


@keras.saving.register_keras_serializable(package=PACKAGE)
class quantized_bits(_OfFormat, qkeras.quantized_bits):  # type: ignore[misc]
    """Integers of so many bits, the smallest left out where symmetric."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class ternary(_OfFormat, qkeras.ternary):  # type: ignore[misc]
    """-1, 0 and 1."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class binary(_OfFormat, qkeras.binary):  # type: ignore[misc]
    """-1 and 1."""


class _Levels(BaseQuantizer):  # type: ignore[misc]
    """Weights as -3, -1, 1 and 3 times a scale, in the way of QKeras' quantizers."""

    def __init__(self, alpha: float | str = "auto") -> None:
        super().__init__()
        self.alpha, self.bits = alpha, 2
        self.scale: Any = None

    def __call__(self, x: Any) -> Any:
        channels = tuple(range(len(x.shape) - 1))
        if self.alpha == "auto":
            self.scale = NORMAL_SCALE * ops.mean(ops.abs(x), axis=channels, keepdims=True)
            for _ in range(FITS):
                odd = _odd(x, self.scale)
                self.scale = ops.mean(x * odd, axis=channels, keepdims=True) / ops.mean(
                    odd * odd, axis=channels, keepdims=True
                )
        else:
            self.scale = float(self.alpha)
        return x + ops.stop_gradient(self.scale * _odd(x, self.scale) - x)

    def __str__(self) -> str:
        return f"levels(alpha={self.alpha!r})"

    def max(self) -> float:
        """The bound that QKeras puts on latent weights."""
        return 1.0

    def min(self) -> float:
        """The bound that QKeras puts on latent weights."""
        return -1.0

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to make it again."""
        return {"alpha": self.alpha}


@keras.saving.register_keras_serializable(package=PACKAGE)
class levels(_OfFormat, _Levels):
    """-3, -1, 1 and 3 times a scale: that of the least squared error in each channel (the last axis), or a number.

    alpha: "auto" or the scale. The gradient passes unchanged (straight-through estimator).
    """


def _odd(x: Any, scale: Any) -> Any:
    """The nearest of -3, -1, 1 and 3 steps."""
    return 2 * ops.clip(ops.floor(x / (2 * scale + keras.config.epsilon() ** 2)), -2, 1) + 1


class _OfEarlierVersions:
    """For models that were saved when depthwise quantizers had classes of their own."""

    depthwise = True


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseBits(_OfEarlierVersions, quantized_bits):
    """quantized_bits of a depthwise kernel."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseTernary(_OfEarlierVersions, ternary):
    """ternary of a depthwise kernel."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseBinary(_OfEarlierVersions, binary):
    """binary of a depthwise kernel."""


def quantizer_of(part: Quantizer, of_format: Format, kind: str = "") -> Any:
    """A new quantizer, as the row of a format says for a kernel, a bias or outputs.

    A scale is fitted to what the quantizer sees, so that each weight needs one of its own.
    """
    quantizer = globals()[part.name](**part.settings)
    quantizer.format, quantizer.depthwise = of_format, kind == "DepthwiseConv2D"
    quantizer.transposed = kind == "Conv2DTranspose"
    return quantizer
