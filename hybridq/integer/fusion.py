"""What the integer network computes as one layer: an operator of the network with what follows it.

A chain is a step of the grammar in `quantization.steps`. The graph alone says which chains there are (`structure`); the
figures of their parts are those of Keras layers (`figures.chains_of`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.instead import instead_of, no_lambda
from hybridq.graph.kinds import Form, of_form
from hybridq.graph.operators import Graph, Operator, Shape
from hybridq.quantization.decomposition import taken_apart
from hybridq.quantization.steps import (
    BY_VALUE,
    FLAT,
    FUNCTION,
    GRID,
    LOGITS,
    NORM,
    SCALE,
    TURNED,
    WORDS,
    ends_of,
    goes_on,
    held,
    is_nothing,
    letter_of,
    view_of,
)


@dataclass(frozen=True)
class Part:
    """A letter of a chain's word, and its figures.

    NORM and SCALE: scale and offset by channel; CLIP: the upper bound or None; FUNCTION: what computes it; GRID: the
    fraction, the one figure that is in the graph.
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
    wide: bool = False  # its sums leave the network, as int16
    output: int | None = None  # which output of the network it is
    function: str = ""  # what makes answers of that output, outside

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
    def map_shape(self) -> Shape:
        """The shape of the tensor that it makes; of one that goes value by value over a row that of its map."""
        by_row = self.operator.facts.form is Form.BEHIND and self.inputs[0].view == FLAT
        return self.inputs[0].chain.map_shape if by_row else self.operator.output_shape

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
                "('\"*\": {outputs: 8-bit}' names all) and train, or give some hundred inputs to calibrate on"
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
    pads: tuple[tuple[int, int], ...] = ()  # zeros around it, for convolutions alone


def structure(graph: Graph) -> list[Chain]:
    """The chains of a network in running order, its input first, without the figures of layers.

    Raises UserError naming the layer that has no form in integers.
    """
    graph = taken_apart(graph)
    operators = {op.name: op for op in graph.operators}
    users, ends, sources, chains = graph.consumers(), ends_of(graph), dict[str, Source](), list[Chain]()
    if [op.kind for op in graph.operators].count("InputLayer") != 1:
        raise UserError(f"{graph.name}: only a network of one input can be converted")
    for op in graph.operators:
        read = tuple(sources[name] for name in op.inputs)
        behind = [operators[name] for name in users[op.name]]
        if op.facts.form in (Form.VIEW, Form.NOTHING) or ends.passes(op) or is_nothing(op):
            leaves = op.name in ends.leaving and op.kind != "Permute"  # any shape: nobody reads it
            source = read[0] if leaves else _viewed(op, read[0], behind)
        elif op.facts.family == "padding" and behind and all(map(_takes_pads, behind)) and not read[0].view:
            pads = op.attributes["pads"]
            source = Source(read[0].chain, pads=pads)
        else:
            source = _read(op, read, op.name in ends.answers)
        sources[op.name] = source
        if source.chain.operator is op:
            chains += [one.chain for one in source.chain.inputs if not any(one.chain is there for there in chains)]
            chains.append(source.chain)
        else:
            source.chain.others.append(op)
        source.chain.closed |= len(users[op.name]) > 1
    for number, name in enumerate(graph.outputs):
        _leave(sources[name], number, name in ends.leaving, ends.functions[number])
    return chains


def _leave(source: Source, number: int, unread: bool, function: str) -> None:
    """Let a tensor leave the network: sums as int16, any other on its grid."""
    chain = source.chain
    if chain.output is not None:
        raise UserError(f"{chain.name}: two outputs of the network are this tensor in integers; name it once")
    if chain.operator.facts.form is Form.INPUT:
        raise UserError(f"{chain.name}: an output of the network is its input; leave it out")
    if source.view == TURNED:
        raise UserError(f"{chain.name}: the network must not end in a Permute; leave it out")
    chain.output, chain.function = number, function
    chain.wide = unread and chain.operator.facts.form is Form.WEIGHTS and chain.word in LOGITS
    if not chain.wide:
        _ = chain.fraction  # must be on a grid


def _read(op: Operator, read: tuple[Source, ...], makes_answers: bool) -> Source:
    """The tensor that an operator makes: its own, or the one that it reads with a part more."""
    if op.facts.form is Form.BEHIND:
        part = _part(op)
        (source,) = read
        if part.letter == SCALE:
            _check_scale(op, source)
        by_value = source.view == FLAT and part.letter in BY_VALUE  # the same on the map that the row is of
        if (source.view and not by_value) or not source.chain.takes(part.letter):
            stored = Part(GRID, value=source.chain.fraction)
            start = [stored] if part.letter == FUNCTION else []  # a table reads what is stored
            source = Source(Chain(op, read if by_value else (_as_map(op, source),), start), FLAT if by_value else "")
        source.chain.parts.append(part)
        return source
    if op.facts.form not in WORDS:
        kind = op.kind.removeprefix("unknown: ")
        if kind == "Lambda":
            raise UserError(no_lambda(op.name))
        there = f"; there are {', '.join(sorted(of_form(*WORDS) - {'InputLayer'}))}"
        raise UserError(f"{op.name}: {kind} layers have no form in integers{instead_of(kind) or there}")
    chain = Chain(op, read)
    for source in read:
        _ = source.chain.fraction  # must be stored by now
    if op.facts.form is Form.WEIGHTS and held(op) and not makes_answers:
        chain.parts.append(_activation(op))
    return Source(chain)


def _as_map(op: Operator, source: Source) -> Source:
    """What a layer reads that is part of no other: a row of features as an image of one place."""
    (shape,) = op.input_shapes
    if len(shape) > 1 or source.view == TURNED:
        return source
    made = (1, 1, *shape)
    return Source(Chain(Operator(f"{op.name} (map)", "Reshape", op.inputs, (shape,), made), (source,)))


def _part(op: Operator) -> Part:
    letter = letter_of(op)
    if letter in (NORM, GRID, SCALE):
        return Part(letter, op, op.attributes.get("fraction"))
    if not letter:
        raise UserError(f"{op.name}: its results have fewer than 8 bits; only 8-bit outputs can be converted")
    return _activation(op)


def _check_scale(op: Operator, source: Source) -> None:
    if source.view or not source.chain.takes(SCALE):
        raise UserError(
            f"{op.name}: a {op.kind} layer has a form in integers only directly behind the input, where nothing else "
            "reads that; elsewhere take a BatchNormalization"
        )
    channels = op.output_shape[-1]
    if op.other not in (0, 1, 2, channels, 2 * channels):
        raise UserError(f"{op.name}: it must have one scale and offset for all values, or one for each channel")


def _activation(op: Operator) -> Part:
    function = op.attributes["activation"]
    if "quantizer" in op.attributes:
        raise UserError(f"{op.name}: its activation is a quantizer; give it the plain function, and 8-bit outputs")
    if function == "softmax":
        raise UserError(f"{op.name}: softmax has no form in integers except as the last layer")
    return Part(held(op), op)


def _takes_pads(op: Operator) -> bool:
    """Whether it can put zeros around what it reads itself."""
    return op.facts.family in ("convolution", "depthwise")


def _viewed(op: Operator, source: Source, behind: list[Operator]) -> Source:
    """A tensor looked at in another way; where those that read it cannot, a tensor of its own."""
    if op.facts.form is not Form.VIEW:
        return source
    (given,), made = op.input_shapes, op.output_shape
    view = view_of(op, source.view)
    if given == made:
        return source
    if op.kind == "Permute" or source.view == TURNED:
        if view is None:
            raise UserError(f"{op.name}: no layer of the integer network changes shapes so ({given} to {made})")
        return Source(source.chain, view)
    known = {FLAT: _reads_rows, "": _reads_turned if image_shape(given) != image_shape(made) else _reads_any}
    if view is not None and all(map(known[view], behind)):
        return Source(source.chain, view)
    return Source(Chain(op, (source,)))


def _reads_rows(op: Operator) -> bool:
    return op.facts.family == "dense" or op.facts.form in (Form.VIEW, Form.NOTHING, Form.BEHIND)


def _reads_turned(op: Operator) -> bool:
    return op.kind == "Permute"


def _reads_any(op: Operator) -> bool:
    return True


def image_shape(shape: Shape) -> Shape:
    """The shape of a Keras tensor in the integer network: a sequence (steps, channels) is an image of one row."""
    return (1, *shape) if len(shape) == 2 else shape
