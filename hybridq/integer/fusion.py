"""What the integer network computes as one layer: an operator of the network with what follows it.

A chain begins at an operator that reads other tensors, and ends where a tensor is stored, on a grid of 8 bits. What
stands between is a word of the letters below; the words that a layer of the integer network can be are few. The graph
alone says which chains there are (`structure`); the figures of their parts are those of Keras layers (`chains_of`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import UserError
from hybridq.graph.kinds import UNCHANGED
from hybridq.graph.reader import Graph, Operator, read_graph
from hybridq.integer.scaling import Reals
from hybridq.quantize.model import ACTIVATIONS, CLIPS, POOLS, RESHAPES, WEIGHTED, makes_grid

if TYPE_CHECKING:
    import keras

NORM, CLIP, FUNCTION, GRID = "NCFG"
AVERAGES = frozenset({"GlobalAveragePooling1D", "GlobalAveragePooling2D"})
IDENTITIES = ACTIVATIONS | {"BatchNormalization"}  # may stand behind something that has no place for them
# To the grid (bounds, or a table from one grid to another), then a batch norm that nothing could take up.
WORDS = frozenset(
    norm + middle + end for norm in ("", "N") for middle in ("G", "CG", "GFG", "GCG") for end in ("", "NG")
)
WORDS_OF = {
    **dict.fromkeys(WEIGHTED | IDENTITIES, WORDS),
    **dict.fromkeys(AVERAGES | {"Add"}, frozenset({"G", "CG"})),
    **dict.fromkeys(POOLS, frozenset({""})),
    "LinearMemory": frozenset({"G"}),
    "InputLayer": frozenset({"G"}),
}
LOGITS = frozenset({"", "N"})  # what the last layer may be: its sums, or these normalised
FLAT, TURNED = "flat", "turned"  # how a tensor is looked at: as a row; as a matrix of (columns, rows)


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
        if self.word not in WORDS_OF[self.operator.kind]:
            raise UserError(
                f"{self.end}: its result is not on a grid of 8 bits; name it in the precision plan "
                "('\"*\": {outputs: 8-bit}' names all) and train, or convert with clips to calibrate on"
            )
        return self.inputs[0].chain.fraction if self.operator.kind in POOLS else int(self.parts[-1].value)

    def takes(self, letter: str) -> bool:
        """Whether the word may go on with that letter."""
        return not self.closed and any(word.startswith(self.word + letter) for word in WORDS_OF[self.operator.kind])


@dataclass(frozen=True)
class Source:
    """A tensor as it is read."""

    chain: Chain
    view: str = ""


def structure(graph: Graph) -> list[Chain]:
    """The chains of a network in running order, its input first and its logits last, without the figures of layers.

    Raises UserError naming the layer that has no form in integers.
    """
    users, sources, found = graph.consumers(), dict[str, Source](), list[Chain]()
    if len(graph.outputs) != 1 or [op.kind for op in graph.operators].count("InputLayer") != 1:
        raise UserError(f"{graph.name}: only a network of one input and one output can be converted")
    for op in graph.operators:
        read = tuple(sources[name] for name in op.inputs)
        if op.kind in RESHAPES | frozenset(UNCHANGED) or _is_answer(op, graph) or _is_nothing(op):
            source = Source(read[0].chain, _view(op, read[0].view))
        else:
            source = _read(op, read, op.name in graph.outputs)
        sources[op.name] = source
        if source.chain.operator is op:
            found.append(source.chain)
        else:
            source.chain.others.append(op)
        source.chain.closed |= len(users[op.name]) > 1
    last = sources[graph.outputs[0]].chain
    if last.operator.kind != "Dense" or last.word not in LOGITS or last is not found[-1]:
        raise UserError(f"{last.name}: the network must end in a dense layer, with softmax or nothing behind it")
    return found


def _read(op: Operator, read: tuple[Source, ...], is_last: bool) -> Source:
    """The tensor that an operator makes: its own, or the one that it reads with a part more."""
    if op.kind in IDENTITIES:
        part = _part(op)
        (source,) = read
        if source.view or not source.chain.takes(part.letter):
            stored = Part(GRID, value=source.chain.fraction)
            source = Source(
                Chain(op, read, [stored] if part.letter == FUNCTION else [])
            )  # a table reads what is stored
        source.chain.parts.append(part)
        return source
    if op.kind not in WORDS_OF:
        raise UserError(
            f"{op.name}: a {op.kind.removeprefix('unknown: ')} layer has no form in integers; "
            f"there are {', '.join(sorted(WORDS_OF.keys() - {'InputLayer'}))}"
        )
    chain = Chain(op, read)
    for source in read:
        _ = source.chain.fraction  # must be stored by now
    function = op.attributes.get("activation", "linear")
    if op.kind in WEIGHTED and function != "linear" and not (function == "softmax" and is_last):
        chain.parts.append(_activation(op))
    return Source(chain)


def _part(op: Operator) -> Part:
    if op.kind == "BatchNormalization":
        return Part(NORM, op)
    if makes_grid(op):
        return Part(GRID, op, op.attributes["fraction"])
    if op.attributes["activation"] == "linear":
        raise UserError(f"{op.name}: its results have fewer than 8 bits; only 8-bit outputs can be converted")
    return _activation(op)


def _activation(op: Operator) -> Part:
    function = op.attributes["activation"]
    if "quantizer" in op.attributes:
        raise UserError(f"{op.name}: its activation is a quantizer; give it the plain function, and 8-bit outputs")
    if function == "softmax":
        raise UserError(f"{op.name}: softmax has no form in integers except as the last layer")
    return Part(CLIP if function in CLIPS and not op.attributes.get("threshold") else FUNCTION, op)


def _is_answer(op: Operator, graph: Graph) -> bool:
    """Whether it is a softmax that makes shares of the logits: it leaves the largest the largest."""
    softmax = op.kind in ACTIVATIONS | {"Softmax"} and op.attributes.get("activation", "softmax") == "softmax"
    return softmax and op.name in graph.outputs


def _is_nothing(op: Operator) -> bool:
    return op.kind == "Activation" and op.attributes["activation"] == "linear" and "quantizer" not in op.attributes


def _view(op: Operator, before: str) -> str:
    if op.kind not in RESHAPES:
        return before
    (given,), made = op.input_shapes, op.output_shape
    if op.kind == "Permute" and not before and len(given) == 2 and made == given[::-1]:
        return TURNED
    if op.kind != "Permute" and before != TURNED and len(made) == 1:
        return FLAT
    if op.kind == "Reshape" and not before and [n for n in given if n > 1] == [n for n in made if n > 1]:
        return ""
    raise UserError(f"{op.name}: no layer of the integer network changes shapes so ({given} to {made})")


# ------------------------------------------------------------------------------------------ figures of Keras layers


def chains_of(model: keras.Model) -> list[Chain]:
    """`structure` of a Keras network, with the figures of its layers."""
    found = structure(read_graph(model))
    for chain in found:
        chain.parts = [_measured(part, model) for part in chain.parts]
    return found


def _measured(part: Part, model: keras.Model) -> Part:
    op = part.operator
    if op is None:
        return part
    layer, value = model.get_layer(op.name), part.value
    if part.letter == NORM:
        value = _norm(layer)
    elif part.letter == CLIP:
        value = layer.max_value if op.kind == "ReLU" else {"relu6": 6.0}.get(op.attributes["activation"])
    elif part.letter == FUNCTION:
        value = layer
    return replace(part, value=value, layer=layer)


def _norm(layer: Any) -> tuple[Reals, Reals]:
    """A batch norm at inference as scale and offset, by channel."""
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * np.asarray(layer.gamma, np.float64) if layer.scale else scale
    offset = np.asarray(layer.beta, np.float64) if layer.center else np.zeros_like(mean)
    return scale, offset - mean * scale
