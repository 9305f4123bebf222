"""Whatever is installed here that runs a `.tflite` file; each rounds in its own way.

LiteRT comes with `pip install ai-edge-litert`, TensorFlow Lite for Microcontrollers with `pip install --pre
tflite-micro`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

# From inputs (clips, *shape) to what the network makes of them, output by output: (clips, *shape of the output).
Run = Callable[[NDArray[np.int8]], list[NDArray[Any]]]
ARENA = 2**24  # bytes, for tflite-micro


def runtimes(content: bytes, outputs: int = 1) -> dict[str, Run]:
    """The runtimes by name and version, each with the file loaded, of a network of so many outputs."""
    runs: dict[str, Run] = {}
    if find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import OpResolverType

        name = f"LiteRT {version('ai-edge-litert')}"
        runs[f"{name}, XNNPACK"] = _litert(content, OpResolverType.BUILTIN)
        runs[f"{name}, own kernels"] = _litert(content, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    if find_spec("tflite_micro"):
        runs[f"tflite-micro {version('tflite-micro')}"] = _micro(content, outputs)
    return runs


def _litert(content: bytes, kernels: Any) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, experimental_op_resolver_type=kernels, num_threads=1)
    made.allocate_tensors()
    (source,), results = made.get_input_details(), made.get_output_details()

    def run(inputs: NDArray[np.int8]) -> list[NDArray[Any]]:
        every = []
        for one in inputs:
            made.set_tensor(source["index"], one.reshape(source["shape"]))
            made.invoke()
            every.append([made.get_tensor(result["index"])[0] for result in results])
        return [np.stack(output) for output in zip(*every, strict=True)]

    return run


def _micro(content: bytes, outputs: int) -> Run:
    from tflite_micro import runtime

    made = runtime.Interpreter.from_bytes(content, arena_size=ARENA)
    shape = made.get_input_details(0)["shape"]

    def run(inputs: NDArray[np.int8]) -> list[NDArray[Any]]:
        every = []
        for one in inputs:
            made.set_input(one.reshape(shape), 0)
            made.invoke()
            every.append([made.get_output(index)[0] for index in range(outputs)])
        return [np.stack(output) for output in zip(*every, strict=True)]

    return run
