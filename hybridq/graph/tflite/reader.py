"""A `.tflite` file as a Graph.

A leading axis of 1 is the batch and dropped; any other stays: a batch that holds steps or windows too. Operators that
read constants alone, or the shape of a tensor, are computed before the network runs and left out, and so are outputs
that they compute; those that only set up a state run once and are left out too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.inputs import NONE_GIVEN, InputShapes
from hybridq.graph.keras.layers import checked
from hybridq.graph.operators import ARRAYS, FILE_BYTES, Graph, Operator, Shape
from hybridq.graph.tflite.call import Call, without_batch
from hybridq.graph.tflite.file import INTEGERS, Network, Node, Tensor, read_network
from hybridq.graph.tflite.layers import described
from hybridq.graph.tflite.weighted import KERNEL_AND_BIAS
from hybridq.precision import LayerPrecision

UNPACKED = ("DEQUANTIZE", "DENSIFY")  # of constants: the array is what the file stores
ONCE = ("CALL_ONCE", "VAR_HANDLE", "SHAPE")  # nothing of them runs with the network
CONVERSIONS = ("DEQUANTIZE", "QUANTIZE", "CAST")  # of a constant that leaves the network
STATES = ("READ_VARIABLE", "ASSIGN_VARIABLE")
SHORT = 16  # bits of a number for which there is no Format


def read_tflite(path: Path, given: InputShapes = NONE_GIVEN) -> Graph:
    """The network of a `.tflite` file, float or quantized; of several subgraphs the first.

    `given` are the shapes of inputs that the file leaves open. A Format says how the file holds the weights, biases and
    outputs of each operator; layers with a kernel have the attribute "per_channel", whether their weights have a scale
    for each channel, and "file_bytes" where the arrays take other bytes in the file than their numbers have: sparse
    ones, and 8-bit weights of a layer that computes in float. Raises UserError for a damaged file.
    """
    try:
        return replace(_graph(read_network(path), path.stem, given), file=str(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


# ---------------------------------------------------------------------------------------------- wiring


def _graph(network: Network, name: str, given: InputShapes) -> Graph:
    reader = _Reader(network)
    for number, index in enumerate(network.inputs):
        reader.start(f"input_{number}", index, given)
    given.check_used(f"input_{number}" for number in range(len(network.inputs)))
    for node in network.nodes:
        try:
            reader.add(node)
        except UserError as error:
            raise UserError(f"operator {node.index} ({node.name}): {error}") from None
    for index in network.outputs:
        reader.end(index)
    outputs = tuple(dict.fromkeys(reader.makers[index] for index in network.outputs))
    if not reader.operators or not outputs:
        raise UserError("the model has no operators or no outputs")
    return Graph(name, tuple(reader.operators), outputs)


class _Reader:
    """The operators read so far, and what is known of each tensor."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.tensors = network.tensors
        self.operators: list[Operator] = []
        self.makers: dict[int, str] = {}  # tensor -> the operator that computes it
        self.shapes: dict[int, Shape] = {}  # of computed tensors, without the batch; () where not known
        self.constants = {index: tensor for index, tensor in network.tensors.items() if tensor.constant}
        self.fixed: dict[int, Node] = {}  # computed before the network runs, from constants and shapes: by what
        self.stored: set[int] = set()  # arrays that an operator counts already
        self.states: set[int] = set()  # states that an operator counts already, by their handles

    def start(self, name: str, index: int, given: InputShapes) -> None:
        """An input of the network, of the shape that the file has or, where it leaves it open, of one that is given."""
        tensor = self.tensors[index]
        is_open = -1 in tensor.signature[1:]
        asked = [None if n == -1 else n for n in tensor.signature[1:]] if is_open else without_batch(tensor.shape)
        self._made(name, index, checked(given.shape_of(name, asked)))
        precision = LayerPrecision(outputs=tensor.precision)
        self.operators.append(Operator(name, "InputLayer", (), (), self.shapes[index], precision=precision))

    def add(self, node: Node) -> None:
        """The next operator."""
        used = [(position, index) for position, index in enumerate(node.inputs) if index != -1]
        for _, index in used:
            known = index in self.makers or index in self.constants or index in self.fixed
            if not known and not self.tensors[index].variable:
                raise UserError(f"it reads tensor {index}, which no operator before it computes")
        fixed = all(index in self.constants or index in self.fixed for _, index in used)
        if node.name in ONCE or (used and fixed and node.name != "READ_VARIABLE"):
            self._fix(node)
            return
        computed = {position: index for position, index in used if index in self.makers}
        constants = {position: self.constants[index] for position, index in used if index in self.constants}
        output = self.tensors[node.outputs[0]] if node.outputs else None
        call = Call(
            node=node,
            sources=tuple(self.shapes[index] for index in computed.values()),
            positions=tuple(computed),
            constants=constants,
            variables={position: self.tensors[index] for position, index in used if self.tensors[index].variable},
            recorded=_recorded(output) if output else (),
            further=tuple(_recorded(self.tensors[index]) for index in node.outputs[1:]),
            open_batch=bool(output and -1 in output.signature),
        )
        layer = described(call)
        for index in node.outputs:
            self._made(node.label, index, _recorded(self.tensors[index]))
        if node.outputs:
            # a vector of an open batch, made of an open shape, may be the last axis of an image or a sequence
            open_rows = call.open_batch and not all(call.sources) and len(layer.output_shape) == 1
            self.shapes[node.outputs[0]] = () if open_rows else layer.output_shape
        self.operators.append(
            Operator(
                name=node.label,
                kind=layer.kind,
                inputs=tuple(self.makers[index] for index in computed.values()),
                input_shapes=call.sources,
                output_shape=self.shapes[node.outputs[0]] if node.outputs else layer.output_shape,
                further_outputs=tuple(self.shapes[index] for index in node.outputs[1:]),
                **self._weights(node, constants, {**layer.attributes, **self._state(node)}, layer.kind),
            )
        )

    def end(self, index: int) -> None:
        """A tensor that leaves the network. One that no input decides is stored, as what it is dequantized from."""
        if index in self.makers:
            return
        last = self.fixed.pop(index, None)
        if last is None and index not in self.constants:
            raise UserError(f"its output, tensor {index}, is not computed by any of its operators")
        converts = last is not None and last.name in CONVERSIONS and len(last.inputs) == 1
        stored = last.inputs[0] if last and converts else index
        for one in {index, stored}:
            self.fixed.pop(one, None)
            self.constants.pop(one, None)
        tensor, name = self.tensors[stored], f"constant_{stored}"
        if stored not in self.makers:
            shape = checked(without_batch(tensor.shape))
            self._made(name, stored, shape)
            precision = LayerPrecision(weights=tensor.precision, outputs=tensor.precision)
            self.operators.append(Operator(name, "Constant", (), (), shape, {}, other=prod(shape), precision=precision))
        if last and converts:
            self.add(last)

    def _made(self, name: str, index: int, shape: Shape) -> None:
        if index in self.makers or index in self.constants or index in self.fixed:
            raise UserError(f"tensor {index} is computed twice")
        self.makers[index], self.shapes[index] = name, shape

    def _fix(self, node: Node) -> None:
        """Leave out an operator; weights that it unpacks (from float16, say) stay the array that the file stores."""
        source = self.constants.get(node.inputs[0]) if len(node.inputs) == 1 else None
        for index in node.outputs:
            tensor = self.tensors[index]
            if source and node.name in UNPACKED and source.elements == tensor.elements:
                self.constants[index] = replace(source, shape=tensor.shape)
            else:
                self.fixed[index] = node

    def _state(self, node: Node) -> dict[str, int]:
        """The bytes of a state, which counts for the first operator that reads it or writes to it."""
        handle = node.inputs[0] if node.name in STATES and node.inputs else None
        if handle is None or handle in self.states:
            return {}
        self.states.add(handle)
        read = node.outputs[:1] if node.name == "READ_VARIABLE" else node.inputs[1:2]
        return {"state_bytes": sum(self.tensors[index].bytes for index in read)}

    def _weights(
        self, node: Node, constants: Mapping[int, Tensor], attributes: Mapping[str, Any], kind: str
    ) -> dict[str, Any]:
        """Counts, precision and attributes; an array that two operators read counts for the first."""
        roles = KERNEL_AND_BIAS.get(node.name, ((), ()))
        kernel, bias = ([constants[i] for i in positions if i in constants] for positions in roles)
        taken = {*roles[0], *roles[1]}
        rest = [tensor for i, tensor in constants.items() if i not in taken]
        rest += self.network.inner.get(node.index, ())
        bias += [
            tensor for tensor in rest if tensor.type in INTEGERS and tensor.scales
        ]  # of an operator without a rule
        other = [tensor for tensor in rest if tensor.type not in INTEGERS]
        precision = LayerPrecision(
            weights=_widest(kernel or other),
            bias=_widest(bias),
            outputs=self.tensors[node.outputs[0]].precision if node.outputs else Format.FLOAT32,
        )
        if kernel:
            attributes = {**attributes, "per_channel": any(tensor.scales > 1 for tensor in kernel)}
        if other and all(tensor.bits == SHORT and tensor.scales for tensor in other):
            attributes = {**attributes, "other_bits": SHORT}
        new = [tensor for tensor in (*kernel, *bias, *other) if tensor.buffer not in self.stored]
        in_float = kernel and precision.weights is not precision.outputs is Format.FLOAT32
        if any(tensor.packed_bytes for tensor in new) or (in_float and new):
            held = {tensor.buffer: tensor.packed_bytes or tensor.bytes for tensor in new}
            attributes = {**attributes, FILE_BYTES: sum(held.values())}
        if kind.startswith("unknown") and (kernel or bias or other):
            attributes = {**attributes, ARRAYS: len(kernel) + len(bias) + len(other)}
        counts = {"kernel": self._count(kernel), "bias": self._count(bias), "other": self._count(other)}
        return {"attributes": attributes, "precision": precision, **counts}

    def _count(self, tensors: Iterable[Tensor]) -> int:
        total = 0
        for tensor in tensors:
            total += 0 if tensor.buffer in self.stored else tensor.elements
            self.stored.add(tensor.buffer)
        return total


def _recorded(tensor: Tensor) -> Shape:
    """The shape that the file gives an output, without the batch; () where more than the batch is open."""
    return () if -1 in tensor.signature[1:] else checked(without_batch(tensor.shape))


def _widest(tensors: Iterable[Tensor]) -> Format:
    return max((tensor.precision for tensor in tensors), key=lambda p: p.bits, default=Format.FLOAT32)
