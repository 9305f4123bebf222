"""What the integer network computes as one layer: an operator of the network with what follows it.

A chain is a step of the grammar in `quantize.steps`. The graph alone says which chains there are (`structure`); the
figures of their parts are those of Keras layers (`chains_of`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import UserError
from hybridq.graph.kinds import FUNCTIONS, Form, of_form
from hybridq.graph.operators import Graph, Operator
from hybridq.graph.reader import read_graph
from hybridq.integer.scaling import Reals
from hybridq.quantize.steps import (
    CLIP,
    FUNCTION,
    GRID,
    LOGITS,
    NORM,
    WORDS,
    goes_on,
    held,
    is_answer,
    is_nothing,
    letter_of,
    view_of,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Part:
    """A letter of a chain's word, and its figures.

    NORM: scale and offset by channel; CLIP: the upper bound or None; FUNCTION: what computes it; GRID: the fraction,
    the one figure that is in the graph.
    """

    letter: str
    operator: Operator | None = None  # None: a grid that is there already, and is read
    value: Any = None
    layer: Any = None  # the Keras layer


@dataclass
class Chain:
    """An operator and what follows it, up to the tensor that is stored under the operator's name."""

    operator: Operator
    inputs: tuple[Source, ...]
    parts: list[Part] = field(default_factory=list)
    others: list[Operator] = field(default_factory=list)  # that run in it besides the first, in order
    closed: bool = False  # it is read more than once

    @property
    def name(self) -> str:
        """The name of the operator and of the tensor."""
        return self.operator.name

    @property
    def end(self) -> str:
        """The Keras layer that makes the stored tensor."""
        made = [part.operator.name for part in self.parts if part.operator]
        return made[-1] if made else self.name

    @property
    def word(self) -> str:
        """The letters of its parts."""
        return "".join(part.letter for part in self.parts)

    @property
    def fraction(self) -> int:
        """That of the stored tensor; UserError where it is not on a grid."""
        if self.word not in WORDS[self.operator.facts.form]:
            raise UserError(
                f"{self.end}: its result is not on a grid of 8 bits; name it in the precision plan "
                "('\"*\": {outputs: 8-bit}' names all) and train, or convert with clips to calibrate on"
            )
        return int(self.parts[-1].value) if self.word else self.inputs[0].chain.fraction

    def takes(self, letter: str) -> bool:
        """Whether the word may go on with that letter."""
        return not self.closed and goes_on(self.operator.facts.form, self.word, letter)


@dataclass(frozen=True)
class Source:
    """A tensor as it is read."""

    chain: Chain
    view: str = ""


def structure(graph: Graph) -> list[Chain]:
    """The chains of a network in running order, its input first and its logits last, without the figures of layers.

    Raises UserError naming the layer that has no form in integers.
    """
    users, sources, chains = graph.consumers(), dict[str, Source](), list[Chain]()
    if len(graph.outputs) != 1 or [op.kind for op in graph.operators].count("InputLayer") != 1:
        raise UserError(f"{graph.name}: only a network of one input and one output can be converted")
    for op in graph.operators:
        read = tuple(sources[name] for name in op.inputs)
        if op.facts.form in (Form.VIEW, Form.NOTHING) or is_answer(op, graph) or is_nothing(op):
            source = Source(read[0].chain, _view(op, read[0].view))
        else:
            source = _read(op, read, op.name in graph.outputs)
        sources[op.name] = source
        if source.chain.operator is op:
            chains.append(source.chain)
        else:
            source.chain.others.append(op)
        source.chain.closed |= len(users[op.name]) > 1
    last = sources[graph.outputs[0]].chain
    if last.operator.kind != "Dense" or last.word not in LOGITS or last is not chains[-1]:
        raise UserError(f"{last.name}: the network must end in a dense layer, with softmax or nothing behind it")
    return chains


def _read(op: Operator, read: tuple[Source, ...], is_last: bool) -> Source:
    """The tensor that an operator makes: its own, or the one that it reads with a part more."""
    if op.facts.form is Form.BEHIND:
        part = _part(op)
        (source,) = read
        if source.view or not source.chain.takes(part.letter):
            stored = Part(GRID, value=source.chain.fraction)
            source = Source(
                Chain(op, read, [stored] if part.letter == FUNCTION else [])
            )  # a table reads what is stored
        source.chain.parts.append(part)
        return source
    if op.facts.form not in WORDS:
        raise UserError(
            f"{op.name}: a {op.kind.removeprefix('unknown: ')} layer has no form in integers; "
            f"there are {', '.join(sorted(of_form(*WORDS) - {'InputLayer'}))}"
        )
    chain = Chain(op, read)
    for source in read:
        _ = source.chain.fraction  # must be stored by now
    softmax = op.attributes.get("activation") == "softmax"
    if op.facts.form is Form.WEIGHTS and held(op) and not (softmax and is_last):
        chain.parts.append(_activation(op))
    return Source(chain)


def _part(op: Operator) -> Part:
    letter = letter_of(op)
    if letter in (NORM, GRID):
        return Part(letter, op, op.attributes.get("fraction"))
    if not letter:
        raise UserError(f"{op.name}: its results have fewer than 8 bits; only 8-bit outputs can be converted")
    return _activation(op)


def _activation(op: Operator) -> Part:
    function = op.attributes["activation"]
    if "quantizer" in op.attributes:
        raise UserError(f"{op.name}: its activation is a quantizer; give it the plain function, and 8-bit outputs")
    if function == "softmax":
        raise UserError(f"{op.name}: softmax has no form in integers except as the last layer")
    return Part(held(op), op)


def _view(op: Operator, before: str) -> str:
    view = view_of(op, before)
    if view is None:
        (given,), made = op.input_shapes, op.output_shape
        raise UserError(f"{op.name}: no layer of the integer network changes shapes so ({given} to {made})")
    return view


# ------------------------------------------------------------------------------------------ figures of Keras layers


def chains_of(model: keras.Model) -> list[Chain]:
    """`structure` of a Keras network, with the figures of its layers."""
    chains = structure(read_graph(model))
    for chain in chains:
        chain.parts = [_measured(part, model) for part in chain.parts]
    return chains


def _measured(part: Part, model: keras.Model) -> Part:
    op = part.operator
    if op is None:
        return part
    operations = getattr(model, "operations", model.layers)  # layers, and those of keras.ops
    layer = next(one for one in operations if one.name == op.name)
    value = part.value
    if part.letter == NORM:
        value = _norm(layer)
    elif part.letter == CLIP:
        value = layer.max_value if op.kind == "ReLU" else _upper_bound(op.attributes["activation"])
    elif part.letter == FUNCTION:
        value = layer
    return replace(part, value=value, layer=layer)


def _upper_bound(function: str) -> float | None:
    bounds = FUNCTIONS[function].bounds
    return bounds[1] if bounds else None


def _norm(layer: Any) -> tuple[Reals, Reals]:
    """A batch norm at inference as scale and offset, by channel."""
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * np.asarray(layer.gamma, np.float64) if layer.scale else scale
    offset = np.asarray(layer.beta, np.float64) if layer.center else np.zeros_like(mean)
    return scale, offset - mean * scale
