"""A saved Keras model as a graph of operators, with the models inside it taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.inputs import NONE_GIVEN, InputShapes
from hybridq.graph.keras.larq import stored_as_read
from hybridq.graph.keras.layers import WRAPPERS, Description, checked, describe, plain, plain_kind, tensorflow, wrappers
from hybridq.graph.keras.layers.description import one, refused, unknown, verified
from hybridq.graph.keras.layers.sequences import GATES
from hybridq.graph.keras.wiring import Call, Source, Tensor, is_model, printable, wiring
from hybridq.graph.operators import MOST_OPERATORS, Graph, Operator, Shape
from hybridq.precision import LayerPrecision

LONGEST_NAME = 1_000  # characters, with the names of the models around a layer


def keras_graph(saved: Any, name: str, given: InputShapes = NONE_GIVEN) -> Graph:
    """The network that {"class_name": ..., "config": ...} describes; `name` if it does not say its own.

    `given` are the shapes of inputs that it leaves open.
    """
    config = saved["config"]
    parts = _Parts(_Work(), given)
    ends = parts.add_model(config)
    given.check_used(op.name for op in parts.operators.values() if op.kind == "InputLayer")
    own_name = config.get("name") if isinstance(config, Mapping) else None
    return stored_as_read(parts.graph(printable(own_name or name), ends))


@dataclass(frozen=True)
class _Result:
    """A tensor: the operator that computes it, and its shape, () where it is not known."""

    operator: str
    shape: Shape


@dataclass
class _Work:
    """Counts the calls and the tensors they read: models inside models make an endless network of a small file."""

    left: int = 3 * MOST_OPERATORS

    def take(self, call: Call) -> None:
        self.left -= 1 + len(call.sources)
        if self.left < 0:
            raise UserError(f"the model has more than {MOST_OPERATORS:,} operators")


class _Parts:
    """The operators of a network, gathered call by call."""

    def __init__(self, work: _Work, given: InputShapes) -> None:
        self.operators: dict[str, Operator] = {}
        self.work = work  # shared by the parts of one network
        self.given = given

    def graph(self, name: str, ends: Sequence[_Result]) -> Graph:
        """What was gathered, with those results leaving it."""
        return Graph(name, tuple(self.operators.values()), tuple(dict.fromkeys(end.operator for end in ends)))

    def add_model(
        self, config: Any, prefix: str = "", given: Sequence[_Result] | None = None, first: bool = True
    ) -> tuple[_Result, ...]:
        """Add the operators of a model, and return its results; an inner model reads what it is given."""
        model = wiring(config)
        recorded = {source.tensor: source.shape for call in model.calls for source in call.sources}
        results: dict[Tensor, _Result] = {}
        if given is not None:
            if len(given) != len(model.inputs):
                raise UserError(f"the model {prefix[:-1]!r} has {len(model.inputs)} inputs and is given {len(given)}")
            results = dict(zip(model.inputs, given, strict=True))

        def result(tensor: Tensor) -> _Result:
            if tensor in results:
                return results[tensor]
            # one that the rule does not know of, such as the scores of an attention layer
            return _Result(results[tensor[0], 0].operator, recorded.get(tensor) or ())

        for call in model.calls:
            self.work.take(call)
            if (call.name, 0) in results:
                continue
            read = [result(source.tensor) for source in call.sources]
            made = self.add_call(call, prefix, read, recorded.get((call.name, 0)), first and call.first)
            results |= {(call.name, i): end for i, end in enumerate(made)}
        return tuple(map(result, model.outputs))

    def add_call(
        self, call: Call, prefix: str, read: Sequence[_Result], recorded: Shape | None, first: bool
    ) -> tuple[_Result, ...]:
        """Add one layer, or the layers of an inner model; a layer that is not called first stores nothing."""
        name = prefix + call.name
        if len(name) > LONGEST_NAME:
            raise UserError("the models inside the model are nested too deep")
        inputs = [result for result, source in zip(read, call.sources, strict=True) if not source.mask]
        if is_model(call.layer):
            return self.add_model(call.layer["config"], f"{name}/", inputs, first)
        try:
            layer = self._describe(name, call, [result.shape for result in inputs], recorded)
        except UserError as error:
            raise UserError(f"layer {name!r}: {error}") from None
        if name in self.operators:
            raise UserError(f"two layers of the model are named {name!r}")
        self.operators[name] = Operator(
            name,
            printable(layer.kind),
            tuple(result.operator for result in read),
            tuple(result.shape for result in read),
            layer.output_shape,
            layer.attributes,
            *((layer.kernel, layer.bias, layer.other) if first else (0, 0, 0)),
            layer.precision,
            layer.further_outputs,
        )
        return tuple(_Result(name, shape) for shape in (layer.output_shape, *layer.further_outputs))

    def _describe(self, name: str, call: Call, inputs: Sequence[Shape], recorded: Shape | None) -> Description:
        layer, in_8_bits = wrappers.unwrapped(call.layer)
        described = self._describe_alone(name, layer, call.arguments, inputs, recorded)
        return wrappers.in_8_bits(described) if in_8_bits and not described.kind.startswith("unknown") else described

    def _describe_alone(
        self,
        name: str,
        layer: Mapping[str, Any],
        arguments: Mapping[str, Any],
        inputs: Sequence[Shape],
        recorded: Shape | None,
    ) -> Description:
        """A layer without what was put around it for its training."""
        if layer["class_name"] in tensorflow.CLASSES:
            function = tensorflow.called(layer["config"], arguments, inputs)
            try:
                described = describe(function.layer, function.inputs, recorded)
            except UserError:  # what the function allows and the layer does not, as a batch that is broadcast
                described = unknown(str(layer["config"].get("function")), recorded)
            return replace(described, other=function.stored)
        layer = plain(layer)
        kind, config = plain_kind(layer), layer["config"]
        if layer["class_name"] == "InputLayer":
            shape = checked(self.given.shape_of(name, _input_shape(config)))
            return Description("InputLayer", shape, {"dtype": str(config.get("dtype") or "float32")})
        if kind not in WRAPPERS or not all(inputs):
            return describe(layer, inputs, recorded)
        read = self._time_distributed if kind == "TimeDistributed" else self._bidirectional
        whole = read(name, config, inputs)
        if whole.kind:
            held = whole.kind.removeprefix("unknown: ")
            return unknown(f"{kind} of {held}", recorded)
        return verified(replace(whole, kind=kind), recorded)

    # ------------------------------------------------------------------------------------ wrappers

    def _time_distributed(self, name: str, config: Mapping[str, Any], inputs: Sequence[Shape]) -> Description:
        """A layer or model, applied to each step of (steps, ...)."""
        steps, *place = one(inputs)
        layer = config["layer"]
        inside, ((end, *_),) = self._inside(name, {"layer": layer}, [(tuple(place),)])
        if not place or not end.shape:
            return unknown(str(layer["class_name"]))
        return _holding(inside, (steps, *end.shape), {"steps": steps})

    def _bidirectional(self, name: str, config: Mapping[str, Any], inputs: Sequence[Shape]) -> Description:
        """A recurrent layer from both ends of (steps, features), the two results merged; then the states of both."""
        forward = plain(config["layer"])
        backward = plain(config.get("backward_layer") or forward)
        if not {plain_kind(forward), plain_kind(backward)} <= GATES.keys():
            return unknown(str(forward["class_name"]))
        half = 1 + len(inputs) // 2
        halves = [(inputs[0], *inputs[1:half]), (inputs[0], *inputs[half:])]
        inside, ((one_way, *states), (other_way, *more)) = self._inside(
            name, {"forward": forward, "backward": backward}, halves
        )
        mode, (a, b) = config.get("merge_mode", "concat"), (one_way.shape, other_way.shape)
        if mode not in ("concat", "sum", "mul", "ave", None):
            raise UserError(f"merge_mode is {mode!r}")
        if a != b and (mode != "concat" or a[:-1] != b[:-1]):
            raise refused([a, b])
        shape = (*a[:-1], a[-1] + b[-1]) if mode == "concat" else a
        further = [b] * (mode is None) + [result.shape for result in (*states, *more)]
        attributes = {"merge_mode": mode, "state": sum(op.attributes["state"] for op in inside.operators if op.kernel)}
        return replace(_holding(inside, shape, attributes), further_outputs=tuple(further))

    def _inside(
        self, name: str, layers: Mapping[str, Any], inputs: Sequence[Sequence[Shape]]
    ) -> tuple[Graph, list[tuple[_Result, ...]]]:
        """The graph of the layers that a wrapper holds, each with inputs of its own; and the results of each."""
        parts, ends = _Parts(self.work, self.given), []
        for (label, layer), shapes in zip(layers.items(), inputs, strict=True):
            starts = [Operator(f"{name}/{label}_input_{i}", "InputLayer", (), (), s) for i, s in enumerate(shapes)]
            parts.operators |= {start.name: start for start in starts}
            call = Call(label, layer, tuple(Source((start.name, 0)) for start in starts))
            read = [_Result(start.name, start.output_shape) for start in starts]
            ends.append(parts.add_call(call, f"{name}/", read, None, True))
        return parts.graph(name, [end for results in ends for end in results]), ends


def _holding(inside: Graph, shape: Shape, attributes: Mapping[str, Any]) -> Description:
    """The description of a wrapper: sums over what it holds, its weights by the widest precision among them."""
    precisions = [op.precision or LayerPrecision() for op in inside.weighted]
    widest = LayerPrecision(
        max((p.weights for p in precisions), key=lambda p: p.bits, default=Format.FLOAT32),
        max((p.bias for p in precisions), key=lambda p: p.bits, default=Format.FLOAT32),
    )
    return Description(
        next((op.kind for op in inside.operators if not op.known), ""),
        shape,
        {"inside": inside, **attributes},
        kernel=sum(op.kernel for op in inside.operators),
        bias=sum(op.bias for op in inside.operators),
        other=sum(op.other for op in inside.operators),
        precision=widest if any(op.precision for op in inside.weighted) else None,
    )


def _input_shape(config: Mapping[str, Any]) -> list[int | None]:
    """The sizes that the file has of an input, without the batch; None for one that it leaves open."""
    shape = config.get("batch_shape") or config.get("batch_input_shape") or ()
    if not isinstance(shape, list | tuple) or not all(n is None or type(n) is int for n in shape[1:]):
        raise UserError(f"the input shape {shape!r:.60} is none")
    return list(shape[1:])
