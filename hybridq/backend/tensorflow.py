"""How TensorFlow runs: its start without the lines that its C++ part writes for want of a GPU, its threads, bfloat16.

The number of threads decides in which order sums are added, and so the last digits of every weight. It is that of the
machine's cores, however many processes share them, or `HYBRIDQ_THREADS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from hybridq.backend.startup import configured_backend, large_import

BFLOAT16 = "auto_mixed_precision_onednn_bfloat16"


def threads() -> int:
    """The threads of a training step: `HYBRIDQ_THREADS`, else the cores that this process may use (count)."""
    asked = os.environ.get("HYBRIDQ_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else len(os.sched_getaffinity(0))


def load_tensorflow() -> None:
    """Import TensorFlow and let it look for devices; what fails is still raised.

    Keras imports it beside another backend too, where it is installed.
    """
    other = configured_backend() != "tensorflow"
    if "tensorflow" in sys.modules or (other and find_spec("tensorflow") is None):
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # the lines come from C++, below Python's sys.stderr
    try:
        with large_import("tensorflow"):
            import tensorflow
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads())
        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load_qkeras() -> Any:
    """QKeras, imported as TensorFlow is: it too imports JAX where that is installed."""
    load_tensorflow()
    with large_import("qkeras"):
        import qkeras
    return qkeras


def keras_backend() -> str:
    """What Keras computes with: tensorflow, jax or torch; `KERAS_BACKEND` decides, else Keras's own configuration."""
    load_tensorflow()
    import keras

    name: str = keras.backend.backend()
    return name


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """While it lasts, TensorFlow's convolutions and matrix products on a CPU multiply in bfloat16 and add in float32.

    It is the graph optimizer's choice for each operation, and none where the processor has no instructions for it or
    Keras runs on another backend. A thread that has called a function of TensorFlow before stays with float32.
    """
    if keras_backend() != "tensorflow":
        yield
        return
    from tensorflow.config import optimizer

    before = optimizer.get_experimental_options().get(BFLOAT16, False)
    optimizer.set_experimental_options({BFLOAT16: True})
    try:
        yield
    finally:
        optimizer.set_experimental_options({BFLOAT16: before})
