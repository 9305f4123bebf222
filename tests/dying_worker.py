"""A worker of a sweep that is killed at the places of `dying`."""

import sys

from dying import arm, arm_start

arm_start()

from hybridq.backend.startup import spare_imports  # noqa: E402

spare_imports()

from hybridq.sweeps.worker import main  # noqa: E402

arm("worker")
try:
    main(int(sys.argv[1]))
except KeyboardInterrupt:
    sys.exit(130)
