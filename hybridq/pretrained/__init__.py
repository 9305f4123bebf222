"""Networks that come with hybridq: `pretrained:NAME` stands wherever a command takes a trained network.

Each is a file NAME.hqn, an integer network with its labels, front end and normalisation; beside it NAME.yaml is the
recipe that it was trained by. `networks.json` says of each its digest, and what it scored on which clips.
`tools/ship_network.py` puts one here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.integer.artefact import SUFFIX

PREFIX = "pretrained:"
FOLDER = Path(__file__).parent
INDEX = FOLDER / "networks.json"


def networks() -> dict[str, dict[str, Any]]:
    """What networks.json says of each network, by name."""
    index: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    return index


def pretrained_file(name: str) -> Path:
    """The file of the network called `pretrained:...`; raises UserError naming those that there are."""
    known = networks()
    short = name.removeprefix(PREFIX)
    if short not in known:
        raise UserError(f"{name}: no such network; there are {', '.join(PREFIX + one for one in known) or 'none yet'}")
    return FOLDER / f"{short}{SUFFIX}"
