"""An exported network as something to call: on this machine, or on the Cortex-M4 in the emulator."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.image import toolchain
from hybridq.image.emulator import Board
from hybridq.image.front_end import Samples
from hybridq.image.tensors import Tensor, classes_of, input_of, tensors_of
from hybridq.integer.arithmetic import Outputs
from hybridq.integer.network import IntegerNetwork
from hybridq.integer.online import is_online

# The front end gives the same bits everywhere only where no product and sum are fused.
FLAGS = ("-ffp-contract=off",)
# The loader knows a library by its inode, which a new file may have from a deleted one: none is deleted before the end.
_LIBRARIES = tempfile.TemporaryDirectory(prefix="hybridq-")
Pieces = Sequence[Samples]  # of one sound
Frames = Sequence[NDArray[np.int8]]  # of one example: the whole of it, or what an online network reads one by one
Answer = tuple[NDArray[np.int8], list[Outputs], int | None]


class Machine(Protocol):
    """Runs an exported network, `device`: that of a frame where it is online.

    From a fresh start it answers what the network has read, frame behind frame along the columns (rows, columns,
    channels); what it says at the end, output by output; and the class that this is, None where it is none.
    """

    def hear(self, pieces: Pieces, device: IntegerNetwork) -> Answer:
        """Of the pieces of a sound, with a front end."""
        ...

    def infer(self, frames: Frames, device: IntegerNetwork) -> Answer:
        """Of integers, without one."""
        ...


class Host:
    """The C as a library of this machine."""

    def __init__(self, sources: Path) -> None:
        compiler = toolchain.host()
        if compiler is None:
            raise UserError("no C compiler for this machine: install gcc or clang", ENVIRONMENT)
        output = Path(tempfile.mkdtemp(dir=_LIBRARIES.name)) / "network.so"
        flags = ("-O2", "-shared", "-fPIC", *FLAGS)
        self._library = ctypes.CDLL(str(compiler.build(_c_files(sources), output, flags)))

    def hear(self, pieces: Pieces, device: IntegerNetwork) -> Answer:
        """See Machine."""
        library, read, logits = self._library, [], _room(tensors_of(device)[0])
        library.hybridq_init()
        for piece in pieces:
            sound, matrix = np.ascontiguousarray(piece, np.int16), np.zeros(device.input_shape[:2], np.int8)
            library.hybridq_push_audio(_pointer(sound), ctypes.c_size_t(len(sound)))
            for number, row in enumerate(matrix):
                library.hybridq_input_row(ctypes.c_uint32(number), _pointer(row))
            read.append(matrix.reshape(device.input_shape))
        return np.concatenate(read, axis=1), [logits], int(library.hybridq_classify(_pointer(logits)))

    def infer(self, frames: Frames, device: IntegerNetwork) -> Answer:
        """See Machine."""
        library, outputs = self._library, [_room(one) for one in tensors_of(device)]
        if is_online(device):
            library.hybridq_reset()
        for frame in frames:
            library.hybridq_infer(_pointer(np.ascontiguousarray(frame, np.int8)), *map(_pointer, outputs))
        class_number = int(library.hybridq_class(_pointer(outputs[0]))) if classes_of(device) else None
        return _joined(frames), outputs, class_number


class CortexM4:
    """An image in the emulator; `stack_bytes` is the deepest that its stack was."""

    def __init__(self, elf: Path) -> None:
        self.board = Board(elf)
        self.board.run()  # sets the variables
        self.stack_bytes = self.board.stack_bytes

    def hear(self, pieces: Pieces, device: IntegerNetwork) -> Answer:
        """See Machine."""
        board, read = self.board, []
        room = board.free
        self._call("hybridq_init")
        for sound in pieces:
            board.write(room, np.asarray(sound, "<i2").tobytes())
            self._call("hybridq_push_audio", room, len(sound))
            matrix = np.zeros(device.input_shape[:2], np.int8)
            for number in range(len(matrix)):
                self._call("hybridq_input_row", number, room)
                matrix[number] = np.frombuffer(board.read(room, matrix.shape[1]), np.int8)
            read.append(matrix.reshape(device.input_shape))
        answer = self._call("hybridq_classify", room)
        return np.concatenate(read, axis=1), [self._read(tensors_of(device)[0], room)], answer

    def infer(self, frames: Frames, device: IntegerNetwork) -> Answer:
        """See Machine. The tensors are those of the program: nothing else need fit beside them."""
        board, reads, makes = self.board, input_of(device), tensors_of(device)
        places = [board.symbols[f"bench_{one.argument}"].address for one in (reads, *makes)]
        if is_online(device):
            self._call("hybridq_reset")
        for frame in frames:
            board.write(places[0], np.asarray(frame, np.int8).tobytes())
            self._call("hybridq_infer", *places)
        outputs = [self._read(one, at) for one, at in zip(makes, places[1:], strict=True)]
        class_number = self._call("hybridq_class", places[1]) if classes_of(device) else None
        return _joined(frames), outputs, class_number

    def _read(self, tensor: Tensor, address: int) -> Outputs:
        content = self.board.read(address, tensor.size * tensor.dtype.itemsize)
        read = np.frombuffer(content, tensor.dtype).reshape(tensor.shape)
        return read.astype(np.int8) if tensor.bits == 8 else read.astype(np.int16)

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


def _room(tensor: Tensor) -> Outputs:
    return np.zeros(tensor.shape, np.int8) if tensor.bits == 8 else np.zeros(tensor.shape, np.int16)


def _joined(frames: Frames) -> NDArray[np.int8]:
    return frames[0] if len(frames) == 1 else np.concatenate(frames, axis=1)


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
