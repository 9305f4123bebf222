"""The file that an integer network travels in: `network.hqn`, a zip of `network.json` and an array a file.

Arrays are raw, little-endian, in C order, of the types in DTYPES; the JSON says their shapes. How weights are packed on
a device is not the file's concern (`hybridq.image.packing`). The digest is the SHA-256 of all members, so it does not
depend on how the zip was made; and equal networks give equal files.

A file may come from anywhere: sizes are bounded, nothing in it is executed, and what is read is checked as a whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import NotWritable, UserError
from hybridq.formats import Format
from hybridq.integer.checks import check
from hybridq.integer.description import Description
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import (
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Grid,
    IntegerNetwork,
    Layer,
    MaxPool,
    Memory,
    Requantization,
)
from hybridq.integer.scaled import Lookup, MapMean, PlaceMean, ScaledAdd, ScaledMean, ScaledMultiply, ScaledPReLU
from hybridq.paths import PLAIN_MEMBERS, open_regular, open_zip

SUFFIX = ".hqn"
NETWORK = f"network{SUFFIX}"  # of a run, or of an exported folder
DESCRIPTION = "network.json"  # the member that says what the others are
SCHEMA = 2
KINDS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        *(Convolution, Depthwise, Dense, MaxPool, AveragePool, Add, Memory),
        *(WindowMean, Multiply, Concatenate, Upsample, Pad, Channels, Reshape, PReLU),
        *(ScaledAdd, ScaledMultiply, PlaceMean, MapMean, ScaledMean, ScaledPReLU, Lookup),
    )
}
DTYPES = {
    **dict.fromkeys(("weights", "table", "out.shift", "slopes", "constant"), "int8"),
    "matrix": "int16",
    **dict.fromkeys(("bias", "out.multiplier", "affine.bias", "affine.multiplier"), "int32"),
}
# Fields that earlier files lack: left out where they are what they were.
LATER = {
    *((kind, "grid") for kind in KINDS.values()),
    *((kind, field) for kind in (Convolution, Depthwise) for field in ("dilation", "outside")),
    *((Requantization, field) for field in ("zero", "twice")),
    *((Depthwise, "depth_multiplier"), (MaxPool, "pads")),
    *((kind, "outside") for kind in (Pad, Upsample)),
}
LARGEST_FILE = 64 * 2**20  # bytes, also of the members together
LARGEST_DESCRIPTION = 4 * 2**20
MOST_LAYERS = 1_000
MOST_MEMBERS = 1 + MOST_LAYERS * len(DTYPES)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time that every member bears
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)

Members = dict[str, bytes]


def network_file(network: IntegerNetwork) -> bytes:
    """The content of its file. Raises UserError for a network that contradicts itself."""
    check(network)
    members = _members(network)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, members[name])
    return content.getvalue()


def save_network(network: IntegerNetwork, path: Path) -> str:
    """Write the file and return its digest. Raises NotWritable, and UserError for a network that contradicts itself."""
    content = network_file(network)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise NotWritable(path, error) from error
    return digest(network)


def load_network(path: Path) -> IntegerNetwork:
    """The network in a file. Raises UserError for what is no such file, is damaged, or contradicts itself."""
    members = _read(path)
    try:
        network = _network(json.loads(members[DESCRIPTION]), members)
        check(network)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except MALFORMED as error:
        raise UserError(
            f"{path}: damaged, or not an integer network ({type(error).__name__}: {error!s:.200})"
        ) from None
    return network


def digest(network: IntegerNetwork) -> str:
    """SHA-256 (hex) of the file that the network travels in."""
    return _digest(_members(network))


def _digest(members: Members) -> str:
    whole = hashlib.sha256()
    for name in sorted(members):
        whole.update(f"{name}\0{len(members[name])}\0".encode() + members[name])
    return whole.hexdigest()


# ----------------------------------------------------------------------------------------------------- write


def _members(network: IntegerNetwork) -> Members:
    members: Members = {}
    start: dict[str, Any] = {"name": network.input_name, "shape": list(network.input_shape)}
    start["fraction"] = network.input_fraction
    if network.input_grid:
        start["grid"] = _plain(network.input_grid, "", "", members)
    plain = {
        "schema": SCHEMA,
        "input": start,
        "layers": [
            {"kind": type(layer).__name__, **_plain(layer, f"{number:03}", "", members)}
            for number, layer in enumerate(network.layers)
        ],
        "about": network.description.to_plain(),
    }
    if network.outputs != (network.layers[-1].name,):
        plain["outputs"] = list(network.outputs)
    members[DESCRIPTION] = json.dumps(plain, indent=1, sort_keys=True).encode()
    return members


def _plain(part: Any, file: str, prefix: str, members: Members) -> dict[str, Any]:
    """The fields of a dataclass as plain data; its arrays go to the members, their shapes stay."""
    plain: dict[str, Any] = {}
    for one in fields(part):
        value, key = getattr(part, one.name), prefix + one.name
        if (type(part), one.name) in LATER and value == one.default:
            continue
        if isinstance(value, np.ndarray):
            members[f"{file}.{key}"] = value.astype(np.dtype(DTYPES[key]).newbyteorder("<")).tobytes()
            plain[one.name] = list(value.shape)
        elif is_dataclass(value):
            plain[one.name] = _plain(value, file, f"{key}.", members)
        else:
            plain[one.name] = value.name if isinstance(value, Format) else value
    return plain


# ------------------------------------------------------------------------------------------------------ read


def _read(path: Path) -> Members:
    with open_zip(path, f"a {SUFFIX} file", _of_some_size) as archive:
        entries = archive.infolist()
        sizes = sum(entry.file_size for entry in entries)
        plain = all(entry.compress_type in PLAIN_MEMBERS for entry in entries)
        if len(entries) > MOST_MEMBERS or sizes > LARGEST_FILE or not plain:
            raise UserError(f"{path}: not a {SUFFIX} file: too many or too large members")
        if DESCRIPTION not in archive.namelist() or archive.getinfo(DESCRIPTION).file_size > LARGEST_DESCRIPTION:
            raise UserError(f"{path}: not a {SUFFIX} file: no {DESCRIPTION} of a sensible size in it")
        return {entry.filename: _content(archive, entry) for entry in entries}


def _of_some_size(path: Path) -> BinaryIO:
    if path.stat().st_size > LARGEST_FILE:
        raise UserError(f"{path}: more than {LARGEST_FILE:,} bytes: no network for a microcontroller")
    return open_regular(path)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """No more than the member says that it has; its checksum is compared at its end."""
    with archive.open(entry) as member:
        content = member.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"{entry.filename} has another size than it says")
    return content


def _network(plain: Any, members: Members) -> IntegerNetwork:
    if plain["schema"] != SCHEMA:
        raise UserError(f"schema {plain['schema']!r:.40}, not {SCHEMA}: `hybridq export` its trained model again")
    if len(plain["layers"]) > MOST_LAYERS:
        raise ValueError("too many layers")
    start = plain["input"]
    return IntegerNetwork(
        input_name=_text(start["name"]),
        input_shape=_numbers(start["shape"]),
        input_fraction=_number(start["fraction"]),
        layers=tuple(_layer(layer, f"{number:03}", members) for number, layer in enumerate(plain["layers"])),
        description=Description.from_plain(plain["about"]),
        outputs=tuple(_text(name) for name in plain.get("outputs", ())),
        input_grid=_made(Grid, start["grid"], "", "grid.", members) if "grid" in start else None,
    )


def _layer(plain: Mapping[str, Any], file: str, members: Members) -> Layer:
    layer: Layer = _made(KINDS[plain["kind"]], plain, file, "", members)
    return layer


def _made(kind: Any, plain: Mapping[str, Any], file: str, prefix: str, members: Members) -> Any:
    there = [one.name for one in fields(kind) if one.name in plain or (kind, one.name) not in LATER]
    return kind(**{name: _value(plain[name], file, prefix + name, members) for name in there})


def _value(plain: Any, file: str, key: str, members: Members) -> Any:
    if key in DTYPES:
        return None if plain is None else _array(members[f"{file}.{key}"], _numbers(plain), DTYPES[key])
    if key in NESTED:
        return None if plain is None else _made(NESTED[key], plain, file, f"{key}.", members)
    return (SIMPLE.get(key) or SIMPLE[key.rpartition(".")[2]])(plain)


def _array(content: bytes, shape: tuple[int, ...], dtype: str) -> NDArray[np.int64]:
    stored = np.dtype(dtype).newbyteorder("<")
    if prod(shape) * stored.itemsize != len(content):
        raise ValueError(f"{len(content)} bytes are no {dtype} of shape {shape}")
    return np.frombuffer(content, stored).reshape(shape).astype(np.int64)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 200:
        raise ValueError(f"{value!r:.40} is no name")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) > 2**31:
        raise ValueError(f"{value!r:.40} is no whole number of 32 bits")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{value!r:.40} is neither true nor false")
    return value


def _numbers(values: Any) -> tuple[int, ...]:
    return tuple(_number(value) for value in values)


def _real(value: Any) -> float:
    if type(value) is not float or not isfinite(value):
        raise ValueError(f"{value!r:.40} is no real number")
    return value


NESTED: dict[str, Any] = {"out": Requantization, "affine": Affine, "grid": Grid}
SIMPLE: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "inputs": lambda names: tuple(_text(name) for name in names),
    "grid.scale": _real,
    **dict.fromkeys(("zeros", "twice", "minus"), _truth),
    "width": lambda name: Format[name],
    "pads": lambda axes: tuple(_numbers(axis) for axis in axes),
    **dict.fromkeys(("shape", "strides", "window", "scales", "dilation", "places", "shifts", "factors"), _numbers),
    **dict.fromkeys(("zero_points", "multipliers"), _numbers),
    **dict.fromkeys(("fraction", "depth_multiplier", "scale", "shift", "low", "high"), _number),
    **dict.fromkeys(("matrix_shift", "input_shift", "output_shift"), _number),
    **dict.fromkeys(("zero", "outside", "multiplier", "added", "first"), _number),
}
