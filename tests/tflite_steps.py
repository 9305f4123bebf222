"""What each runtime makes of the tensors of a `.tflite` file, and how far that is from the integer network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybridq.integer import arithmetic
from hybridq.integer.network import Convolution, Dense, Depthwise, IntegerNetwork, Layer
from hybridq.tflite.convert import Forms
from hybridq.tflite.runtimes import runtimes
from hybridq.tflite.writer import packed

Weighted = Convolution | Depthwise | Dense


def every_tensor(network: IntegerNetwork, inputs: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """What each runtime computes, by the names of the tensors."""
    forms = Forms(network)
    source = forms.made[network.input_name]
    made = [index for index, tensor in enumerate(forms.tensors) if tensor.values is None and index != source]
    runs = runtimes(packed(forms.tensors, forms.operations, source, made, ""), len(made))
    names = [forms.tensors[index].name for index in made]
    return {
        runtime: {name: one.astype(np.int64) for name, one in zip(names, run(inputs), strict=True)}
        | {network.input_name: inputs.astype(np.int64)}
        for runtime, run in runs.items()
    }


def steps_off(layer: Layer, found: dict[str, np.ndarray], network: IntegerNetwork) -> np.ndarray:
    """How far the values of a layer, and of its parts, are from the same of what the runtime gave them; tables must be
    exact."""

    def of(name: str, like: np.ndarray) -> np.ndarray:
        return found.get(name, found[layer.name]).reshape(like.shape)

    inputs = tuple(found[name].reshape(-1, *network.shapes[name]) for name in layer.inputs)
    if not isinstance(layer, Weighted):
        right = arithmetic.computed(layer, inputs)
        return np.abs(of(layer.name, right) - right)
    right = arithmetic.computed(replace(layer, table=None, affine=None), inputs)
    # Bounds that no activation has are kept by the table.
    value = np.clip(of(f"{layer.name} (sums)", right), layer.out.low, layer.out.high)
    off = np.abs(value - right)
    if layer.affine is None or f"{layer.name} (function)" in found:
        right = value if layer.table is None else arithmetic.looked_up(value, layer.table)
        value = of(f"{layer.name} (function)", right)
        assert np.array_equal(value, right)
    if layer.affine is not None:
        right = arithmetic.normalised(value, layer.affine)
        off = np.stack([off, np.abs(of(layer.name, right) - right)])
    return off
