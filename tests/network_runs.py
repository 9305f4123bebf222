"""Run a network's emitted C on this machine and on the emulated Cortex-M4: what tests of it share."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hybridq.image import emulator, toolchain
from hybridq.image.emit import emit
from hybridq.image.memory_plan import plan
from hybridq.image.outputs import outputs_of
from hybridq.integer.arithmetic import outputs
from hybridq.integer.network import IntegerNetwork

CHECKS = "address,undefined,float-cast-overflow,float-divide-by-zero"
SANITIZERS = (f"-fsanitize={CHECKS}", "-fno-sanitize-recover=all", "-O1")
PORTABLE = "-U__ARM_FEATURE_DSP"  # the kernels in plain C, also where there is SIMD

# A program prints its numbers with `say`, here and on the board.
SAY = """
#ifdef __arm__
#include "board.h"
static void say(int32_t number)
{
    board_print_number(number);
    board_print(" ");
}
#else
#include <stdio.h>
static void say(int32_t number)
{
    printf("%d ", (int)number);
}
#endif
"""
# Prints the outputs, and the class where there are logits, for each of the inputs. The arena holds junk at first, then
# what the run before left.
# Several networks are in one program: the names that they share bear a number.
PROGRAM = """
#define hybridq_run_network run_network_NUMBER
#define hybridq_reset_network reset_network_NUMBER
#define hybridq_input_row input_row_NUMBER
#define hybridq_labels labels_NUMBER
#include "NUMBER/network.c"
#include "hq_kernels.h"
#include "NUMBER/inputs.h"
#include "say.h"
static int8_t arena[HYBRIDQ_ARENA_BYTES] __attribute__((aligned(4)));
static const int8_t *input;
void hybridq_input_row(uint32_t row, int8_t to[HYBRIDQ_INPUT_ROW_BYTES])
{
    __builtin_memcpy(to, input + row * HYBRIDQ_INPUT_ROW_BYTES, HYBRIDQ_INPUT_ROW_BYTES);
}
void main_NUMBER(void);
void main_NUMBER(void)
{
    __builtin_memset(arena, 0x5a, sizeof arena);
    for (uint32_t clip = 0; clip < CLIPS; clip++) {
        input = inputs[clip];
        hybridq_run_network(arena, OUTPUTS);
        SAY_OUTPUTS
    }
}
"""


Build = Callable[[list[Path], Path, tuple[str, ...]], Path]
OBJECTS = tempfile.TemporaryDirectory(prefix="hybridq-")


class Machine:
    """Something that builds programs and runs them; the kernels are compiled once for networks of the same options."""

    def __init__(self, build: Build, run: Callable[[Path], str], compiler: toolchain.Compiler, *flags: str) -> None:
        self.build, self.run, self.flags = build, run, flags
        self.compiler, self.folder = compiler, Path(tempfile.mkdtemp(dir=OBJECTS.name))

    def kernels(self, options: tuple[str, ...] = ()) -> Path:
        """The compiled kernels; options: definitions of hq_options.h, those that they have by themselves for ()."""
        made = self.folder / f"kernels{''.join(options)}.o"
        if not made.exists():
            flags = ("-r", "-nostdlib", *options, *self.flags)
            self.compiler.build(sorted(toolchain.SOURCES.glob("*.c")), made, flags)
        return made

    def answers(self, network: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
        """All outputs (clips, numbers), and behind logits the class."""
        return self.all_answers([(network, inputs)])[0]

    def all_answers(
        self, cases: Sequence[tuple[IntegerNetwork, np.ndarray]], options: tuple[str, ...] = ()
    ) -> list[np.ndarray]:
        """The answers of several networks to their inputs, by one program with kernels of those options."""
        with tempfile.TemporaryDirectory(prefix="hybridq-") as place:
            said = self.said([*written(cases, Path(place)), self.kernels(options)], Path(place))
        shapes = [(len(inputs), len(expected(network, inputs[:1])[0])) for network, inputs in cases]
        ends = np.cumsum([rows * columns for rows, columns in shapes])
        assert len(said) == ends[-1]
        return [part.reshape(shape) for part, shape in zip(np.split(said, ends[:-1]), shapes, strict=True)]

    def said(self, sources: list[Path], folder: Path, *flags: str) -> np.ndarray:
        """The numbers that a program prints, which is built in that folder."""
        (folder / "say.h").write_text(SAY)
        program = self.build(sources, folder / "program", (f"-I{folder}", *flags, *self.flags))
        return np.array(self.run(program).split(), np.int64)


def options_of(network: IntegerNetwork) -> tuple[str, ...]:
    """The definitions with which its exported kernels are compiled."""
    text = emit(network, plan(network))["hq_options.h"]
    return tuple(f"-D{name}={value}" for name, value in re.findall(r"#define (HQ_\w+) (\d)", text))


@functools.cache
def machine(name: str) -> Machine:
    """'here' (under the sanitizers where there are such), 'zig' or 'gcc' for the Cortex-M4, 'zig portable', 'gcc qemu'.

    Skips the test where it is not installed.
    """
    if name == "here":
        compiler = toolchain.host()
        if compiler is None:
            pytest.skip("no C compiler")
        return Machine(compiler.build, _run, compiler, *(SANITIZERS if has_sanitizers() else ()))
    pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    chosen, _, how = name.partition(" ")
    compiler = toolchain.cortex_m4().get(chosen)
    if compiler is None:
        pytest.skip(f"{chosen} for the Cortex-M4 is not installed")
    if how == "qemu" and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")

    def build(sources: list[Path], output: Path, flags: tuple[str, ...]) -> Path:
        return toolchain.build_image(compiler, sources, output, flags)

    run = _run_in_qemu if how == "qemu" else _run_on_board
    return Machine(build, run, compiler, *((PORTABLE,) if how == "portable" else ()))


def expected(network: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """What every machine should answer."""
    wanted = np.concatenate([one.reshape(len(inputs), -1).astype(np.int64) for one in outputs(network, inputs)], axis=1)
    has_class = "logits" in [one.name for one in outputs_of(network).values()]
    return np.column_stack([wanted, wanted.argmax(1)]) if has_class else wanted


def written(cases: Sequence[tuple[IntegerNetwork, np.ndarray]], folder: Path) -> list[Path]:
    """The C files, but for the kernels, of a program that runs networks on their inputs."""
    sources = {
        "main.c": "".join(f"void main_{number}(void);\n" for number in range(len(cases)))
        + "int main(void)\n{\n"
        + "".join(f"    main_{number}();\n" for number in range(len(cases)))
        + "    return 0;\n}\n"
    }
    for number, (network, inputs) in enumerate(cases):
        sources[f"run_{number}.c"] = _program(network).replace("NUMBER", str(number))
        clips = constants("int8_t", "inputs", inputs.reshape(len(inputs), -1))
        texts = {"inputs.h": f"#define CLIPS {len(inputs)}\n{clips}", **emit(network, plan(network))}
        (folder / str(number)).mkdir()
        for name, text in texts.items():
            (folder / str(number) / name).write_text(text)
    for name, text in sources.items():
        (folder / name).write_text(text)
    return [folder / name for name in sources]


def _program(network: IntegerNetwork) -> str:
    made = outputs_of(network).values()
    said = "".join(f"for (uint32_t k = 0; k < {one.size}; k++) {{ say({one.name}[k]); }}\n" for one in made)
    said += "".join(f"say((int32_t)hq_argmax({one.name}, {one.size}));\n" for one in made if one.name == "logits")
    arrays = "".join(f"static {one.parameter};\n" for one in made)
    program = PROGRAM.replace("SAY_OUTPUTS", said).replace("OUTPUTS", ", ".join(one.name for one in made))
    return program.replace("void main_NUMBER(void);", f"{arrays}void main_NUMBER(void);")


def constants(kind: str, name: str, rows: np.ndarray) -> str:
    """An array of C with two axes."""
    inside = "".join(f"    {{{', '.join(map(str, row))}}},\n" for row in rows)
    return f"static const {kind} {name}[{len(rows)}][{len(rows[0])}] = {{\n{inside}}};\n"


def has_sanitizers() -> bool:
    """Whether gcc for this machine has its AddressSanitizer."""
    if shutil.which("gcc") is None:
        return False
    said = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    return Path(said).is_absolute()


def _run(program: Path) -> str:
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _run_on_board(elf: Path) -> str:
    run = emulator.Board(elf).run()
    assert run.exit_code == 0
    return run.output


def _run_in_qemu(elf: Path) -> str:
    output, status = emulator.run_in_qemu(elf)
    assert status == 0
    return output
