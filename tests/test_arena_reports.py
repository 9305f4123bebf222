"""The arena beside ST's reports and the code that its tool makes."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import pytest
from arena_networks import Network, planned
from test_accounting import REPORTS, reports, rules_of

from hybridq.formats import Format
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import LayerPrecision
from hybridq.profiler import profile
from hybridq.profiler.accounting import accounting
from hybridq.profiler.count.arena import ram
from hybridq.profiler.count.merge import merge
from hybridq.profiler.count.overlap import lag
from hybridq.profiler.count.scratch import int8_scratch

SEQUENTIAL = [param for param in reports(".tflite") if "mobilenet" not in str(param.values)]


@pytest.mark.parametrize("pair", SEQUENTIAL)
def test_the_ram_of_every_report_on_a_tflite_model_without_branches(pair: dict[str, Any]) -> None:
    totals = profile(REPORTS / pair["model"], accounting=rules_of(pair)).totals
    assert (totals.activations_bytes, totals.ram_bytes) == (pair["activations_rw"], pair["ram_total"])


def int8_layer(kind: str, taps: int, channels: int, filters: int, per_channel: bool = True) -> Operator:
    kernel = (1, taps)
    attributes = {"kernel": kernel, "groups": 1, "per_channel": per_channel}
    return Operator("layer", kind, ("in",), ((9, 9, channels),), (9, 9, filters), attributes)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (int8_layer("Conv2D", 5, 3, 32), 1468),
        (int8_layer("Conv2D", 5, 32, 64), 6656),
        (int8_layer("Conv2D", 3, 64, 96), 7232),
        (int8_layer("Conv2D", 9, 1, 16), 548),
        (int8_layer("Conv2D", 9, 3, 16), 1196),
        (int8_layer("Conv2D", 9, 16, 32), 6144),
        (int8_layer("Conv2D", 9, 32, 64), 7168),
        (int8_layer("Conv2D", 9, 3, 64, per_channel=False), 3820),
        (int8_layer("Conv2D", 9, 32, 64, per_channel=False), 6528),
        (int8_layer("Conv2D", 1, 8, 48), 512),
        (int8_layer("Conv2D", 1, 64, 32, per_channel=False), 256),
        (int8_layer("DepthwiseConv2D", 9, 16, 16), 593),
        (int8_layer("DepthwiseConv2D", 9, 8, 8, per_channel=False), 217),
        (int8_layer("Dense", 1, 96, 64), 2 * 416),
        (int8_layer("Dense", 1, 64, 1), 2 * 69),
    ],
)
def test_scratch_of_8_bit_layers_as_in_generated_code(layer: Operator, size: int) -> None:
    assert int8_scratch(layer) == size


INT8 = LayerPrecision(Format.INT8, Format.FLOAT32, Format.INT8)


def int8(network: Network, per_channel: bool) -> Graph:
    """The network as a TFLite file of 8-bit layers has it."""
    graph = network.graph()
    marked = {"per_channel": per_channel}
    operators = [
        replace(op, precision=INT8, attributes={**op.attributes, **marked} if "Conv" in op.kind else op.attributes)
        for op in graph.operators
    ]
    return replace(graph, operators=tuple(operators))


def simplenet() -> Graph:
    """A network for 32 x 32 pixels, 8-bit; 8.0 runs its pools inside convolutions, but for 1 x 1."""
    network = Network((32, 32, 3))
    for filters, size, pool in (
        *((16, 3, 0), (20, 3, 0), (20, 3, 0), (20, 3, 1), (20, 3, 0), (20, 3, 0), (44, 3, 1), (48, 3, 0)),
        *((48, 3, 1), (96, 3, 1), (512, 1, 0), (128, 1, 1), (128, 3, 0), (100, 1, 0)),
    ):
        network.add("Conv2D", filters=filters, kernel_size=size, padding="same", activation="relu")
        if pool:
            network.add("MaxPooling2D", pool_size=2)
    return int8(network, per_channel=False)


def test_an_8_bit_network_of_8_0() -> None:
    """j0shmillar/uNPU-Bench, simplenet: a report without padding apart, with five pools, four of them merged."""
    graph, rules = simplenet(), accounting("x-cube-ai:8.0")
    steps = merge(graph, rules)
    assert [step.operator.kind for step in steps].count("MaxPooling2D") == 1
    assert ram(graph, steps, rules=rules).activations == 29_576


def mobilenet_v2() -> Graph:
    """MobileNetV2 0.35 for 96 x 96 pixels up to its sixth block, as object detectors have it."""
    network = Network((96, 96, 3))
    x = network.add("Conv2D", filters=16, kernel_size=3, strides=2, padding="same", activation="relu6")
    blocks = ((0, 8, 1), (48, 8, 2), (48, 8, 1), (48, 16, 2), (96, 16, 1), (96, 16, 1))
    for expanded, filters, stride in blocks:
        source = x
        if expanded:
            x = network.add("Conv2D", x, filters=expanded, kernel_size=1, activation="relu6")
        if stride == 2:
            x = network.add("ZeroPadding2D", x, padding=[[0, 1], [0, 1]])
        padding = "valid" if stride == 2 else "same"
        x = network.add("DepthwiseConv2D", x, kernel_size=3, strides=stride, padding=padding, activation="relu6")
        x = network.add("Conv2D", x, filters=filters, kernel_size=1)
        if network.shape(source) == network.shape(x):
            x = network.add("Add", source, x)
    for filters in (96, 32, 3):
        x = network.add("Conv2D", x, filters=filters, kernel_size=1)
    return int8(network, per_channel=True)


def resnet() -> Graph:
    """The start of a residual network for 32 x 32 pixels."""
    network = Network((32, 32, 3))

    def convolution(x: str, filters: int) -> str:
        return network.add("Conv2D", x, filters=filters, kernel_size=3, padding="same", activation="relu")

    x = convolution("input0", 16)
    for _ in range(2):
        before = convolution(x, 20)
        x = network.add("Add", convolution(before, 20), before)
        x = network.add("MaxPooling2D", convolution(x, 20), pool_size=2)
    return int8(network, per_channel=False)


def yoloface() -> Graph:
    """The start of a float network whose pool skips a block."""
    network = Network((56, 56, 3))

    def layer(x: str, filters: int, size: int = 1, stride: int = 1) -> str:
        windowed = {"kernel_size": size, "strides": stride, "padding": "same"}
        if filters:
            return network.add("Conv2D", x, filters=filters, **windowed)
        return network.add("DepthwiseConv2D", x, **windowed)

    def leaky(x: str) -> str:
        return network.add("LeakyReLU", x, negative_slope=0.1)

    x = leaky(layer(leaky(layer("input0", 8, 3, 2)), 0, 3))
    skipped = leaky(layer(layer(x, 4), 18))
    narrow = layer(leaky(layer(skipped, 0, 3, 2)), 6)
    wide = leaky(layer(leaky(layer(narrow, 36)), 0, 3))
    x = leaky(layer(network.add("Add", narrow, layer(wide, 6)), 18))
    pool = network.add("MaxPooling2D", skipped, pool_size=8, strides=2, padding="same")
    leaky(layer(network.add("Concatenate", pool, x), 24))
    return network.graph()


@pytest.mark.parametrize(
    ("graph", "version", "reported", "off"),
    [
        (mobilenet_v2(), "2.1", 119_216, 0),
        (mobilenet_v2(), "8.1", 129_536, +1_780),
        (resnet(), "8.0", 46_880, 0),
        (yoloface(), "8.1", 103_248, -9_072),
    ],
    ids=["mobilenet-2.1", "mobilenet-8.1", "resnet-8.0", "yoloface-8.1"],
)
def test_how_far_networks_that_branch_are_from_reports(graph: Graph, version: str, reported: int, off: int) -> None:
    rules = accounting(f"x-cube-ai:{version}")
    found = ram(graph, merge(graph, rules), rules=rules)
    assert found.activations - reported == off
    assert "branches" in found.planner
    assert (found.least or 0) <= reported <= (found.most or 0)


@pytest.mark.parametrize(
    ("shape", "kind", "config", "version", "distance"),
    [
        ((66, 66, 16), "DepthwiseConv2D", {"kernel_size": 3}, "2.1", 1024),
        ((34, 34, 48), "DepthwiseConv2D", {"kernel_size": 3}, "2.1", 1536),
        ((49, 49, 48), "DepthwiseConv2D", {"kernel_size": 3, "strides": 2}, "2.1", 1152),
        ((50, 50, 16), "DepthwiseConv2D", {"kernel_size": 3}, "8.1", 768),
        ((64, 64, 16), "DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}, "2.1", 2080),
        ((64, 64, 16), "Conv2D", {"filters": 8, "kernel_size": 1}, "2.1", 512),
        ((48, 48, 8), "Conv2D", {"filters": 48, "kernel_size": 1}, "2.1", 94464),
        ((128, 128, 3), "Conv2D", {"filters": 16, "kernel_size": 3, "strides": 2, "padding": "same"}, "2.1", 17424),
        ((96, 96, 3), "Conv2D", {"filters": 16, "kernel_size": 3, "strides": 2, "padding": "same"}, "8.1", 10000),
    ],
)
def test_lag_of_8_bit_layers_as_in_generated_code(
    shape: tuple[int, ...], kind: str, config: dict[str, Any], version: str, distance: int
) -> None:
    network = Network(shape)
    network.add(kind, **config)
    rules = accounting(f"x-cube-ai:{version}")
    (step,) = merge(int8(network, per_channel=True), rules)
    assert lag(step, prod(shape), prod(step.output_shape), True, rules) == distance


def test_an_8_bit_depthwise_convolution_pads_apart() -> None:
    network = Network((9, 9, 4))
    network.add("DepthwiseConv2D", kernel_size=3, padding="same")
    graph = int8(network, per_channel=True)
    sizes = {}
    for version in ("7.2", "8.1"):
        rules = accounting(f"x-cube-ai:{version}")
        sizes[version] = {one.tensor: one for one in ram(graph, merge(graph, rules), rules=rules).lifetimes}
    padded = sizes["8.1"]["DepthwiseConv2D_1 (padded)"]
    assert (padded.bytes, padded.first, padded.last) == (11 * 11 * 4, 0, 0)
    assert len(sizes["8.1"]) == len(sizes["7.2"]) + 1


@pytest.mark.parametrize(
    ("channels", "version", "apart"),
    [
        (16, "2.2", True),
        (16, "9.0", True),
        (16, "8.1", True),
        (16, "8.0", False),
        (16, "2.2:time", False),
        (16, "2.2:ram", False),
        (3, "2.2", False),
    ],
)
def test_which_8_bit_convolutions_pad_apart(channels: int, version: str, apart: bool) -> None:
    network = Network((8, 8, channels))
    network.add("Conv2D", filters=4, kernel_size=3, strides=2, padding="same")
    graph, rules = int8(network, per_channel=True), accounting(f"x-cube-ai:{version}")
    sizes = {one.tensor: one.bytes for one in ram(graph, merge(graph, rules), rules=rules).lifetimes}
    assert sizes.get("Conv2D_1 (padded)") == (10 * 10 * channels if apart else None)


def test_arrays_of_8_bits_take_whole_words() -> None:
    network = Network((11,))
    for units in (5, 6):
        network.add("Dense", units=units)
    graph = network.graph()
    operators = [replace(op, precision=INT8) for op in graph.operators]
    graph, rules = replace(graph, operators=tuple(operators)), accounting()
    found = ram(graph, merge(graph, rules), rules=rules)
    assert {one.bytes for one in found.lifetimes} == {12, 8}
    assert found.buffers == 11 + 6


@pytest.mark.parametrize(("channels", "size"), [(1, 1024), (3, 3076)])
def test_what_an_8_bit_convolution_reads_with_three_channels_has_a_byte_more(channels: int, size: int) -> None:
    """j0shmillar/uNPU-Bench and youheng7185/traffic_sign: 3,073 B for 3,072 values, in whole words."""
    network = Network((32, 32, channels))
    network.add("Conv2D", filters=4, kernel_size=3)
    graph, rules = int8(network, per_channel=True), accounting()
    sizes = {one.tensor: one.bytes for one in ram(graph, merge(graph, rules), rules=rules).lifetimes}
    assert sizes["input0"] == size


def test_a_gru_holds_six_numbers_a_unit() -> None:
    """nath54/pi_ir_hager_2025: 192 floats for 32 units."""
    network = Network((30, 10))
    network.add("GRU", units=32)
    assert {one.tensor: one.bytes for one in planned(network).lifetimes}["GRU_1 (scratch)"] == 4 * 192


def test_an_lstm_holds_seven_and_stores_three_numbers_a_unit() -> None:
    network = Network((28, 28))
    network.add("LSTM", units=20, return_sequences=True)
    network.add("Dense", units=10)
    held = {one.tensor: one.bytes for one in planned(network, version="7.2").lifetimes}
    assert held["LSTM_1 (scratch)"] == 4 * 140
    assert "LSTM_1 (scratch)" not in {one.tensor for one in planned(network, version="7.1").lifetimes}
    lstm, _ = profile(network.graph()).rows
    assert lstm.weights_bytes == 4 * (2240 + 1600 + 80 + 60)
