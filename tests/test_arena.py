"""RAM: every tensor has a place, nothing that is needed is written over, and the figures of real reports."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_accounting import REPORTS, reports, rules_of

from hybridq.graph import Graph, Operator
from hybridq.keras_layers import describe
from hybridq.precision import LayerPrecision, Precision
from hybridq.profiler import profile
from hybridq.profiler.accounting import accounting
from hybridq.profiler.arena import Ram, ram
from hybridq.profiler.merge import merge, outputs_of
from hybridq.profiler.overlap import lag
from hybridq.profiler.planners import Lifetime, first_fit
from hybridq.profiler.scratch import int8_scratch

VERSIONS = ("5.2", "6.0", "7.2", "8.1", "8.1:time", "9.0", "1.0", "2.2")
IMAGE = (6, 5, 2)


class Network:
    """A graph built from the settings of Keras layers, without Keras."""

    def __init__(self, *inputs: tuple[int, ...]) -> None:
        self.operators = [Operator(f"input{i}", "InputLayer", (), (), shape) for i, shape in enumerate(inputs)]

    def shape(self, name: str) -> tuple[int, ...]:
        return next(op.output_shape for op in self.operators if op.name == name)

    def add(self, kind: str, *sources: str, **config: Any) -> str:
        name, read = f"{kind}_{len(self.operators)}", sources or (self.operators[-1].name,)
        shapes = tuple(map(self.shape, read))
        found = describe({"class_name": kind, "config": config}, shapes, None)
        counts = (found.kernel, found.bias, found.other, found.precision, found.further_outputs)
        self.operators.append(Operator(name, kind, read, shapes, found.output_shape, found.attributes, *counts))
        return name

    def graph(self, *outputs: str) -> Graph:
        return Graph("network", tuple(self.operators), outputs or (self.operators[-1].name,))


def planned(network: Network, *outputs: str, version: str = "2.2") -> Ram:
    graph, rules = network.graph(*outputs), accounting(f"x-cube-ai:{version}")
    return ram(graph, merge(graph, rules), rules=rules)


# ------------------------------------------------------------------------------- nothing is written over


@st.composite
def chains(draw: st.DrawFn) -> Graph:
    network = Network(IMAGE)
    for _ in range(draw(st.integers(0, 8))):
        _add_layer(draw, network, [network.operators[-1].name])
    if draw(st.booleans()):
        network.add("Flatten")
        for units in draw(st.lists(st.integers(1, 200), max_size=4)):
            network.add("Dense", units=units, activation="relu")
    return network.graph()


@st.composite
def branching(draw: st.DrawFn) -> Graph:
    network = Network(*[IMAGE] * draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(1, 12))):
        names = [op.name for op in network.operators]
        source = draw(st.sampled_from(names))
        like = [name for name in names if network.shape(name) == network.shape(source)]
        if draw(st.booleans()):
            several = draw(st.lists(st.sampled_from(like), min_size=2, max_size=3))
            network.add(draw(st.sampled_from(["Add", "Multiply", "Concatenate"])), *several)
        else:
            _add_layer(draw, network, [source])
    names = [op.name for op in network.operators]
    return network.graph(*draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)))


def _add_layer(draw: st.DrawFn, network: Network, sources: list[str]) -> None:
    padding = "same" if min(network.shape(sources[0])[:2]) < 3 else draw(st.sampled_from(["same", "valid"]))
    windowed = {"strides": draw(st.integers(1, 2)), "padding": padding}
    kinds = ["Conv2D", "Conv2D", "DepthwiseConv2D", "MaxPooling2D", "ReLU", "BatchNormalization", "ZeroPadding2D"]
    kind = draw(st.sampled_from(kinds))
    config = {
        "Conv2D": {"filters": draw(st.integers(1, 9)), "kernel_size": draw(st.sampled_from([1, 3]))} | windowed,
        "DepthwiseConv2D": {"kernel_size": 3} | windowed,
        "MaxPooling2D": {"pool_size": 2, "padding": padding},
        "ZeroPadding2D": {"padding": [[draw(st.integers(0, 2)), 1], [0, draw(st.integers(0, 2))]]},
    }
    network.add(kind, *sources, **config.get(kind, {}))


@settings(max_examples=300)
@given(graph=st.one_of(chains(), branching()), version=st.sampled_from(VERSIONS))
def test_what_is_needed_is_never_written_over(graph: Graph, version: str) -> None:
    rules = accounting(f"x-cube-ai:{version}")
    steps = merge(graph, rules)
    found = ram(graph, steps, rules=rules)
    places = {one.tensor: one for one in found.lifetimes}
    assert len(places) == len(found.lifetimes)
    assert all(one.bytes > 0 <= one.offset and one.end <= found.activations for one in found.lifetimes)

    # every tensor in the arena is there from its step to its last reader, an output of the network to the end
    leaving = outputs_of(graph, steps) | set(graph.outputs)
    starts = {op.name: -1 for op in graph.operators if op.kind == "InputLayer"}
    made = starts | {step.name: i for i, step in enumerate(steps)}
    inside = [name for name in made if rules.buffers_inside or name not in leaving | starts.keys()]
    tensors = {name: one for name, one in places.items() if not name.endswith("(scratch)")}
    if steps:
        assert set(inside) == set(tensors)
    for name, one in tensors.items():
        readers = [i for i, step in enumerate(steps) if name in step.inputs]
        last = len(steps) - 1 if name in leaving else max(readers, default=made[name])
        assert (one.first, one.last) == (max(made[name], 0), max(last, 0))

    # two that are alive at once share no byte, but what a step reads and the result that it writes over it
    in_place = set()
    for one, other in itertools.combinations(found.lifetimes, 2):
        at_once = one.first <= other.last and other.first <= one.last
        if at_once and one.offset < other.end and other.offset < one.end:
            before, after = sorted((one, other), key=lambda tensor: made[tensor.tensor])
            step = steps[made[after.tensor]]
            assert before.tensor in step.inputs
            assert before.last == after.first
            assert step.operator.kind not in ("Dense", "Concatenate")
            in_place.add(step.name)
    for i, step in enumerate(steps):
        alive = sum(one.bytes for one in found.lifetimes if one.first <= i <= one.last)
        assert step.name in in_place or alive <= found.activations


@settings(max_examples=100)
@given(graph=chains(), version=st.sampled_from(VERSIONS))
def test_writing_over_the_input_never_costs(graph: Graph, version: str) -> None:
    rules = accounting(f"x-cube-ai:{version}")
    steps = merge(graph, rules)
    found = ram(graph, steps, rules=rules)
    sizes = {one.tensor: one.bytes for one in found.lifetimes}
    apart = [
        sizes.get(step.inputs[0], 0) + sizes.get(step.name, 0) + sizes.get(f"{step.name} (scratch)", 0)
        for step in steps
    ]
    assert found.activations <= max(apart, default=4 * prod(IMAGE))
    assert found.planner == rules.label


def test_the_larger_of_two_is_placed_first() -> None:
    small, large, later = Lifetime("a", 0, 1, 0, 10), Lifetime("b", 1, 2, 0, 100), Lifetime("c", 2, 3, 0, 20)
    layout = first_fit([[small], [large], [later]], 4)
    assert {one.tensor: one.offset for one in layout.lifetimes} == {"a": 100, "b": 0, "c": 100}
    assert (layout.bytes, layout.peak) == (120, 2)


def test_tensors_written_over_one_another_move_as_one() -> None:
    block = [Lifetime("a", 0, 1, 0, 50), Lifetime("b", 1, 2, -30, 40)]  # b ends above the start of a
    beside = [Lifetime("c", 0, 0, 0, 10)]
    layout = first_fit([block, beside], 3)
    assert {one.tensor: one.offset for one in layout.lifetimes} == {"a": 30, "b": 0, "c": 0}
    assert (layout.bytes, layout.peak) == (80, 1)


# --------------------------------------------------------------------------------------------- real reports


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


INT8 = LayerPrecision(Precision.INT8, Precision.FLOAT32, Precision.INT8)


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
        (mobilenet_v2(), "8.1", 129_536, -10_320),
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
    [(16, "2.2", True), (16, "9.0", True), (16, "8.1", False), (16, "2.2:time", False), (3, "2.2", False)],
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


# ---------------------------------------------------------------------------- several tensors, states, parts


def test_states_that_a_layer_returns_are_part_of_its_result() -> None:
    network = Network((9, 4))
    network.add("LSTM", units=5, return_state=True)
    found = planned(network, version="5.2")
    assert found.buffers == 4 * (36 + 3 * 5)
    network.add("Dense", units=2)
    sizes = {one.tensor: one.bytes for one in planned(network).lifetimes}
    assert sizes["LSTM_1"] == 4 * 15


def test_states_of_a_stateful_layer_are_kept() -> None:
    runs = []
    for stateful in (False, True):
        network = Network((9, 4))
        network.add("GRU", units=5, stateful=stateful)
        network.add("Dense", units=2)
        runs.append(planned(network))
    assert runs[1].activations - runs[0].activations == 4 * 5
    (kept,) = [one for one in runs[1].lifetimes if one.tensor == "GRU_1 (state)"]
    assert kept == Lifetime("GRU_1 (state)", 0, 1, runs[0].activations, 20)


def test_a_sum_is_written_over_an_input_that_nothing_needs_any_more() -> None:
    network = Network((100,))
    a = network.add("Dense", units=100)
    b = network.add("Dense", a, units=100)
    total = network.add("Add", a, b)
    network.add("Dense", total, units=1)
    assert planned(network).activations == 4 * 200
    assert planned(network, a, b, network.operators[-1].name).activations == 4 * 301
    assert "branches" in planned(network).planner


def test_a_sum_that_broadcasts_is_written_beside_its_inputs() -> None:
    network = Network((10, 10, 4), (4,))
    network.add("Add", "input0", "input1")
    assert planned(network).activations == 4 * 804


def test_a_mask_is_not_written_over() -> None:
    network = Network((6, 4))
    mask = network.add("NotEqual", "input0")
    first = network.add("Permute", "input0", dims=[2, 1])
    norm = network.add("BatchNormalization", first)
    network.operators[-1] = replace(network.operators[-1], inputs=(first, mask), input_shapes=((4, 6), (6, 4)))
    places = {one.tensor: one for one in planned(network, norm, first).lifetimes}
    assert places[norm].offset not in (places[mask].offset, places[first].offset)


def test_an_output_in_the_middle_stays_to_the_end() -> None:
    network = Network((10,))
    middle = network.add("Dense", units=100)
    for units in (50, 60):
        end = network.add("Dense", units=units)
    assert planned(network, end).activations == 4 * 150
    assert planned(network, middle, end).activations == 4 * 210


def test_attention_holds_its_scores() -> None:
    network = Network((50, 8), (30, 8))
    network.add("MultiHeadAttention", "input0", "input1", num_heads=2, key_dim=3, value_dim=4)
    sizes = {one.tensor: one.bytes for one in planned(network).lifetimes}
    queries, keys, values, scores = 2 * 50 * 3, 2 * 30 * 3, 2 * 30 * 4, 2 * 50 * 30
    assert sizes["MultiHeadAttention_2 (scratch)"] == 4 * (queries + keys + values + scores)


def test_a_wrapper_holds_what_its_layers_need() -> None:
    inner = Network((10,))
    for units in (40, 30, 5):
        inner.add("Dense", units=units)
    attributes = {"inside": inner.graph(), "steps": 7}
    start = Operator("input", "InputLayer", (), (), (7, 10))
    steps = Operator("steps", "TimeDistributed", ("input",), ((7, 10),), (7, 5), attributes, kernel=1)
    graph, rules = Graph("network", (start, steps), ("steps",)), accounting()
    found = ram(graph, merge(graph, rules), rules=rules)
    assert found.activations == 4 * (70 + 35 + 40 + 30)
    assert found.peak == "steps"


def test_a_network_without_steps_holds_its_input() -> None:
    assert planned(Network((10,))).total == planned(Network((10,)), version="5.2").total == 40
