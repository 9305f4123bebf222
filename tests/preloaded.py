"""What a training imports, for processes that begin with it."""

from hybridq.backend.startup import spare_imports

spare_imports()

from hybridq.backend.tensorflow import load_qkeras  # noqa: E402

load_qkeras()

import librosa.filters  # noqa: E402, F401
import matplotlib.backends.backend_agg  # noqa: E402, F401

import hybridq.cli  # noqa: E402
import hybridq.results.pictures  # noqa: E402
import hybridq.runs.run_recipe  # noqa: E402
import hybridq.sweeps  # noqa: E402, F401
from hybridq.tracking.guard import quiet_mlflow  # noqa: E402

quiet_mlflow()

import mlflow.store.tracking.sqlalchemy_workspace_store  # noqa: E402, F401
