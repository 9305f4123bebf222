"""False accepts and false rejects: what is counted where, and what a threshold does to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybridq.speech.decision import (
    FALSE_ACCEPTS,
    FALSE_REJECTS,
    NEW_WORDS,
    OTHER_WORDS,
    RATES,
    SILENT,
    TRAINED_WORDS,
    WRONG,
    Rate,
    decisions,
    softmax,
)
from hybridq.tracking.metrics import METRICS

LABELS = ("yes", "no", "_silence_", "_unknown_")
SAID = ("yes", "yes", "no", "cat", "cat", "visual", "", "_silence_")
TRUTH = np.array([0, 0, 1, 3, 3, 3, 3, 2])
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0, 0.0],  # right
        [0.1, 0.8, 0.1, 0.0],  # the wrong command
        [0.2, 0.3, 0.4, 0.1],  # silence: a false reject
        [0.7, 0.1, 0.1, 0.1],  # a word it learnt as unknown: a false accept
        [0.1, 0.2, 0.3, 0.4],  # rejected
        [0.2, 0.6, 0.1, 0.1],  # a word it never heard
        [0.0, 0.0, 0.0, 1.0],
        [0.3, 0.3, 0.3, 0.1],  # silence, answered with the first of three
    ]
)


def example():
    return decisions(PROBABILITIES, TRUTH, LABELS, SAID, ("cat",))


def test_rates_of_a_small_example():
    assert example().rates(0) == {
        FALSE_ACCEPTS: Rate(3, 5),
        TRAINED_WORDS: Rate(1, 2),
        NEW_WORDS: Rate(1, 1),
        OTHER_WORDS: Rate(0, 1),
        SILENT: Rate(1, 1),
        FALSE_REJECTS: Rate(1, 3),
        WRONG: Rate(1, 3),
    }
    assert example().rates(0.6)[FALSE_ACCEPTS] == Rate(2, 5)  # 0.6 itself is enough
    assert example().rates(0.85)[FALSE_REJECTS] == Rate(2, 3)
    assert example().rates(0.85)[WRONG] == Rate(0, 3)


def test_every_rate_is_a_metric_of_a_run_of_which_less_is_better():
    assert [METRICS[f"test {rate} %"].better for rate in RATES] == ["lower"] * len(RATES)


def test_the_threshold_for_a_share_of_false_accepts():
    assert example().threshold_at(100) == 0
    assert example().threshold_at(40) == pytest.approx(0.301)
    assert example().threshold_at(0) == pytest.approx(0.701)
    sure = decisions(np.array([[1.0, 0, 0, 0]]), np.array([3]), LABELS, ["cat"], [])
    assert sure.threshold_at(0) is None


def test_a_network_without_the_two_classes_has_no_false_accepts():
    found = decisions(PROBABILITIES[:3, :2], TRUTH[:3], LABELS[:2], SAID[:3], ()).rates(0.5)
    assert set(found) == {FALSE_REJECTS, WRONG}


@given(
    arrays(np.float64, (12, 4), elements=st.floats(-20, 20)),
    st.lists(st.integers(0, 3), min_size=12, max_size=12),
    st.floats(0, 100),
)
def test_a_higher_threshold_accepts_less_and_rejects_more(logits, truth, percent):
    said = [LABELS[one] if one < 3 else "cat" for one in truth]
    found = decisions(softmax(logits), np.array(truth), LABELS, said, ("cat",))
    for name, sign in ((FALSE_ACCEPTS, -1), (WRONG, -1), (FALSE_REJECTS, 1)):
        line = [rates[name].hits for _, rates in found.curve() if name in rates]
        assert line == sorted(line, key=lambda hits: sign * hits)
    chosen = found.threshold_at(percent)
    if chosen is not None and FALSE_ACCEPTS in found.rates(0):
        assert found.rates(chosen)[FALSE_ACCEPTS].percent <= percent


def test_the_highest_logit_is_the_most_probable():
    logits = np.random.default_rng(0).integers(-32768, 32767, (500, 12)) / 256
    np.testing.assert_array_equal(softmax(logits).argmax(1), logits.argmax(1))
    np.testing.assert_allclose(softmax(logits).sum(1), 1)
