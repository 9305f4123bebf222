"""Operations on tensors, which are saved as layers: sums along axes, slices, splits, products of matrices.

Their settings count the axes with the batch as 0, as the operations of Keras 3 and of TensorFlow do. What changes the
batch is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers.description import (
    LARGEST_DIMENSION,
    MOST_AXES,
    Config,
    Description,
    Rule,
    RuleOf,
    always,
    numbers,
    one,
    refused,
    unknown,
)
from hybridq.graph.kinds import LayerKind
from hybridq.graph.operators import Shape

MOST_PARTS = 1_000  # of a split


def axis_of(value: Any, axes: int) -> int:
    """The place of an axis in a shape of so many axes, without the batch; raises UserError, also for the batch."""
    if type(value) is not int or not (0 < value <= axes or -axes <= value < 0):
        raise UserError(f"axis is {value!r}; there are {axes}, beside the batch")
    return value - 1 if value > 0 else axes + value


def _reduction(kind: LayerKind) -> Rule:
    """Sums, means, extremes over some axes."""

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source, given = one(inputs), config.get("axis")
        axes = list(given) if isinstance(given, list | tuple) else [given]
        if given is None or any(axis == 0 for axis in axes):
            return unknown(f"{kind.name} over the batch")
        reduced = {axis_of(axis, len(source)) for axis in axes}
        kept = [(1 if i in reduced else n) for i, n in enumerate(source) if i not in reduced or config.get("keepdims")]
        return Description("", tuple(kept) or (1,), {"axes": tuple(sorted(reduced))})

    return read


def _stack(config: Config, inputs: Sequence[Shape]) -> Description:
    """Equal tensors side by side along an axis of their own."""
    if not inputs or len(set(inputs)) != 1:
        raise refused(inputs)
    source, axis = inputs[0], config.get("axis", 0)
    if axis == 0:
        return unknown("Stack along the batch")
    at = axis_of(axis, len(source) + 1)
    return Description("", (*source[:at], len(inputs), *source[at:]))


def _split(config: Config, inputs: Sequence[Shape]) -> Description:
    """As many parts as a number says, or of these sizes, one of which may be -1."""
    source, given = one(inputs), config.get("parts")
    if config.get("axis", 0) == 0:
        return unknown("Split of the batch")
    at = axis_of(config.get("axis"), len(source))
    if type(given) is int and 0 < given <= MOST_PARTS and source[at] % given == 0:
        given = [source[at] // given] * given
    sizes = list(given) if isinstance(given, list | tuple) and 0 < len(given) <= MOST_PARTS else []
    if not all(type(n) is int for n in sizes):
        raise UserError(f"it splits {source} into {given!r:.60}")
    sizes = [n if n >= 0 else source[at] - sum(m for m in sizes if m >= 0) for n in sizes]
    if not sizes or sum(sizes) != source[at]:
        raise UserError(f"it cannot split {source} into {given!r:.60}")
    first, *others = ((*source[:at], n, *source[at + 1 :]) for n in sizes)
    return Description("", first, further_outputs=tuple(others))


def _pad(config: Config, inputs: Sequence[Shape]) -> Description:
    """Values around a tensor, (before, after) on each axis, the batch among them."""
    source, given = one(inputs), config.get("pads")
    if not isinstance(given, list | tuple) or len(given) != len(source) + 1:
        raise UserError(f"its pads are {given!r:.60}")
    batch, *pads = (numbers({"pads": pair}, "pads", 2, least=0) for pair in given)
    if any(batch):
        return unknown("Pad of the batch")
    return Description("", tuple(n + sum(pair) for n, pair in zip(source, pads, strict=True)))


def _tile(config: Config, inputs: Sequence[Shape]) -> Description:
    source = one(inputs)
    times = numbers(config, "times", len(source) + 1)
    if times[0] != 1:
        return unknown("Tile of the batch")
    return Description("", tuple(n * m for n, m in zip(source, times[1:], strict=True)))


def _matmul(config: Config, inputs: Sequence[Shape]) -> Description:
    """Of the last two axes; those before are taken one by one."""
    if len(inputs) != 2 or not all(inputs):
        raise refused(inputs)
    first, second = ((*(1,) * (2 - len(shape)), *shape) for shape in inputs)
    first = (*first[:-2], *first[:-3:-1]) if config.get("transpose_a") else first
    second = (*second[:-2], *second[:-3:-1]) if config.get("transpose_b") else second
    apart = max(first[:-2], second[:-2], key=len)
    if first[-1] != second[-2] or any(
        n not in (1, m) for one_of in (first, second) for n, m in zip(one_of[-3::-1], apart[::-1], strict=False)
    ):
        raise refused(inputs)
    shape = (*apart, first[-2], second[-1])
    return Description("", shape[1:] if len(inputs[0]) == 1 else shape, {"length": first[-1]})


def _slice(config: Config, inputs: Sequence[Shape]) -> Description:
    """`x[:, 2:5, 0]`: for each axis an index or a range, `...` for those between, None for a new one."""
    source, given = one(inputs), config.get("slice_spec")
    spec = list(given) if isinstance(given, list | tuple) else [given]
    if len(spec) > MOST_AXES:
        raise UserError(f"it slices {len(spec)} axes")
    if type(given) is int and len(source) == 1:
        return Description("", (1,))  # of a shape, which has no batch
    named = sum(item is not None and not _is_rest(item) for item in spec)
    if sum(map(_is_rest, spec)) > 1 or named > len(source) + 1:
        raise UserError(f"it cannot slice {source} so")
    all_of_it: dict[str, Any] = {}
    whole = [all_of_it] * (len(source) + 1 - named)
    at = next((i for i, item in enumerate(spec) if _is_rest(item)), len(spec))
    spec = [*spec[:at], *whole, *spec[at + 1 :]]
    if not isinstance(spec[0], dict) or any(spec[0].get(end) is not None for end in ("start", "stop", "step")):
        return unknown("Slice of the batch")
    shape, axes = [], list(source)
    for item in spec[1:]:
        if item is None:
            shape.append(1)
        elif isinstance(item, dict):
            shape.append(len(range(axes.pop(0))[_range(item)]))
        elif type(item) is int:
            axes.pop(0)
        else:
            return unknown("Slice by a tensor")
    return Description("", tuple(shape) or (1,))


def _is_rest(item: Any) -> bool:
    return isinstance(item, dict) and item.get("class_name") == "__ellipsis__"


def _range(item: dict[str, Any]) -> slice:
    ends = [item.get(end) for end in ("start", "stop", "step")]
    if not all(n is None or (type(n) is int and abs(n) <= LARGEST_DIMENSION) for n in ends) or ends[2] == 0:
        raise UserError(f"it slices from {ends[0]!r:.20} to {ends[1]!r:.20} by {ends[2]!r:.20}")
    return slice(*ends)


def _each(config: Config, inputs: Sequence[Shape]) -> Description:
    return Description("", one(inputs))


def _shape(config: Config, inputs: Sequence[Shape]) -> Description:
    """The sizes of a tensor, its batch among them."""
    return Description("", (len(one(inputs)) + 1,))


RULES: dict[str, RuleOf] = {
    "unary": always(_each),
    "reduction": _reduction,
    "stack": always(_stack),
    "split": always(_split),
    "pad": always(_pad),
    "tile": always(_tile),
    "matmul": always(_matmul),
    "slice": always(_slice),
    "shape": always(_shape),
    "requantization": always(_each),
}
