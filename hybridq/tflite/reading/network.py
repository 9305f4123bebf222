"""An int8 `.tflite` file as an integer network, which computes what TensorFlow Lite's reference kernels compute."""

from __future__ import annotations

from pathlib import Path

from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.graph.tflite.file import Network, Node, read_network
from hybridq.integer.checks import check
from hybridq.integer.description import Description
from hybridq.integer.maps import Reshape
from hybridq.integer.network import IntegerNetwork, Layer, Shape
from hybridq.tflite.reading.operators import RULES
from hybridq.tflite.reading.tensors import FLOAT32, Call, Made, Parts, Same, grid_of, shape_of
from hybridq.tflite.reading.turned import turned

INPUT = "input"
ENDS = {"SOFTMAX": "softmax", "DEQUANTIZE": ""}  # what may stand at the end: the function that makes answers
ANY_SHAPE = ("FULLY_CONNECTED", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE")  # read numbers in C order alone
MOST_NAMED = 8  # faults in a message


def read_tflite(path: Path) -> IntegerNetwork:
    """The network of a file of one input whose tensors are int8, or uint8 at its ends.

    A softmax at the end is left out: the network answers with what that reads. Raises UserError for a damaged file, and
    one that names every operator without a form in integers.
    """
    try:
        network = turned(_Reader(read_network(path)).network_named(path.stem))
        check(network)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return network


class _Reader:
    """The layers so far, and the tensors that they make, by their numbers in the file."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layers: list[Layer] = []
        self.tensors: dict[int, Made] = {}
        self.shapes: dict[str, Shape] = {}  # that the layers have made
        self.fixed: set[int] = set()  # what is computed of constants and shapes alone, before the network runs
        self.missing: set[int] = set()  # made by operators that have no form
        self.functions: dict[int, str] = {}  # of outputs: what makes answers of them

    def network_named(self, name: str) -> IntegerNetwork:
        """The whole network. Raises UserError naming what has no form in integers."""
        if len(self.network.inputs) != 1:
            raise UserError(f"it has {len(self.network.inputs)} inputs; an image reads one")
        start = self._start(self.network.inputs[0])
        faults = []
        for node in self.network.nodes:
            try:
                self._add(node)
            except UserError as error:
                faults.append(f"{node.label}: {error}")
                self.missing.update(node.outputs)
        if faults:
            more = [f"and {len(faults) - MOST_NAMED} more"] * (len(faults) > MOST_NAMED)
            raise UserError("no form in integers: " + "; ".join([*faults[:MOST_NAMED], *more]))
        outputs = [self.tensors[index] for index in self.network.outputs if index in self.tensors]
        if not outputs or any(one.layer == INPUT for one in outputs):
            raise UserError("it computes nothing of its input")
        functions = tuple(self.functions.get(index, "") for index in self.network.outputs)
        return IntegerNetwork(
            input_name=INPUT,
            input_shape=start.shape,
            input_fraction=0,
            layers=tuple(self.layers),
            description=Description(
                name=name,
                activation=functions if any(functions) else (),
                task=Task.CLASSIFY if functions == ("softmax",) else None,
            ),
            outputs=tuple(one.layer for one in outputs),
            input_grid=start.grid,
        )

    def _start(self, index: int) -> Made:
        """The input; one of real numbers is what the QUANTIZE that reads it makes of them."""
        begins = index
        if self.network.tensors[index].type == FLOAT32:
            readers = [node for node in self.network.nodes if index in node.inputs]
            if [node.name for node in readers] != ["QUANTIZE"]:
                raise UserError(
                    "it computes in real numbers; convert it to int8, with a representative dataset and int8 for its "
                    "inputs and outputs, or give its Keras model to `hybridq quantize`"
                )
            begins = readers[0].outputs[0]
        start = Made(INPUT, shape_of(self.network, index), grid_of(self.network, begins))
        self.tensors[index] = self.tensors[begins] = start
        self.shapes[INPUT] = start.shape
        return start

    def _add(self, node: Node) -> None:
        read = [index for index in node.inputs if index != -1]
        if any(index in self.missing for index in read):
            self.missing.update(node.outputs)
            return
        computed = [(at, index) for at, index in enumerate(node.inputs) if index in self.tensors]
        if node.name == "SHAPE" or not computed:
            self.fixed.update(node.outputs)
            return
        if node.name not in RULES and node.name not in ENDS:
            raise UserError(f"{node.name} has none")
        if not node.outputs or (len(node.outputs) > 1 and node.name != "SPLIT"):
            raise UserError(f"{len(node.outputs)} outputs")
        output = node.outputs[0]
        if output in self.tensors:  # the QUANTIZE of the input
            return
        sources, positions = tuple(self.tensors[index] for _, index in computed), tuple(at for at, _ in computed)
        if node.name in ENDS:
            if not self._is_end(output):
                raise UserError(f"{node.name} has none but at the end")
            self.functions[output] = self.functions.get(computed[0][1], ENDS[node.name])
            self.tensors[output] = sources[0]
            return
        call = Call(self.network, node, node.label, sources, positions)
        if node.name not in ANY_SHAPE:
            call = Call(self.network, node, node.label, tuple(map(self._in_shape, sources)), positions)
        made = RULES[node.name](call)
        if isinstance(made, Same):
            self.tensors[output] = Made(made.source.layer, call.shape, call.grid)
            return
        if isinstance(made, Parts):
            for index, layer in zip(node.outputs, made.layers, strict=True):
                self._append(layer)
                self.tensors[index] = Made(layer.name, layer.shape, call.grid)
            return
        every = made if isinstance(made, tuple) else (made,)
        for layer in every:
            self._append(layer)
        self.tensors[output] = Made(every[-1].name, every[-1].shape, call.grid)

    def _is_end(self, index: int) -> bool:
        """Whether a tensor leaves the network, or becomes real numbers that do."""
        readers = [node for node in self.network.nodes if index in node.inputs]
        return all(node.name == "DEQUANTIZE" and set(node.outputs) <= set(self.network.outputs) for node in readers)

    def _in_shape(self, source: Made) -> Made:
        """A tensor whose layer has made it in that shape: one behind a reshape gets a layer for it."""
        if self.shapes[source.layer] == source.shape:
            return source
        name = f"{source.layer} as {' x '.join(map(str, source.shape))}"
        if name not in self.shapes:
            self._append(Reshape(name, (source.layer,), source.shape, 0, grid=source.grid))
        return Made(name, source.shape, source.grid)

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.shapes[layer.name] = layer.shape
