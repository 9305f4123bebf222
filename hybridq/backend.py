"""TensorFlow's start, without the lines that its C++ part writes to standard error on every machine without a GPU."""

from __future__ import annotations

import os
import sys


def load_tensorflow() -> None:
    """Import TensorFlow, where it is the Keras backend, and let it look for devices; what fails is still raised."""
    if "tensorflow" in sys.modules or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # the lines come from C++, below Python's sys.stderr
    try:
        import tensorflow

        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
