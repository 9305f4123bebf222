"""Dense layers of many outputs, which are made part by part: all their sums at once would take too much RAM."""

from __future__ import annotations

from hybridq.image.packing import packed_bytes
from hybridq.image.sparse import is_sparse
from hybridq.integer.network import Dense

PART = 64  # outputs whose sums are there at once: HQ_DENSE_PART


def in_parts(layer: Dense) -> bool:
    """Whether a layer's outputs are made part by part."""
    return layer.shape[-1] > PART and not layer.is_wide and not is_sparse(layer)


def part_words(layer: Dense) -> int:
    """Words of the packed weights of a part."""
    return packed_bytes((layer.weights.shape[0], PART), layer.width) // 4


def sums_bytes(layer: Dense) -> int:
    """Scratch for the sums that are there at once."""
    return 4 * (PART if in_parts(layer) else layer.shape[-1])
