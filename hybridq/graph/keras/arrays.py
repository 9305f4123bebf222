"""How many numbers the layers of a Keras model store, by its arrays: for layers that no rule describes.

Arrays are counted, never read. A model file's are listed in the bounded process that reads HDF5 (`file.run_bounded`),
and only where a network has a layer without a rule.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.file import is_folder, is_h5, run_bounded
from hybridq.graph.keras.layers.description import LARGEST_TENSOR
from hybridq.graph.keras.wiring import names_of, snake
from hybridq.graph.operators import ARRAYS, Graph, Operator, layer_of

Arrays = Mapping[str, Sequence[int]]  # by the name of the layer, as an operator bears it: numbers of each array

MOST_ARRAYS = 20_000
LARGEST_WEIGHTS = 128 * 2**20  # bytes of the arrays in a `.keras` file
NORM = "unknown: BatchNormalization"  # of an unknown shape: a scale and an offset of its four arrays are needed
LIST = """
import io, json, os, zipfile
source = sys.argv[1]
if zipfile.is_zipfile(source):
    with zipfile.ZipFile(source) as archive:
        about = archive.getinfo("model.weights.h5")
        assert about.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and about.file_size <= {largest}
        source = io.BytesIO(archive.read(about))
found = []
def note(name, item):
    if isinstance(item, h5py.Dataset) and len(found) < {most}:
        number = item.dtype.kind in "fV" or item.dtype.itemsize == 1  # others count steps, or are seeds
        found.append([name, int(item.size or 0) if number else 0])
with h5py.File(source, "r") as file:
    file.visititems(note)
print(json.dumps(found))
"""


def with_arrays(graph: Graph, arrays: Callable[[], Arrays | None]) -> Graph:
    """A network whose layers without a rule store the numbers of their arrays; as it is where these are not known."""
    if all(op.known for op in graph.operators):
        return graph
    known = arrays()
    if known is None:
        return graph
    return replace(graph, operators=tuple(op if op.known else _counted(op, known) for op in graph.operators))


def _counted(op: Operator, arrays: Arrays) -> Operator:
    sizes = arrays.get(op.name, ()) if layer_of(op.name) == op.name else ()
    count = 2 * max(sizes, default=0) if op.kind == NORM else sum(sizes)
    if not count:
        return op  # it may have constants in its code
    if count > LARGEST_TENSOR:
        raise UserError(f"layer {op.name!r}: {count} weights are not possible")
    return replace(op, other=max(op.other, count), attributes={**op.attributes, ARRAYS: len(sizes)})


def arrays_of_model(model: Any) -> Arrays | None:
    """Those of a model in memory."""
    found: dict[str, list[int]] = {}
    for name, layer in _layers_of(model, ""):
        weights = getattr(layer, "weights", ())
        found[name] = [prod(one.shape) for one in weights if "int" not in str(one.dtype) or "int8" in str(one.dtype)]
    return found


def _layers_of(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        yield prefix + layer.name, layer
        if isinstance(getattr(layer, "layers", None), list):
            yield from _layers_of(layer, f"{prefix}{layer.name}/")


def arrays_of_file(path: Path, saved: Any) -> Arrays | None:
    """Those of a `.keras` or `.h5` file, whose description is `saved`; None where they cannot be listed."""
    if is_folder(path):
        return None
    done = run_bounded(LIST.format(most=MOST_ARRAYS, largest=LARGEST_WEIGHTS), path)
    try:
        listed = [(str(name), int(size)) for name, size in json.loads(done.stdout)]
    except (ValueError, TypeError, RecursionError):
        return None
    places = dict(_places(saved["config"], "", "" if is_h5(path) else "_"))
    found: dict[str, list[int]] = {layer: [] for layer in places.values()}
    for name, size in listed:
        for layer in _layers_at(name.removeprefix("model_weights/"), places):
            found[layer].append(size)
    return found


def _layers_at(name: str, places: Mapping[str, str]) -> Iterator[str]:
    """The layers that an array belongs to: the one at the front of its path, and those of the model that this is.

    In an `.h5` file the path of a layer begins twice with its name.
    """
    parts = [part for part, _ in itertools.groupby(name.split("/"))]
    for end in range(1, len(parts)):
        layer = places.get("/".join(parts[:end]))
        if layer is not None:
            yield layer


def _places(config: Any, prefix: str, form: str) -> Iterator[tuple[str, str]]:
    """Where the arrays of each layer lie, and its name. In a `.keras` file: by its class, counted; else by its name."""
    layers = config.get("layers") if isinstance(config, Mapping) else config
    used: dict[str, int] = {}
    layers = layers if isinstance(layers, list) else []
    for name, layer in zip(names_of(layers), layers, strict=True):
        settings, place = layer["config"], name
        if form:
            own = snake(str(layer["class_name"]))
            used[own] = used.get(own, -1) + 1
            place = f"layers/{own}_{used[own]}" if used[own] else f"layers/{own}"
        yield prefix + place, name
        inner = settings.get("layers") if isinstance(settings, Mapping) else None
        if inner:
            for inside, inner_name in _places(settings, f"{prefix}{place}/", form):
                yield inside, f"{name}/{inner_name}"
