"""A worker of a sweep that is killed at the places of `dying`."""

import sys

from hybridq.backend.startup import spare_imports

spare_imports()

from dying import arm  # noqa: E402

from hybridq.sweeps.worker import main  # noqa: E402

arm("worker")
try:
    main(int(sys.argv[1]))
except KeyboardInterrupt:
    sys.exit(130)
