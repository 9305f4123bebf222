"""One neutral list of operators, read from a Keras model or from the description in its file, as data."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.keras_layers import Description, Shape, checked, describe
from hybridq.model_files import saved_config
from hybridq.precision import LayerPrecision

MOST_OPERATORS = 5_000
# What reading a damaged description can raise: a key missing, a list in place of a number, endless nesting.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Operator:
    """One layer of a network at inference. Shapes are without the batch, channels last."""

    name: str
    kind: str  # the Keras layer ("Conv2D", also for QConv2D), "InputLayer" or "unknown: X"
    inputs: tuple[str, ...]  # the operators whose outputs it reads
    input_shapes: tuple[Shape, ...]
    output_shape: Shape  # () where it is not known
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kernel: int = 0  # numbers stored, not bytes; 0 in the second use of a shared layer
    bias: int = 0
    other: int = 0  # scale and offset of a batch norm, slopes of a PReLU
    precision: LayerPrecision | None = None  # of a QKeras layer's quantizers, None for a Keras layer

    @property
    def parameters(self) -> int:
        """How many numbers the layer stores for inference."""
        return self.kernel + self.bias + self.other

    @property
    def known(self) -> bool:
        """Whether there is a rule for this kind of layer."""
        return not self.kind.startswith("unknown")


@dataclass(frozen=True)
class Graph:
    """A network: its operators, each after those it reads, and the names of those whose results leave it."""

    name: str
    operators: tuple[Operator, ...]
    outputs: tuple[str, ...]

    @property
    def weighted(self) -> tuple[Operator, ...]:
        """The operators with a kernel: those that a precision plan is about."""
        return tuple(op for op in self.operators if op.kernel)

    def consumers(self) -> dict[str, tuple[str, ...]]:
        """For each operator, the operators that read its output."""
        found: dict[str, list[str]] = {op.name: [] for op in self.operators}
        for op in self.operators:
            for source in op.inputs:
                found[source].append(op.name)
        return {name: tuple(users) for name, users in found.items()}


def read_graph(model: Any) -> Graph:
    """Read a Keras model (functional or sequential), or a `.keras` or `.h5` file by its path; a Graph stays as it is.

    A layer without a rule is kept, with the kind "unknown: X". Raises UserError for what is no such model.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        where, saved = str(path), saved_config(path)
        name = path.stem
    else:
        where, saved = f"the model {getattr(model, 'name', model)!r}", _config_of_object(model)
        name = ""
    try:
        return _graph(saved, name)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except MALFORMED as error:
        raise UserError(f"{where}: not a Keras model that can be read ({type(error).__name__}: {error})") from None


# --------------------------------------------------------------------------------------------- sources


def _config_of_object(model: Any) -> Any:
    """The same description, asked of a model in memory (so Keras is not imported here)."""
    get_config = getattr(model, "get_config", None)
    if not callable(get_config) or not hasattr(model, "layers"):
        raise UserError(f"a {type(model).__name__} is not a Keras model or the path of one")
    try:
        config = get_config()
    except NotImplementedError:  # a model written as a class of its own
        config = None
    if not isinstance(config, Mapping) or "layers" not in config:
        raise UserError(f"the model {model.name!r} is neither functional nor sequential: its layers are not data")
    return {"class_name": type(model).__name__, "config": json.loads(json.dumps(config, default=str))}


# ---------------------------------------------------------------------------------------------- wiring


@dataclass
class _Call:
    """One use of a layer: a shared layer has several."""

    name: str
    layer: Mapping[str, Any]
    sources: list[tuple[str, Shape | None]]  # each operator read, and its shape as the file records it
    first: bool = True


def _graph(saved: Any, name: str) -> Graph:
    config = saved["config"]
    if isinstance(config, list):  # a sequential model of an early Keras 2
        config = {"layers": config}
    layers = config["layers"]
    if not isinstance(layers, Sequence) or not layers:
        raise UserError("the model has no layers")
    functional = any("inbound_nodes" in layer for layer in layers)
    calls = _functional_calls(layers) if functional else _sequential_calls(layers, config)
    recorded = {source: shape for call in calls for source, shape in call.sources}
    operators: dict[str, Operator] = {}
    for call in _in_order(calls):
        operators[call.name] = _operator(call, operators, recorded.get(call.name))
    outputs = _ends(config["output_layers"]) if functional else (calls[-1].name,)
    for end in outputs:
        if end not in operators:
            raise UserError(f"the output {end!r} is not a layer of the model")
    return Graph(_printable(config.get("name") or name), tuple(operators.values()), outputs)


def _functional_calls(layers: Sequence[Any]) -> list[_Call]:
    calls = []
    for layer in layers:
        name, nodes = _printable(layer["name"]), layer["inbound_nodes"] or [{}]
        for index, node in enumerate(nodes):
            if isinstance(node, list):  # Keras 2: [layer, use, tensor, arguments] for each tensor read
                sources = [(_node_name(*tensor[:2]), None) for tensor in ([node] if isinstance(node[0], str) else node)]
            else:
                tensors = list(_tensors([node.get("args", []), node.get("kwargs", {})]))
                sources = [(_node_name(*tensor["keras_history"][:2]), _fixed(tensor["shape"])) for tensor in tensors]
            calls.append(_Call(_node_name(name, index), layer, sources, first=index == 0))
            if len(calls) > MOST_OPERATORS:
                raise UserError(f"the model has more than {MOST_OPERATORS:,} operators")
    return calls


def _sequential_calls(layers: Sequence[Any], config: Mapping[str, Any]) -> list[_Call]:
    if len(layers) > MOST_OPERATORS:
        raise UserError(f"the model has more than {MOST_OPERATORS:,} operators")
    if layers[0]["class_name"] != "InputLayer":
        first = layers[0]
        shape = (
            config.get("build_input_shape")
            or first.get("build_config", {}).get("input_shape")
            or first["config"].get("batch_input_shape")  # Keras 2
        )
        if not shape:
            raise UserError("the model is not built: its input shape is not known")
        layers = [{"class_name": "InputLayer", "config": {"name": "input", "batch_shape": shape}}, *layers]
    calls: list[_Call] = []
    for layer in layers:
        shape = _fixed(layer.get("build_config", {}).get("input_shape"))
        sources = [(calls[-1].name, shape)] if calls else []
        calls.append(_Call(_printable(layer["config"]["name"]), layer, sources))
    return calls


def _tensors(tree: Any) -> Iterator[Mapping[str, Any]]:
    """The tensors among a call's arguments, in order."""
    if isinstance(tree, Mapping):
        if tree.get("class_name") == "__keras_tensor__":
            yield tree["config"]
            return
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _tensors(item)


def _node_name(layer: Any, index: Any) -> str:
    return f"{_printable(layer)}:{index}" if index else _printable(layer)


def _ends(output_layers: Any) -> tuple[str, ...]:
    ends = [output_layers] if isinstance(output_layers[0], str) else output_layers
    if isinstance(ends, Mapping):
        ends = list(ends.values())
    return tuple(_node_name(name, index) for name, index, *_ in ends)


def _fixed(shape: Any) -> Shape | None:
    """A recorded shape without its batch; None where a dimension is left open."""
    if not isinstance(shape, list | tuple) or not all(isinstance(n, int) for n in shape[1:]):
        return None
    return tuple(shape[1:])


def _in_order(calls: Sequence[_Call]) -> Iterator[_Call]:
    """The calls, each after those it reads; raises UserError for a circle or a source that does not exist."""
    by_name = {call.name: call for call in calls}
    if len(by_name) < len(calls):
        raise UserError("two layers of the model have one name")
    readers: dict[str, list[_Call]] = {}
    missing = {call.name: len({source for source, _ in call.sources}) for call in calls}
    for call in calls:
        for source in {source for source, _ in call.sources}:
            readers.setdefault(source, []).append(call)
    ready = deque(call for call in calls if not missing[call.name])
    while ready:
        call = ready.popleft()
        del by_name[call.name]
        yield call
        for reader in readers.get(call.name, ()):
            missing[reader.name] -= 1
            if not missing[reader.name]:
                ready.append(reader)
    if by_name:
        raise UserError(f"the layer {next(iter(by_name))!r} reads from a layer that is not there, or from itself")


def _operator(call: _Call, before: Mapping[str, Operator], recorded: Shape | None) -> Operator:
    inputs = tuple(source for source, _ in call.sources)
    shapes = tuple(before[source].output_shape for source in inputs)
    try:
        if call.layer["class_name"] == "InputLayer":
            found = Description("InputLayer", _input_shape(call.layer["config"]))
        else:
            found = describe(call.layer, shapes, recorded)
        checked(found.output_shape)
    except UserError as error:
        raise UserError(f"layer {call.name!r}: {error}") from None
    stored = (found.kernel, found.bias, found.other) if call.first else (0, 0, 0)
    kind, attributes, precision = _printable(found.kind), found.attributes, found.precision
    return Operator(call.name, kind, inputs, shapes, found.output_shape, attributes, *stored, precision)


def _input_shape(config: Mapping[str, Any]) -> Shape:
    shape = config.get("batch_shape") or config.get("batch_input_shape") or ()
    fixed = _fixed(shape)
    if not fixed:
        raise UserError(f"the input shape {tuple(shape)} is not fixed: give the model a shape without None")
    return fixed


def _printable(name: Any) -> str:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 200:
        raise UserError("a layer of the model has no usable name")
    return name
