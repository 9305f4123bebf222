"""What a training imports, for processes that begin with it."""

from hybridq.startup import spare_imports

spare_imports()

from hybridq.backend import load_tensorflow  # noqa: E402

load_tensorflow()

import hybridq.laboratory  # noqa: E402
import hybridq.pictures  # noqa: E402, F401
from hybridq.tracking.guard import quiet_mlflow  # noqa: E402

quiet_mlflow()
