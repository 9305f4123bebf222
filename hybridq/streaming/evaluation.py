"""`hybridq stream-eval`: a network on long audio at several levels of noise, its curve, and what is logged of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import NotWritable, UserError
from hybridq.graph.reader import Graph, read_graph
from hybridq.pretrained import PREFIX, pretrained_file
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import graph_of, open_audio
from hybridq.runs.load_network import Trained
from hybridq.runs.measurement import VOICES
from hybridq.speech.audio.negatives import commands_of
from hybridq.speech.settings import DecisionSettings
from hybridq.streaming.listening import Spotter, answers, spotter
from hybridq.streaming.outcome import Outcome, curve, outcome, together
from hybridq.streaming.reuse import Reuse, reuse
from hybridq.streaming.rule import Moment, Rule, moments
from hybridq.streaming.scene import Scene, scene, speech

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hybridq.tracking import Store

AT_ONCE = 64  # inferences
BLOCK = 4096  # samples
OFFERED = (60.0, 30.0, 10.0, 5.0, 1.0, 0.0)  # false alarms an hour, for which thresholds are shown
log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Request:
    """What is asked for: the clips, the levels of noise (dB below the words), seconds of audio at each."""

    source: str | None
    split: str
    snrs: tuple[float, ...]
    seconds: float
    seed: int
    keep: Path | None = None  # a folder for the audio and its truth


@dataclass(frozen=True)
class StreamEvaluation:
    """A network on long audio: by SNR its outcome at the rule's threshold, and over all thresholds."""

    name: str
    counts: str
    request: Request
    settings: DecisionSettings
    at: Mapping[float, Outcome]
    curves: Mapping[float, tuple[Outcome, ...]]
    truth: tuple[dict[str, Any], ...]
    cost: Reuse | None
    synthetic: bool

    @property
    def whole(self) -> Outcome:
        """All SNRs as one."""
        return together(list(self.at.values()))

    def metrics(self) -> dict[str, float]:
        """For the run: see `hybridq.tracking.metrics`."""
        found = {
            "stream false alarms per hour": self.whole.false_alarms_per_hour,
            "stream missed %": self.whole.missed,
            "stream threshold": self.settings.threshold,
        }
        return found | ({} if self.whole.latency is None else {"stream latency ms": self.whole.latency})

    def thresholds(self) -> Iterator[Outcome]:
        """All SNRs as one: where the false alarms an hour fall to each of OFFERED, the lowest threshold."""
        points = [together(several) for several in zip(*self.curves.values(), strict=True)]
        found = (next((at for at in range(len(points)) if _from_here(points, at) <= most), None) for most in OFFERED)
        yield from (points[at] for at in dict.fromkeys(found) if at is not None)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": self.counts,
            "split": self.request.split,
            "seed": self.request.seed,
            "seconds_per_snr": self.request.seconds,
            "synthetic": self.synthetic,
            "decision": self.settings.model_dump(),
            "whole": self.whole.to_json(),
            "snr": [
                {"snr_db": snr, **one.to_json(), "curve": [point.to_json() for point in self.curves[snr]]}
                for snr, one in self.at.items()
            ],
            "cost": self.cost.to_json() if self.cost else None,
        }

    def to_rich(self) -> RenderableType:
        from hybridq.streaming.view import evaluation_table

        return evaluation_table(self)


def evaluate(trained: Trained, settings: DecisionSettings, request: Request) -> StreamEvaluation:
    """Let a network hear what is asked for; without a source the clips of its recipe. Raises UserError."""
    mine = spotter(trained)
    own = trained.bundle.recipe["data"] if trained.bundle else {}
    source = request.source or own.get("source")
    if not source:
        raise UserError(f"{trained.name}: an integer network does not say what it was trained on; --data names clips")
    audio = open_audio(source, own.get("voices", VOICES), True)
    rule = Rule.of(settings, mine.front_end)
    said = speech(audio, commands_of(mine.labels), request.split, mine.front_end)
    found: dict[float, Outcome] = {}
    curves, truth = {}, []
    for snr in request.snrs:
        made = scene(said, snr, request.seconds, mine.front_end.sample_rate, request.seed)
        if request.keep:
            keep(made, request.keep)
        log.info("%g dB: %.1f minutes, %d words", snr, made.seconds / 60, len(made.utterances))
        heard = hear(mine, made, rule)
        found[snr], curves[snr] = outcome(heard, made, rule.threshold, rule.refractory), curve(heard, made, rule)
        truth.append(made.truth())
    graph = graph_behind(trained)
    cost = reuse(graph, mine.front_end, rule.every) if graph else None
    return StreamEvaluation(
        trained.name, mine.counts, request, settings, found, curves, tuple(truth), cost, audio.synthetic
    )


def hear(mine: Spotter, over: Scene, rule: Rule) -> list[Moment]:
    """Every moment of a scene, as a live stream would give them."""
    found = answers(blocks(over.sound), mine, rule.every, AT_ONCE)
    return list(moments(found, mine.labels, rule.smoothing))


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


def record(found: StreamEvaluation, store: Store, run_id: str) -> None:
    """Log it to the network's run: JSON, truth and picture of each split; metrics of test clips alone."""
    from hybridq.streaming.picture import alarm_curves

    run, name = store.ended_run(run_id), f"stream {found.request.split}"
    run.json(f"{name}.json", found.to_json())
    run.json(f"{name} truth.json", list(found.truth))
    run.figure(alarm_curves(found), name)
    if found.request.split == "test":
        run.metrics(found.metrics())


def _from_here(points: Sequence[Outcome], at: int) -> float:
    """The most false alarms an hour at this threshold or a higher one: a rest after a command hides some below."""
    return max(one.false_alarms_per_hour for one in points[at:])
