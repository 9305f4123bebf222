"""Weights packed for the device: what is unpacked is what was packed, in the bytes that the widths say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridq.formats import INTEGERS, Format
from hybridq.image import channels, packing
from hybridq.integer.network import Convolution, Dense

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 100), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 20)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 20), st.integers(1, 9)),
)


def weights_of(width: Format, shape: tuple[int, ...], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.choice(list(width.row.integers), shape)


@given(st.sampled_from(INTEGERS), SHAPES, SEEDS)
def test_unpacking_gives_back_the_weights(width: Format, shape: tuple[int, ...], seed: int) -> None:
    weights = weights_of(width, shape, seed)
    packed = packing.pack(weights, width)
    assert len(packed) % 4 == 0
    assert len(packed) == packing.packed_bytes(shape, width)
    assert np.array_equal(packing.unpack(packed, shape, width), weights)


@pytest.mark.parametrize("width", INTEGERS)
@pytest.mark.parametrize("shape", [(768, 64), (3, 3, 32, 64), (3, 3, 64, 32)])
def test_no_byte_more_than_the_width_says(width: Format, shape: tuple[int, ...]) -> None:
    assert len(packing.pack(weights_of(width, shape, 0), width)) * 8 == np.prod(shape) * width.bits


def test_the_order_of_bits_is_that_of_uadd8() -> None:
    """Doubling every byte of a word moves one bit of each out at the top: those of four inputs that lie together."""
    weights = weights_of(Format.BINARY, (32, 4), 1)
    for output, word in enumerate(np.frombuffer(packing.pack(weights, Format.BINARY), "<u4")):
        tops = word.tobytes()
        for first in range(0, 32, 4):
            assert [1 if byte & 0x80 else -1 for byte in tops] == weights[first : first + 4, output].tolist()
            tops = bytes(byte << 1 & 0xFF for byte in tops)


@given(st.sampled_from([Format.BINARY, Format.TERNARY]), st.integers(1, 50), st.integers(1, 5), SEEDS)
def test_the_bias_takes_off_what_unsigned_inputs_add(width: Format, inputs: int, outputs: int, seed: int) -> None:
    weights, random = weights_of(width, (inputs, outputs), seed), np.random.default_rng(seed)
    bias, x = random.integers(-(2**20), 2**20, outputs), random.integers(-128, 128, inputs)
    layer = Dense("d", ("x",), (outputs,), 0, weights=weights, width=width, bias=bias)
    assert np.array_equal((x + 128) @ weights + channels.packed_bias(layer), x @ weights + bias)


def test_scratch_is_a_strip_of_columns() -> None:
    shape = (3, 3, 16, 32)
    for width, each, sums in ((Format.INT8, 2, 4), (Format.INT4, 2, 4), (Format.TERNARY, 1, 0), (Format.BINARY, 1, 0)):
        layer = Convolution("c", ("x",), (8, 8, 32), 0, weights=np.ones(shape, np.int64), width=width, strides=(2, 2))
        assert packing.scratch_bytes(layer, 4) == (3 * 2 + 3) * (each * 3 * 16 + sums)
