"""`hybridq listen` and `stream-eval` as a user meets them: a tiny real training, a shipped network, real clips."""

import json
from io import StringIO

import numpy as np
import pytest
import soundfile
from conftest import command, write_tones
from interrupting import interrupted
from rich.console import Console

from hybridq.integer.artefact import load_network, save_network
from hybridq.pretrained import networks
from hybridq.runs.load_network import find_trained
from hybridq.streaming import sources, view
from hybridq.streaming.evaluation import evaluate
from hybridq.streaming.listening import listen, spotter
from hybridq.streaming.result import Request
from hybridq.streaming.rule import Rule, settings_of
from hybridq.tracking import open_store
from hybridq.tracking.metrics import METRICS
from hybridq.tracking.run import Run

RECIPE = """\
model: {name: cnn, filters: [4, 4], linear: 4, dense: 8}
precision: {"*": {outputs: 8-bit}, "conv2d*": 8-bit, "dense*": 8-bit}
training: {epochs: 6, batch: 8, learning_rate: 0.01}
data: {words: [yes, no]}
decision: {threshold: 0.6, every: 5, refractory_ms: 700}
"""


@pytest.fixture(scope="module")
def laboratory(move_in, tmp_path_factory):
    """A folder with a store in which a network of two tones was trained on grids, and a third word in the clips."""
    root = tmp_path_factory.mktemp("stream")
    clips = write_tones(root / "clips")
    rng = np.random.default_rng(2)
    (clips / "cat").mkdir()
    for speaker in range(40):
        soundfile.write(clips / "cat" / f"{speaker:08x}_nohash_0.wav", 0.1 * rng.standard_normal(12000), 16000)
    (root / "tones.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        move_in(patch, root)
        with pytest.MonkeyPatch.context() as unseen:
            unseen.setattr(Run, "figure", lambda *_: None)  # nobody looks at its pictures
            assert command("train", "tones.yaml", "--data", clips) == 0
        yield root


@pytest.fixture
def run(laboratory, capsys):
    """A command with the exit status it must have: what it printed, and what it said beside that."""

    def ended(*arguments, code=0):
        capsys.readouterr()
        assert command(*arguments) == code
        return capsys.readouterr()

    return ended


def test_a_run_is_measured_and_logged(run, laboratory):
    asked = ("stream-eval", "tones", "--minutes", 0.25, "--snr", 30, "--snr", 10, "--format", "json", "--keep", "kept")
    found = json.loads(run(*asked).out)
    assert found["network"] == "integer network"
    assert found["decision"] == {"threshold": 0.6, "every": 5, "smoothing_ms": 250, "refractory_ms": 700}
    assert [one["snr_db"] for one in found["snr"]] == [30, 10]
    truth = json.loads((laboratory / "kept" / "snr_30.json").read_text())
    commands = sum(one["command"] for one in truth["utterances"])
    assert found["snr"][0]["commands"] == commands > 0
    assert soundfile.info(laboratory / "kept" / "snr_30.wav").frames == 15 * 16000
    assert found["cost"]["inferences_per_second"] == 12.5
    assert 0 < found["cost"]["macc_per_second_kept"] < found["cost"]["macc_per_second"]

    store = open_store(make=False)
    view_ = store.find("tones")
    logged = json.loads(store.download(view_.id, "stream test.json").read_text())
    assert logged == found
    assert store.download(view_.id, "pictures/stream test.png").stat().st_size > 10_000
    assert json.loads(store.download(view_.id, "stream test truth.json").read_text())[0] == truth
    assert view_.metrics["stream missed %"] == found["whole"]["missed_percent"]
    assert {name for name in view_.metrics if name.startswith("stream")} <= set(METRICS)


def test_the_same_seed_gives_the_same_figures_and_validation_logs_no_metric(run):
    asked = ("stream-eval", "tones", "--minutes", 0.2, "--snr", 15, "--format", "json", "--split", "validation")
    first, second, other = (json.loads(run(*asked, "--seed", seed).out) for seed in (1, 1, 2))
    assert first == second != other
    store = open_store(make=False)
    assert store.download(store.find("tones").id, "stream validation.json").is_file()
    table = run(*asked[:-4], "--split", "validation").out
    assert "SNR dB" in table
    assert "of validation clips" in table.replace("\n", " ")


def test_an_exported_network_decides_as_its_run_does(run, laboratory):
    network = load_network(open_store(make=False).download(open_store(make=False).find("tones").id, "network.hqn"))
    assert network.description.decision == {"every": 5, "refractory_ms": 700}
    save_network(network, laboratory / "tones.hqn")
    by_run, by_file = (settings_of(find_trained(*one)) for one in (("tones", open_store()), ("tones.hqn",)))
    assert by_run == by_file


def test_listening_in_lines_in_json_and_in_a_terminal(run, laboratory):
    rng = np.random.default_rng(0)
    sound = 0.01 * rng.standard_normal(6 * 16000)
    sound[32000:44000] += 0.3 * np.sin(np.arange(12000) * 0.05)
    soundfile.write(laboratory / "said.wav", sound, 16000)
    lines = run("listen", "said.wav", "--network", "tones").out.splitlines()
    data = [
        json.loads(one)
        for one in run("listen", "said.wav", "--network", "tones", "--format", "json").out.split("\n")[:-1]
    ]
    assert [f"{one['seconds']:8.2f} s  {one['word']}  {one['probability']:.2f}" for one in data] == lines
    assert lines
    assert all(one["probability"] >= 0.6 for one in data)
    trained = find_trained("tones", open_store(make=False))
    mine = spotter(trained)
    heard = listen(
        sources.from_file(laboratory / "said.wav", mine.front_end), mine, Rule.of(settings_of(trained), mine.front_end)
    )
    out = Console(file=StringIO(), force_terminal=True, width=80)
    view.show_live(heard, 16000, mine.labels, 0.6, "tones", out)
    assert all(one in out.file.getvalue() for one in lines)

    soundfile.write(laboratory / "short.wav", sound[:4000], 16000)
    short = run("listen", "short.wav", "--network", "tones")
    assert (short.out, "short.wav lasts 0.25 s" in short.err) == ("", True)


def test_ctrl_c_ends_a_file_without_advice_that_does_not_fit(laboratory):
    sound = np.zeros(60 * 16000)
    sound[16000:28000] = 0.3 * np.sin(np.arange(12000) * 0.05)
    soundfile.write(laboratory / "long.wav", sound, 16000)
    store = open_store(make=False)
    network = store.download(store.find("tones").id, "network.hqn")  # a file: its process need not open the store
    listening = ("listen", "long.wav", "--network", network, "--threshold", "0", "--paced")
    assert interrupted(*listening, cwd=laboratory, after=" s  ") == (130, "hybridq: interrupted")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("listen", "none.wav", "--network", "tones"), "none.wav: cannot be read"),
        (("listen", "said.wav", "--network", "nobody"), "nobody"),
        (("listen", "said.wav", "--network", "tones", "--format", "csv"), "listen prints --format table or json"),
        (("stream-eval", "pretrained:best-16k"), "does not say what it was trained on"),
        (("stream-eval", "tones", "--smoothing-ms", "99999"), "decision.smoothing_ms"),
    ],
)
def test_a_mistake_is_one_plain_line(run, arguments, said):
    err = run(*arguments, code=2).err.strip()
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_network_of_the_package_hears_real_words(gsc, tmp_path):
    trained = find_trained("pretrained:best-16k")
    request = Request(str(gsc), "validation", (20.0,), 40.0, seed=0)
    found = evaluate(trained, settings_of(trained, threshold=0.7), request)
    assert found.whole.commands >= 5
    assert found.whole.missed <= 30
    assert found.cost
    assert found.cost.to_json()["macc_per_second"] == pytest.approx(
        15.625e6 * networks()["best-16k"]["macc_m"], rel=0.05
    )
