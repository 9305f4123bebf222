"""Which operators X-CUBE-AI runs as one: the steps of the network, the rows of its report.

Read off its published reports: an activation runs inside the convolution or dense layer before it, in most versions a
pool inside the convolution before it; a batch norm directly after a convolution or dense layer is folded into its
weights, in the newest versions also one before it; and flatten, reshape, dropout cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from hybridq.formats import Format
from hybridq.graph.kinds import of_family
from hybridq.graph.operators import Shape
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting

FLAT = (1, 2)  # no report has a volume
CONVOLUTIONS = of_family("convolution", "depthwise", "separable", axes=FLAT)
POOLS = of_family("pool", axes=FLAT)
GLOBAL_POOLS = of_family("global_pool", axes=FLAT)
ACTIVATIONS = of_family("activation", "prelu")
RESHAPES = of_family("flatten", "reshape")
FLOAT_SOFTMAX = 15  # MACC an element
FREE = RESHAPES | of_family("unchanged")


@dataclass
class Step:
    """Operators that run as one. `operator` names the step; `tail` are those that run inside it, in order."""

    operator: Operator
    inputs: tuple[str, ...]  # the steps, or inputs of the network, that it reads
    tail: list[Operator] = field(default_factory=list)
    folded: list[Operator] = field(default_factory=list)  # batch norms of the tail or the head, part of the weights
    head: list[Operator] = field(
        default_factory=list
    )  # operators before it that run inside it: a batch norm, folded; padding
    pool: Operator | None = None

    @property
    def name(self) -> str:
        """The name of its first operator."""
        return self.operator.name

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All its operators, in the order of the network."""
        return (*self.head, self.operator, *self.tail)

    @property
    def output_shape(self) -> Shape:
        """The shape that leaves the step."""
        return self.operators[-1].output_shape

    @property
    def map_shape(self) -> Shape:
        """The shape that the step computes: what leaves it before a flatten or reshape."""
        if self.operator.kind in RESHAPES:
            return self.output_shape
        return next((op.input_shapes[0] for op in self.tail if op.kind in RESHAPES), self.output_shape)

    @property
    def activated(self) -> bool:
        """Whether it already holds a nonlinearity."""
        return any(op.attributes.get("activation", "linear") != "linear" for op in self.operators)


def precision_of(op: Operator, plan: PrecisionPlan | None) -> LayerPrecision:
    """How a layer is represented: as the plan says, and where that says nothing as its file or its quantizers say."""
    own = op.precision or LayerPrecision()
    return plan.of(op.name, own) if plan else own


def planned(graph: Graph, plan: PrecisionPlan | None) -> Graph:
    """A network whose operators bear the precisions that the plan gives them; its inputs where they are named.

    With all inputs 8-bit it is a network of whole numbers, with a scale for each channel of a kernel. A pattern such as
    "*" leaves inputs as they are: in a network that is trained, these are what a front end makes.
    """
    if plan is None:
        return graph
    starts = [op.name for op in graph.operators if op.kind == "InputLayer"]
    operators = [
        op if op.name in starts and not plan.names(op.name) else replace(op, precision=precision_of(op, plan))
        for op in graph.operators
    ]
    if starts and all(precision_of(op, None).outputs is Format.INT8 for op in operators if op.name in starts):
        whole = {"per_channel": True}
        operators = [replace(op, attributes=whole | dict(op.attributes)) if op.kernel else op for op in operators]
    return replace(graph, operators=tuple(operators))


def is_int8(op: Operator, precision: LayerPrecision) -> bool:
    """Whether it computes in whole numbers: a layer of a TFLite file with 8-bit weights and an 8-bit result.

    Or of a network that a plan makes one: see `planned`.
    """
    return "per_channel" in op.attributes and precision.weights is precision.outputs is Format.INT8


def merge(graph: Graph, rules: Accounting = NEWEST, plan: PrecisionPlan | None = None) -> tuple[Step, ...]:
    """The steps of a network, in order; the inputs of the network are no steps."""
    consumers = graph.consumers()
    by_name = {op.name: op for op in graph.operators}
    steps: dict[str, Step] = {}
    holder: dict[str, str] = {}  # operator -> the step (or network input) whose result it is
    for op in graph.operators:
        if op.kind == "InputLayer":
            holder[op.name] = op.name
            continue
        if _in_float(op, consumers[op.name], by_name, rules):
            op = replace(op, precision=LayerPrecision())
        source = op.inputs[0] if len(op.inputs) == 1 else ""
        step = steps.get(holder.get(source, ""))
        alone = consumers.get(source) == (op.name,) and source not in graph.outputs
        if op.kind in FREE and source:
            holder[op.name] = holder[source]
            if step:
                step.tail.append(op)
        elif step and alone and _joins(op, step, rules, plan):
            holder[op.name] = step.name
            step.tail.append(op)
        elif step and alone and rules.folds_forward and _takes_over(op, step, plan):
            holder[op.name] = op.name
            del steps[step.name]
            steps[op.name] = Step(op, step.inputs, head=list(step.operators), folded=[step.operator])
        elif step and alone and _pads_inside(op, step, rules):
            holder[op.name] = op.name
            del steps[step.name]
            pad = step.operator
            padded = replace(op, input_shapes=pad.input_shapes, attributes={**op.attributes, **pad.attributes})
            steps[op.name] = Step(padded, step.inputs, head=[pad])
        else:
            holder[op.name] = op.name
            steps[op.name] = Step(op, tuple(holder[name] for name in op.inputs))
    return tuple(steps.values())


def outputs_of(graph: Graph, steps: tuple[Step, ...]) -> frozenset[str]:
    """The names of the steps whose results leave the network."""
    return frozenset(step.name for step in steps if any(op.name in graph.outputs for op in step.operators))


def _in_float(op: Operator, readers: Sequence[str], by_name: Mapping[str, Operator], rules: Accounting) -> bool:
    """Whether it is an 8-bit softmax whose result is converted to float: running in float, it is converted before."""
    converted = len(readers) == 1 and by_name[readers[0]].kind == "Dequantize"
    return rules.int8_softmax > FLOAT_SOFTMAX and op.attributes.get("activation") == "softmax" and converted


def _takes_over(op: Operator, step: Step, plan: PrecisionPlan | None) -> bool:
    """Whether a lone batch norm, the step before, is folded into this operator's weights.

    They must be float32, for each input channel has a scale of its own; and padding would see other zeros.
    """
    if precision_of(op, plan).weights is not Format.FLOAT32:
        return False
    if step.operator.kind != "BatchNormalization" or any(inner.kind in RESHAPES for inner in step.tail):
        return False
    return op.kind == "Dense" or (op.kind in CONVOLUTIONS and not any(map(any, op.attributes["pads"])))


def _runs_more_inside(rules: Accounting) -> bool:
    """Whether padding and global pools run inside a convolution: in 5.x, as in reports of 5.1 and 5.2."""
    return rules.version[0] == 5 and rules.merges_pools


def _pads_inside(op: Operator, step: Step, rules: Accounting) -> bool:
    """Whether a padding, the step before, runs inside this convolution."""
    alone = step.operator.facts.family == "padding" and not step.tail
    newest = rules.core and rules.version >= (2, 1) and precision_of(op, None).outputs is Format.FLOAT32  # seen in 2.2
    return (
        (_runs_more_inside(rules) or newest)
        and alone
        and op.kind in CONVOLUTIONS
        and not any(map(any, op.attributes["pads"]))
    )


def _joins(op: Operator, step: Step, rules: Accounting, plan: PrecisionPlan | None) -> bool:
    """Whether the operator runs inside the step before it; notes the fold or the pool on the step."""
    compute = step.operator.kind in CONVOLUTIONS | {"Dense"}
    if op.attributes.get("activation") == "linear" and op.kind in ACTIVATIONS:
        return True  # a quantizer: how the step's result is stored
    if not compute or step.pool or any(inner.kind in RESHAPES for inner in step.tail):
        return False
    if op.kind in ACTIVATIONS:
        apart = rules.relu6 > 1 and op.attributes.get("activation") == "relu6"
        return not step.activated and (not apart or precision_of(op, plan).outputs is not Format.FLOAT32)
    if op.kind == "BatchNormalization" and not step.activated and not any(inner in step.folded for inner in step.tail):
        step.folded.append(op)
        return True
    if op.kind in GLOBAL_POOLS and step.operator.kind in CONVOLUTIONS and _runs_more_inside(rules):
        size = op.input_shapes[0][:-1]
        step.pool = replace(op, attributes={"kernel": size, "strides": size})
        return True
    if op.kind in POOLS and step.operator.kind in CONVOLUTIONS and _merges_pool(step.operator, rules, plan):
        step.pool = op
        return True
    return False


def _merges_pool(op: Operator, rules: Accounting, plan: PrecisionPlan | None) -> bool:
    """Whether a pool runs inside a convolution: where the version says so, and in 8.x in 8-bit layers beyond 1 x 1."""
    window = is_int8(op, precision_of(op, plan)) and prod(op.attributes["kernel"]) > 1
    return rules.merges_pools or (rules.in_place and rules.version[0] == 8 and window)
