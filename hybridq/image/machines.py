"""An exported network with its front end as something to call: on this machine, or on the Cortex-M4 in the emulator."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.image import toolchain
from hybridq.image.emulator import Board
from hybridq.image.front_end import Samples
from hybridq.integer.network import Shape

# The front end gives the same bits everywhere only where no product and sum are fused.
FLAGS = ("-ffp-contract=off",)
# The loader knows a library by its inode, which a new file may have from a deleted one: none is deleted before the end.
_LIBRARIES = tempfile.TemporaryDirectory(prefix="hybridq-")
Pieces = Sequence[Samples]  # of one sound
Heard = tuple[NDArray[np.int8], NDArray[np.int16], int]


class Machine(Protocol):
    """Hears sounds with an exported network."""

    def hear(self, pieces: Pieces, shape: Shape, classes: int) -> Heard:
        """From a fresh start, what the network reads and says.

        That is what it reads after each piece of sound, of `shape` (rows, columns, channels), one behind the other
        along the columns; its logits (classes,) and its class after the last piece.
        """
        ...


class Host:
    """The C as a library of this machine."""

    def __init__(self, sources: Path) -> None:
        compiler = toolchain.host()
        if compiler is None:
            raise UserError("no C compiler for this machine: install gcc or clang", ENVIRONMENT)
        output = Path(tempfile.mkdtemp(dir=_LIBRARIES.name)) / "spotter.so"
        flags = ("-O2", "-shared", "-fPIC", *FLAGS)
        self._library = ctypes.CDLL(str(compiler.build(_c_files(sources), output, flags)))

    def hear(self, pieces: Pieces, shape: Shape, classes: int) -> Heard:
        """See Machine."""
        library, read, logits = self._library, [], np.zeros(classes, np.int16)
        library.hybridq_init()
        for piece in pieces:
            sound, matrix = np.ascontiguousarray(piece, np.int16), np.zeros(shape[:2], np.int8)
            library.hybridq_push_audio(_pointer(sound), ctypes.c_size_t(len(sound)))
            for number, row in enumerate(matrix):
                library.hybridq_input_row(ctypes.c_uint32(number), _pointer(row))
            read.append(matrix.reshape(shape))
        return np.concatenate(read, axis=1), logits, int(library.hybridq_classify(_pointer(logits)))


class CortexM4:
    """An image in the emulator; `stack_bytes` is the deepest that its stack was."""

    def __init__(self, elf: Path) -> None:
        self.board = Board(elf)
        self.board.run()  # sets the variables
        self.stack_bytes = self.board.stack_bytes

    def hear(self, pieces: Pieces, shape: Shape, classes: int) -> Heard:
        """See Machine."""
        board, read = self.board, []
        room = board.free
        self._call("hybridq_init")
        for sound in pieces:
            board.write(room, np.asarray(sound, "<i2").tobytes())
            self._call("hybridq_push_audio", room, len(sound))
            matrix = np.zeros(shape[:2], np.int8)
            for number in range(len(matrix)):
                self._call("hybridq_input_row", number, room)
                matrix[number] = np.frombuffer(board.read(room, matrix.shape[1]), np.int8)
            read.append(matrix.reshape(shape))
        answer = self._call("hybridq_classify", room)
        logits = np.frombuffer(board.read(room, 2 * classes), "<i2").astype(np.int16)
        return np.concatenate(read, axis=1), logits, answer

    def _call(self, function: str, *arguments: int) -> int:
        result = self.board.call(function, *arguments)
        self.stack_bytes = max(self.stack_bytes, self.board.stack_bytes)
        return result


def image(compiler: toolchain.Compiler, folder: Path, output: Path, flags: Sequence[str] = ()) -> Path:
    """An exported folder as an ELF for the board; UserError where it does not fit, saying by how much."""
    sources = [*_c_files(folder / "src"), folder.resolve() / "board" / "main.c"]
    return toolchain.build_image(compiler, sources, output, (*FLAGS, f"-I{folder.resolve() / 'src'}", *flags))


def _c_files(sources: Path) -> list[Path]:
    return sorted(sources.resolve().glob("*.c"))


def _pointer(array: NDArray[np.int8] | NDArray[np.int16]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
