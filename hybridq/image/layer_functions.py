"""The layers of a network as C: of each a function that makes one row of its result, from the rows of its inputs.

The kernels that the functions call, and the structs of constants that these read, are in c/hq_kernels.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import singledispatchmethod
from string import Template

from hybridq.image.memory_plan import Map, Stage
from hybridq.image.sparse import is_sparse
from hybridq.image.steps import Step
from hybridq.integer.arithmetic import is_logits
from hybridq.integer.network import (
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Layer,
    MaxPool,
    Memory,
    Weighted,
)

LAYER_C = Template("""\
static void ${name}_run($parameters)
{
$body}
""")


class LayerFunctions:
    """Writes the function of one run of a layer: a row, of a dense layer its whole result.

    ids: the names in C of the network's input and of its layers, in their order; maps: where their tensors lie.
    """

    def __init__(self, ids: Mapping[str, str], maps: Mapping[str, Map]) -> None:
        self.ids, self.maps = ids, maps
        self.marks = {name: number for number, name in enumerate(ids)}

    def text(self, stage: Stage, step: Step) -> str:
        """`<id>_run`; a dense layer's has no row, that of the last one has the logits for a parameter."""
        is_dense = isinstance(step.layer, Dense)
        makes_logits = isinstance(step.layer, Dense) and is_logits(step.layer.out)
        parameters = ["int8_t *arena", *([] if is_dense else ["uint32_t row"]), *(["int16_t *logits"] * makes_logits)]
        body = [f"HQ_MARK({self.marks[step.name]});", *self._body(step.layer, stage, step)]
        return LAYER_C.substitute(name=self.ids[step.name], parameters=", ".join(parameters), body=indented(body))

    @singledispatchmethod
    def _body(self, layer: Layer | None, stage: Stage, step: Step) -> list[str]:
        if layer is not None:
            raise NotImplementedError(type(layer).__name__)
        return [f"hybridq_input_row(row, {self._row(step.name)});"]

    @_body.register
    def _(self, layer: Convolution, stage: Stage, step: Step) -> list[str]:
        kind, scratch = layer.width.kernels.name, f"arena + {stage.scratch.offset}"
        call = f"hq_conv_{kind}_row(&{self.ids[layer.name]}, rows, out, {scratch});"
        return [*self._window(step), self._out(layer), call, *self._behind(layer, layer.shape[1])]

    @_body.register
    def _(self, layer: Depthwise, stage: Stage, step: Step) -> list[str]:
        call = f"hq_depthwise_row(&{self.ids[layer.name]}, rows, out);"
        return [*self._window(step), self._out(layer), call, *self._behind(layer, layer.shape[1])]

    @_body.register
    def _(self, layer: Dense, stage: Stage, step: Step) -> list[str]:
        name, read = self.ids[layer.name], self._row(layer.inputs[0], "0")
        kind = "sparse" if is_sparse(layer) else layer.width.kernels.name
        lines = [
            f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.scratch.offset});",
            f"hq_dense_{kind}(&{name}, {read}, sums);",
        ]
        if layer.out.doublings:
            lines.append(f"hq_dense_doubled(&{name}, {layer.out.doublings}, sums);")
        if is_logits(layer.out):
            return [*lines, f"hq_dense_out_s16(&{name}, sums, logits);"]
        out = f"int8_t *const out = {self._row(layer.name, '0')};"
        return [*lines, out, f"hq_dense_out_s8(&{name}, sums, out);", *self._behind(layer, 1)]

    @_body.register
    def _(self, layer: MaxPool, stage: Stage, step: Step) -> list[str]:
        call = f"hq_maxpool_row(&{self.ids[layer.name]}, rows, {self._row(layer.name)});"
        return [*self._window(step), call]

    @_body.register
    def _(self, layer: AveragePool, stage: Stage, step: Step) -> list[str]:
        channels = layer.shape[-1]
        columns = self.maps[layer.inputs[0]].row_bytes // channels
        return [
            f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.sums.offset});",
            f"for (uint32_t k = 0; row == 0 && k < {channels}; k++) {{",
            "    sums[k] = 0;",
            "}",
            f"hq_sum_row({self._row(layer.inputs[0])}, {columns}, {channels}, sums);",
            f"if (row == {step.runs - 1}) {{",
            f"    hq_average_s8(&{self.ids[layer.name]}, sums, {channels}, {self._row(layer.name, '0')});",
            "}",
        ]

    @_body.register
    def _(self, layer: Add, stage: Stage, step: Step) -> list[str]:
        a, b = map(self._row, layer.inputs)
        return [f"hq_add(&{self.ids[layer.name]}, {a}, {b}, {step.row_bytes}, {self._row(layer.name)});"]

    @_body.register
    def _(self, layer: Memory, stage: Stage, step: Step) -> list[str]:
        name, read, out = self.ids[layer.name], self._row(layer.inputs[0]), self._row(layer.name)
        return [f"hq_memory_s16(&{name}, {read}, {name}_states, {out});"]

    def _row(self, name: str, row: str = "row") -> str:
        return f"hq_row(arena, &{self.ids[name]}_map, {row})"

    def _out(self, layer: Layer) -> str:
        return f"int8_t *const out = {self._row(layer.name)};"

    def _window(self, step: Step) -> list[str]:
        first = "row" if step.stride == 1 else f"row * {step.stride}"
        first += f" - {step.before}" if step.before else ""
        return [
            f"const int8_t *rows[{step.window}];",
            f"hq_rows(arena, &{self.ids[step.inputs[0]]}_map, {first}, {step.window}, rows);",
        ]

    def _behind(self, layer: Weighted, columns: int) -> list[str]:
        name, channels = self.ids[layer.name], layer.shape[-1]
        lines = [] if layer.table is None else [f"hq_table({name}_table, out, {columns * channels});"]
        return lines if layer.affine is None else [*lines, f"hq_affine(&{name}_norm, out, {columns}, {channels});"]


def indented(lines: Iterable[str]) -> str:
    """Lines of a block."""
    return "".join(f"    {line}\n" for line in lines)
