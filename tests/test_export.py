"""`hybridq export` and `hybridq verify`: from an integer network to an image, built, run and compared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from network_builds import Made, reference

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.image import emulator, machines, toolchain
from hybridq.image.export import SOURCES
from hybridq.integer.arithmetic import logits
from hybridq.integer.artefact import save_network
from hybridq.integer.network import IntegerNetwork
from hybridq.runs.export import export
from hybridq.runs.load_network import chain_of
from hybridq.runs.verify import Examples, hostile_sounds, verify

pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")

pytestmark = pytest.mark.usefixtures("built_once")
LABELS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
FRONT_END = {"sample_rate": 16000, "window": 512, "hop": 256, "transform": 512, "mel_bands": 40, "low_hz": 20.0}
ABOUT = {
    "labels": LABELS,
    "front_end": FRONT_END | {"high_hz": 8000.0, "coefficients": 38, "frames": 55, "floor": 1e-6},
    "normalisation": {"mean": [0.0] * 38, "deviation": [30.0] * 38},
}
SMALL = ABOUT | {"labels": ["yes", "no"]}


def small(**about: object) -> IntegerNetwork:
    made = Made((38, 55, 1), 0)
    made.dense(made.max_pool(made.conv("input", 4)), 2, logits=True)
    return made.network(**about)


def exported(network: IntegerNetwork, folder: Path) -> Path:
    save_network(network, folder / "trained.hqn")
    export(str(folder / "trained.hqn"), folder / "out")
    return folder / "out"


@pytest.fixture(params=["zig", "gcc"])
def compiler(request: pytest.FixtureRequest) -> str:
    if request.param not in toolchain.cortex_m4() or toolchain.host() is None:
        pytest.skip(f"{request.param} for the Cortex-M4, or a compiler for this machine, is not installed")
    name: str = request.param
    return name


def test_the_reference_network_fits_and_is_exact(compiler: str, tmp_path: Path) -> None:
    """Under the published 0.076 MiB of weights alone, with all else; under 24 KB of RAM, the stack included."""
    folder = exported(reference(**ABOUT), tmp_path)
    found = verify(folder, Examples(emulated=1), compiler=compiler)
    assert found.exact
    assert (found.host.examples, found.board.examples) == (16, 1)
    assert sum(found.flash.values()) < 79_691
    assert sum(found.ram.values()) < 24 * 1024
    assert found.stack_bytes < 500 < found.ram["stack"]
    groups = found.groups()
    assert groups["Convolution"] < 1.45
    assert groups["Binary dense"] < 1.05
    build = json.loads((folder / "build.json").read_text())
    assert found.ram["tensors (the front end works there too)"] == build["arena_bytes"]
    planned = sum(layer["constants_bytes"] for layer in build["layers"])
    structs = found.flash["weights and tables of the network"] - planned
    assert 0 < structs < 600
    counted = sum(layer.instructions for layer in found.layers)
    assert counted == pytest.approx(found.classify_instructions, rel=0.01)  # the marks themselves


@pytest.mark.parametrize("width", [Format.INT8, Format.INT4, Format.TERNARY, Format.BINARY])
def test_plans_of_one_width_are_exact(width: Format, tmp_path: Path) -> None:
    """As `verify` would see, which counts instructions besides."""
    if not toolchain.cortex_m4() or toolchain.host() is None:
        pytest.skip("no compilers")
    network = reference(width, width, width, **ABOUT)
    folder = exported(network, tmp_path)
    elf = machines.image(toolchain.a_cortex_m4_compiler(), folder, tmp_path / "image.elf")
    assert toolchain.sizes(elf).ram < 24 * 1024
    sounds = hostile_sounds(chain_of(network)[0])[::2]
    host, board = machines.Host(folder / SOURCES), machines.CortexM4(elf)
    on_host = [host.hear([sound], network) for sound in sounds]
    inputs, answers, places = map(
        np.stack, zip(*((read, said, place) for read, (said,), place in on_host), strict=True)
    )
    wanted = logits(network, inputs)
    assert np.array_equal(answers, wanted)
    assert np.array_equal(places, wanted.argmax(1))
    for ours, theirs in zip(on_host[-1], board.hear([sounds[-1]], network), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.slow
def test_qemu_says_the_same(compiler: str, tmp_path: Path) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    folder = exported(reference(**ABOUT), tmp_path)
    elf = machines.image(toolchain.cortex_m4()[compiler], folder, tmp_path / "image.elf")
    run = emulator.Board(elf).run()
    assert run.output in LABELS
    assert emulator.run_in_qemu(elf) == (run.output, run.exit_code) == (run.output, 0)


def test_two_exports_are_the_same_files(tmp_path: Path) -> None:
    first, second = (exported(small(**SMALL), tmp_path / name) for name in "ab")
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert not (first / "src" / "hq_depthwise.c").exists()


def test_an_export_can_be_exported_again(tmp_path: Path) -> None:
    folder = exported(small(**SMALL), tmp_path)
    before = (folder / "src" / "network.c").read_bytes()
    export(str(folder), folder)
    assert (folder / "src" / "network.c").read_bytes() == before


def test_the_readmes_command_builds(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    folder = exported(small(**SMALL), tmp_path)
    command = re.findall(r"```sh\n(.*?)```", (folder / "README.md").read_text(), re.S)[0]
    subprocess.run(["sh", "-e", "-c", command], cwd=folder, check=True)
    assert toolchain.sizes(folder / "image.elf").flash > 5_000


def test_a_wrong_weight_is_found(compiler: str, tmp_path: Path) -> None:
    folder = exported(small(**SMALL), tmp_path)
    constants = folder / "src" / "network_constants.h"
    constants.write_text(re.sub(r"(weights\[\d+\] = \{\n    0x)..", r"\g<1>77", constants.read_text(), count=2))
    with pytest.raises(UserError, match=r"src/network_constants.h is not as .* export again, or .* --changed"):
        verify(folder, compiler=compiler)
    found = verify(folder, Examples(emulated=2), compiler=compiler, changed=True)
    assert not found.exact
    assert found.host.differing > 0 < found.board.differing


def test_what_does_not_fit_is_said_with_the_layers_to_shrink(compiler: str, tmp_path: Path) -> None:
    made = Made((38, 55, 1), 0)
    big = made.dense("input", 600)
    made.dense(big, 2, logits=True)
    folder = exported(made.network(**SMALL), tmp_path)
    with pytest.raises(UserError, match=rf"overflowed by \d+ bytes\ntoo little flash.* {re.escape(big)} \(1,260,600 b"):
        verify(folder, compiler=compiler)


def test_too_little_ram_is_said_with_what_is_kept(compiler: str, tmp_path: Path) -> None:
    made = Made((38, 55, 1), 0)
    big = made.conv("input", 200, (1, 1))
    mean = made.dense(made.average(big), 4)  # reads its whole input before anything else reads the map again
    made.dense(made.add(mean, made.dense(made.max_pool(big, (30, 30), (30, 30)), 4)), 2, logits=True)
    folder = exported(made.network(**SMALL), tmp_path)
    with pytest.raises(
        UserError, match=rf"overflowed by \d+ bytes\ntoo little RAM: .* {re.escape(big)} \(418,000 bytes"
    ):
        verify(folder, compiler=compiler)


def test_what_hears_something_else_than_its_front_end_makes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 outputs and 10 labels"):
        exported(small(**ABOUT), tmp_path)
    with pytest.raises(UserError, match="nothing exported here"):
        verify(tmp_path)


def test_the_commands(run: Run, tmp_path: Path) -> None:
    if not toolchain.cortex_m4() or toolchain.host() is None:
        pytest.skip("no compilers")
    save_network(small(**SMALL), tmp_path / "trained.hqn")
    code, out, _ = run("export", tmp_path / "trained.hqn", "--out", tmp_path / "out")
    assert code == 0
    assert "tensors of" in out
    code, out, _ = run("verify", tmp_path / "out", "--emulated", 1, "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["exact"]
    assert np.isclose(found["groups"]["Convolution"], found["layers"][1]["instructions"] / found["layers"][1]["macc"])
    code, out, _ = run("verify", tmp_path / "out", "--emulated", 1, "--format", "table")
    assert code == 0
    assert "emulated 1 of 1" in out
