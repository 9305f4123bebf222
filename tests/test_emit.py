"""Emitted C computes what hybridq.integer.arithmetic says, to the last bit.

On this machine under the address and undefined-behaviour sanitizers, on the emulated Cortex-M4 with the kernels for it
and with the portable ones, by each compiler.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from network_builds import Made, everything, reference, some_inputs
from network_draws import networks
from network_runs import expected, machine

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.image import toolchain
from hybridq.image.dense_parts import PART
from hybridq.image.emit import emit, kernel_files
from hybridq.image.memory_plan import plan
from hybridq.integer.checks import check
from hybridq.integer.network import Dense, IntegerNetwork, Requantization

MACHINES = {"here": 10, "zig": 5, "gcc": 5, "zig portable": 3, "gcc portable": 3}  # and how many programs
TOGETHER = 5  # networks in a program, since to compile one is dear
CLIPS = 6  # for each: silence, both extremes, the two mixed, and random ones


def heard(network: IntegerNetwork, name: str) -> np.ndarray:
    """The clips; of a large network both extremes mixed and a random one, where an emulator takes a second for each."""
    inputs = some_inputs(network, CLIPS)
    return inputs[3:5] if name != "here" and inputs[0].size > 2000 else inputs


@pytest.mark.parametrize("name", MACHINES)
def test_any_network(name: str) -> None:
    on = machine(name)

    @settings(max_examples=MACHINES[name], deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(networks(), min_size=TOGETHER, max_size=TOGETHER))
    @example([everything(), reference()])
    def equal(some: list[IntegerNetwork]) -> None:
        cases = [(network, heard(network, name)) for network in some]
        for case, answers in zip(cases, on.all_answers(cases), strict=True):
            assert np.array_equal(answers, expected(*case))

    equal()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zig qemu", "gcc qemu"])
@pytest.mark.parametrize("network", [everything(), reference()])
def test_another_emulator(name: str, network: IntegerNetwork) -> None:
    inputs = some_inputs(network, CLIPS)
    assert np.array_equal(machine(name).answers(network, inputs), expected(network, inputs))


def test_the_networks_say_something() -> None:
    """Else all machines could agree on nothing."""
    for network in (everything(), reference()):
        assert len(np.unique(expected(network, some_inputs(network))[:, :-1])) > 40


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_the_text_is_the_same_each_time_and_only_what_is_used_is_there(network: IntegerNetwork) -> None:
    files = emit(network, plan(network))
    assert files == emit(network, plan(network))
    assert all(text.isascii() for text in files.values())
    kinds = {type(layer).__name__ for layer in network.layers}
    assert ("hq_add(" in files["network.c"]) <= ("Add" in kinds)
    assert ("hq_pool.c" in kernel_files(plan(network))) <= bool(kinds & {"MaxPool", "AveragePool", "WindowMean"})


LABELS = """
#include <stdio.h>
#include "network.h"
void hybridq_input_row(uint32_t row, int8_t to[4])
{
    (void)row;
    (void)to;
}
int main(void)
{
    for (int k = 0; k < HYBRIDQ_CLASSES; k++) {
        fwrite(hybridq_labels[k], 1, __builtin_strlen(hybridq_labels[k]) + 1, stdout);
    }
    return 0;
}
"""


def test_labels_are_any_text(tmp_path: Path) -> None:
    compiler = toolchain.host()
    if compiler is None:
        pytest.skip("no C compiler")
    made = Made((4,), 0)
    made.dense("input", 3, logits=True)
    labels = ['"yes"\\', "für??/", "*/\n%s"]
    network = made.network(labels=labels)
    for name, text in {**emit(network, plan(network)), "main.c": LABELS}.items():
        (tmp_path / name).write_text(text)
    sources = [tmp_path / "network.c", tmp_path / "main.c"]
    kernels = [toolchain.SOURCES / name for name in kernel_files(plan(network)) if name.endswith(".c")]
    program = compiler.build([*sources, *kernels], tmp_path / "program", (f"-I{tmp_path}",))
    assert subprocess.run([program], capture_output=True, check=True).stdout.decode().split("\0")[:-1] == labels


def test_a_layer_beyond_the_kernels_fields() -> None:
    made = Made((1, 300, 1), 0)
    made.dense(made.conv("input", 2, (1, 299)), 2, logits=True)
    network = made.network()
    with pytest.raises(UserError, match=r"layer '.*_0': its window columns 299 is more than 255"):
        emit(network, plan(network))


@pytest.mark.parametrize("name", ["here", "zig", "gcc"])
def test_dense_layers_of_many_outputs_are_made_part_by_part(name: str) -> None:
    """In every format with kernels of its own: what a part reads begins where the one before has ended."""
    random, cases = np.random.default_rng(0), []
    for width in Format:
        if width.bits > 8 or width.stored is not width:
            continue
        weights = random.choice(list(width.row.integers), (30, 2 * PART + 5))
        multipliers = random.integers(2**30, 2**31, weights.shape[1])
        out = Requantization(multipliers, random.integers(3, 6, weights.shape[1]))
        bias = random.integers(-200, 200, weights.shape[1])
        layer = Dense("dense", ("input",), weights.shape[1:], 0, weights=weights, width=width, bias=bias, out=out)
        network = IntegerNetwork("input", (30,), 0, (layer,))
        check(network)
        assert plan(network).arena_bytes < 4 * weights.shape[1]
        cases.append((network, random.integers(-128, 128, (3, 30)).astype(np.int8)))
    assert len(cases) > 3
    for (network, inputs), made in zip(cases, machine(name).all_answers(cases), strict=True):
        np.testing.assert_array_equal(made, expected(network, inputs))
