"""`python -m hybridq` is the command `hybridq`."""

from hybridq.cli import main

main()
