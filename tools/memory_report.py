#!/usr/bin/env python3
"""Where the flash, RAM and MACC of a model go: `tools/memory_report.py MODEL --target stm32l496`.

The same as `hybridq profile`; it runs from a checkout that is not installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hybridq.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "profile")
    main()
