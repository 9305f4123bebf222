"""Pruned weights in flash: what is unpacked is what was packed, in fewer bytes, and the C gives the same sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_builds import Made, some_inputs
from network_runs import expected, machine

from hybridq.formats import Format
from hybridq.image import sparse
from hybridq.image.constants import constants_bytes
from hybridq.image.emit import emit, kernel_files
from hybridq.image.memory_plan import plan
from hybridq.image.packing import packed_bytes
from hybridq.integer.network import Dense, IntegerNetwork

SEEDS = st.integers(0, 2**32 - 1)


class Pruned(Made):
    """Its weights are zero but for a share."""

    def __init__(self, shape: tuple[int, ...], seed: int, kept: float) -> None:
        super().__init__(shape, seed)
        self.kept = kept

    def _weights(self, shape: tuple[int, ...], width: Format) -> np.ndarray:
        return super()._weights(shape, width) * (self.random.random(shape) < self.kept)


def pruned(inputs: int, outputs: int, kept: float, seed: int = 0) -> IntegerNetwork:
    made = Pruned((inputs,), seed, kept)
    made.dense(made.dense("input", outputs, Format.INT4, behind=4), 5, Format.INT4, logits=True)
    return made.network()


def weights_of(inputs: int, outputs: int, kept: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(-7, 8, (inputs, outputs)) * (random.random((inputs, outputs)) < kept)


@given(st.integers(1, 200), st.integers(1, 9), st.floats(0, 1), SEEDS)
def test_unpacking_gives_back_the_weights(inputs: int, outputs: int, kept: float, seed: int) -> None:
    weights = weights_of(inputs, outputs, kept, seed)
    packed = sparse.pack(weights)
    assert len(packed) % 4 == 0
    np.testing.assert_array_equal(sparse.unpack(packed, weights.shape), weights)
    counts = np.frombuffer(packed, "<u2", outputs)
    entries = np.frombuffer(packed, np.uint8)[2 * (outputs + outputs % 2) :]
    for row in np.split(entries.astype(np.int64), 4 * np.cumsum(counts)[:-1]):
        assert (row % 16 + 1).sum() <= inputs + -inputs % 4  # how far the kernel reads


@pytest.mark.parametrize(("kept", "most"), [(0.2, 0.45), (0.09, 0.25)])
def test_four_fifths_and_nine_tenths_of_zeros_take_less_than_half_and_a_quarter(kept: float, most: float) -> None:
    layer = pruned(288, 160, kept).layers[0]
    assert sparse.is_sparse(layer)
    assert constants_bytes(layer) - 9 * 160 < most * packed_bytes((288, 160), Format.INT4)


def test_only_dense_layers_of_4_bits_with_many_zeros_are_sparse() -> None:
    assert not sparse.is_sparse(pruned(64, 32, 0.6).layers[0])
    assert not sparse.is_sparse(pruned(288, 96, 0.45).layers[0])  # smaller, but slower
    assert not sparse.is_sparse(pruned(64, 32, 0.0).layers[0])  # an outline, which knows no weights
    made = Pruned((4, 4, 8), 0, 0.1)
    made.dense(made.dense(made.conv("input", 8, (1, 1), width=Format.INT4), 9), 3, logits=True)
    assert not any(map(sparse.is_sparse, made.layers))


def test_the_c_has_the_one_kernel_that_it_needs() -> None:
    network = pruned(200, 30, 0.1)
    planned = plan(network)
    assert "hq_dense_sparse.c" in kernel_files(planned)
    assert "hq_dense_s4.c" not in kernel_files(planned)
    assert "4 bits, without zeros" in emit(network, planned)["network_constants.h"]


@settings(max_examples=8)
@given(st.integers(60, 300), st.integers(1, 40), st.floats(0.02, 0.3), SEEDS)
def test_the_c_gives_the_same_logits_here(inputs: int, outputs: int, kept: float, seed: int) -> None:
    check("here", pruned(inputs, outputs, kept, seed))


@pytest.mark.parametrize("name", ["zig", "gcc", "zig portable"])
@pytest.mark.parametrize("kept", [0.2, 0.05])
def test_the_c_gives_the_same_logits_on_the_board(name: str, kept: float) -> None:
    check(name, pruned(231, 40, kept))


def check(name: str, network: IntegerNetwork) -> None:
    layer = network.layers[0]
    assert isinstance(layer, Dense)
    inputs = some_inputs(network, 6)
    np.testing.assert_array_equal(machine(name).answers(network, inputs), expected(network, inputs))
