"""What `hybridq verify` does: build an exported folder, run it, and compare all that it says with the integer network.

Every sound is heard by the C on this machine and by the image for the Cortex-M4 in the emulator. Both must make the
same input of it, and of that the integer network's logits, to the last bit. Beside that stand the classes of the whole
chain against Python's front end, which may differ where a feature is rounded otherwise.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import ENVIRONMENT, RUN_FAILED, UserError
from hybridq.image import machines, toolchain
from hybridq.image.constants import constants_bytes
from hybridq.image.emulator import RAM, Board
from hybridq.image.export import SOURCES, macc_of, origin
from hybridq.image.memory_plan import Plan, plan
from hybridq.integer import arithmetic
from hybridq.integer.artefact import NETWORK, digest, load_network
from hybridq.integer.network import Dense, IntegerNetwork, Width
from hybridq.integer.online import is_online, on_device
from hybridq.runs.load_network import chain_of
from hybridq.runs.verification import CODE, STATES, TENSORS, WEIGHTS, Agreement, LayerCount, Verification
from hybridq.speech import c_front_end as front_end
from hybridq.speech.audio.progress import bar
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd

MARKED = ("-DHQ_MARK=board_mark", "-include", "board.h")
LARGEST = 3  # layers named where something does not fit


def verify(
    folder: Path,
    data: str | None = None,
    clips: int = 1000,
    emulated: int | None = None,
    compiler: str | None = None,
) -> Verification:
    """Build and check an exported folder. `data`: a source of clips as in recipes; without one, made-up hostile sounds.

    clips: on this machine; emulated: of these, on the board (None: all). Raises UserError where the image does not fit,
    saying which layers take most, and where the folder holds no export.
    """
    if not (folder / NETWORK).is_file():
        raise UserError(f"{folder}: nothing exported here; `hybridq export RUN --out {folder}` writes it")
    known = origin(folder)
    missing = [name for name in ("elftools", "unicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"verify needs {' and '.join(missing)}: pip install hybridq[deploy]", ENVIRONMENT)
    network = load_network(folder / NETWORK)
    device = on_device(network)
    planned = plan(device)
    end, normalisation, labels = chain_of(network)
    sounds, truth = _sounds(end, labels, data, clips)
    chosen = toolchain.a_cortex_m4_compiler(compiler)
    with tempfile.TemporaryDirectory(prefix="hybridq-") as place:
        elf = _built(chosen, folder, Path(place) / "image.elf", device, planned)
        layers = _counted(machines.image(chosen, folder, Path(place) / "marked.elf", MARKED), device)
        column, classify = _instructions(elf, end, sum(one.instructions for one in layers) if is_online(device) else 0)
        flash, ram = _flash(elf, device), _ram(elf, replace(end, frames=device.input_shape[1]))
        on_host = _heard(machines.Host(folder / SOURCES), network, sounds, "on this machine")
        few = _spread(len(sounds), len(sounds) if emulated is None else emulated)
        board = machines.CortexM4(elf)
        on_board = _heard(board, network, sounds[few], "on the emulated board")
    wanted = arithmetic.logits(network, on_host.inputs)
    answers = wanted.argmax(1)
    python = front_end.matrix(end, normalisation, network.input_fraction, sounds)
    expected = arithmetic.classes(network, python.reshape(-1, *network.input_shape))
    return Verification(
        digest(network),
        chosen.name,
        flash,
        ram,
        board.stack_bytes,
        column,
        classify,
        layers,
        on_host.agreement(on_host.inputs, wanted),
        on_board.agreement(on_host.inputs[few], wanted[few]),
        Agreement(len(sounds), int((answers != expected).sum())),
        None if truth is None else 100 * float(np.mean(answers == truth)),
        **known,
    )


def _built(compiler: toolchain.Compiler, folder: Path, elf: Path, network: IntegerNetwork, planned: Plan) -> Path:
    """The image; where it does not fit, the message says by how much, and what takes most."""
    try:
        return machines.image(compiler, folder, elf)
    except UserError as error:
        if "overflowed" not in str(error):
            raise
        raise UserError(f"{error}\n{advice(network, planned, 'FLASH' in str(error))}", RUN_FAILED) from None


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


def _instructions(elf: Path, end: FrontEnd, within: int) -> tuple[int, int]:
    """Instructions of a column of the front end, and of an inference. Neither depends on the sound.

    `within`: those of an inference that each column brings with it, in an online network.
    """
    board = Board(elf, counting=True)
    board.run()
    board.call("hybridq_push_audio", board.symbols["bench_block"].address, end.hop)
    column = board.instructions - within
    board.call("hybridq_classify", board.symbols["bench_logits"].address)
    return column, board.instructions + within


def _counted(elf: Path, network: IntegerNetwork) -> tuple[LayerCount, ...]:
    """Instructions of each layer in an inference of the program's own, from a build with marks."""
    run = Board(elf, counting=True).run()
    inferences = sum(mark == len(network.layers) + 1 for mark, _ in run.marks)  # an online network hears every column
    counts = {mark: count // inferences for mark, count in run.between().items()}
    found = [LayerCount("(input)", "", 0, counts.get(0, 0), 0)]
    for number, layer in enumerate(network.layers, 1):
        binary = isinstance(layer, Dense) and layer.width is Width.BINARY
        kind = "Binary dense" if binary else type(layer).__name__
        found.append(LayerCount(layer.name, kind, macc_of(layer), counts.get(number, 0), constants_bytes(layer)))
    return tuple(found)


def _flash(elf: Path, network: IntegerNetwork) -> dict[str, int]:
    """Flash by purpose: the linker's sections, of the constants those of the network and of the front end apart."""
    sizes, symbols = toolchain.sizes(elf), toolchain.symbols(elf)
    constants = {name: one.bytes for name, one in symbols.items() if not one.is_function and one.address < RAM}
    network_ = sum(count for name, count in constants.items() if name.startswith("l") and name[1:2].isdigit())
    tables = sum(count for name, count in constants.items() if name.startswith("hq_mfcc"))
    return {
        CODE: sizes.code,
        WEIGHTS: network_,
        "tables of the front end": tables,
        "other constants": sizes.constants - network_ - tables,
        "initial values of variables": sizes.initialized,
    }


def _ram(elf: Path, end: FrontEnd) -> dict[str, int]:
    """RAM by purpose."""
    sizes, symbols = toolchain.sizes(elf), toolchain.symbols(elf)
    states = sum(one.bytes for name, one in symbols.items() if re.fullmatch(r"l\d+\w*_states", name))
    fifo, window = end.coefficients * end.frames, 2 * end.window
    block, arena = symbols["bench_block"].bytes, symbols["memory"].bytes
    return {
        TENSORS: arena,
        "FIFO of columns": fifo,
        **({STATES: states} if states else {}),
        "samples of the window": window,
        "block of samples from the microphone": block,
        "other variables": sizes.initialized + sizes.zeroed - arena - fifo - states - window - block,
        "stack": sizes.stack,
    }


@dataclass(frozen=True)
class _Heard:
    """What a machine made of sounds: inputs (sounds, *shape), logits (sounds, classes), classes (sounds,)."""

    inputs: NDArray[np.int8]
    logits: NDArray[np.int16]
    classes: NDArray[np.int64]

    def agreement(self, inputs: NDArray[np.int8], logits: NDArray[np.int16]) -> Agreement:
        """With what it should have made of them."""
        same_input = (self.inputs == inputs).all((1, 2, 3))
        same = same_input & (self.logits == logits).all(1) & (self.classes == logits.argmax(1))
        return Agreement(len(same), int((~same).sum()))


def _heard(machine: machines.Machine, network: IntegerNetwork, sounds: NDArray[np.int16], where: str) -> _Heard:
    end, heard = chain_of(network)[0], []
    device = on_device(network)
    with bar(f"hearing clips {where}", len(sounds)) as done:
        for sound in sounds:
            pieces = np.split(sound, range(end.window, len(sound), end.hop)) if is_online(network) else [sound]
            heard.append(machine.hear(pieces, device.input_shape, device.layers[-1].shape[-1]))
            done(len(heard))
    inputs, logits, classes = zip(*heard, strict=True)
    return _Heard(np.stack(inputs), np.stack(logits), np.array(classes))


def _sounds(
    end: FrontEnd, labels: tuple[str, ...], data: str | None, count: int
) -> tuple[NDArray[np.int16], NDArray[np.int64] | None]:
    """Sounds (clips, samples) and their words: test clips evenly spread, or hostile ones without words."""
    if data is None:
        return _hostile(end), None
    from hybridq.paths import cache_root
    from hybridq.speech.audio import open_source
    from hybridq.speech.audio.negatives import commands_of
    from hybridq.speech.augmentation import centred

    split = Dataset(open_source(data, negatives=commands_of(labels) != labels), labels, end, cache_root()).split("test")
    chosen = _spread(len(split.sounds), count)
    cropped = np.rint(centred(split.sounds[chosen], end.samples) * front_end.FULL_SCALE)
    return cropped.astype(np.int16), split.truth[chosen]


def _hostile(end: FrontEnd) -> NDArray[np.int16]:
    """Silence, a constant, squares and tones at full scale, clicks, and noise of all levels."""
    random, time = np.random.default_rng(0), np.arange(end.samples)
    square = np.where(time // 20 % 2 == 0, 32767, -32768)
    tones = [32767 * np.sin(2 * np.pi * time * hertz / end.sample_rate) for hertz in (50, 440, 3000)]
    sweep = 32767 * np.sin(np.pi * time**2 / len(time) / 2)
    clicks = np.where(time % 4000 == 0, -32768, 0)
    noise = [random.normal(0, 2.0**level, len(time)) for level in range(0, 16, 2)]
    every = [0 * time, 0 * time - 32768, square, clicks, sweep, *tones, *noise]
    sounds: NDArray[np.int16] = np.clip(np.rint(np.stack(every)), -32768, 32767).astype(np.int16)
    return sounds


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """The positions of at most so many, evenly spread over all of them."""
    chosen: NDArray[np.int64] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    return chosen
