"""Layers made to do harm: each is read or refused, in few steps, and what is shown of it is plain."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from stranger_files import (
    archive,
    description,
    nested,
    read_or_refused,
)

from hybridq.errors import UserError
from hybridq.profiler import profile


def model_of(kind: str, shape: Any = (8, 8), **config: Any) -> dict[str, Any]:
    """A sequential model of one layer."""
    first = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, *shape]}}
    layers = [first, {"class_name": kind, "config": {"name": "x", **config}}]
    return {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}


TEXT = "\x1b[31m\x1b]0;title\x07"
CRAFTED = [
    ("AdaptiveAveragePooling3D", (8, 8, 8, 8), {"output_size": [2**31 - 1, 3, 3]}),  # found: a loop over its output
    ("AdaptiveMaxPooling1D", (8, 8), {"output_size": 10**30}),
    ("EinsumDense", (8, 8), {"equation": "ab,bc->ac", "output_shape": [2**31]}),
    ("EinsumDense", (8, 8), {"equation": "...a,ab->..." + "b" * 10**6, "output_shape": 3}),
    ("EinsumDense", (8, 8), {"equation": "abc,cd->abd", "output_shape": [None, 2**31], "bias_axes": "xyz"}),
    ("ConvLSTM1D", (8, 8, 8), {"filters": 2**31, "kernel_size": 1}),
    ("Reshape", (8, 8), {"newshape": []}),
    ("Reshape", (8, 8), {"newshape": [-1, "8"]}),
    ("Normalization", (8, 8), {"mean": float("nan")}),
    ("Dense", (8, 8), {"units": float("inf")}),
    ("Dense", (8, 8), {"units": 8, "activation": TEXT}),
    ("Dense", (8, 8), {"units": 8, "dtype": {"class_name": TEXT, "config": {"mode": [TEXT]}}}),
    ("Dense", (8, 8), {"units": 8, "name": "\ud800"}),
    (TEXT, (8, 8), {}),
    ("RNN", (8, 8), {"cell": {"class_name": "LSTMCell", "config": None}}),
    ("RNN", (8, 8), {"cell": {"class_name": "GRUCell", "config": {"units": 3, "return_sequences": TEXT}}}),
    ("SpectralNormalization", (8, 8), {"layer": None}),
    ("SpectralNormalization", (8, 8), {"layer": nested(1)}),
    ("QDenseBatchnorm", (8, 8), {"units": None}),
]


@pytest.mark.parametrize(("kind", "shape", "config"), CRAFTED, ids=range(len(CRAFTED)))
def test_crafted_layers_are_read_or_refused(inner: Path, kind: str, shape: Any, config: dict[str, Any]) -> None:
    path = archive(inner / "crafted.keras", json.dumps(model_of(kind, shape, **config)).encode())
    read_or_refused(path)
    with contextlib.suppress(UserError):
        report = profile(path)
        shown = [report.name, *report.not_costed, *report.assumed, *(row.name for row in report.rows)]
        assert all(text.isprintable() for text in shown)


def test_a_network_of_thousands_of_layers(inner: Path) -> None:
    """Found: each layer was searched for in a plan of as many rules."""
    saved = model_of("Dense", units=8)
    held = saved["config"]["layers"]
    held += [{"class_name": "Dense", "config": {"name": f"x{i}", "units": 8}} for i in range(1500)]
    read_or_refused(archive(inner / "many.keras", json.dumps(saved).encode()), lines=5_000_000)


def test_layers_inside_layers(inner: Path) -> None:
    saved = model_of("Dense", units=8)
    for i in range(250):
        held = saved["config"]["layers"][1]
        saved = model_of("SpectralNormalization" if i % 2 else "TimeDistributed", (8,) * 3, layer=held)
    read_or_refused(archive(inner / "inside.keras", json.dumps(saved).encode()))


@pytest.mark.parametrize("size", [2**31, 10**12, 10**30, -1, 0, 1.5, "9"])
def test_absurd_shapes_are_refused(inner: Path, size: Any) -> None:
    saved = description()
    saved["config"]["layers"][0]["config"]["batch_shape"] = [None, size, 10, 1]
    path = archive(inner / "absurd.keras", json.dumps(saved).encode())
    with pytest.raises(UserError):
        profile(path)
