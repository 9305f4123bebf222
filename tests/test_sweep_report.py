"""The page about a sweep, from a real store: what is on it, that it needs nothing else, that it bears damage."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from logged_runs import log

from hybridq.errors import UserError
from hybridq.results.sweep_report import sweep_report
from hybridq.tracking import Store, open_store

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects text and pictures; asserts that the page is well nested and asks for nothing from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.images, self.open = "", [], []
        self.feed(html)
        self.close()
        assert not self.open
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        assert tag not in ("script", "link", "iframe", "object")
        assert not {name for name in given if name.startswith("on")} | {"href"} & set(given)
        if tag == "img":
            self.images.append(given["alt"])
            assert (given["src"] or "").startswith("data:image/")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += f" {data}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("sweeps") / "mlruns")


@pytest.fixture(scope="module")
def sweep(store: Store) -> str:
    """Three networks with two seeds, and one run that failed."""
    with store.start_run("paper sweep", params={}, tags={"command": "hybridq sweep recipes/paper --seeds 0,1"}) as run:
        for seed in (0, 1):
            for network in ("fp32", "int8", "hybrid"):
                log(store, network, seed, parent=run.id)
        log(store, "fp32", 2, parent=run.id, failure="out of memory <b>here</b>")
    return run.id


def test_the_page_tells_a_stranger_what_was_found(store: Store, sweep: str) -> None:
    html = sweep_report(store, sweep, {"int8 seed 2": "the loss became NaN"})
    assert len(html) < 5_000_000
    assert "http:" not in re.sub(r"data:[^\"]*", "", html)
    page = Page(html)
    for expected in (
        "Finished runs 6: fp32, int8, hybrid; seeds 0, 1",
        "Data set clips (digest d1d1d1d1d1d1d1d1) Words 4: yes, no, up, down",
        "Clips 1,600 training, 200 validation, 400 test",
        "Board STM32L496: Cortex-M4F, 80 MHz, 1.00 MiB of flash, 320.0 KiB of RAM",
        "fp32 92.5 ± 0.7",
        "published hybrid 90.0",
        "Against fp32, hybrid: accuracy +2.0 points, flash 8.0x smaller",
        "int8 starts from the trained weights of fp32.",
        "fp32, 2 seeds: 92.5 % of 800 clips right",
        "dense 192.0 float32 48.0 8-bit 6.0 binary",
        "all 336.2 84.1 42.1",
        "hybrid seed 1 1 5 3.5",
        "training.learning_rate",
        "precision.dense* - weights 8-bit weights binary",
        "Command hybridq sweep recipes/paper --seeds 0,1",
        "Without a result: 2 runs",
        "int8 seed 2 the loss became NaN",
        "failed: out of memory <b>here</b>",
    ):
        assert expected in page.text
    assert "training.seed" not in page.text
    assert "SYNTHETIC" not in page.text
    assert len(page.images) == 2


def test_every_finished_run_is_on_the_page(store: Store, sweep: str) -> None:
    text = Page(sweep_report(store, sweep, {})).text
    finished = [run for run in store.runs(sweep=sweep) if run.status == "FINISHED"]
    assert len(finished) == 6
    for run in finished:
        assert run.id in text


def test_synthetic_voices_are_said_loudly(store: Store) -> None:
    with store.start_run("quick", params={}, tags={}) as run:
        log(store, "hybrid", parent=run.id, synthetic=True)
    html = sweep_report(store, run.id, {})
    assert "SYNTHETIC DATA" in Page(html).text
    assert '<p class="loud">SYNTHETIC DATA' in html


def test_what_a_run_lacks_is_said_and_the_rest_is_shown(store: Store) -> None:
    with store.start_run("holes", params={}, tags={}) as run:
        log(store, "fp32", parent=run.id)
        bare = log(store, "int8", parent=run.id, without=("evaluation.json", "profile.json", "recipe.yaml"))
        torn = log(store, "hybrid", parent=run.id)
    store.download(torn, "evaluation.json").write_text('{"confusion": [[')
    store.download(torn, "profile.json").write_text('{"another": "thing"}')
    page = Page(sweep_report(store, run.id, {}))
    assert f"int8 ({bare[:8]}) has not logged evaluation.json, profile.json, recipe.yaml" in page.text
    assert f"hybrid ({torn[:8]}) has not logged evaluation.json, profile.json: the page is without it" in page.text
    assert "published 8-bit" in page.text
    assert len(page.images) == 2


def test_a_store_whose_artifacts_are_gone_still_makes_a_page(tmp_path: Path) -> None:
    store = open_store(tmp_path / "mlruns")
    with store.start_run("old", params={}, tags={}) as run:
        log(store, "fp32", parent=run.id)
    shutil.rmtree(tmp_path / "mlruns" / "artifacts")
    assert "has not logged evaluation.json, profile.json, recipe.yaml" in Page(sweep_report(store, run.id, {})).text


def test_a_sweep_of_which_nothing_finished_says_why(store: Store) -> None:
    with store.start_run("bad", params={}, tags={}) as run:
        log(store, "fp32", parent=run.id, failure="no such word: maybe")
    text = Page(sweep_report(store, run.id, {})).text
    assert "Finished runs none" in text
    assert "failed: no such word: maybe" in text
    with pytest.raises(UserError, match="no run"):
        sweep_report(store, "nothing of that name", {})


def test_one_recipe_with_several_settings_has_a_row_for_each(store: Store) -> None:
    with store.start_run("grid", params={}, tags={}) as run:
        for rate in ("0.001", "0.002"):
            log(store, "fp32", parent=run.id, settings=(f"training.learning_rate={rate}",))
        lost = log(store, "fp32", parent=run.id, settings=("training.learning_rate=0.003",), failure="it broke")
    text = Page(sweep_report(store, run.id, {})).text
    assert "Finished runs 2: fp32, learning_rate 0.001, fp32, learning_rate 0.002; seeds 0" in text
    assert "training.learning_rate 0.001 0.002" in text
    assert f"fp32 {lost[:8]} failed: it broke" in text  # though others of that name have finished


def test_names_are_text_and_never_markup(store: Store) -> None:
    hostile = "<script>alert(1)</script> & co"
    with store.start_run(hostile, params={}, tags={"command": hostile}) as run:
        log(store, "fp32", parent=run.id)
    page = Page(sweep_report(store, run.id, {hostile: hostile}))
    assert page.text.count("<script>alert(1)</script> & co") == 4


def test_the_history_of_a_metric_is_by_step_and_a_step_logged_twice_counts_once(store: Store) -> None:
    with store.start_run("resumed", params={}, tags={}) as run:
        for step, value in ((1, 50.0), (3, 70.0), (2, 60.0)):
            run.metrics({"validation accuracy %": value}, step=step)
        run.metrics({"validation accuracy %": 61.0}, step=2)
    assert store.history(run.id, "validation accuracy %") == [(1, 50.0), (2, 61.0), (3, 70.0)]
    assert store.history(run.id, "test accuracy %") == []
    assert store.clips(run.id) == {}
