"""The fewest layers to make narrower: against every other choice, and on the reference network's sizes."""

from __future__ import annotations

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridq.formats import Format
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler import profile, render
from hybridq.profiler.render.table import Note
from hybridq.profiler.suggest import Suggestion, suggest

# kernels and biases of the float reference network, padding "same"
REFERENCE = {
    "conv2d": (9 * 16, 16),
    "conv2d_1": (9 * 16 * 16, 16),
    "conv2d_2": (9 * 16 * 32, 32),
    "conv2d_3": (9 * 32 * 32, 32),
    "conv2d_4": (9 * 32 * 64, 64),
    "conv2d_5": (9 * 64 * 64, 64),
    "dense": (7488 * 64, 64),
    "dense_1": (64 * 64, 64),
    "dense_2": (64 * 10, 10),
}
KIB = 1024


def chain(sizes: dict[str, tuple[int, int]], precision: LayerPrecision | None = None) -> Graph:
    """Layers in a row with so many kernel and bias numbers; only the sizes matter here."""
    ops = [Operator("in", "InputLayer", (), (), (1,))]
    for name, (kernel, bias) in sizes.items():
        ops.append(Operator(name, "Dense", (ops[-1].name,), ((1,),), (1,), {}, kernel, bias, 0, precision))
    return Graph("chain", tuple(ops), (ops[-1].name,))


def suggested(graph: Graph, flash: int, **options: object) -> Suggestion:
    return suggest(graph, flash, **options)  # type: ignore[arg-type]


def test_the_first_dense_layer_of_the_reference_network_comes_first() -> None:
    network = chain(REFERENCE)
    found = suggested(network, 400 * KIB)
    assert [change.layer for change in found.changes] == ["dense"]
    assert found.changes[0].saved_bytes == 7488 * 64 * 4 - 7488 * 64 // 8
    assert found.fits
    harder = suggested(network, 120 * KIB)
    assert [change.layer for change in harder.changes] == ["dense", "conv2d_5", "conv2d_4", "conv2d_3"]
    assert profile(network, plan=harder.plan).totals.flash_bytes == harder.flash_bytes <= 120 * KIB


def test_from_an_8_bit_network_to_one_with_a_binary_layer() -> None:
    start = PrecisionPlan.from_data({"*": "8-bit"})
    found = suggested(chain(REFERENCE), 144 * KIB, start=start)
    assert found.plan.to_data() == {"*": {"weights": "8-bit"}, "dense": {"weights": "binary"}}
    assert [str(change.before) for change in found.changes] == ["8-bit"]
    wider = suggested(chain(REFERENCE), 330 * KIB, start=start, to=Format.INT4)
    assert wider.plan.of("dense").weights is Format.INT4
    assert wider.flash_bytes == found.start_bytes - 7488 * 64 // 2


def test_a_network_that_fits_stays_as_it_is() -> None:
    found = suggested(chain(REFERENCE), 3 * KIB * KIB)
    assert (found.changes, found.plan, found.fits) == ((), PrecisionPlan(), True)
    assert [note.text for note in render.sheet(found).notes] == ["Fits 3.00 MiB of flash as it is: 2.12 MiB"]


def test_what_the_network_s_own_quantizers_say_is_kept() -> None:
    own = LayerPrecision(Format.INT8, Format.INT8, Format.INT8)
    found = suggested(chain({"a": (8000, 8), "b": (800, 8), "c": (8000, 8)}, own), 10_000)
    assert found.start_bytes == 16_800 + 24
    assert [change.layer for change in found.changes] == ["a"]
    assert found.plan.of("a") == LayerPrecision(Format.BINARY, Format.INT8, Format.INT8)
    assert found.plan.of("b") == own
    assert suggested(chain({"a": (80, 8)}, LayerPrecision(Format.BINARY)), 1).changes == ()


def test_the_last_layer_is_the_last_resort() -> None:
    network = chain({"a": (1000, 0), "b": (2000, 0), "last": (4000, 0)})
    enough = suggested(network, 17_000)  # of 28,000
    assert [change.layer for change in enough.changes] == ["b", "a"]
    assert [change.layer for change in suggested(network, 17_000, keep_last=False).changes] == ["last"]
    assert [change.layer for change in suggested(network, 16_000).changes] == ["last"]
    nothing = suggested(network, 10)
    assert [change.layer for change in nothing.changes] == ["last", "b", "a"]
    assert not nothing.fits
    said = "No choice of layers to binary fits 10 B of flash: with 3 layers to binary it takes 875 B, 865 B too much"
    assert render.sheet(nothing).notes == (Note(said, warning=True),)


def test_each_end_of_a_network_with_two_outputs_is_a_last_layer() -> None:
    ops = [Operator("in", "InputLayer", (), (), (1,))]
    for name, source in (("trunk", "in"), ("left", "trunk"), ("right", "trunk")):
        ops.append(Operator(name, "Dense", (source,), ((1,),), (1,), {}, 1000))
    ops.append(Operator("softmax", "Softmax", ("right",), ((1,),), (1,)))
    network = Graph("two", tuple(ops), ("left", "softmax"))
    assert [change.layer for change in suggested(network, 8_125).changes] == ["trunk"]
    assert len(suggested(network, 8_124).changes) == 2


def test_any_layer_name_is_matched_as_it_is() -> None:
    network = chain({"a[1]*": (1000, 0), "a1x": (100, 0), "end": (10, 0)})
    found = suggested(network, 1000)
    assert profile(network, plan=found.plan).totals.flash_bytes == found.flash_bytes == 125 + 400 + 40


def test_as_plain_data() -> None:
    found = suggested(chain({"a": (1000, 0), "b": (10, 0)}), 1000).to_json()
    assert (found["name"], found["not_costed"]) == ("chain", [])
    assert found["changes"] == [{"layer": "a", "before": "float32", "saved_bytes": 3875, "flash_bytes": 165}]
    assert (found["fits"], found["to"], found["plan"]) == (True, "binary", {"a": {"weights": "binary"}})


def test_in_every_form() -> None:
    found = suggested(chain({"a|b": (1000, 0), "c": (10, 0)}), 1000)
    assert list(csv.reader(io.StringIO(render.csv(found)))) == [
        ["layer", "before", "to", "saved_bytes", "flash_bytes"],
        ["a|b", "float32", "binary", "3875", "165"],
    ]
    assert "| a\\|b | float32 to binary | 3.8 KiB | 165 B |" in render.markdown(found)
    for text in (repr(found), render.markdown(found), render.page(found)):
        assert "Fits 1000 B of flash with 1 layer to binary: 165 B, before 3.9 KiB" in text
    assert "Fits 9.8 KiB of flash as it is" in render.page(suggested(chain({"a": (10, 0)}), 10_000))


def test_what_is_not_costed_is_named() -> None:
    network = chain({"a": (1000, 0)})
    odd = Operator("odd", "unknown: Odd", ("a",), ((1,),), (1,))
    found = suggested(Graph("odd", (*network.operators, odd), ("odd",)), 1000)
    assert found.not_costed == ("odd (unknown: Odd)",)
    assert "Not costed, only what the model stores of them is counted: odd (unknown: Odd)" in repr(found)
    assert "Takes at least 125 B of 1000 B of flash with 1 layer to binary, before 3.9 KiB; 1 layer not" in repr(found)
    assert found.fits is None


@given(
    kernels=st.lists(st.integers(1, 300), min_size=1, max_size=7),
    share=st.floats(0, 1),
    to=st.sampled_from([Format.BINARY, Format.TERNARY, Format.INT4]),
    widths=st.lists(st.sampled_from(["float32", "8-bit", "4-bit", "binary"]), min_size=7, max_size=7),
    keep_last=st.booleans(),
)
def test_no_other_choice_needs_fewer_layers(
    kernels: list[int], share: float, to: Format, widths: list[str], keep_last: bool
) -> None:
    names = [f"layer_{i}" for i in range(len(kernels))]
    network = chain({name: (kernel, 3) for name, kernel in zip(names, kernels, strict=True)})
    data = dict(zip(names, widths, strict=False))
    limit = int(share * profile(network, plan=PrecisionPlan.from_data(data)).totals.flash_bytes)

    def flash(chosen: tuple[str, ...]) -> int:
        return profile(network, plan=PrecisionPlan.from_data(data | dict.fromkeys(chosen, to.value))).totals.flash_bytes

    def fewest(layers: list[str]) -> int | None:
        choices = (c for n in range(len(layers) + 1) for c in itertools.combinations(layers, n))
        return next((len(chosen) for chosen in choices if flash(chosen) <= limit), None)

    wider = [name for name in names if Format(data[name]).bits > to.bits]
    best = fewest([name for name in wider if name != names[-1]]) if keep_last else None
    if best is None:
        best = fewest(wider)

    found = suggested(network, limit, to=to, start=PrecisionPlan.from_data(data), keep_last=keep_last)
    assert found.fits == (best is not None)
    if best is not None:
        assert len(found.changes) == best
    assert found.flash_bytes == flash(tuple(change.layer for change in found.changes))
    assert found.flash_bytes == profile(network, plan=found.plan).totals.flash_bytes
    saved = [change.saved_bytes for change in found.changes]
    assert saved == sorted(saved, reverse=True)
    assert found.start_bytes - sum(saved) == pytest.approx(found.flash_bytes)
