"""Emitted C computes what hybridq.deploy.arithmetic says, to the last bit: on this machine and on the Cortex-M4."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from network_builds import Made, OnHost, networks, random_input, reference, written

from hybridq.deploy import toolchain
from hybridq.deploy.arithmetic import classes, logits
from hybridq.deploy.emit import emit, kernel_files
from hybridq.deploy.emulator import Board
from hybridq.deploy.network import IntegerNetwork
from hybridq.deploy.plan import plan
from hybridq.errors import UserError

SANITIZED = "HYBRIDQ_TEST_SANITIZED"  # set where this file runs itself under the sanitizers
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
FLAGS = SANITIZERS if os.environ.get(SANITIZED) else ()
RANDOM = settings(max_examples=25 if FLAGS else 60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def _with_a_compiler() -> None:
    if toolchain.host() is None:
        pytest.skip("no C compiler")


@RANDOM
@given(networks())
def test_any_network_on_this_machine(network: IntegerNetwork) -> None:
    inputs = random_input(network, 3)
    assert np.array_equal(OnHost(network, *FLAGS).logits(inputs), logits(network, inputs))


def test_the_reference_network_on_this_machine() -> None:
    network = reference()
    inputs = random_input(network, 5)
    wanted = logits(network, inputs)
    assert len(np.unique(wanted)) > 20  # it says something
    assert np.array_equal(OnHost(network, *FLAGS).logits(inputs), wanted)


@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_any_network_on_the_cortex_m4(name: str, tmp_path: Path) -> None:
    pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    compiler = toolchain.cortex_m4().get(name)
    if compiler is None:
        pytest.skip(f"{name} for the Cortex-M4 is not installed")
    number = 0

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(networks())
    def equal(network: IntegerNetwork) -> None:
        nonlocal number
        number += 1
        folder = tmp_path / str(number)
        sources, include = written(network, folder)
        board = Board(toolchain.build_image(compiler, sources, folder / "image.elf", include))
        assert board.run().exit_code == 0
        inputs = random_input(network, 2)
        wanted, right = logits(network, inputs), classes(network, inputs)
        for one, expected, index in zip(inputs, wanted, right, strict=True):
            board.write(board.symbols["bench_input"].address, one.tobytes())
            assert board.call("bench_run") == index
            found = board.read(board.symbols["bench_logits"].address, 2 * len(expected))
            assert np.array_equal(np.frombuffer(found, "<i2"), expected)

    equal()


@RANDOM
@given(networks())
def test_the_text_is_the_same_each_time_and_only_what_is_used_is_there(network: IntegerNetwork) -> None:
    files = emit(network, plan(network))
    assert files == emit(network, plan(network))
    assert all(text.isascii() for text in files.values())
    kinds = {type(layer).__name__ for layer in network.layers}
    assert ("hq_add(" in files["network.c"]) <= ("Add" in kinds)
    assert ("hq_pool.c" in kernel_files(network, plan(network))) <= bool(kinds & {"MaxPool", "AveragePool"})


def test_labels_are_any_text(tmp_path: Path) -> None:
    made = Made((4,), 0)
    made.dense("input", 3, logits=True)
    labels = ['"yes"\\', "für??/", "*/\n%s"]
    network = made.network(labels=labels)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "network.h"\nint main(void) { for (int k = 0; k < 3; k++) '
        "fwrite(hybridq_labels[k], 1, __builtin_strlen(hybridq_labels[k]) + 1, stdout); return 0; }\n"
        "void hybridq_input_row(uint32_t row, int8_t to[4]) { (void)row; (void)to; }\n"
    )
    sources, include = written(network, tmp_path)
    compiler = toolchain.host()
    assert compiler is not None
    others = [source for source in sources if source.name != "harness.c"]
    program = compiler.build([tmp_path / "main.c", *others], tmp_path / "program", include)
    assert subprocess.run([program], capture_output=True, check=True).stdout.decode().split("\0")[:-1] == labels


def test_a_layer_beyond_the_kernels_fields() -> None:
    made = Made((1, 300, 1), 0)
    made.dense(made.conv("input", 2, (1, 299)), 2, logits=True)
    network = made.network()
    with pytest.raises(UserError, match=r"layer '.*_0': its window columns 299 is more than 255"):
        emit(network, plan(network))


def test_clean_under_the_sanitizers() -> None:
    """The part of this file that runs here once more, with the arena between red zones."""
    if FLAGS:
        pytest.skip("this is that run")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("gcc has no AddressSanitizer")
    options = {"LD_PRELOAD": runtime, "PYTHONMALLOC": "malloc", "ASAN_OPTIONS": "detect_leaks=0", SANITIZED: "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "this_machine", __file__]
    done = subprocess.run(command, env=os.environ | options, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
