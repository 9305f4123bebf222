"""`hybridq stream-eval`: a network is given long audio at several levels of noise; what comes of it is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import NotWritable, UserError
from hybridq.graph.reader import Graph, read_graph
from hybridq.pretrained import PREFIX, pretrained_file
from hybridq.recipe.file import load_recipe
from hybridq.runs.clips import open_audio
from hybridq.runs.experiment import graph_of
from hybridq.runs.load_network import Trained
from hybridq.runs.measurement import VOICES
from hybridq.speech.audio.negatives import commands_of
from hybridq.speech.settings import DecisionSettings
from hybridq.streaming.listening import Spotter, answers, spotter
from hybridq.streaming.outcome import Outcome, curve, outcome
from hybridq.streaming.picture import alarm_curves
from hybridq.streaming.result import Request, StreamEvaluation
from hybridq.streaming.reuse import reuse
from hybridq.streaming.rule import Moment, Rule, moments
from hybridq.streaming.scene import Scene, scene, speech

if TYPE_CHECKING:
    from hybridq.tracking import Store

AT_ONCE = 64  # inferences
BLOCK = 4096  # samples
log = logging.getLogger("hybridq")


def evaluate(trained: Trained, settings: DecisionSettings, request: Request) -> StreamEvaluation:
    """Let a network hear what is asked for; without a source the clips of its recipe. Raises UserError."""
    if request.keep:
        check_empty(request.keep)
    mine = spotter(trained)
    own = trained.bundle.recipe.get("data", {}) if trained.bundle else {}
    source = request.source or own.get("source")
    if not source:
        raise UserError(f"{trained.name}: an integer network does not say what it was trained on; --data names clips")
    audio = open_audio(source, own.get("voices", VOICES), True)
    rule = Rule.of(settings, mine.front_end)
    clips = speech(audio, commands_of(mine.labels), request.split, mine.front_end)
    outcomes: dict[float, Outcome] = {}
    curves, truth = {}, []
    for snr in request.snrs:
        made = scene(clips, snr, request.seconds, mine.front_end.sample_rate, request.seed)
        if request.keep:
            keep(made, request.keep)
        log.info("%g dB: %.1f minutes, %d words", snr, made.seconds / 60, len(made.utterances))
        heard = hear(mine, made, rule)
        outcomes[snr], curves[snr] = outcome(heard, made, rule.threshold, rule.refractory), curve(heard, made, rule)
        truth.append(made.truth())
    graph = graph_behind(trained)
    cost = reuse(graph, mine.front_end, rule.every) if graph else None
    return StreamEvaluation(
        trained.name, mine.counts, request, settings, outcomes, curves, tuple(truth), cost, audio.synthetic
    )


def hear(mine: Spotter, over: Scene, rule: Rule) -> list[Moment]:
    """Every moment of a scene, as a live stream would give them."""
    heard = answers(blocks(over.sound), mine, rule.every, AT_ONCE)
    return list(moments(heard, mine.labels, rule.smoothing))


def blocks(sound: NDArray[np.int16]) -> Iterator[NDArray[np.float32]]:
    """A sound as a recorder gives it, block by block: float in [-1, 1)."""
    for at in range(0, len(sound), BLOCK):
        yield sound[at : at + BLOCK].astype(np.float32) / np.float32(32768)


def graph_behind(trained: Trained) -> Graph | None:
    """The network as operators; None for an integer network's file, which does not say what it was made from."""
    if trained.bundle:
        from hybridq.runs.model_folder import MODEL

        return read_graph(trained.bundle.folder / MODEL)
    if trained.name.startswith(PREFIX):
        return graph_of(load_recipe(pretrained_file(trained.name).with_suffix(".yaml")))
    return None


def check_empty(folder: Path) -> None:
    """Raise UserError where the folder of --keep holds files: those of the same names would be lost."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--keep {folder}: is not empty; name a new or empty folder")


def keep(made: Scene, folder: Path) -> None:
    """Write a scene as a WAV file, with its truth beside it."""
    import json

    import soundfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"snr_{made.snr_db:g}.wav"
        soundfile.write(file, made.sound, made.sample_rate)
        file.with_suffix(".json").write_text(json.dumps(made.truth(), indent=1))
    except OSError as error:
        raise NotWritable(folder, error) from error


def record(result: StreamEvaluation, store: Store, run_id: str) -> None:
    """Log it to the network's run: JSON, truth and picture of each split; metrics of test clips alone."""
    run, name = store.ended_run(run_id), f"stream {result.request.split}"
    run.json(f"{name}.json", result.to_json())
    run.json(f"{name} truth.json", list(result.truth))
    run.figure(alarm_curves(result), name)
    if result.request.split == "test":
        run.metrics(result.metrics())
