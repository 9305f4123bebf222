"""The layers of a network as C: of each a function that makes one row of its result, from the rows of its inputs.

The kernels that the functions call, and the structs of constants that these read, are in c/hq_kernels.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import singledispatchmethod
from math import prod
from string import Template

from hybridq.image.dense_parts import in_parts, part_words
from hybridq.image.memory_plan import Map, Stage
from hybridq.image.outputs import Output
from hybridq.image.packing import is_each, is_gathered
from hybridq.image.sparse import is_sparse
from hybridq.image.steps import Step
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import (
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    GlobalMean,
    Layer,
    MaxPool,
    Memory,
    Shape,
    Weighted,
)
from hybridq.integer.scaled import Lookup, MapMean, PlaceMean, ScaledAdd, ScaledMean, ScaledPair, ScaledPReLU

MEANS: dict[type[Layer], str] = {
    AveragePool: "hq_average_s8",
    MapMean: "hq_place_average_s8",
    ScaledMean: "hq_scaled_average_s8",
}
LAYER_C = Template("""\
static void ${name}_run($parameters)
{
$body}
""")


class LayerFunctions:
    """Writes the function of one run of a layer: a row, of a dense layer its whole result.

    ids: the names in C of the network's input and of its layers, in their order; maps: where their tensors lie;
    outputs: what leaves the network, by the names of the layers; shapes: of all tensors.
    """

    def __init__(
        self,
        ids: Mapping[str, str],
        maps: Mapping[str, Map],
        outputs: Mapping[str, Output],
        shapes: Mapping[str, Shape],
    ) -> None:
        self.ids, self.maps, self.outputs, self.shapes = ids, maps, outputs, shapes
        self.marks = {name: number for number, name in enumerate(ids)}

    def text(self, stage: Stage, step: Step) -> str:
        """`<id>_run`; a dense layer's has no row, that of an output has the output for a parameter."""
        parameters = ["int8_t *arena", *([] if isinstance(step.layer, Dense) else ["uint32_t row"])]
        parameters += [self.outputs[step.name].pointer] if step.leaves else []
        body = [f"HQ_MARK({self.marks[step.name]});", *self._body(step.layer, stage, step), *self._leaving(step)]
        return LAYER_C.substitute(name=self.ids[step.name], parameters=", ".join(parameters), body=indented(body))

    @singledispatchmethod
    def _body(self, layer: Layer | None, stage: Stage, step: Step) -> list[str]:
        if layer is not None:
            raise NotImplementedError(type(layer).__name__)
        return [f"hybridq_input_row(row, {self._row(step.name)});"]

    @_body.register
    def _(self, layer: Convolution, stage: Stage, step: Step) -> list[str]:
        if is_gathered(layer):
            return self._gathered(layer, stage, step)
        kind, scratch = layer.width.kernels.name + "_each" * is_each(layer), f"arena + {stage.scratch.offset}"
        call = f"hq_conv_{kind}_row(&{self.ids[layer.name]}, rows, out, {scratch});"
        return [*self._window(step), self._out(layer), call, *self._behind(layer, layer.shape[1])]

    @_body.register
    def _(self, layer: Depthwise, stage: Stage, step: Step) -> list[str]:
        if is_gathered(layer):
            return self._gathered(layer, stage, step)
        call = f"hq_depthwise_row(&{self.ids[layer.name]}, rows, out, arena + {stage.scratch.offset});"
        return [*self._window(step), self._out(layer), call, *self._behind(layer, layer.shape[1])]

    def _gathered(self, layer: Convolution | Depthwise, stage: Stage, step: Step) -> list[str]:
        """A convolution position by position: the sums of a dense layer, or of each channel, and what these become."""
        name, (_, columns, outputs), scratch = self.ids[layer.name], layer.shape, stage.scratch.offset
        start = [f"int32_t *const sums = (int32_t *)(void *)(arena + {scratch});"]
        sums = [f"hq_window_sums(&{name}_window, &{name}, rows, column, sums);"]
        if isinstance(layer, Convolution):
            start.append(f"int8_t *const window = arena + {scratch + 4 * outputs};")
            sums = [f"hq_window_gather(&{name}_window, rows, column, window);"]
            sums.append(f"hq_dense_{layer.width.kernels.name}(&{name}, window, sums);")
        if layer.is_wide:
            made = [f"hq_dense_out_s16(&{name}, sums, {self._place(layer)} + column * {outputs});"]
        else:
            start.append(self._out(layer))
            made = [f"hq_window_out_s8(&{name}, sums, out + column * {outputs});"]
        loop = [f"for (uint32_t column = 0; column < {columns}; column++) {{", *(f"    {x}" for x in sums + made), "}"]
        return [*self._window(step), *start, *loop, *self._behind(layer, columns)]

    @_body.register
    def _(self, layer: Dense, stage: Stage, step: Step) -> list[str]:
        name, read = self.ids[layer.name], self._row(layer.inputs[0], "0")
        kind = "sparse" if is_sparse(layer) else layer.width.kernels.name
        if in_parts(layer):
            what = f"&{name}, hq_dense_{kind}, {part_words(layer)}, {layer.out.doublings}, {read}"
            return [
                f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.scratch.offset});",
                f"int8_t *const out = {self._place(layer, '0')};",
                f"hq_dense_in_parts({what}, sums, out);",
                *self._behind(layer, 1),
            ]
        lines = [
            f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.scratch.offset});",
            f"hq_dense_{kind}(&{name}, {read}, sums);",
        ]
        if layer.out.doublings:
            lines.append(f"hq_dense_doubled(&{name}, {layer.out.doublings}, sums);")
        if layer.is_wide:
            return [*lines, f"hq_dense_out_s16(&{name}, sums, {self.outputs[layer.name].name});"]
        out = f"int8_t *const out = {self._place(layer, '0')};"
        return [*lines, out, f"hq_dense_out_s8(&{name}, sums, out);", *self._behind(layer, 1)]

    @_body.register
    def _(self, layer: MaxPool, stage: Stage, step: Step) -> list[str]:
        call = f"hq_maxpool_row(&{self.ids[layer.name]}, rows, {self._place(layer)});"
        if any(map(any, layer.pads)):
            name, columns = self.ids[layer.name], layer.shape[1]
            call = f"hq_maxpool_padded_row(&{name}, rows, {columns}, {self._place(layer)});"
        return [*self._window(step), call]

    @_body.register
    def _(self, layer: WindowMean, stage: Stage, step: Step) -> list[str]:
        sums = f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.scratch.offset});"
        call = f"hq_mean_row(&{self.ids[layer.name]}, rows, {layer.shape[1]}, sums, {self._place(layer)});"
        return [*self._window(step), sums, call]

    @_body.register
    def _(self, layer: Multiply, stage: Stage, step: Step) -> list[str]:
        a, b = map(self._row, layer.inputs)
        return [f"hq_multiply(&{self.ids[layer.name]}, {a}, {b}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: Concatenate, stage: Stage, step: Step) -> list[str]:
        name, lines, before = self.ids[layer.name], [self._out(layer)], 0
        for number, source in enumerate(layer.inputs):
            lines.append(f"hq_join(&{name}_{number}, {self._row(source)}, {f'out + {before}' if before else 'out'});")
            before += self.shapes[source][-1]
        return lines

    @_body.register
    def _(self, layer: Upsample, stage: Stage, step: Step) -> list[str]:
        (_, columns, channels), (down, right) = self.shapes[layer.inputs[0]], layer.factors
        read = self._row(layer.inputs[0], "row" if down == 1 else f"row / {down}")
        if layer.zeros and down > 1:
            read = f"row % {down} ? 0 : {read}"
        kernel = "hq_spread_row" if layer.zeros else "hq_upsample_row"
        zero = f", {layer.outside}" * layer.zeros
        return [f"{kernel}({read}, {columns}, {channels}, {right}{zero}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: Pad, stage: Stage, step: Step) -> list[str]:
        (_, columns, channels), (_, (left, _)) = self.shapes[layer.inputs[0]], layer.pads
        sizes = f"{columns}, {channels}, {left}, {layer.shape[1]}, {layer.outside}"
        call = f"hq_pad_row(rows[0], {sizes}, {self._place(layer)});"
        return [*self._window(step), call]

    @_body.register
    def _(self, layer: Channels, stage: Stage, step: Step) -> list[str]:
        channels, outputs = self.shapes[layer.inputs[0]][-1], layer.shape[-1]
        sizes = f"{step.row_bytes // outputs}, {channels}, {layer.first}, {outputs}"
        return [f"hq_channels_row({self._row(layer.inputs[0])}, {sizes}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: Reshape, stage: Stage, step: Step) -> list[str]:
        start, size = self._row(layer.inputs[0], "0"), step.row_bytes
        return [f"__builtin_memcpy({self._place(layer)}, {start} + row * {size}, {size});"]

    @_body.register
    def _(self, layer: ScaledPReLU, stage: Stage, step: Step) -> list[str]:
        columns = step.row_bytes // layer.shape[-1]
        read = self._row(layer.inputs[0])
        return [f"hq_scaled_prelu(&{self.ids[layer.name]}, {read}, {columns}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: PReLU, stage: Stage, step: Step) -> list[str]:
        read, columns = self._row(layer.inputs[0]), step.row_bytes // layer.shape[-1]
        return [f"hq_prelu_row(&{self.ids[layer.name]}, {read}, {columns}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: PlaceMean, stage: Stage, step: Step) -> list[str]:
        sums = f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.scratch.offset});"
        call = f"hq_place_mean_row(&{self.ids[layer.name]}, rows, {layer.shape[1]}, sums, {self._place(layer)});"
        return [*self._window(step), sums, call]

    @_body.register
    def _(self, layer: ScaledPair, stage: Stage, step: Step) -> list[str]:
        name = self.ids[layer.name]
        a, b = self._row(layer.inputs[0]), f"{name}_constant"
        if layer.constant is None:
            b = self._row(layer.inputs[1])
        kernel = "hq_scaled_add" if isinstance(layer, ScaledAdd) else "hq_scaled_multiply"
        return [f"{kernel}(&{name}, {a}, {b}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: Lookup, stage: Stage, step: Step) -> list[str]:
        read, count = self._row(layer.inputs[0]), step.row_bytes
        copy = f"__builtin_memcpy(out, {read}, {count});"
        return [self._out(layer), copy, f"hq_table({self.ids[layer.name]}_table, out, {count});"]

    @_body.register
    def _(self, layer: GlobalMean, stage: Stage, step: Step) -> list[str]:
        channels = layer.shape[-1]
        columns = self.maps[layer.inputs[0]].row_bytes // channels
        return [
            f"int32_t *const sums = (int32_t *)(void *)(arena + {stage.sums.offset});",
            f"for (uint32_t k = 0; row == 0 && k < {channels}; k++) {{",
            "    sums[k] = 0;",
            "}",
            f"hq_sum_row({self._row(layer.inputs[0])}, {columns}, {channels}, sums);",
            f"if (row == {step.runs - 1}) {{",
            f"    {MEANS[type(layer)]}(&{self.ids[layer.name]}, sums, {channels}, {self._place(layer, '0')});",
            *(f"    {line}" for line in self._copied(step, "0")),
            "}",
        ]

    @_body.register
    def _(self, layer: Add, stage: Stage, step: Step) -> list[str]:
        rows = list(map(self._row, layer.inputs))
        if len(rows) > 2:
            start = f"const int8_t *const inputs[{len(rows)}] = {{{', '.join(rows)}}};"
            return [start, f"hq_add_many(&{self.ids[layer.name]}, inputs, {step.row_bytes}, {self._place(layer)});"]
        a, b = rows
        return [f"hq_add(&{self.ids[layer.name]}, {a}, {b}, {step.row_bytes}, {self._place(layer)});"]

    @_body.register
    def _(self, layer: Memory, stage: Stage, step: Step) -> list[str]:
        name, read, out = self.ids[layer.name], self._row(layer.inputs[0]), self._place(layer)
        return [f"hq_memory_s16(&{name}, {read}, {name}_states, {out});"]

    def _row(self, name: str, row: str = "row") -> str:
        return f"hq_row(arena, &{self.ids[name]}_map, {row})"

    def _place(self, layer: Layer, row: str = "row") -> str:
        """Where a row of a layer's result goes: into the arena, or straight to the output that nobody else reads."""
        if layer.name in self.maps:
            return self._row(layer.name, row)
        start = self.outputs[layer.name].name
        return start if row == "0" else f"{start} + {row} * {prod(layer.shape[1:])}"

    def _out(self, layer: Layer) -> str:
        return f"int8_t *const out = {self._place(layer)};"

    def _leaving(self, step: Step) -> list[str]:
        """A copy of the row for the output, where other layers read it too."""
        if isinstance(step.layer, GlobalMean):
            return []  # it makes one in its last run alone
        return self._copied(step, "0" if isinstance(step.layer, Dense) or step.rows == 1 else "row")

    def _copied(self, step: Step, row: str) -> list[str]:
        if not step.leaves or step.outside:
            return []
        to = self.outputs[step.name].name + ("" if row == "0" else f" + {row} * {step.row_bytes}")
        return [f"__builtin_memcpy({to}, {self._row(step.name, row)}, {step.row_bytes});"]

    def _window(self, step: Step) -> list[str]:
        first = "row" if step.stride == 1 else f"row * {step.stride}"
        first += f" - {step.before}" if step.before > 0 else f" + {-step.before}" if step.before else ""
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
