"""Where hybridq keeps what can be made again."""

import os
from pathlib import Path


def cache_root() -> Path:
    """The cache folder: `$HYBRIDQ_CACHE`, else `$XDG_CACHE_HOME/hybridq`, else `~/.cache/hybridq`."""
    own = os.environ.get("HYBRIDQ_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "hybridq"
