"""Number formats: how one number of a layer is represented. One row each, and nothing else knows a width.

A row says which integers there are, how Keras trains numbers of the format, how they lie in flash, and which kernels
compute with them. Readers ask the row; where it has nothing for them a rule decides (`Format.stored`). A new format is
a row here, a quantizer in `hybridq.quantization.quantizers` where QKeras has none, and a kernel where it shall have one
of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Quantizer:
    """How Keras trains numbers of a format: a class of `hybridq.quantization.quantizers`, which bears QKeras' name."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kernels:
    """The kernels in `hybridq/image/c` for layers whose weights have the format: hq_conv_NAME_row, hq_dense_NAME."""

    name: str
    conv: tuple[str, ...]  # files
    dense: tuple[str, ...]
    strip_bytes: int  # what an input takes in the strip of a convolution
    most_inputs: int | None = None  # of one output: with more the kernels' sums leave 32 bits


@dataclass(frozen=True)
class Row:
    """What there is to know of a format. What is None or empty has no form of its own."""

    name: str
    bits: int  # of a number in flash
    colour: str
    integers: Collection[int] = ()  # that a number may be, in steps of a scale; rising
    kernel: Quantizer | None = None  # a depthwise kernel too, with a scale for each channel
    bias: Quantizer | None = None
    outputs: Quantizer | None = None
    bytes_for: int | None = None  # weights packed as bytes: so many integers in each
    signs: bool = False  # it keeps little more than the sign of a latent weight: `training.latent_clip` bounds that
    planes: Mapping[int, str] = field(default_factory=dict)  # packed as rows of bits: the bit of an integer in each row
    kernels: Kernels | None = None


def _bits(bits: int) -> Quantizer:
    """A scale for each output channel, fitted to the latent weights."""
    return Quantizer("quantized_bits", {"bits": bits, "integer": 0, "symmetric": 1, "alpha": "auto"})


def _fixed(bits: int) -> Quantizer:
    """The range +-8: a scale that follows the batch would differ between training and the device."""
    return Quantizer("quantized_bits", {"bits": bits, "integer": 3, "symmetric": 1, "alpha": 1.0})


def _bit_kernels(name: str) -> Kernels:
    """Sums over the inputs whose bit is set."""
    return Kernels(name, ("hq_conv_bits.c", "hq_bits.c"), ("hq_dense_bits.c", "hq_bits.c"), strip_bytes=1)


GRID = "Grid"  # the quantizer of tensors that the integer network stores
_BYTES = ("hq_dense.c", "hq_dense.h")


class Format(str, Enum):
    """How one number is represented, from wide to narrow."""

    FLOAT32 = Row("float32", 32, "#767676")
    INT8 = Row(
        "8-bit",
        8,
        "#0072b2",
        integers=range(-127, 128),
        kernel=_bits(8),
        bias=_fixed(8),
        outputs=Quantizer(GRID),  # its step is calibrated
        bytes_for=1,
        kernels=Kernels("s8", ("hq_conv.c", "hq_conv_s8.c"), (*_BYTES, "hq_dense_s8.c"), strip_bytes=2),
    )
    INT4 = Row(
        "4-bit",
        4,
        "#00875f",
        integers=range(-7, 8),
        kernel=_bits(4),
        bias=_fixed(4),
        outputs=_fixed(4),
        bytes_for=2,
        kernels=Kernels(  # its sums are of 16 times the products
            "s4", ("hq_conv.c", "hq_conv_s4.c"), (*_BYTES, "hq_dense_s4.c"), strip_bytes=2, most_inputs=80_000
        ),
    )
    INT2 = Row(
        "2-bit",
        2,
        "#8a6d00",
        integers=(-3, -1, 1, 3),  # evenly spaced about 0: of two bits the least error, and two sums of binary weights
        kernel=Quantizer("levels", {"alpha": "auto"}),
        outputs=Quantizer("levels", {"alpha": 0.5}),
        planes={-3: "00", -1: "01", 1: "10", 3: "11"},
        kernels=_bit_kernels("i2"),
    )
    TERNARY = Row(
        "ternary",
        2,
        "#a6589a",
        integers=(-1, 0, 1),
        kernel=Quantizer("ternary", {"alpha": "auto"}),
        outputs=Quantizer("ternary", {"alpha": 1.0}),
        signs=True,
        planes={-1: "01", 0: "00", 1: "10"},
        kernels=_bit_kernels("t2"),
    )
    BINARY = Row(
        "binary",
        1,
        "#c85200",
        integers=(-1, 1),
        kernel=Quantizer("binary", {"alpha": "auto"}),
        outputs=Quantizer("binary", {"alpha": 1.0}),
        signs=True,
        planes={-1: "0", 1: "1"},
        kernels=_bit_kernels("b1"),
    )

    row: Row

    def __new__(cls, row: Any) -> Format:
        """A member is its name as text ("8-bit"), which recipes and reports hold."""
        member = str.__new__(cls, row.name)
        member._value_ = row.name
        member.row = row
        return member

    def __str__(self) -> str:
        return self.row.name

    @property
    def bits(self) -> int:
        """Bits that one number takes when packed."""
        return self.row.bits

    @property
    def largest(self) -> int:
        """The largest of its integers; the smallest is its negative. 0 where it has none."""
        return max(self.row.integers, default=0)

    @property
    def has_zero(self) -> bool:
        """Whether a number may be 0."""
        return not self.row.integers or 0 in self.row.integers

    @property
    def on_grid(self) -> bool:
        """Whether outputs are on a calibrated grid, as the integer network stores its tensors."""
        return self.row.outputs is not None and self.row.outputs.name == GRID

    @property
    def stored(self) -> Format:
        """The format in which weights lie in flash and are computed with: the next wider one that has kernels."""
        return next(one for one in reversed(Format) if one.row.kernels and one.holds(self.row.integers, self.bits))

    @property
    def kernels(self) -> Kernels:
        """The kernels that compute with weights as they are stored."""
        kernels = self.stored.row.kernels
        assert kernels
        return kernels

    def holds(self, integers: Collection[int], bits: int = 1) -> bool:
        """Whether its numbers may be all these integers, in as many bits or more."""
        return self.bits >= bits and set(integers) <= set(self.row.integers)


def holding(largest: int) -> Format:
    """The narrowest format with kernels whose integers reach from -largest to largest; raises StopIteration."""
    return next(one for one in reversed(Format) if one.row.kernels and one.holds(range(-largest, largest + 1)))


INTEGERS = tuple(one for one in Format if one.row.integers)  # the formats that the integer network has
