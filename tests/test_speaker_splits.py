"""Which split a recording is in: its speaker alone decides."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.speech.audio import (
    speaker_split,
)

names = st.text(st.characters(codec="utf-8", exclude_characters="/\\_.\0"), min_size=1, max_size=12)


@given(speaker=names, take=st.integers(0, 99), word=names, suffix=st.sampled_from([".wav", ".flac", ".OGG"]))
def test_only_the_speaker_decides_the_split(speaker: str, take: int, word: str, suffix: str) -> None:
    split = speaker_split(f"{speaker}_nohash_0.wav")
    assert speaker_split(f"{word}/{speaker}_nohash_{take}{suffix}") == split
    assert speaker_split(f"{speaker}{suffix}") == split


@given(speaker=names, less=st.integers(0, 50), more=st.integers(0, 50), testing=st.integers(0, 50))
def test_a_larger_validation_share_keeps_who_was_in_it(speaker: str, less: int, more: int, testing: int) -> None:
    less, more = sorted((less, more))
    if speaker_split(speaker, less, testing) == "validation":
        assert speaker_split(speaker, more, testing) == "validation"
    assert speaker_split(speaker, 0, 0) == "training"
    assert speaker_split(speaker, 100, 0) == "validation"


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_shares_are_about_those_asked_for(seed: int) -> None:
    speakers = np.random.default_rng(seed).integers(0, 2**32, 2000)
    splits = [speaker_split(f"{speaker:08x}_nohash_0.wav") for speaker in speakers]
    for split, share in (("training", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert abs(splits.count(split) / 2000 - share) < 0.05
