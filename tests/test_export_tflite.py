"""The `.tflite` file of an integer network, run by LiteRT and, where it is installed, TensorFlow Lite for
Microcontrollers: from what a runtime gave a layer, the layer's result is at most one step off."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
from conftest import command
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from network_builds import Made, reference, some_inputs
from network_draws import averaged, networks, on_grids
from tflite_steps import Weighted, every_tensor, steps_off
from tool_modules import tool_module

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.image.export import macc_of
from hybridq.integer import arithmetic, scaling
from hybridq.integer.artefact import save_network
from hybridq.integer.network import (
    INT16,
    Add,
    Affine,
    AveragePool,
    Dense,
    IntegerNetwork,
    Layer,
    Requantization,
)
from hybridq.profiler import profile
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.tflite.convert import Forms, tflite
from hybridq.tflite.numbers import bits_of, elu_of
from hybridq.tflite.runtimes import runtimes

pytest.importorskip("ai_edge_litert", reason="the package ai-edge-litert is not installed")

CLIPS = 5


def means_of_one_place() -> IntegerNetwork:
    """Found: the mean of a single value, on a grid of twice its step."""
    made = Made((1, 1, 1), 0)
    made.dense(made.average(made.average(made.conv("input", 1, (3, 3), pads=((1, 1), (1, 1))))), 1, logits=True)
    return made.network()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.integers(0, 2**32 - 1))
@example(reference(), 0)
@example(means_of_one_place(), 0)
def test_each_layer_of_any_network_is_at_most_a_step_off(network: IntegerNetwork, seed: int) -> None:
    network = on_grids(network, seed)
    for runtime, found in every_tensor(network, some_inputs(network, CLIPS, seed)).items():
        for layer in network.layers:
            assert steps_off(layer, found, network).max() <= 1, (runtime, layer.name)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 2), (1, 3, 2), (2, 4, 2), (5, 7, 2)])
def test_a_mean_has_any_grid_that_six_doublings_of_its_sums_reach(shape: tuple[int, ...]) -> None:
    """Found: a scale of 1/2, as of one place on a grid of twice the step, takes such a doubling."""
    places = shape[0] * shape[1]
    made = Made(shape, 0)
    made.dense(made.average("input"), 3, logits=True)
    pool, last = made.network().layers
    assert isinstance(pool, AveragePool)
    for finer in range(-6, 12):
        if 2**finer >= 2**5 * places:  # six doublings of the 1/2 that a requantization stays below
            with pytest.raises(UserError, match=f"{re.escape(pool.name)}: its results .* finer than its sums"):
                averaged(pool, 4, 4 + finer, places)
            continue
        network = IntegerNetwork("input", shape, 4, (averaged(pool, 4, 4 + finer, places), last))
        coarser = np.arange(40, dtype=np.int8).reshape(-1, 1, 1, 1) % 7
        inputs = some_inputs(network, 40) >> coarser  # else fine grids would clip them all
        for runtime, found in every_tensor(network, inputs).items():
            assert steps_off(network.layers[0], found, network).max() <= 1, (runtime, finer)


@pytest.mark.parametrize("before", [(4, 4), (4, 9), (9, 4)])
def test_a_sum_much_finer_than_what_it_adds_is_refused(before: tuple[int, int]) -> None:
    """Runtimes shift what they add by 20 bits, and end the process where those do not reach the result's grid."""
    made = Made((1, 1, 8), 0)
    other = made.conv("input", 8, (1, 1))
    made.dense(made.add("input", other), 3, logits=True)
    conv, add, last = made.network().layers
    assert isinstance(add, Add)
    for after in (min(before) + 18, min(before) + 19):
        scales, shift = scaling.sum_scales(add.name, before, after)
        layers = (replace(conv, fraction=before[1]), replace(add, fraction=after, scales=scales, shift=shift), last)
        network = IntegerNetwork("input", (1, 1, 8), before[0], layers)
        if after == min(before) + 19:
            with pytest.raises(UserError, match=f"{re.escape(add.name)}: its results .* too much finer"):
                tflite(network)
            continue
        for found in every_tensor(network, some_inputs(network, CLIPS) // 64).values():
            assert steps_off(network.layers[1], found, network).max() <= 1


def test_sums_that_are_doubled() -> None:
    made = Made((24,), 0)
    made.dense(made.dense("input", 8, Format.BINARY), 3, logits=True)
    network = made.network()
    first, last = network.layers
    assert isinstance(first, Dense)
    coarse = replace(first, bias=first.bias % 16, out=replace(first.out, shift=0 * first.out.shift - 2))
    network = on_grids(replace(network, layers=(coarse, last)), 0)
    for found in every_tensor(network, some_inputs(network, CLIPS) // 32).values():
        assert steps_off(network.layers[0], found, network).max() <= 1


def test_xnnpack_rounds_once_as_the_integer_network_does() -> None:
    """All but halves: no sum and no batch norm is off for any other reason. It leaves weights of 4 bits to LiteRT's own
    kernels, which round twice."""
    network, tool = on_grids(reference(), 0), tool_module("compare_tflite")
    (found,) = (one for name, one in every_tensor(network, some_inputs(network)).items() if "XNNPACK" in name)
    narrow = 0
    for layer in network.layers[:-1]:
        if isinstance(layer, Weighted) and bits_of(layer) == 4:
            inputs = tuple(found[name].reshape(-1, *network.shapes[name]) for name in layer.inputs)
            right = tool.stored(layer, inputs, tool.ROUNDINGS["XNNPACK"])
            value = found.get(f"{layer.name} (sums)", found[layer.name]).reshape(right.shape)
            np.testing.assert_array_equal(np.clip(value, layer.out.low, layer.out.high), right, err_msg=layer.name)
            narrow += 1
        else:
            assert (steps_off(layer, found, network) > 0).mean() < 1e-4, layer.name
    assert narrow > 0


def elu(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, np.expm1(np.minimum(values, 0)), values)


def spotter(seed: int = 0) -> IntegerNetwork:
    """A small network of sums that keep to the middle of int8, with ELU and batch norms as a converter makes them."""
    made = Made((20, 14, 1), seed)
    x = made.conv("input", 8, behind=2)
    x = made.max_pool(made.conv(x, 8, behind=2))
    x = made.dense(x, 16)
    made.dense(x, 5, logits=True)
    network = made.network()
    norm = Affine(np.full(8, 213), np.full(8, 180), 15)
    layers: list[Layer] = []
    for layer in network.layers:
        layer = replace(layer, fraction=5)
        if isinstance(layer, Weighted) and layer.out.high != INT16[1]:
            layer = replace(layer, table=arithmetic.table_of(elu, 4, 5), affine=layer.affine and norm)
        layers.append(layer)
    return replace(network, layers=tuple(layers))


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_the_same_where_the_margin_is_wide(seed: int) -> None:
    network = spotter(seed)
    inputs = some_inputs(network, 100, seed)
    right = arithmetic.logits(network, inputs).astype(np.int64)
    runs = runtimes(tflite(network))
    assert len(runs) >= 2
    for name, run in runs.items():
        (logits,) = run(inputs)
        assert logits.shape == right.shape
        assert logits.dtype == np.int16
        off = np.abs(logits - right)
        assert off.mean() < 0.05 * right.std(), name
        margin = np.diff(np.sort(right, 1)[:, -2:], axis=1)[:, 0]
        clear = margin > 2 * off.max(1)
        assert clear.mean() > 0.5
        assert np.array_equal(logits.argmax(1)[clear], right.argmax(1)[clear])


def test_elu_is_the_operator_and_any_other_table_is_gathered() -> None:
    used = {operation.name for operation in Forms(spotter()).operations}
    assert "ELU" in used
    assert "GATHER" not in used
    assert "GATHER" in {operation.name for operation in Forms(reference()).operations}


@given(st.integers(-2, 8), st.integers(0, 4))
def test_an_elu_is_known_by_its_values(before: int, finer: int) -> None:
    table = arithmetic.table_of(elu, before, before + finer)
    found = elu_of(table, before + finer)
    assert found is not None
    assert np.array_equal(table, arithmetic.table_of(elu, *found))
    assert elu_of(np.roll(table, 1), None) is None


@pytest.mark.parametrize("bounds", [(-128, 127), (0, 127), (0, 96), (-5, 60)])
def test_bounds_that_no_activation_has(bounds: tuple[int, int]) -> None:
    made = Made((6, 5, 2), 0)
    x = made.conv("input", 4, behind=1)
    y = made.average(made.add(x, x))
    made.dense(y, 3, logits=True)
    low, high = bounds
    layers = [
        replace(layer, low=low, high=high)
        if isinstance(layer, Add)
        else replace(layer, out=replace(layer.out, low=low, high=high))
        if layer.out.high != INT16[1]
        else layer
        for layer in made.layers
    ]
    network = on_grids(replace(made.network(), layers=tuple(layers)), 0)
    for found in every_tensor(network, some_inputs(network, CLIPS)).values():
        assert all(low <= found[layer.name].min() <= found[layer.name].max() <= high for layer in network.layers[1:3])


def test_a_channel_of_no_weight_and_one_of_a_flat_norm() -> None:
    made = Made((6, 5, 2), 0)
    x = made.conv("input", 2)
    made.dense(x, 3, logits=True)
    first, last = made.network().layers
    out = Requantization(np.array([0, first.out.multiplier[1]]), first.out.shift)
    first = replace(first, out=out, affine=scaling.affine("", np.array([0.003, 0]), np.array([0, 39.06])))
    network = on_grids(IntegerNetwork("input", (6, 5, 2), 4, (first, last)), 0)
    for found in every_tensor(network, some_inputs(network, CLIPS)).values():
        assert steps_off(network.layers[0], found, network).max() <= 1
        assert set(np.unique(found[first.name][..., 1])) == {39}


def test_a_layer_without_a_form_is_named() -> None:
    made = Made((6, 5, 2), 0)
    x = made.conv("input", 2)
    y = made.add(x, x)
    made.dense(y, 3, logits=True)
    network = made.network()
    odd = tuple(replace(one, scales=(3, 5), shift=2) if isinstance(one, Add) else one for one in network.layers)
    with pytest.raises(UserError, match=f"{y}: its scale"):
        tflite(replace(network, layers=odd))


def test_our_own_reader_counts_the_same(tmp_path: Path) -> None:
    network = spotter()
    (tmp_path / "network.tflite").write_bytes(tflite(network))
    said = profile(tmp_path / "network.tflite", accounting="packed").to_json()
    assert not said["not_costed"]
    layers = [layer for layer in said["layers"] if layer["kind"] in ("Conv2D", "Dense")]
    weighted = [layer for layer in network.layers if isinstance(layer, Weighted)]
    for found, layer in zip(layers, weighted, strict=True):
        assert found["parameters"] == layer.weights.size + layer.bias.size
        function = 11 * prod(layer.shape) if layer.table is not None else 0  # of an ELU, by this accounting
        assert found["macc"] == macc_of(layer) + layer.bias.size + function


def test_the_command_writes_it(tmp_path: Path) -> None:

    end = FrontEnd()
    normalisation = Normalisation((0.0,) * end.coefficients, (1.0,) * end.coefficients)
    labels = [f"word {number}" for number in range(10)]
    network = reference(front_end=asdict(end), normalisation=asdict(normalisation), labels=labels)
    save_network(network, tmp_path / "some.hqn")
    export = ("export", tmp_path / "some.hqn", "--out", tmp_path / "out")
    assert command(*export, "--tflite") == 0
    assert (tmp_path / "out" / "network.tflite").read_bytes() == tflite(network)
    assert command(*export) == 0
    assert not (tmp_path / "out" / "network.tflite").exists()
