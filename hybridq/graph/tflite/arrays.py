"""The numbers in a `.tflite` file: the arrays of its constants, and what the integers of a tensor stand for."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.graph.tflite.file import Network, array_place
from hybridq.graph.tflite.flatbuffer import DAMAGED

# By the number of the type in the schema; INT4 is unpacked to int8.
DTYPES: dict[int, str] = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1", 10: "<f8"}
INT4 = 17
QUANTIZATION = 4  # of a tensor: the field of that name in the schema


@dataclass(frozen=True)
class Quantization:
    """What a tensor's integers stand for: (integer - zero) * scale, one of each or one for each place along an axis."""

    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int


def quantization_of(network: Network, index: int) -> Quantization | None:
    """The quantization of a tensor; None of one of real numbers. Raises UserError for one that contradicts itself."""
    table = network.graph.item(0, index).table(QUANTIZATION)
    places, at = table.vector(2, 4), table.vector(3, 8)
    if not places:
        return None
    data, axes = table.data, network.tensors[index].shape
    scales = struct.unpack_from(f"<{len(places)}f", data, places.start)
    zeros = struct.unpack_from(f"<{len(at)}q", data, at.start) if at else (0,) * len(places)
    axis = table.number(6)
    sound = all(np.isfinite(scale) and scale > 0 for scale in scales) and all(abs(zero) < 2**31 for zero in zeros)
    fits = len(scales) == 1 or (0 <= axis < len(axes) and len(scales) == axes[axis])
    if not sound or not fits or len(zeros) != len(scales):
        raise UserError(
            f"{DAMAGED}: tensor {index} has {len(scales)} scales and {len(zeros)} zero points that no tensor has"
        )
    return Quantization(scales, zeros, axis)


def array_of(network: Network, index: int) -> NDArray[Any]:
    """The numbers of a constant, in its shape. Raises UserError where it is none, or is stored in a way of its own."""
    tensor = network.tensors[index]
    if tensor.packed_bytes is not None:
        raise UserError(f"tensor {index} is stored without its zeros; convert the model without sparsity")
    if not tensor.constant:
        makers = [node.name for node in network.nodes if index in node.outputs]
        by = f" but what {makers[0]} makes" if makers else ""
        raise UserError(f"tensor {index} is no constant{by}; weights must be")
    if tensor.type not in (*DTYPES, INT4) or min(tensor.shape, default=1) < 0:
        raise UserError(f"tensor {index} is no array of numbers")
    place = network.model.item(4, tensor.buffer)
    size, at = array_place(place)
    data = place.data[at : at + size]
    if tensor.type == INT4:
        both = np.frombuffer(data, np.uint8)
        values = np.stack([both & 15, both >> 4], axis=-1).ravel()[: tensor.elements].astype(np.int8)
        return ((values ^ 8) - 8).reshape(tensor.shape)
    return np.frombuffer(data, DTYPES[tensor.type]).reshape(tensor.shape)
