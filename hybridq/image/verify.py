"""Build an exported folder, run it, and compare all that it computes with the integer network.

Every sound is heard by the C on this machine and by the image for the Cortex-M4 in the emulator. Both must make one
input of it, and of that the integer network's logits, to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import RUN_FAILED, UserError
from hybridq.formats import Format
from hybridq.image import machines, toolchain
from hybridq.image.constants import constants_bytes
from hybridq.image.emulator import RAM, Board
from hybridq.image.export import SOURCES, macc_of
from hybridq.image.front_end import FrontEnd, Samples
from hybridq.image.memory_plan import Plan, plan
from hybridq.image.verification import CODE, STATES, TENSORS, WEIGHTS, Agreement, ImageFigures, LayerCount
from hybridq.integer import arithmetic
from hybridq.integer.artefact import digest
from hybridq.integer.network import Dense, IntegerNetwork
from hybridq.integer.online import is_online, on_device
from hybridq.paths import scratch

MARKED = ("-DHQ_MARK=board_mark", "-include", "board.h")
LARGEST = 3  # layers named where something does not fit
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]  # of a text and a total: sets how many


def verify(
    folder: Path,
    network: IntegerNetwork,
    front_end: FrontEnd,
    sounds: Samples,
    emulated: NDArray[np.int64],
    compiler: str | None,
    progress: Progress,
) -> tuple[ImageFigures, NDArray[np.int64]]:
    """Build and check what `export` wrote of a network and its front end.

    sounds (sounds, samples): what this machine hears; emulated: the positions of those that the board hears too;
    compiler: zig or gcc, None for the first that is installed. Returns the figures, and the classes (sounds,) that the
    network makes of what the C front end heard. Raises UserError where the image does not fit, saying which layers
    take most.
    """
    device = on_device(network)
    online = is_online(network)
    chosen = toolchain.a_cortex_m4_compiler(compiler)
    with scratch() as place:
        elf = _built(chosen, folder, place / "image.elf", device)
        layers = _counted(machines.image(chosen, folder, place / "marked.elf", MARKED), device)
        column, classify = _instructions(elf, front_end.hop, sum(one.instructions for one in layers) if online else 0)
        flash, ram = _flash(elf, front_end), _ram(elf, front_end)
        host, board = machines.Host(folder / SOURCES), machines.CortexM4(elf)
        pieces = [front_end.columns(sound) if online else [sound] for sound in sounds]
        on_host = _heard(host, device, pieces, progress("hearing clips on this machine", len(pieces)))
        few = [pieces[position] for position in emulated]
        on_board = _heard(board, device, few, progress("hearing clips on the emulated board", len(few)))
    wanted = arithmetic.logits(network, on_host.inputs)
    figures = ImageFigures(
        digest=digest(network),
        compiler=chosen.name,
        flash=flash,
        ram=ram,
        stack_bytes=board.stack_bytes,
        column_instructions=column,
        classify_instructions=classify,
        layers=layers,
        host=on_host.agreement(on_host.inputs, wanted),
        board=on_board.agreement(on_host.inputs[emulated], wanted[emulated]),
    )
    return figures, wanted.argmax(1)


def advice(network: IntegerNetwork, planned: Plan, flash: bool) -> str:
    """Which layers to shrink where the flash or the RAM is too small."""
    if flash:
        sizes = {layer.name: constants_bytes(layer) for layer in network.layers}
        where = "flash: the largest layers are"
    else:
        fullest = max(planned.buffers, key=lambda one: one.offset + one.bytes).first
        sizes = {one.name: one.bytes for one in planned.buffers if one.first <= fullest <= one.last}
        where = f"RAM: of the arena of {planned.arena_bytes:,} bytes, its fullest stage keeps"
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:LARGEST]
    return f"too little {where} {', '.join(f'{name} ({count:,} bytes)' for name, count in largest)}: shrink these first"


def _built(compiler: toolchain.Compiler, folder: Path, elf: Path, network: IntegerNetwork) -> Path:
    """The image; where it does not fit, the message says by how much, and what takes most."""
    try:
        return machines.image(compiler, folder, elf)
    except UserError as error:
        if "overflowed" not in str(error):
            raise
        what = advice(network, plan(network), "FLASH" in str(error))
        raise UserError((*error.lines, what), RUN_FAILED) from None


# ------------------------------------------------------------------------------------------------- figures


def _instructions(elf: Path, hop: int, within: int) -> tuple[int, int]:
    """Instructions of a column of the front end, and of an inference. Neither depends on the sound.

    `within`: those of an inference that each column brings with it, in an online network.
    """
    board = Board(elf)
    board.run()
    board.count()
    board.call("hybridq_push_audio", board.symbols["bench_block"].address, hop)
    column = board.instructions - within
    board.call("hybridq_classify", board.symbols["bench_logits"].address)
    return column, board.instructions + within


def _counted(elf: Path, network: IntegerNetwork) -> tuple[LayerCount, ...]:
    """Instructions of each layer in an inference of the program's own, from a build with marks."""
    run = Board(elf, counting=True).run()
    inferences = sum(mark == len(network.layers) + 1 for mark, _ in run.marks)  # an online network hears every column
    counts = {mark: count // inferences for mark, count in run.between().items()}
    layers = [LayerCount("(input)", "", 0, counts.get(0, 0), 0)]
    for number, layer in enumerate(network.layers, 1):
        binary = isinstance(layer, Dense) and layer.width is Format.BINARY
        kind = "Binary dense" if binary else type(layer).__name__
        layers.append(LayerCount(layer.name, kind, macc_of(layer), counts.get(number, 0), constants_bytes(layer)))
    return tuple(layers)


def _flash(elf: Path, front_end: FrontEnd) -> dict[str, int]:
    """Flash by purpose: the linker's sections, of the constants those of the network and of the front end apart."""
    sizes, symbols = toolchain.sizes(elf), toolchain.symbols(elf)
    constants = {name: one.bytes for name, one in symbols.items() if not one.is_function and one.address < RAM}
    of_network = sum(count for name, count in constants.items() if name.startswith("l") and name[1:2].isdigit())
    of_front_end = front_end.flash(constants)
    return {
        CODE: sizes.code,
        WEIGHTS: of_network,
        **of_front_end,
        "other constants": sizes.constants - of_network - sum(of_front_end.values()),
        "initial values of variables": sizes.initialized,
    }


def _ram(elf: Path, front_end: FrontEnd) -> dict[str, int]:
    """RAM by purpose."""
    sizes, variables = toolchain.sizes(elf), {name: one.bytes for name, one in toolchain.symbols(elf).items()}
    states = sum(count for name, count in variables.items() if re.fullmatch(r"l\d+\w*_states", name))
    known = {TENSORS: variables["memory"], **({STATES: states} if states else {}), **front_end.ram(variables)}
    others = sizes.initialized + sizes.zeroed - sum(known.values())
    return known | {"other variables": others, "stack": sizes.stack}


# ------------------------------------------------------------------------------------------------- agreement


@dataclass(frozen=True)
class _Heard:
    """What a machine made of sounds: inputs (sounds, *shape), logits (sounds, classes), classes (sounds,)."""

    inputs: NDArray[np.int8]
    logits: NDArray[np.int16]
    classes: NDArray[np.int64]

    def agreement(self, inputs: NDArray[np.int8], logits: NDArray[np.int16]) -> Agreement:
        """With what it should have made of them."""
        same_input = (self.inputs == inputs).all((1, 2, 3))
        return Agreement.of(same_input & (self.logits == logits).all(1) & (self.classes == logits.argmax(1)))


def _heard(
    machine: machines.Machine,
    device: IntegerNetwork,
    sounds: list[list[Samples]],
    progress: AbstractContextManager[Callable[[int], None]],
) -> _Heard:
    heard = []
    with progress as done:
        for pieces in sounds:
            heard.append(machine.hear(pieces, device.input_shape, device.layers[-1].shape[-1]))
            done(len(heard))
    inputs, logits, classes = zip(*heard, strict=True)
    return _Heard(np.stack(inputs), np.stack(logits), np.array(classes))
