"""Files of Keras 2 as people have them, made by tf_keras and the model optimization toolkit in a process of its own.

TensorFlow takes `tf.keras` for Keras 2 only where a variable says so before it starts, so no test can make them itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import json, sys
import numpy as np
import tensorflow as tf
import tf_keras as keras
L, folder = keras.layers, sys.argv[1]
"""


def made(folder: Path, program: str) -> Any:
    """Run a program that writes files into a folder; what it prints last, as JSON."""
    pytest.importorskip("tf_keras", reason="writes the files of Keras 2")
    environment = os.environ | {
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-c", HEAD + program, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
