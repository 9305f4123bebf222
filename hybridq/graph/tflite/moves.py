"""Operators of a `.tflite` file that move or join values, and the states that they keep."""

from __future__ import annotations

from math import prod

from hybridq.errors import UserError
from hybridq.graph.keras.layers import Description, checked
from hybridq.graph.kinds import LayerKind
from hybridq.graph.operators import Shape
from hybridq.graph.tflite.call import Call, Rule, keras_layer, without_batch


def reshape(call: Call) -> Description:
    """Where the batch is left open it holds what the other axes do not; an open shape may be a constant."""
    source, target = prod(call.sources[0]), call.recorded or _target(call)
    if target and source % prod(target) == 0:
        return Description("Reshape", without_batch((source // prod(target), *target)))
    if target:
        raise UserError(f"{call.sources[0]} does not reshape to {target}")
    return call.unknown(" to an open shape")


def _target(call: Call) -> Shape:
    """The shape that a constant gives, of one open axis behind the batch what is left; else ()."""
    (batch, *sizes), source = call.values(1) or (0,), prod(call.sources[0])
    known = prod(n for n in sizes if n != -1)
    if batch not in (1, -1) or known < 1 or source % known or sizes.count(-1) > 1 or min(sizes, default=0) < -1:
        return ()
    return tuple(source // known if n == -1 else n for n in sizes)


def permute(call: Call) -> Description:
    order = call.values(1)
    if not order or order[0] != 0 or len(order) != len(call.sources[0]) + 1:
        return call.unknown(" of the batch")
    return keras_layer(call, "Permute", {"dims": list(order[1:])})


def concatenate(call: Call) -> Description:
    values = sum(prod(shape) for shape in call.sources)
    values += sum(tensor.elements for tensor in call.constants.values())
    if values != prod(call.recorded):
        return call.unknown(" to an open shape")
    activation = call.fused(1)
    return Description("Concatenate", call.recorded, {} if activation == "linear" else {"activation": activation})


def pad(call: Call) -> Description:
    """Zeros around an image or sequence, or on any axis; paddings (axes with the batch, before and after)."""
    source, values = call.sources[0], call.values(1)
    pads = [list(pair) for pair in zip(values[::2], values[1::2], strict=False)]
    if len(pads) != len(source) + 1 or any(pads[0]):
        return call.unknown(" of the batch")
    if len(source) not in (2, 3) or any(pads[-1]):
        return keras_layer(call, "Pad", {"pads": pads})
    places = len(source) - 1
    return keras_layer(call, f"ZeroPadding{places}D", {"padding": pads[1:-1] if places > 1 else pads[1]})


def resize(kind: LayerKind, operator: str) -> Rule:
    interpolation = "bilinear" if operator == "RESIZE_BILINEAR" else "nearest"

    def read(call: Call) -> Description:
        source = call.sources[0]
        if len(source) < 3 or len(call.recorded) < 3:
            return call.unknown(" to an open shape")
        return Description(kind.name, (*source[:-3], *call.recorded[-3:]), {"interpolation": interpolation})

    return read


def slice_of(call: Call) -> Description:
    return Description("Slice", call.recorded) if call.recorded else call.unknown(" of an open shape")


def space_to_batch(call: Call) -> Description:
    """How the converter writes a dilated convolution: every n-th place becomes a sequence or image of its own."""
    (*places, channels), blocks, pads = call.sources[0], call.values(1), call.values(2)
    if len(blocks) != len(places) or len(pads) != 2 * len(places) or not all(blocks):
        return call.unknown(" over other axes")
    longer = [n + before + after for n, before, after in zip(places, pads[::2], pads[1::2], strict=True)]
    shape = (prod(blocks), *(n // b for n, b in zip(longer, blocks, strict=True)), channels)
    return Description("SpaceToBatch", checked(shape))


def batch_to_space(call: Call) -> Description:
    source, blocks, crops = call.sources[0], call.values(1), call.values(2)
    count, places, channels = source[0], source[1:-1], source[-1]
    if len(blocks) != len(places) or len(crops) != 2 * len(places) or count != prod(blocks):
        return call.unknown(" over other axes")
    joined = (n * b for n, b in zip(places, blocks, strict=True))
    cut = (n - before - after for n, before, after in zip(joined, crops[::2], crops[1::2], strict=True))
    return Description("BatchToSpace", checked((*cut, channels)))


def stack(call: Call) -> Description:
    """Equal tensors, some of which may be constants, along an axis of their own."""
    values = sum(map(prod, call.sources)) + sum(tensor.elements for tensor in call.constants.values())
    return Description("Stack", call.recorded) if prod(call.recorded) == values else call.unknown(" to an open shape")


def split(call: Call) -> Description:
    """As many tensors as it gives, which together are what it reads."""
    parts = (call.recorded, *call.further)
    if not all(parts) or sum(map(prod, parts)) != prod(call.sources[0]):
        return call.unknown(" of an open shape")
    return Description("Split", call.recorded, further_outputs=call.further)


def tile(call: Call) -> Description:
    """What it reads, several times."""
    whole = call.recorded and prod(call.recorded) % prod(call.sources[0]) == 0
    return Description("Tile", call.recorded) if whole else call.unknown(" to an open shape")


def variable(call: Call) -> Description:
    """A copy of a state, which is kept from one run of the network to the next."""
    return Description("ReadVariable", call.recorded) if call.recorded else call.unknown(" of an open shape")


def assignment(call: Call) -> Description:
    """A tensor becomes the state; nothing reads the result."""
    return Description("AssignVariable", call.sources[0])
