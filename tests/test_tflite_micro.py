"""RAM beside an independent count: the arena that TensorFlow Lite for Microcontrollers reports for the same file.

Its arena has a head, for tensors and scratch while the network runs, and a tail for its own tables. The accounting tflm
counts both, for the package's build on 64 bits by the same rules as for a microcontroller's. ST's tool is compared with
the head alone. In the head each tensor starts at a multiple of 16 bytes, nothing is written over what it is read from,
and no two operators run as one. X-CUBE-AI, whose rules our figure follows, writes over inputs and runs pools and
activations inside convolutions, so its tensors take no more; but it holds more scratch, which is left out too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridq.arena.planners import Lifetime, first_fit, scratch_name
from hybridq.graph.reader import Graph, Operator, read_graph
from hybridq.profiler import profile
from hybridq.profiler.accounting import accounting
from hybridq.profiler.count.arena import ram
from hybridq.profiler.count.merge import merge
from hybridq.profiler.tflm.arena import allocate
from hybridq.profiler.tflm.model import read_model
from hybridq.profiler.tflm.structs import REFERENCE, Build

pytest.importorskip("tflite_micro", reason="the package tflite-micro is not installed (a pre-release for Linux)")

FACTS = Path(__file__).resolve().parent.parent.parent / "shared" / "facts"
MODELS = FACTS / "xcube" / "models"
HYBRID = "Lanove"  # floats times 8-bit weights: tflite-micro has no kernel for that
ALIGNMENT = 16  # bytes
PACKAGE = Build(pointer=8, enum=4, kernels=REFERENCE, package=True)
COUNTED_UNTIL = "20260825"  # the first package whose dense layers keep more than those that the rules were read off


def published() -> list[Any]:
    """The TFLite files behind published reports of X-CUBE-AI, float and 8-bit."""
    found = [path for path in sorted(MODELS.glob("*.tflite")) if not path.name.startswith(HYBRID)]
    missing = pytest.param(None, marks=pytest.mark.skip("the models are not beside this checkout (../shared)"))
    return [pytest.param(path, id=path.name[:30]) for path in found] or [missing]


@pytest.fixture(scope="module", params=["chain", "branches"])
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An 8-bit network made by the real converter."""
    import keras
    import tensorflow as tf
    from keras import layers

    inputs = keras.Input((20, 14, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    if request.param == "branches":
        wide = layers.Conv2D(16, 1, activation="relu")(layers.DepthwiseConv2D(3, padding="same")(x))
        x = layers.Concatenate()([layers.Add()([x, layers.Conv2D(8, 1)(wide)]), wide])
    x = layers.Conv2D(12, 3, strides=2, activation="relu")(layers.MaxPooling2D(2)(x))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([np.full((1, 20, 14, 3), i, np.float32)] for i in range(3))
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path = tmp_path_factory.mktemp("converted") / "small.tflite"
    path.write_bytes(converter.convert())
    return path


def networks() -> list[Any]:
    """Networks of MLPerf Tiny, of wake words with states, of others' projects and of ST's zoo."""
    patterns = ("mlperf/models/*.tflite", "wakeword/*.tflite", "wild/svdf*.tflite", "xcube/models/*.tflite")
    zoo = ("modelzoo/models/*_96_*.tflite", "modelzoo/models/*resnet*.tflite", "modelzoo/models/squeeze*128*.tflite")
    found = [path for pattern in (*patterns, *zoo) for path in sorted(FACTS.glob(pattern))]
    missing = pytest.param(None, marks=pytest.mark.skip("the models are not beside this checkout (../shared)"))
    return [pytest.param(path, id=path.name[:30]) for path in found] or [missing]


@pytest.fixture
def parts(capfd: pytest.CaptureFixture[str]) -> Callable[[Path], dict[str, int]]:
    """The bytes of the arena's head and tail, which tflite-micro prints on the standard error of the process."""
    from tflite_micro import runtime

    def read(path: Path) -> dict[str, int]:
        runtime.Interpreter.from_file(str(path), arena_size=2**22).print_allocations()
        return {
            part: int(size) for part, size in re.findall(r"allocation (head|tail) (\d+) bytes", capfd.readouterr().err)
        }

    return read


@pytest.fixture
def head(parts: Callable[[Path], dict[str, int]]) -> Callable[[Path], int]:
    """The bytes of the head."""
    return lambda path: parts(path)["head"]


@pytest.mark.parametrize("path", networks())
def test_the_accounting_of_the_interpreter(path: Path, parts: Callable[[Path], dict[str, int]]) -> None:
    if profile(path, accounting="tflm").tflm.refused:  # type: ignore[union-attr]
        with pytest.raises(RuntimeError):
            parts(path)
        return
    found, said = allocate(read_model(path), PACKAGE), parts(path)
    assert found.non_persistent == said["head"]
    if metadata.version("tflite-micro").partition("dev")[2] < COUNTED_UNTIL:
        assert found.persistent == said["tail"]
    else:
        operators = sum(len(graph.ops) for graph in read_model(path).subgraphs)
        assert 0 <= said["tail"] - found.persistent <= 2 * ALIGNMENT * operators


@pytest.mark.parametrize("path", published())
def test_published_models(path: Path, head: Callable[[Path], int]) -> None:
    check(read_graph(path), head(path))


def test_converted_models(converted: Path, head: Callable[[Path], int]) -> None:
    check(read_graph(converted), head(converted))


def check(graph: Graph, head: int) -> None:
    # Its head holds what is alive, and is no larger than the plan of our first fit for tensors that share no byte.
    apart = tensors(graph)
    steps = len(graph.operators)
    alive = max(sum(one.bytes for one in apart if one.first <= i <= one.last) for i in range(steps))
    assert alive <= head <= first_fit([[one] for one in apart], steps).bytes + ALIGNMENT * len(apart)

    for version in ("7.2", "8.1", "9.0", "2.2"):
        assert live(graph, version) <= head
    # Optimised for time, no layer with weights writes over its input.
    assert max(map(around, graph.weighted)) <= live(graph, "2.2:time") <= head


def size(op: Operator, *shapes: tuple[int, ...]) -> int:
    """Bytes of tensors of those shapes, at the precision of the operator's output."""
    assert op.precision
    return sum(map(prod, shapes)) * op.precision.outputs.bits // 8


def around(op: Operator) -> int:
    """Bytes of what the operator reads and gives, of one precision in these networks."""
    return size(op, *op.input_shapes, op.output_shape)


def tensors(graph: Graph) -> list[Lifetime]:
    """Each tensor on its own, none written over another: an input is there from the start, an output to the end."""
    steps = {op.name: i for i, op in enumerate(op for op in graph.operators if op.kind != "InputLayer")}
    last = {name: steps.get(op.name, 0) for op in graph.operators for name in (op.name, *op.inputs)}
    last |= dict.fromkeys(graph.outputs, len(steps) - 1)
    return [
        Lifetime(op.name, steps.get(op.name, 0), last[op.name], 0, size(op, op.output_shape)) for op in graph.operators
    ]


def live(graph: Graph, version: str) -> int:
    """Most bytes that tensors take at one step, those that two of them share counted once."""
    rules = accounting(f"x-cube-ai:{version}")
    steps = merge(graph, rules)
    scratch = {scratch_name(step.name) for step in steps}
    tensors = sorted(
        (one for one in ram(graph, steps, rules=rules).lifetimes if one.tensor not in scratch), key=lambda t: t.offset
    )
    most = 0
    for i in range(len(steps)):
        taken = top = 0
        for one in tensors:
            if one.first <= i <= one.last:
                taken += max(one.end - max(one.offset, top), 0)
                top = max(top, one.end)
        most = max(most, taken)
    return most
