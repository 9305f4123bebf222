"""How large the structs of TensorFlow Lite for Microcontrollers are, by one rule for every processor.

A layout lists a struct's fields: a letter each, with a count before it where there are several. Their sources are its
headers (github.com/tensorflow/tflite-micro, commit 90b983c2), named beside each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CMSIS_NN, ESP_NN, ESP_NN_BEFORE, REFERENCE = KERNELS = ("CMSIS-NN", "ESP-NN 1.2.3", "ESP-NN 1.1", "reference kernels")
BUFFER = 16  # bytes: the alignment of tensors, and of all that a kernel asks for


@dataclass(frozen=True)
class Build:
    """What a build of the interpreter depends on: the processor's words and the kernels that it links."""

    pointer: int = 4  # bytes; sizes are as large
    enum: int = 1  # bytes: 1 by the ABI of bare-metal Arm, 4 elsewhere
    kernels: str = CMSIS_NN  # of KERNELS
    dsp: bool = True  # whether the processor has the instructions that CMSIS-NN takes for Cortex-M4 and up
    package: bool = False  # as the package `tflite-micro` for Python is built: with a record, and compressed tensors

    def size(self, layout: str) -> int:
        """Bytes of a struct, padded to the alignment of its widest field."""
        end, widest = 0, 1
        for count, letter in FIELD.findall(layout):
            if bytes_ := self._field(letter):
                widest = max(widest, bytes_)
                end = rounded(end, bytes_) + int(count or 1) * bytes_
        return rounded(end, widest)

    def alignment(self, layout: str) -> int:
        """The alignment of a struct: that of its widest field."""
        return max((self._field(letter) for _, letter in FIELD.findall(layout)), default=1)

    def _field(self, letter: str) -> int:
        if letter in "cr" and not self.package:
            return 0
        return {"p": self.pointer, "r": self.pointer, "e": self.enum}.get(letter) or WIDTHS[letter]


# "i" is also a float, "q" a double, "p" a pointer or size_t, "e" an enum; "c" a number and "r" a pointer that the build
# of the Python package has alone.
FIELD = re.compile(r"(\d*)([bhiqpecr])")
WIDTHS = {"b": 1, "h": 2, "i": 4, "q": 8, "c": 4}

# The allocator, its planner and its own: arena_allocator/single_arena_buffer_allocator.h, memory_planner/
# greedy_memory_planner.h, micro_allocator.h, recording_micro_allocator.h; a class with virtual functions begins with a
# pointer to them.
SINGLE_ARENA = "8pi4r"
GREEDY_PLANNER = "p2i4p2ipb"
MICRO_ALLOCATOR = "5pb3p25r"
BUILTIN_DATA_ALLOCATOR = "2p"
# What each network, operator and tensor has: micro_allocator.h and core/c/common.h
SUBGRAPH = "2pr"
NODE = "6pip"
EVAL_TENSOR = "2pe"
TENSOR = "ep2i3p2eb"
QUANTIZATION = "2pi"
SCRATCH_HANDLE = "p"
# Resource variables: micro_resource_variable.h
VARIABLES = "p2i"
VARIABLE = "4pb"
# What there is for a moment, while the arena is planned: micro_allocator.h, micro_allocation_info.h, and the working
# arrays of the planner, 10 numbers a buffer
SCRATCH_REQUEST = "p2i"
MOST_REQUESTS = 12  # scratch buffers for which each operator has room
ALLOCATION = "2p3ib"
PLANNED_BUFFER = "10i"


def int_array(count: int) -> int:
    """Bytes of an array that begins with its count."""
    return 4 + 4 * count


def rounded(count: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-count // unit) * unit
