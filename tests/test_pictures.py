"""The pictures: that they are drawn, hold the figures, and say so when the voices are synthetic."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compare import FIGURES, view

from hybridq.formats import Format
from hybridq.results import pictures
from hybridq.results.columns import Row
from hybridq.results.compare import table
from hybridq.results.comparison import Comparison
from hybridq.results.pareto import front
from hybridq.results.scatter import frontier, memory_over_operations
from hybridq.searching.sensitivity import Change, Score, Sensitivity, picture
from hybridq.speech.decision import decisions, softmax

WORDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]


def epochs() -> Any:
    return [
        SimpleNamespace(
            epoch=at,
            training_accuracy=95 - 60 / at,
            training_loss=2 / at,
            validation_accuracy=91 - 50 / at,
            validation_loss=0.2 + 1.8 / at,
        )
        for at in range(1, 26)
    ]


def profile() -> dict[str, Any]:
    sizes = {"conv2d": 160, "conv2d_1": 2320, "conv2d_5": 36928, "dense": 6144, "dense_1": 512, "softmax": 0}
    total = sum(sizes.values())
    layers = [{"name": n, "weights_bytes": b, "flash_share": 100 * b / total} for n, b in sizes.items()]
    return {"layers": layers, "totals": {"flash_bytes": total}}


def decided(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    labels = ("yes", "no", "_silence_", "_unknown_")
    truth = rng.integers(0, 4, 200)
    said = [("cat", "visual")[at % 2] if one == 3 else labels[one] for at, one in enumerate(truth)]
    return decisions(softmax(rng.normal(size=(200, 4)) + 2 * np.eye(4)[truth]), truth, labels, said, ("cat",))


def test_the_curve_of_false_accepts_has_every_kind_and_the_threshold() -> None:
    figure = draw("decision_curves")
    wanted = (
        "test: all",
        "test: trained words",
        "test: new words",
        "test: silence",
        "validation: all",
        "threshold 0.4",
    )
    assert all(name in texts(figure) for name in wanted)
    here = decided(0).rates(0.4)
    points = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points[0] == [here["false rejects"].percent, here["false accepts"].percent]


def draw(kind: str, *, synthetic: bool = False) -> Any:
    if kind == "confusion":
        counts = np.random.default_rng(0).integers(0, 4, (10, 10)) + 40 * np.eye(10, dtype=int)
        return pictures.confusion(counts, WORDS, title="hybrid", synthetic=synthetic)
    if kind == "learning_curves":
        return pictures.learning_curves(epochs(), title="hybrid", synthetic=synthetic)
    if kind == "flash_by_layer":
        return pictures.flash_by_layer(profile(), title="hybrid", synthetic=synthetic)
    if kind == "decision_curves":
        splits = {"test": decided(0).to_json(0.4), "validation": decided(1).to_json(0.4)}
        return pictures.decision_curves(splits, title="hybrid", synthetic=synthetic)
    tags = {"data.synthetic": "true"} if synthetic else {}
    return frontier(table([view(name, tags=tags) for name in FIGURES]))


def lay_out(figure: Any, dpi: int) -> None:
    """What `savefig` does but for the pixels, which are most of the work."""
    own = figure.dpi
    figure.dpi = dpi
    figure.draw_without_rendering()
    figure.dpi = own


def texts(figure: Any) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("kind", ["confusion", "learning_curves", "decision_curves", "flash_by_layer", "frontier"])
def test_pictures_are_drawn_and_say_when_the_voices_are_synthetic(kind: str) -> None:
    for synthetic in (False, True):
        figure = draw(kind, synthetic=synthetic)
        out = io.BytesIO()
        figure.savefig(out, dpi=60)
        assert out.getvalue().startswith(b"\x89PNG")
        assert len(out.getvalue()) > 5000
        assert ("synthetic data" in texts(figure)) is synthetic


def test_pictures_hold_the_figures() -> None:
    assert "36.1 KiB, 80.2 %" in texts(draw("flash_by_layer"))
    assert "not drawn, below 0.05 %: 1" in texts(draw("flash_by_layer"))
    assert "kept: epoch 25" in texts(draw("learning_curves"))
    assert "hybrid\n80 KiB" in texts(draw("frontier"))
    assert "clips right" in texts(draw("confusion"))


def test_a_word_without_clips_and_a_single_epoch_are_drawn() -> None:
    pictures.confusion([[0, 0], [1, 3]], ["yes", "no"], title="x", synthetic=False).savefig(io.BytesIO())
    pictures.learning_curves(epochs()[:1], title="x", synthetic=False).savefig(io.BytesIO())


def test_curves_of_several_runs_stand_together() -> None:
    curve = [(at, 91 - 50 / at) for at in range(1, 26)]
    figure = pictures.curves_together({"fp32": [curve, curve[:9]], "int8": [curve[:1]]}, title="x", synthetic=True)
    figure.savefig(io.BytesIO())
    assert "fp32 (2 seeds)" in texts(figure)
    assert "int8\n" in texts(figure) + "\n"
    assert "synthetic data" in texts(figure)
    whole, top = figure.axes
    assert len(whole.lines) == 3
    assert top.get_ylim()[0] == pytest.approx(89 - pictures.ZOOM)


def test_networks_stand_among_the_limits_of_their_classes() -> None:
    """The eighth family has no colour of its own: it is named beside its point."""
    families = {f"family {at}": [(0.5 * at + 1, 40.0 + at)] for at in range(8)}
    figure = memory_over_operations(families, {"S": (6.0, 80.0), "M": (20.0, 200.0)})
    figure.savefig(io.BytesIO())
    assert all(name in texts(figure) for name in (*families, "S: 80 KB, 6 M", "M: 200 KB, 20 M"))
    corners = [line.get_xydata()[1].tolist() for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert corners == [[6, 80], [20, 200]]


@settings(max_examples=10)
@given(st.lists(st.tuples(st.sampled_from([80.0, 90.0, 400.0]), st.floats(90, 92)), min_size=1, max_size=6))
def test_no_label_lies_on_another_however_close_the_networks_are(networks: list[tuple[float, float]]) -> None:
    run, rows = view("hybrid"), []
    for at, (flash, mean) in enumerate(networks):
        accuracy = {"": mean, "low ": mean - 1, "high ": mean + 1}
        figures = {f"test accuracy {end}%": value for end, value in accuracy.items()} | {"flash KiB": flash}
        rows.append(Row(f"hybrid, epochs {at}", (replace(run, metrics={**run.metrics, **figures}),)))
    figure = frontier(Comparison(tuple(rows)))
    lay_out(figure, 100)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text().startswith("hybrid,")]
    assert len(boxes) == len(networks)
    assert all(box.x1 <= figure.axes[0].get_window_extent().x1 for box in boxes)
    assert not [one for at, one in enumerate(boxes) for other in boxes[:at] if one.overlaps(other)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_the_front_is_what_no_other_beats(points: list[tuple[int, int]]) -> None:
    found = [points[place] for place in front(points)]
    assert found == sorted(set(found))
    assert all(any(other <= cost and more >= gain for other, more in found) for cost, gain in points)
    assert not [at for at in found for cost, gain in points if cost <= at[0] and gain >= at[1] and (cost, gain) != at]


def test_the_sensitivities_are_drawn_and_a_missing_one_is_left_blank() -> None:
    score, own = Score(0.3, 92.0), {"conv2d": Format.INT8, "dense": Format.INT8}
    measured = [("conv2d", Format.BINARY, 0.25, 3.1), ("dense", Format.INT4, -0.01, -0.1)]
    changes = tuple(Change(layer, to, 2048, score, rise, drop, "") for layer, to, rise, drop in measured)
    found = Sensitivity("kws", "clips", True, 400, 1, 9000, own, score, changes, {"dense binary": "out of memory"})
    figure = picture(found)
    figure.savefig(io.BytesIO())
    shown = texts(figure)
    for expected in ("+0.250", "-0.010", "+3.10", "2.0", "conv2d", "4-bit", "after 1 epoch;", "synthetic data"):
        assert expected in shown
