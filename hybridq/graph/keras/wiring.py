"""Which layer of a saved Keras model reads from which: the calls of its layers, read as data.

Three forms: the functional models of Keras 3 (a call's arguments, with tensors in them) and of Keras 2 (lists of
[layer, use, tensor, further arguments]), and the sequential model, a list of layers.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers.description import fixed
from hybridq.graph.keras.layers.tensorflow import FIRST
from hybridq.graph.operators import MOST_OPERATORS, Shape

ARGUMENTS = ("query", "value", "key")  # of attention, in this order; others as they stand
USE_OF_CLASS = re.compile(r"_\d+$")  # behind the name of a second layer of a class
CONSTANT = "_CONSTANT_VALUE"  # in a file of Keras 2: a number in place of a tensor

Tensor = tuple[str, int]  # the name of a call, and which of its results


@dataclass(frozen=True)
class Source:
    """A tensor that a call reads."""

    tensor: Tensor
    shape: Shape | None = None  # as the file records it
    mask: bool = False  # says which steps count: none of the inputs that the rules are about


@dataclass(frozen=True)
class Call:
    """One use of a layer: a shared layer has several, "name", "name:1" and so on."""

    name: str
    layer: Mapping[str, Any]
    sources: tuple[Source, ...] = ()
    first: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)  # in a file of Keras 2: what it is given besides


@dataclass(frozen=True)
class Wiring:
    """The calls, each after those it reads; the model's inputs, as calls of input layers, and what leaves it."""

    calls: tuple[Call, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def wiring(config: Any) -> Wiring:
    """Read a model's `config`, which need not say the shape of its inputs."""
    if isinstance(config, list):  # a sequential model of an early Keras 2
        config = {"layers": config}
    if isinstance(config, Mapping) and "layers" not in config:
        raise UserError(
            "the model is a class of its own: what it does is code, not data; save it as a functional model"
        )
    layers = config["layers"]
    if not isinstance(layers, Sequence) or not layers:
        raise UserError("the model has no layers")
    if any("inbound_nodes" in layer for layer in layers):
        read = _functional(layers, config)
    else:
        read = _sequential(layers, config)
    ordered = tuple(_in_order(read.calls))
    names = {call.name for call in ordered}
    for name, _ in read.inputs + read.outputs:
        if name not in names:
            raise UserError(f"the input or output {name!r} is not a layer of the model")
    return Wiring(ordered, read.inputs, read.outputs)


def is_model(layer: Mapping[str, Any]) -> bool:
    """Whether a layer is a functional or sequential model of Keras: another class may do anything with its layers."""
    module, known = str(layer.get("module") or "keras.models"), ("Functional", "Model", "Sequential")
    ours = module == "keras" or module.startswith(("keras.models", "keras.src", "tf_keras", "keras.engine"))
    registered = str(layer.get("registered_name") or "").startswith("Custom>")
    return layer.get("class_name") in known and ours and not registered


def printable(name: Any) -> str:
    """The name itself; raises UserError for one that cannot be shown on a terminal."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 200:
        raise UserError("a layer of the model has no usable name")
    return name


# ------------------------------------------------------------------------------------ functional models


def _functional(layers: Sequence[Any], config: Mapping[str, Any]) -> Wiring:
    old = any(isinstance(node, list) for layer in layers for node in layer["inbound_nodes"] or ())
    # The uses of an inner model are counted from 1 where it has a use of its own, by its input layer: in Keras 2
    # everywhere, in Keras 3 only among the outputs of the model around it.
    begun = {layer["name"]: _begins_at(layer, old) for layer in layers}
    calls = []
    for layer in layers:
        for index, node in enumerate(layer["inbound_nodes"] or [{}]):
            sources = tuple(_sources(node, begun if old else {}))
            arguments = _arguments(node) if old else {}
            calls.append(Call(_use(printable(layer["name"]), index), layer, sources, index == 0, arguments))
            if len(calls) > MOST_OPERATORS:
                raise UserError(f"the model has more than {MOST_OPERATORS:,} operators")
    inputs, outputs = (tuple(_ends(config[key], begun)) for key in ("input_layers", "output_layers"))
    if not outputs:
        raise UserError("the model has no outputs")
    return Wiring(tuple(calls), inputs, outputs)


def _begins_at(layer: Mapping[str, Any], old: bool) -> int:
    config = layer["config"]
    if not isinstance(config, Mapping) or not config.get("layers"):
        return 0
    first = config["layers"][0] if isinstance(config["layers"], list) else {}
    return int(first.get("class_name") == "InputLayer" if old else "input_layers" in config)


def _sources(node: Any, begun: Mapping[str, int]) -> Iterator[Source]:
    if isinstance(node, Mapping) and ("args" in node or not node):  # Keras 3
        arguments = node.get("kwargs") or {}
        for name, tree in [("", node.get("args", [])), *((name, arguments[name]) for name in _ordered(arguments))]:
            for saved in _tensors(tree):
                layer, use, result = saved["keras_history"]
                yield Source((_use(layer, use), result), fixed(saved["shape"]), name.endswith("mask"))
        return
    for layer, use, result, *more in _entries(node):
        if layer != CONSTANT:
            yield Source((_use(layer, use - begun.get(layer, 0)), result))
        arguments = more[0] if more else {}
        for name in _ordered(arguments):
            for tensor in _ends(arguments[name], begun):
                yield Source(tensor, mask=name.endswith("mask"))


def _entries(node: Any) -> list[Any]:
    """The first argument of a call in Keras 2: one tensor or several, each with the further arguments behind it."""
    return list(node.values()) if isinstance(node, Mapping) else [node] if isinstance(node[0], str) else list(node)


def _arguments(node: Any) -> dict[str, Any]:
    """The further arguments of a call in Keras 2, as they stand; the first as FIRST where it is no tensor."""
    if not node:
        return {}
    layer, _, value, *more = _entries(node)[0]
    given = dict(more[0]) if more and isinstance(more[0], Mapping) else {}
    return {FIRST: value, **given} if layer == CONSTANT else given


def _ordered(arguments: Mapping[str, Any]) -> list[str]:
    return sorted(arguments, key=lambda name: ARGUMENTS.index(name) if name in ARGUMENTS else len(ARGUMENTS))


def _tensors(tree: Any) -> Iterator[Mapping[str, Any]]:
    """The tensors among a call's arguments, in order; those of a dict in the order of its keys, as Keras has them."""
    if isinstance(tree, Mapping):
        if tree.get("class_name") == "__keras_tensor__":
            yield tree["config"]
            return
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _tensors(item)


def _ends(tree: Any, begun: Mapping[str, int]) -> Iterator[Tensor]:
    """The tensors [layer, use, result] in a tree of lists and dicts."""
    if isinstance(tree, Mapping):
        tree = [tree[key] for key in sorted(tree)]
    if not isinstance(tree, list | tuple):
        return
    if len(tree) in (3, 4) and isinstance(tree[0], str) and type(tree[1]) is int and type(tree[2]) is int:
        if tree[0] != CONSTANT:
            yield _use(tree[0], tree[1] - begun.get(tree[0], 0)), tree[2]
        return
    for item in tree:
        yield from _ends(item, begun)


def _use(layer: Any, index: Any) -> str:
    return f"{printable(layer)}:{index}" if index else printable(layer)


# ------------------------------------------------------------------------------------ sequential models


def _sequential(layers: Sequence[Any], config: Mapping[str, Any]) -> Wiring:
    if len(layers) > MOST_OPERATORS:
        raise UserError(f"the model has more than {MOST_OPERATORS:,} operators")
    if layers[0]["class_name"] != "InputLayer":
        shape = config.get("build_input_shape") or _first_shape(layers[0])
        name = f"{names_of(layers[:1])[0]}_input"  # as Keras names it
        layers = [{"class_name": "InputLayer", "config": {"name": name, "batch_shape": shape}}, *layers]
    calls: list[Call] = []
    for name, layer in zip(names_of(layers), layers, strict=True):
        shape = fixed((layer.get("build_config") or {}).get("input_shape"))
        sources = (Source((calls[-1].name, 0), shape),) if calls else ()
        calls.append(Call(name, layer, sources))
    return Wiring(tuple(calls), ((calls[0].name, 0),), ((calls[-1].name, 0),))


def names_of(layers: Sequence[Any]) -> list[str]:
    """The names of layers; of those that the file does not name, as a class of one's own may not be: by their class."""
    names: list[str] = []
    for layer in layers:
        config = layer["config"]
        name = (config.get("name") if isinstance(config, Mapping) else None) or layer.get("name")
        if name is None:
            own = snake(str(layer["class_name"]))
            before = sum(USE_OF_CLASS.sub("", one) == own for one in names)
            name = f"{own}_{before}" if before else own
        names.append(printable(name))
    return names


def snake(name: str) -> str:
    """A class as Keras names its layers and variables: "MyLayer" is "my_layer"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _first_shape(layer: Mapping[str, Any]) -> Any:
    """The input shape, with the batch, that the first layer of a sequential model records."""
    config = layer["config"]
    inner = config if isinstance(config, list) else config.get("layers")
    if inner:
        return _first_shape(inner[0])
    built = (layer.get("build_config") or {}).get("input_shape")
    return built or config.get("batch_shape") or config.get("batch_input_shape")  # the last: Keras 2


# ------------------------------------------------------------------------------------------------ order


def _in_order(calls: Sequence[Call]) -> Iterator[Call]:
    """The calls, each after those it reads; raises UserError for a circle or a source that does not exist."""
    by_name = {call.name: call for call in calls}
    if len(by_name) < len(calls):
        raise UserError("two layers of the model have one name")
    readers: dict[str, list[Call]] = {}
    missing: dict[str, int] = {}
    for call in calls:
        read = {source.tensor[0] for source in call.sources}
        missing[call.name] = len(read)
        for source in read:
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
