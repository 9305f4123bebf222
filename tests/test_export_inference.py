"""Networks of anything but sound as C: `hybridq_infer`, exact here and on the board, and called by a program."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from network_builds import Made, everything
from test_online import spotter

from hybridq.errors import UserError
from hybridq.image import toolchain
from hybridq.image.export import export
from hybridq.integer import arithmetic
from hybridq.integer.answers import inputs_of
from hybridq.integer.artefact import save_network
from hybridq.integer.network import IntegerNetwork
from hybridq.runs.load_network import standardisation_of
from hybridq.runs.verify import Examples, verify

pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")

pytestmark = pytest.mark.usefixtures("built_once")
DIGITS = ("zero", "one", 'a "two"')


def pictures(**about: object) -> IntegerNetwork:
    made = Made((8, 6, 3), 0)
    made.dense(made.max_pool(made.conv("input", 4)), 3, logits=True)
    return made.network(**about)


def numbers(outputs: int = 1, **about: object) -> IntegerNetwork:
    """Of a vector."""
    made = Made((9,), 0)
    made.dense(made.dense("input", 7, behind=4), outputs, logits=True)
    return made.network(**about)


def heads() -> IntegerNetwork:
    """Of a map in int8, and of numbers in int16."""
    made = Made((7, 5, 2), 3)
    x = made.conv("input", 4)
    y = made.conv(x, 3, (1, 1), behind=4)
    return made.network(outputs=(y, made.dense(x, 2, logits=True)))


NETWORKS = {
    "two heads": heads(),
    "pictures": pictures(labels=DIGITS),
    "everything": everything(),
    "one number": numbers(task="regress"),
    "yes or no": numbers(labels=["no", "yes"]),
    "frames": spotter((4, 12)),
}


def compilers() -> None:
    if not toolchain.cortex_m4() or toolchain.host() is None:
        pytest.skip("no compilers")


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_exact_here_and_on_the_board(name: str, tmp_path: Path) -> None:
    compilers()
    network = NETWORKS[name]
    build = export(network, tmp_path)
    found = verify(tmp_path, Examples(emulated=4))
    assert found.exact
    assert (found.host.examples, found.board.examples) == (16, 4)
    assert found.chain is found.column_instructions is None
    assert found.ram["tensors"] == max(build["arena_bytes"], 1)
    read = np.prod(network.input_shape) // (12 if name == "frames" else 1)
    assert found.ram["input of the program"] == read
    sizes = [np.prod(layer.shape) * (2 if layer.is_wide else 1) for layer in network.results]
    assert found.ram["outputs of the program"] == sum(sizes)
    counted = sum(layer.instructions for layer in found.layers)
    assert counted == pytest.approx(found.classify_instructions, rel=0.05, abs=60)
    header = (tmp_path / "src" / "hybridq.h").read_text()
    assert ("hybridq_class(" in header) == (name not in ("one number", "two heads"))
    assert ("hybridq_reset(" in header) == (name == "frames")
    sources = "".join(path.read_text() for folder in ("src", "board") for path in (tmp_path / folder).iterdir())
    assert not re.search("audio|mfcc|sound", sources)


def library(folder: Path, more: str = "") -> ctypes.CDLL:
    """The exported C with some lines more, as a library of this machine."""
    compiler = toolchain.host()
    if compiler is None:
        pytest.skip("no compiler for this machine")
    (folder / "more.c").write_text(f'#include "hybridq.h"\n{more}\n')
    sources = [*sorted((folder / "src").glob("*.c")), folder / "more.c"]
    flags = ("-O2", "-shared", "-fPIC", f"-I{folder / 'src'}")
    return ctypes.CDLL(str(compiler.build(sources, folder / "network.so", flags)))


QUANTIZE = """
void quantize(const float *values, int8_t *to, int count);
void quantize(const float *values, int8_t *to, int count)
{
    for (int k = 0; k < count; k++) {
        to[k] = hybridq_quantize(values[k]);
    }
}
const int shape[] = HYBRIDQ_INPUT_SHAPE;
const float scales[] = {HYBRIDQ_INPUT_SCALE, HYBRIDQ_INPUT_ZERO_POINT, HYBRIDQ_OUTPUT_SCALE, HYBRIDQ_OUTPUT_ZERO_POINT};
const int sizes[] = {HYBRIDQ_INPUT_SIZE, HYBRIDQ_OUTPUT_SIZE, HYBRIDQ_CLASSES};
"""


def test_real_numbers_become_the_integers_that_python_makes_of_them(tmp_path: Path) -> None:
    network = pictures(labels=DIGITS)
    export(network, tmp_path)
    made = library(tmp_path, QUANTIZE)
    step = 2.0**-network.input_fraction
    near = np.arange(-131, 132)[:, None] * step + np.array([-0.5, -0.25, 0, 0.25, 0.5]) * step
    nudged = np.nextafter(near.astype(np.float32), np.float32(np.inf)), np.nextafter(near.astype(np.float32), -np.inf)
    random = np.random.default_rng(0).normal(0, 3, 5000)
    edges = [0.0, -0.0, 1e-38, -1e-38, 1e30, -1e30, np.inf, -np.inf]
    values = np.concatenate([near.ravel(), *(one.ravel() for one in nudged), random, edges]).astype(np.float32)
    integers = np.zeros(len(values), np.int8)
    made.quantize(*(ctypes.c_void_p(one.ctypes.data) for one in (values, integers)), len(values))
    np.testing.assert_array_equal(integers, arithmetic.quantized(values, network.input_fraction))
    assert list((ctypes.c_int * 3).in_dll(made, "shape")) == [8, 6, 3]
    assert list((ctypes.c_float * 4).in_dll(made, "scales")) == [step, 0, 2.0 ** -network.layers[-1].fraction, 0]
    assert list((ctypes.c_int * 3).in_dll(made, "sizes")) == [144, 3, 3]


RESCALED = {
    "alike": {"rescaling": {"scale": [1 / 64], "offset": [-2.0]}},
    "by channel": {"rescaling": {"scale": [1 / 64, 0.5, 1.0], "offset": [-2.0, 0.0, 0.25]}},
    "and standardised": {
        "rescaling": {"scale": [2.0], "offset": [-1.0]},
        "normalisation": {"mean": [1.0, 2.0, 4.0], "deviation": [2.0, 4.0, 8.0]},
    },
}


@pytest.mark.parametrize("name", RESCALED)
def test_numbers_are_rescaled_as_the_model_and_its_training_do(name: str, tmp_path: Path) -> None:
    network = pictures(**RESCALED[name])
    export(network, tmp_path)
    usage = (tmp_path / "README.md").read_text()
    by_channel = name != "alike"
    assert (", k % 3)" in usage) == by_channel
    value = "hybridq_quantize(values[k], k % 3)" if by_channel else "hybridq_quantize(values[k])"
    made = library(tmp_path, QUANTIZE.partition("const int shape")[0].replace("hybridq_quantize(values[k])", value))
    values = np.random.default_rng(0).integers(-300, 300, (40, 8, 6, 3)).astype(np.float32)
    integers = np.zeros(values.shape, np.int8)
    made.quantize(*(ctypes.c_void_p(one.ctypes.data) for one in (values, integers)), values.size)
    np.testing.assert_array_equal(integers, inputs_of(network, standardisation_of(network).apply(values)))


def test_the_readmes_lines_run_and_name_the_class(tmp_path: Path) -> None:
    compilers()
    network = pictures(labels=DIGITS)
    build = export(network, tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert f"{build['arena_bytes']:,} bytes of static memory" in readme
    assert f"| `input` | 8 x 6 x 3 | int8_t | {2.0**-network.input_fraction} | 0 | - |" in readme
    include, _, usage = re.findall(r"```c\n(.*?)```", readme, re.S)[0].partition("\n")
    values = np.random.default_rng(1).normal(0, 2, (8, 6, 3)).astype(np.float32)
    given = ", ".join(f"{value!r}f" for value in values.ravel().tolist())
    program = f"#include <stdio.h>\n{include}\nint main(void)\n{{\nstatic const float values[] = {{{given}}};\n{usage}"
    (tmp_path / "main.c").write_text(f"{program}puts(label);\nreturn 0;\n}}\n")
    sources = [*sorted((tmp_path / "src").glob("*.c")), tmp_path / "main.c"]
    host = toolchain.host()
    assert host
    built = host.build(sources, tmp_path / "program", (f"-I{tmp_path / 'src'}",))
    said = subprocess.run([built], check=True, capture_output=True, text=True).stdout
    inputs = arithmetic.quantized(values[None], network.input_fraction)
    assert said == f"{DIGITS[arithmetic.classes(network, inputs)[0]]}\n"


def test_one_number_is_read_back_in_its_unit(tmp_path: Path) -> None:
    export(numbers(task="regress"), tmp_path)
    usage = (tmp_path / "README.md").read_text()
    assert "float first = (float)(output[0] - HYBRIDQ_OUTPUT_ZERO_POINT) * HYBRIDQ_OUTPUT_SCALE;" in usage
    assert "HYBRIDQ_CLASSES" not in (tmp_path / "src" / "network.h").read_text()


def test_labels_of_another_number_than_the_outputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 outputs and 2 labels"):
        export(pictures(labels=["a", "b"]), tmp_path)


def test_the_commands_say_no_word_of_sound(run: Run, tmp_path: Path) -> None:
    compilers()
    save_network(pictures(labels=DIGITS), tmp_path / "trained.hqn")
    assert run("export", tmp_path / "trained.hqn", "--out", tmp_path / "out")[0] == 0
    code, out, _ = run("verify", tmp_path / "out", "--emulated", 1)
    assert code == 0
    assert "outputs equal to the integer network's: this machine 16 of 16; emulated 1 of 1" in out
    assert not re.search("clip|sound|logit|front end|column", out)
    code, out, _ = run("verify", tmp_path / "out", "--emulated", 1, "--format", "json")
    assert code == 0
    assert json.loads(out)["exact"]
    code, out, err = run("verify", tmp_path / "out", "--data", tmp_path)
    assert (code, out) == (2, "")
    assert err == (
        f"hybridq: {tmp_path}/out: this network has no front end, so it hears no sound; --inputs names what it is to "
        "be tried on, instead of --data\n"
    )


def test_samples_of_a_file_are_heard_here_and_on_the_board_and_their_accuracy_is_said(run: Run, tmp_path: Path) -> None:
    compilers()
    network = pictures(labels=DIGITS)
    export(network, tmp_path / "out")
    x = np.random.default_rng(0).normal(0, 4, (40, 8, 6, 3))
    np.save(tmp_path / "x.npy", x)
    answers = arithmetic.classes(network, arithmetic.quantized(x.astype(np.float32), network.input_fraction))
    wrong = np.where(np.arange(40) % 4 == 0, (answers + 1) % 3, answers)
    np.savez(tmp_path / "y.npz", other=x, names=np.array(DIGITS)[wrong])
    given = ("--inputs", tmp_path / "x.npy", "--labels", f"{tmp_path}/y.npz:names", "--samples", 20, "--emulated", 2)
    code, out, _ = run("verify", tmp_path / "out", *given, "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert found["host"] == {"examples": 20, "differing": 0}
    assert found["board"] == {"examples": 2, "differing": 0}
    chosen = np.linspace(0, 39, 20).astype(int)
    assert found["accuracy"] == pytest.approx(100 * np.mean(chosen % 4 != 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--inputs x.npy --labels y.npy", "y.npy: is of 3 samples, and there are 2"),
        ("--inputs y.npy", "y.npy: must be (n, 8, 6, 3), as the model reads (is (3,))"),
        ("--labels y.npy", "--labels y.npy: the classes of --inputs, which is not given"),
        ("--inputs nan.npy", "nan.npy: sample 1 has a NaN or an infinity in it, or is beyond float32"),
    ],
)
def test_what_an_image_cannot_be_tried_on(options: str, message: str, run: Run, inner: Path) -> None:
    export(pictures(labels=DIGITS), inner / "out")
    np.save("x.npy", np.zeros((2, 8, 6, 3)))
    np.save("nan.npy", np.array([0, np.nan])[:, None, None, None] * np.ones((2, 8, 6, 3)))
    np.save("y.npy", np.zeros(3, int))
    assert run("verify", "out", *options.split()) == (2, "", f"hybridq: {message}\n")
