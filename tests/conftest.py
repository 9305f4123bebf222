"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_CLIPS = REPOSITORY.parent / "shared" / "data" / "gsc"


@pytest.fixture(scope="session")
def gsc() -> Path:
    """A folder of real Speech Commands clips, beside the repository where there is one."""
    if not REAL_CLIPS.is_dir():
        pytest.skip("real clips are not beside this checkout (../shared/data/gsc)")
    return REAL_CLIPS
