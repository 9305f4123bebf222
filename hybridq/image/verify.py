"""Build an exported folder, run it, and compare all that it computes with the integer network.

Every example is given to the C on this machine and to the image for the Cortex-M4 in the emulator: to a front end
sounds, to a network by itself its input. Both must make one input of a sound, and of any input what the integer network
makes of it, to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import RUN_FAILED, UserError
from hybridq.formats import Format
from hybridq.image import machines, toolchain
from hybridq.image.constants import constants_bytes
from hybridq.image.emulator import RAM, Board
from hybridq.image.export import SOURCES, macc_of
from hybridq.image.front_end import FrontEnd, Interface, Samples
from hybridq.image.inference import Inference
from hybridq.image.memory_plan import Plan, plan
from hybridq.image.tensors import tensors_of
from hybridq.image.verification import CODE, SHARED, STATES, TENSORS, WEIGHTS, Agreement, ImageFigures, LayerCount
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
    front_end: FrontEnd | None,
    examples: Samples | NDArray[np.int8],
    emulated: NDArray[np.int64],
    compiler: str | None,
    progress: Progress,
) -> tuple[ImageFigures, list[arithmetic.Outputs]]:
    """Build and check what `export` wrote of a network, with its front end where it has one.

    examples: what this machine is given, sounds (n, samples), or without a front end inputs (n, *input_shape);
    emulated: the positions of those that the board is given too; compiler: zig or gcc, None for the first that is
    installed. Returns the figures, and what the network makes of the examples as the C read them, output by output.
    Raises UserError where the image does not fit, saying which layers take most.
    """
    device, online = on_device(network), is_online(network)
    interface: Interface = front_end or Inference(network)
    chosen = toolchain.a_cortex_m4_compiler(compiler)
    with scratch() as place:
        elf = _built(chosen, folder, place / "image.elf", device)
        layers = _counted(machines.image(chosen, folder, place / "marked.elf", MARKED), device)
        if front_end:
            within = sum(one.instructions for one in layers) if online else 0
            column, inference = _column_and_inference(elf, front_end.hop, within)
        else:
            column, inference = None, _inference(elf, device)
        flash, ram = _flash(elf, interface), _ram(elf, interface, front_end is not None)
        host, board = machines.Host(folder / SOURCES), machines.CortexM4(elf)
        what = "clips" if front_end else "samples"
        pieces = [_pieces(example, front_end, online) for example in examples]
        on_host = _answers(host, device, front_end, pieces, progress(f"{what} on this machine", len(pieces)))
        few = [pieces[position] for position in emulated]
        on_board = _answers(board, device, front_end, few, progress(f"{what} on the emulated board", len(few)))
    wanted, zero = arithmetic.outputs(network, on_host.inputs), network.results[0].stands_for.zero
    figures = ImageFigures(
        digest=digest(network),
        compiler=chosen.name,
        flash=flash,
        ram=ram,
        stack_bytes=board.stack_bytes,
        column_instructions=column,
        classify_instructions=inference,
        layers=layers,
        host=on_host.agreement(on_host.inputs, wanted, zero),
        board=on_board.agreement(on_host.inputs[emulated], [output[emulated] for output in wanted], zero),
    )
    return figures, wanted


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


def _inference(elf: Path, network: IntegerNetwork) -> int:
    """Instructions of an inference; it does not depend on the input."""
    board = Board(elf)
    board.run()
    board.count()
    names = ("input", *(one.argument for one in tensors_of(network)))
    board.call("hybridq_infer", *(board.symbols[f"bench_{name}"].address for name in names))
    return board.instructions


def _column_and_inference(elf: Path, hop: int, within: int) -> tuple[int, int]:
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


def _flash(elf: Path, interface: Interface) -> dict[str, int]:
    """Flash by purpose: the linker's sections, of the constants those of the network and around it apart."""
    sizes, symbols = toolchain.sizes(elf), toolchain.symbols(elf)
    constants = {name: one.bytes for name, one in symbols.items() if not one.is_function and one.address < RAM}
    of_network = sum(count for name, count in constants.items() if name.startswith("l") and name[1:2].isdigit())
    around = interface.flash(constants)
    return {
        CODE: sizes.code,
        WEIGHTS: of_network,
        **around,
        "other constants": sizes.constants - of_network - sum(around.values()),
        "initial values of variables": sizes.initialized,
    }


def _ram(elf: Path, interface: Interface, shared: bool) -> dict[str, int]:
    """RAM by purpose; `shared`: a front end works where the tensors lie."""
    sizes, variables = toolchain.sizes(elf), {name: one.bytes for name, one in toolchain.symbols(elf).items()}
    states = sum(count for name, count in variables.items() if re.fullmatch(r"l\d+\w*_states", name))
    tensors = {SHARED: variables["memory"]} if shared else {TENSORS: variables["arena"]}
    known = {**tensors, **({STATES: states} if states else {}), **interface.ram(variables)}
    others = sizes.initialized + sizes.zeroed - sum(known.values())
    return known | {"other variables": others, "stack": sizes.stack}


# ------------------------------------------------------------------------------------------------- agreement


@dataclass(frozen=True)
class _Answers:
    """What a machine made of examples: inputs (n, *shape), each output (n, *its shape), classes (n,) if it has any."""

    inputs: NDArray[np.int8]
    outputs: list[arithmetic.Outputs]
    classes: NDArray[np.int64] | None

    def agreement(self, inputs: NDArray[np.int8], outputs: list[arithmetic.Outputs], zero: int) -> Agreement:
        """With what it should have made of them; zero: the integer that stands for 0 in the first output."""
        same = _alike(self.inputs, inputs)
        for mine, wanted in zip(self.outputs, outputs, strict=True):
            same &= _alike(mine, wanted)
        if self.classes is not None:
            same &= self.classes == arithmetic.classes_in(outputs[0], zero)
        return Agreement.of(same)


def _alike(mine: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.bool_]:
    """Of each example, whether all is equal."""
    alike: NDArray[np.bool_] = (mine.reshape(len(mine), -1) == wanted.reshape(len(wanted), -1)).all(1)
    return alike


def _pieces(example: NDArray[Any], front_end: FrontEnd | None, online: bool) -> Sequence[NDArray[Any]]:
    """What is given at once: all, or to an online network frame by frame."""
    if not online:
        return [example]
    return front_end.columns(example) if front_end else np.split(example, example.shape[1], axis=1)


def _answers(
    machine: machines.Machine,
    device: IntegerNetwork,
    front_end: FrontEnd | None,
    examples: Sequence[Sequence[NDArray[Any]]],
    progress: AbstractContextManager[Callable[[int], None]],
) -> _Answers:
    made = []
    ask = machine.hear if front_end else machine.infer
    with progress as done:
        for pieces in examples:
            made.append(ask(pieces, device))
            done(len(made))
    inputs, outputs, classes = zip(*made, strict=True)
    return _Answers(
        np.stack(inputs),
        [np.stack(output) for output in zip(*outputs, strict=True)],
        None if classes[0] is None else np.array(classes),
    )
