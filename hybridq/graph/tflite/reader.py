"""A `.tflite` file as a Graph.

A leading axis of 1 is the batch and dropped; any other stays: a batch that holds steps or windows too. Operators that
read constants alone, or the shape of a tensor, are computed before the network runs and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.keras.layers import checked
from hybridq.graph.operators import Graph, Operator, Shape
from hybridq.graph.tflite.call import Call, without_batch
from hybridq.graph.tflite.file import INTEGERS, Network, Node, Tensor, read_network
from hybridq.graph.tflite.layers import KERNEL_AND_BIAS, described
from hybridq.precision import LayerPrecision


def read_tflite(path: Path) -> Graph:
    """The network of a `.tflite` file, float or quantized; of several subgraphs the first.

    A Format says how the file holds the weights, biases and outputs of each operator; layers with a kernel have the
    attribute "per_channel", whether their weights have a scale for each channel. Raises UserError for a damaged file.
    """
    try:
        return _graph(read_network(path), path.stem)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


# ---------------------------------------------------------------------------------------------- wiring


def _graph(network: Network, name: str) -> Graph:
    reader = _Reader(network)
    for number, index in enumerate(network.inputs):
        reader.start(f"input_{number}", index)
    for node in network.nodes:
        try:
            reader.add(node)
        except UserError as error:
            raise UserError(f"operator {node.index} ({node.name}): {error}") from None
    for index in network.outputs:
        if index not in reader.makers:
            raise UserError(f"its output, tensor {index}, is not computed by any of its operators")
    outputs = tuple(dict.fromkeys(reader.makers[index] for index in network.outputs))
    if not reader.operators or not outputs:
        raise UserError("the model has no operators or no outputs")
    return Graph(name, tuple(reader.operators), outputs)


class _Reader:
    """The operators read so far, and what is known of each tensor."""

    def __init__(self, network: Network) -> None:
        self.tensors = network.tensors
        self.operators: list[Operator] = []
        self.makers: dict[int, str] = {}  # tensor -> the operator that computes it
        self.shapes: dict[int, Shape] = {}  # of computed tensors, without the batch; () where not known
        self.constants = {index: tensor for index, tensor in network.tensors.items() if tensor.constant}
        self.fixed: set[int] = set()  # computed before the network runs, from constants and shapes
        self.stored: set[int] = set()  # arrays that an operator counts already

    def start(self, name: str, index: int) -> None:
        """An input of the network."""
        tensor = self.tensors[index]
        if -1 in tensor.signature[1:]:
            raise UserError(f"the input shape {tensor.signature} is not fixed")
        self._made(name, index, checked(without_batch(tensor.shape)))
        precision = LayerPrecision(outputs=tensor.precision)
        self.operators.append(Operator(name, "InputLayer", (), (), self.shapes[index], precision=precision))

    def add(self, node: Node) -> None:
        """The next operator."""
        used = [(position, index) for position, index in enumerate(node.inputs) if index != -1]
        for _, index in used:
            known = index in self.makers or index in self.constants or index in self.fixed
            if not known and not self.tensors[index].variable:
                raise UserError(f"it reads tensor {index}, which no operator before it computes")
        if node.name == "SHAPE" or (used and all(index in self.constants or index in self.fixed for _, index in used)):
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
            recorded=_recorded(output) if output else (),
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
                **self._weights(node, constants, layer.attributes),
            )
        )

    def _made(self, name: str, index: int, shape: Shape) -> None:
        if index in self.makers or index in self.constants or index in self.fixed:
            raise UserError(f"tensor {index} is computed twice")
        self.makers[index], self.shapes[index] = name, shape

    def _fix(self, node: Node) -> None:
        """Leave out an operator; weights that it unpacks (from float16, say) stay the array that the file stores."""
        source = self.constants.get(node.inputs[0]) if len(node.inputs) == 1 else None
        for index in node.outputs:
            tensor = self.tensors[index]
            if source and node.name == "DEQUANTIZE" and source.elements == tensor.elements:
                self.constants[index] = replace(source, shape=tensor.shape)
            else:
                self.fixed.add(index)

    def _weights(self, node: Node, constants: Mapping[int, Tensor], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Counts, precision and attributes; an array that two operators read counts for the first."""
        roles = KERNEL_AND_BIAS.get(node.name, ((), ()))
        kernel, bias = ([constants[i] for i in positions if i in constants] for positions in roles)
        taken = {*roles[0], *roles[1]}
        other = [tensor for i, tensor in constants.items() if i not in taken and tensor.type not in INTEGERS]
        precision = LayerPrecision(
            weights=_widest(kernel or other),
            bias=_widest(bias),
            outputs=self.tensors[node.outputs[0]].precision if node.outputs else Format.FLOAT32,
        )
        if kernel:
            attributes = {**attributes, "per_channel": any(tensor.scales > 1 for tensor in kernel)}
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
