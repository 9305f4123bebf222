"""How the tensors of a network of Larq are stored: as wide as the widest that its readers ask for.

A layer of Larq rounds what it reads to signs or to 8 bits, so its inputs need not be stored wider. What only moves
values, and a batch norm that is part of the layer before it, hand on what is asked of their own results.
"""

from __future__ import annotations

from dataclasses import replace

from hybridq.formats import Format
from hybridq.graph.keras.layers.quantizers import READS
from hybridq.graph.kinds import of_family
from hybridq.graph.operators import Graph, Operator
from hybridq.precision import LayerPrecision

HANDED_ON = of_family("concatenation", "flatten", "reshape", "unchanged", "batch_norm")
WIDE = Format.FLOAT32


def stored_as_read(graph: Graph) -> Graph:
    """A network whose results are in the formats that their readers round to; one without Larq's layers as it is."""
    if not any(READS in op.attributes for op in graph.operators):
        return graph
    readers = graph.consumers()
    by_name = {op.name: op for op in graph.operators}
    asked: dict[str, Format] = {}
    for op in reversed(graph.operators):
        formats = [_asked_by(by_name[name], asked) for name in readers[op.name]]
        leaves = [WIDE] if op.name in graph.outputs or not formats else []
        asked[op.name] = max([*formats, *leaves], key=lambda one: one.bits)
    return replace(graph, operators=tuple(_narrowed(op, asked[op.name]) for op in graph.operators))


def _asked_by(reader: Operator, asked: dict[str, Format]) -> Format:
    """What a reader asks of a tensor."""
    own = reader.precision.outputs if reader.precision else WIDE
    if READS in reader.attributes:
        return Format(reader.attributes[READS])
    if reader.kind in HANDED_ON:
        return asked[reader.name]
    return own if reader.facts.family == "activation" else WIDE


def _narrowed(op: Operator, asked: Format) -> Operator:
    own = op.precision or LayerPrecision()
    if op.kind == "InputLayer" or asked.bits >= own.outputs.bits:
        return op
    return replace(op, precision=replace(own, outputs=asked))
