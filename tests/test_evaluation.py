"""Accuracy, its interval, and what is counted where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridq.training.evaluation import Evaluation, wilson


def test_accuracies_of_a_small_confusion():
    result = Evaluation(("yes", "no", "up"), np.array([[8, 2, 0], [0, 1, 0], [0, 0, 0]]))
    assert result.examples == 11
    assert result.accuracy == pytest.approx(100 * 9 / 11)
    assert result.mean_class_accuracy == pytest.approx(90)  # "up" has no clips and does not count
    assert result.class_accuracy == {"yes": 80.0, "no": 100.0}
    assert result.to_json()["confusion"] == [[8, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_wilson_interval_of_a_textbook_case():
    low, high = wilson(81, 263)  # Newcombe, Statistics in Medicine 17, 1998, table I
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@given(trials=st.integers(1, 100_000), share=st.floats(0, 1))
def test_wilson_interval_holds_the_share_and_stays_a_proportion(trials, share):
    hits = round(share * trials)
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials + 1e-12
    assert hits / trials - 1e-12 <= high <= 1


def test_more_hits_than_trials_is_refused():
    with pytest.raises(ValueError, match="proportion"):
        wilson(3, 2)
