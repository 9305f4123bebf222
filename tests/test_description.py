"""What an integer network says of itself: read with checks, and written back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from network_builds import Made

from hybridq.errors import UserError
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.description import LONGEST_WORD, MOST_SETTINGS, Description, Rejection
from hybridq.integer.network import IntegerNetwork

PLAIN = {
    "labels": ["yes", "no", "_unknown_"],
    "threshold": 0.0,
    "unknown_words": [],
    "decision": {"every": 5, "refractory_ms": 700.0},
    "front_end": {"sample_rate": 16000, "floor": 1e-6},
    "normalisation": {"mean": [0, -1.5], "deviation": [1.0, 2.0]},
    "name": "",
    "model_sha256": "00ff",
    "task": "regress",
}


def network(about: dict[str, Any]) -> IntegerNetwork:
    made = Made((3, 3, 1), 0)
    made.dense("input", 3, logits=True)
    return made.network(**about)


@pytest.mark.parametrize(
    "leave_out", [(), *((key,) for key in PLAIN if key not in ("threshold", "unknown_words")), PLAIN]
)
def test_what_is_read_is_written_as_it_was(leave_out: tuple[str, ...]) -> None:
    plain = {key: value for key, value in PLAIN.items() if key not in leave_out}
    assert json.dumps(Description.from_plain(plain).to_plain(), sort_keys=True) == json.dumps(plain, sort_keys=True)


def test_the_entries_have_types() -> None:
    description = Description.from_plain(PLAIN)
    assert description.labels == ("yes", "no", "_unknown_")
    assert description.rejection == Rejection(0.0)
    assert description.normalisation == {"mean": (0, -1.5), "deviation": (1.0, 2.0)}
    nothing = Description.from_plain({})
    assert nothing == Description()
    assert nothing.front_end is nothing.rejection is nothing.name is None


def test_what_a_later_version_says_is_kept_with_the_digest(tmp_path: Path) -> None:
    later = network(PLAIN | {"camera": {"kind": "images", "sizes": [[96, 96], None]}})
    written = save_network(later, tmp_path / "a.hqn")
    read = load_network(tmp_path / "a.hqn")
    assert read.description.other == {"camera": {"kind": "images", "sizes": [[96, 96], None]}}
    assert save_network(read, tmp_path / "b.hqn") == digest(read) == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "yes no"}, "its labels: no list of words"),
        ({"labels": []}, "its labels: an empty list"),
        ({"labels": ["yes", 3]}, "its labels: 3 is no text"),
        ({"labels": ["x" * (LONGEST_WORD + 1)]}, "its labels: 'xxx.* is no text of at most"),
        ({"labels": ["\ud800"]}, r"its labels: '\\ud800' is no text"),
        ({"threshold": 1.5}, "its threshold: 1.5 is no probability"),
        ({"threshold": True}, "its threshold: True is no probability"),
        ({"threshold": float("nan")}, "its threshold: nan is no probability"),
        ({"unknown_words": {"cat": 1}}, "its unknown_words: no list"),
        ({"decision": [5]}, "its decision: no mapping"),
        ({"front_end": None}, "its front_end: no mapping"),
        ({"front_end": {}}, "its front_end: not 1 to"),
        ({"front_end": {"window": [512]}}, "its front_end: not 1 to 100 names with a number or a text"),
        ({"front_end": {str(key): key for key in range(MOST_SETTINGS + 1)}}, "its front_end: not 1 to"),
        ({"normalisation": {"mean": 3}}, "its normalisation: not 1 to"),
        ({"normalisation": {"mean": [float("inf")]}}, "its normalisation: not 1 to"),
        ({"normalisation": {}}, "its normalisation: not 1 to 100 names with a list of numbers"),
        ({"name": 7}, "its name: 7 is no text"),
        ({"task": "dance"}, "its task: 'dance' is none of classify, regress, reconstruct"),
        ({"task": {"kind": "images"}}, "its task: {'kind': 'images'} is none of"),
    ],
)
def test_a_hostile_entry_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Description.from_plain(PLAIN | change)


@pytest.mark.parametrize("only", ["threshold", "unknown_words"])
def test_half_a_rejection_is_refused(only: str) -> None:
    with pytest.raises(UserError, match="only one of the two is there"):
        Description.from_plain({only: PLAIN[only]})


def test_a_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its about: no mapping"):
        Description.from_plain(["yes", "no"])
    broken = network({})
    object.__setattr__(broken.description, "name", 7)
    save_network(broken, tmp_path / "bad.hqn")
    with pytest.raises(UserError, match=r"bad\.hqn: its name: 7 is no text"):
        load_network(tmp_path / "bad.hqn")
