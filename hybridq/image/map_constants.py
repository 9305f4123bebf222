"""The constants of layers that pool, join and move maps, as C: their structs, and the little that these refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatchmethod
from math import prod
from typing import Any

from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.integer.map_checks import image_of
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import Add, Layer, MaxPool, Shape
from hybridq.integer.scaled import (
    Lookup,
    MapMean,
    PlaceMean,
    ScaledAdd,
    ScaledMean,
    ScaledMultiply,
    ScaledPair,
    ScaledPReLU,
)

WORDS_PER_LINE = 8


class MapConstants:
    """Writes the constants of such layers. `shapes`: of tensors; `ids`: the names of layers in C."""

    def __init__(self, shapes: Mapping[str, Shape], ids: Mapping[str, str]) -> None:
        self.shapes, self.ids = shapes, ids

    @singledispatchmethod
    def text(self, layer: Layer) -> str:
        """The constants of a layer. Raises UserError for one beyond what the kernels' fields hold."""
        raise NotImplementedError(type(layer).__name__)

    @text.register
    def _(self, layer: MaxPool) -> str:
        (rows, columns), (_, across) = layer.window, layer.strides
        title = self.titled(layer, f"maximum of {rows} x {columns}")
        if any(map(any, layer.pads)):
            return title + self.struct(layer, "hq_window", self._window(layer))
        fields = {"out_columns": layer.shape[1], "channels": layer.shape[2]}
        fields |= {"window_rows": rows, "window_columns": columns, "stride": across}
        check_fields(layer, fields, bytes_=("window_rows", "window_columns", "stride"))
        return title + self.struct(layer, "hq_pool", fields)

    @text.register
    def _(self, layer: WindowMean) -> str:
        name, out = self.ids[layer.name], layer.out
        entries = zip(out.multiplier.tolist(), out.shift.tolist(), strict=True)
        text = self.titled(layer, f"mean of {layer.window[0]} x {layer.window[1]}")
        text += array("uint16_t", f"{name}_places", layer.places)
        text += array(
            "hq_average", f"{name}_by", [f"{{{by}, {shift}, {out.low}, {out.high}}}" for by, shift in entries]
        )
        window = f"{{{', '.join(f'.{key} = {value}' for key, value in self._window(layer).items())}}}"
        return text + self.struct(layer, "hq_mean", {"window": window, "places": f"{name}_places", "by": f"{name}_by"})

    @text.register
    def _(self, layer: Add) -> str:
        ends = {"shift": layer.shift, "low": layer.low, "high": layer.high}
        if len(layer.inputs) == 2:
            fields = dict(zip(("scale_a", "scale_b"), layer.scales, strict=True))
            return self.titled(layer, "sum of two") + self.struct(layer, "hq_addition", fields | ends)
        name, count = self.ids[layer.name], len(layer.inputs)
        check_fields(layer, {"inputs": count}, bytes_=("inputs",))
        scales = array("int32_t", f"{name}_scales", layer.scales)
        many: dict[str, Any] = {"scales": f"{name}_scales", "inputs": count}
        return self.titled(layer, f"sum of {count}") + scales + self.struct(layer, "hq_sum", many | ends)

    @text.register
    def _(self, layer: Multiply) -> str:
        (_, columns, channels), (_, across, deep) = (image_of(self.shapes[name]) for name in layer.inputs)
        next_channel = int(deep > 1 or channels == 1)
        fields: dict[str, Any] = {"columns": columns, "channels": channels}
        fields |= {"next_column": deep if across > 1 else 0, "scale": layer.scale}
        check_fields(layer, {key: fields[key] for key in ("columns", "channels", "next_column")})
        fields |= {"next_channel": next_channel, "shift": layer.shift, "low": layer.low, "high": layer.high}
        return self.titled(layer, "product of two") + self.struct(layer, "hq_product", fields)

    @text.register
    def _(self, layer: Concatenate) -> str:
        text = self.titled(layer, f"{len(layer.inputs)} side by side")
        for number, (name, shift) in enumerate(zip(layer.inputs, layer.shifts, strict=True)):
            _, columns, channels = image_of(self.shapes[name])
            fields = {"columns": columns, "channels": channels, "all_channels": layer.shape[-1]}
            check_fields(layer, fields)
            fields |= {"shift": shift, "low": layer.low, "high": layer.high}
            text += self.struct(layer, "hq_part", fields, f"_{number}")
        return text

    @text.register
    def _(self, layer: PReLU) -> str:
        name, (above, below) = self.ids[layer.name], layer.shifts
        fields: dict[str, Any] = {"slopes": f"{name}_slopes", "channels": layer.shape[-1]}
        check_fields(layer, {"channels": layer.shape[-1]})
        slopes = array("int8_t", f"{name}_slopes", layer.slopes, per_line=16)
        fields |= {"above": above, "below": below}
        return self.titled(layer, "slopes") + slopes + self.struct(layer, "hq_slopes", fields)

    @text.register
    def _(self, layer: ScaledPair) -> str:
        constant = layer.constant
        shapes = [self.shapes[name] for name in layer.inputs] + ([] if constant is None else [constant.shape])
        (_, columns, channels), (_, across, deep) = map(image_of, shapes)
        fields: dict[str, Any] = {"columns": columns, "channels": channels}
        fields |= {"next_column": deep if across > 1 else 0}
        check_fields(layer, fields)
        if isinstance(layer, ScaledAdd):
            factors = zip(("a", "b", "out"), layer.multipliers, layer.shifts, strict=True)
            fields |= {key: factor(by, shift) for key, by, shift in factors} | {"minus": int(layer.minus)}
        elif isinstance(layer, ScaledMultiply):
            fields["out"] = factor(layer.multiplier, layer.shift)
        fields |= dict(zip(("zero_a", "zero_b", "zero"), layer.zero_points, strict=True))
        fields |= {"next_channel": int(deep > 1 or channels == 1), "low": layer.low, "high": layer.high}
        kind = "sum" if isinstance(layer, ScaledAdd) else "product"
        text = self.titled(layer, f"{kind} of two" if constant is None else f"{kind} with a constant")
        if constant is not None:
            text += array("int8_t", f"{self.ids[layer.name]}_constant", constant, per_line=16)
        return text + self.struct(layer, "hq_pair", fields)

    @text.register
    def _(self, layer: PlaceMean) -> str:
        window = f"{{{', '.join(f'.{key} = {value}' for key, value in self._window(layer).items())}}}"
        fields = {"window": window, "low": layer.low, "high": layer.high}
        return self.titled(layer, f"mean of {layer.window[0]} x {layer.window[1]}") + self.struct(
            layer, "hq_place_mean", fields
        )

    @text.register
    def _(self, layer: MapMean) -> str:
        places = prod(self.shapes[layer.inputs[0]][:-1])
        fields = {"places": places, "low": layer.low, "high": layer.high}
        return self.titled(layer, "mean") + self.struct(layer, "hq_place_average", fields)

    @text.register
    def _(self, layer: ScaledMean) -> str:
        fields: dict[str, Any] = {"by": f"{{{layer.multiplier}, {layer.shift}}}", "added": layer.added}
        fields |= {"zero": layer.zero, "low": layer.low, "high": layer.high}
        return self.titled(layer, "mean") + self.struct(layer, "hq_scaled_average", fields)

    @text.register
    def _(self, layer: ScaledPReLU) -> str:
        name, fields = self.ids[layer.name], dict[str, Any]()
        for what, by, shift in zip(("above", "below"), layer.multipliers, layer.shifts, strict=True):
            fields |= {what: factor(by, max(shift, 0)), f"up_{what}": max(-shift, 0)}
        fields |= dict(zip(("read", "slope", "zero"), layer.zero_points, strict=True))
        fields |= {"slopes": f"{name}_slopes", "channels": layer.shape[-1]}
        check_fields(layer, {"channels": layer.shape[-1]})
        slopes = array("int8_t", f"{name}_slopes", layer.slopes, per_line=16)
        return self.titled(layer, "slopes") + slopes + self.struct(layer, "hq_scaled_slopes", fields)

    @text.register
    def _(self, layer: Lookup) -> str:
        return self.titled(layer, "table") + array("int8_t", f"{self.ids[layer.name]}_table", layer.table, per_line=16)

    @text.register
    def _(self, layer: Upsample | Pad | Channels | Reshape) -> str:
        return ""  # numbers in the code

    def _window(self, layer: MaxPool | WindowMean | PlaceMean) -> dict[str, int]:
        (rows, columns), (_, width, channels) = layer.window, self.shapes[layer.inputs[0]]
        fields = {"columns": width, "inputs": channels, "window_rows": rows, "window_columns": columns}
        fields |= {"stride": layer.strides[1], "pad_left": layer.pads[1][0], "apart_rows": 1, "apart_columns": 1}
        check_fields(layer, fields, bytes_=list(fields)[2:])
        return fields

    def titled(self, layer: Layer, what: str) -> str:
        """The comment above a layer's constants."""
        return f"/* {self.ids[layer.name]}: {what}; to {' x '.join(map(str, layer.shape))} */\n"

    def struct(self, layer: Layer, kind: str, fields: Mapping[str, Any], part: str = "") -> str:
        """The struct of a layer, or of a part of it."""
        inside = "".join(f"    .{name} = {value},\n" for name, value in fields.items())
        return f"static const {kind} {self.ids[layer.name]}{part} = {{\n{inside}}};\n"


def factor(multiplier: int, shift: int) -> str:
    """An hq_factor. The multiplier is 2**30 at the least, so that 0 is the least there is: it rounds all to 0."""
    return f"{{{multiplier}, {shift}}}" if multiplier else f"{{{2**30}, 31}}"


def map_bytes(layer: Layer) -> int:
    """Flash for what such a layer's struct refers to."""
    if isinstance(layer, WindowMean):
        return 14 * len(layer.places)
    if isinstance(layer, Add):
        return 4 * len(layer.scales) * (len(layer.scales) > 2)
    if isinstance(layer, ScaledPair):
        return 0 if layer.constant is None else layer.constant.size
    if isinstance(layer, Lookup):
        return layer.table.size
    return layer.slopes.size if isinstance(layer, PReLU | ScaledPReLU) else 0


def array(
    kind: str, name: str, values: Sequence[Any] | NDArray[Any], per_line: int = WORDS_PER_LINE, aligned: bool = False
) -> str:
    """A constant array of C."""
    texts = list(map(str, values))
    lines = [", ".join(texts[at : at + per_line]) for at in range(0, len(texts), per_line)]
    how = " __attribute__((aligned(4)))" if aligned else ""
    return (
        f"static const {kind} {name}[{len(texts)}]{how} = {{\n" + "".join(f"    {line},\n" for line in lines) + "};\n"
    )


def check_fields(layer: Layer, fields: Mapping[str, int], bytes_: Iterable[str] = ()) -> None:
    """Raise UserError where a number does not fit into the field of the kernel's struct."""
    for name, value in fields.items():
        most = 255 if name in bytes_ else 65535
        if value > most:
            raise UserError(f"layer {layer.name!r}: its {name.replace('_', ' ')} {value} is more than {most}")
