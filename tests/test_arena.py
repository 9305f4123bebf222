"""The arena: what is needed is never written over, and tensors in their places."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import prod

from arena_networks import IMAGE, VERSIONS, Network, planned
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.arena.planners import Lifetime, first_fit
from hybridq.graph.reader import Graph, Operator
from hybridq.profiler.accounting import accounting
from hybridq.profiler.count.arena import ram
from hybridq.profiler.count.merge import merge, outputs_of


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
