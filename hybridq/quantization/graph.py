"""The graph of the network that `quantize` makes by a plan, made of the float graph: TensorFlow is not needed.

The grids are not calibrated.
"""

from __future__ import annotations

from dataclasses import replace

from hybridq.formats import GRID, Format
from hybridq.graph.operators import Graph, Operator, Shape, layer_of
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.quantization.decomposition import decomposed
from hybridq.quantization.model import DEFAULT_FRACTION
from hybridq.quantization.steps import grid_name, grids_of, holds_table, makes_grid


def quantized_graph(graph: Graph, plan: PrecisionPlan | None) -> Graph:
    """The network as the plan represents it; without a plan as it is. One that has grids keeps those, and no others."""
    if plan is None:
        return graph
    gridded = any(map(makes_grid, graph.operators))
    graph = graph if gridded else decomposed(graph, plan)
    stored = {} if gridded else grids_of(graph, plan)
    operators: list[Operator] = []
    now: dict[str, str] = {}  # operator of the float network -> the one that makes its result
    for op in graph.operators:
        wanted, name = plan.of(layer_of(op.name)), op.name
        attributes = {key: value for key, value in op.attributes.items() if key != "kernel_quantizer"}
        inputs = tuple(now.get(name, name) for name in op.inputs)
        has_kernel = op.kernel or (
            layer_of(name) != name and op.facts.counterpart
        )  # a call after the first stores none
        precision = LayerPrecision(wanted.weights, wanted.bias) if has_kernel else op.precision
        made = [replace(op, inputs=inputs, attributes=attributes, precision=precision)]
        if op.name in stored and holds_table(op):
            function = {"activation": op.attributes["activation"]}
            made[0] = replace(made[0], attributes={**attributes, "activation": "linear"})
            made.append(_quantizer(grid_name(name, "sums"), op.name, op.output_shape))
            made.append(_activation(grid_name(name, "function"), made[-1].name, op.output_shape, function))
        if op.name in stored:
            made.append(_quantizer(grid_name(name), made[-1].name, op.output_shape))
        elif not gridded and op.facts.counterpart and not (wanted.outputs is Format.FLOAT32 or wanted.outputs.on_grid):
            made.append(_quantizer(grid_name(name), op.name, op.output_shape, wanted.outputs))
        operators += made
        now[op.name] = made[-1].name
    return Graph(graph.name, tuple(operators), tuple(now[name] for name in graph.outputs))


def _quantizer(name: str, source: str, shape: Shape, outputs: Format = Format.INT8) -> Operator:
    """A Grid, or a quantizer of fewer bits."""
    grid = {"quantizer": GRID, "fraction": DEFAULT_FRACTION}
    attributes = {"activation": "linear"} | (grid if outputs.on_grid else {"quantizer": outputs.value})
    return replace(_activation(name, source, shape, attributes), precision=LayerPrecision(outputs=outputs))


def _activation(name: str, source: str, shape: Shape, attributes: dict[str, object]) -> Operator:
    return Operator(name, "Activation", (source,), (shape,), shape, attributes)
