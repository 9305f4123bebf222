"""What a rule says of a layer, and how a rule reads the saved settings: numbers, shapes, bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.kinds import LayerKind
from hybridq.graph.operators import Shape
from hybridq.precision import LayerPrecision

Config = Mapping[str, Any]

LARGEST_DIMENSION = 2**31  # beyond these a file is damaged or hostile, not a network
LARGEST_TENSOR = 2**40  # elements
MOST_AXES = 16


@dataclass(frozen=True)
class Description:
    """A layer as its configuration tells it; the counts are numbers, not bytes."""

    kind: str  # "" in a rule's answer: the kind under which the rule stands
    output_shape: Shape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kernel: int = 0
    bias: int = 0
    other: int = 0  # neither kernel nor bias: scale and offset of a batch norm, slopes of a PReLU
    precision: LayerPrecision | None = None
    further_outputs: tuple[Shape, ...] = ()  # the states of a recurrent layer that returns them


Rule = Callable[[Config, Sequence[Shape]], Description]
RuleOf = Callable[[LayerKind], Rule]  # the rule of a kind of layer, from its row


def always(rule: Rule) -> RuleOf:
    """The rule of a family whose layers are all read alike."""
    return lambda kind: rule


def unknown(what: str, recorded: Shape | None = None) -> Description:
    """The description of a layer for which there is no rule."""
    return Description(f"unknown: {what}", recorded or ())


def verified(layer: Description, recorded: Shape | None) -> Description:
    """The description itself; raises UserError where it is impossible or contradicts the recorded shape."""
    if max(layer.kernel, layer.bias, layer.other) > LARGEST_TENSOR:
        raise UserError(f"{max(layer.kernel, layer.bias, layer.other)} weights are not possible")
    for shape in (layer.output_shape, *layer.further_outputs):
        checked(shape)
    if recorded and layer.output_shape and recorded != layer.output_shape:
        raise UserError(f"its settings give the output {layer.output_shape}, the file says {recorded}")
    return layer


def checked(shape: Shape) -> Shape:
    """The shape itself; raises UserError where it is not positive or absurdly large."""
    possible = len(shape) <= MOST_AXES and all(0 < n <= LARGEST_DIMENSION for n in shape)
    if not possible or prod(shape) > LARGEST_TENSOR:
        raise UserError(f"the shape {shape} is not possible")
    return shape


def fixed(shape: Any) -> Shape | None:
    """A recorded shape without its batch; None where there is none or a dimension is left open."""
    if not isinstance(shape, list | tuple) or not all(type(n) is int for n in shape[1:]):
        return None
    return tuple(shape[1:])


def number(config: Config, key: str, default: int | None = None, least: int = 1) -> int:
    """A whole number of the settings."""
    value = config.get(key, default)
    if type(value) is not int or not least <= value <= LARGEST_DIMENSION:
        raise UserError(f"{key} is {value!r}, not a whole number of {least} or more")
    return value


def numbers(config: Config, key: str, count: int, default: int | None = None, least: int = 1) -> Shape:
    """That many whole numbers; one alone stands for all."""
    value = config.get(key, default)
    items = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * count
    if len(items) != count:
        raise UserError(f"{key} is {value!r}, not {count} numbers")
    return tuple(number({key: item}, key, least=least) for item in items)


def one(inputs: Sequence[Shape], axes: int | None = None) -> Shape:
    """The only input, of that many axes."""
    if len(inputs) != 1 or (axes is not None and len(inputs[0]) != axes):
        raise refused(inputs)
    return inputs[0]


def refused(inputs: Sequence[Shape]) -> UserError:
    """The error for inputs that the layer cannot take."""
    return UserError(f"it cannot take the input {', '.join(map(str, inputs)) or 'none'}")
