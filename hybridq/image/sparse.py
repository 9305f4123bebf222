"""Pruned weights as they lie in flash: a dense layer of 4 bits whose zeros are left out, where that takes neither more
bytes nor more time.

First how many 32-bit words each output has, as uint16, two in a word; then these words, output after output. A word has
four entries, the lowest byte first, each 16 * weight + gap: so many zeros, 0 to 15, then a weight. The weight is 0 in a
longer gap, which the entry makes 16 inputs shorter, and where an output would not have a whole number of words. Nothing
is read behind the inputs but to fill up their last four.
"""

from __future__ import annotations

import numpy as np

from hybridq.formats import Format
from hybridq.image.packing import packed_bytes
from hybridq.integer.network import Dense, Integers, Layer, Shape

LONGEST = 15  # zeros before an entry's weight
MOST_KEPT = 0.3  # of the weights: an entry takes 6 instructions, a weight among its zeros 1.7 (docs/results/lmu.md)


def is_sparse(layer: Layer) -> bool:
    """Whether the weights of a layer are stored without their zeros. Those of an outline, all zero, are not known."""
    if not isinstance(layer, Dense) or layer.width is not Format.INT4:
        return False
    kept = int(np.count_nonzero(layer.weights))
    few = 0 < kept <= MOST_KEPT * layer.weights.size
    return few and len(pack(layer.weights)) < packed_bytes(layer.weights.shape, layer.width)


def pack(weights: Integers) -> bytes:
    """Of a dense layer, (inputs, outputs), -7 to 7."""
    rows = [_entries(row) for row in weights.T]
    counts = [len(row) // 4 for row in rows] + [0] * (len(rows) % 2)
    return np.array(counts, "<u2").tobytes() + b"".join(rows)


def unpack(data: bytes, shape: Shape) -> Integers:
    """The weights of that shape from what `pack` made of them."""
    inputs, outputs = shape
    counts = np.frombuffer(data, "<u2", outputs)
    entries = np.frombuffer(data, np.int8)[2 * (outputs + outputs % 2) :].astype(np.int64)
    weights = np.zeros((outputs, inputs + 3), np.int64)  # what fills the last word may lie behind the inputs
    ends = 4 * np.cumsum(counts)
    for row, start, end in zip(weights, ends - 4 * counts, ends, strict=True):
        row[np.cumsum(entries[start:end] % 16 + 1) - 1] = entries[start:end] // 16
    return weights[:, :inputs].T


def _entries(row: Integers) -> bytes:
    """Of one output, a whole number of words."""
    entries = bytearray()
    before = -1
    for place in np.flatnonzero(row).tolist():
        gap = place - before - 1
        entries.extend([LONGEST] * (gap // (LONGEST + 1)))
        entries.append((int(row[place]) % 16) * 16 + gap % (LONGEST + 1))
        before = place
    while len(entries) % 4:
        split = next((at for at, entry in enumerate(entries) if entry % 16), None)
        if split is None:  # no zeros so far: the inputs behind
            entries.append(0)
        else:  # the last zero of the gap as an entry
            entries[split : split + 1] = bytes([entries[split] % 16 - 1, entries[split] // 16 * 16])
    return bytes(entries)
