"""The metrics of a run, as data: what a name means, its unit, and which way is better.

The name on the left is used everywhere in hybridq. MLflow refuses `%` in a name, so there it reads `pct`; and
MLflow's chart view makes a section of what stands before a slash, so the curves of a training are kept
together under `training/`, behind the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric; `better` is None where neither direction is."""

    unit: str
    better: Literal["higher", "lower"] | None
    digits: int
    by_epoch: bool = False


METRICS: dict[str, Metric] = {
    "training accuracy %": Metric("%", "higher", 1, by_epoch=True),
    "training loss": Metric("", "lower", 3, by_epoch=True),
    "validation accuracy %": Metric("%", "higher", 1, by_epoch=True),
    "validation loss": Metric("", "lower", 3, by_epoch=True),
    "learning rate": Metric("", None, 6, by_epoch=True),
    "pruned %": Metric("%", None, 1, by_epoch=True),  # of the weights, where `training.prune` asks for it
    "test accuracy %": Metric("%", "higher", 1),
    "test accuracy low %": Metric("%", "higher", 1),
    "test accuracy high %": Metric("%", "higher", 1),
    "test mean word accuracy %": Metric("%", "higher", 1),
    "integer test accuracy %": Metric("%", "higher", 1),  # of the integer network, as a device computes it
    "Keras test accuracy %": Metric("%", "higher", 1),  # of the same network, as Keras computes it
    "integer agreement %": Metric("%", "higher", 2),  # of the test clips that both of them hear alike
    # Of a network with the classes silence or unknown words, or with a threshold: see `hybridq.speech.decision`.
    "decision threshold": Metric("", None, 3),
    "test false accepts %": Metric("%", "lower", 1),
    "test false accepts of trained words %": Metric("%", "lower", 1),
    "test false accepts of new words %": Metric("%", "lower", 1),
    "test false accepts of unnamed words %": Metric("%", "lower", 1),
    "test false accepts of silence %": Metric("%", "lower", 1),
    "test false rejects %": Metric("%", "lower", 1),
    "test wrong commands %": Metric("%", "lower", 1),
    "validation threshold": Metric("", None, 3),  # at which 5 % of the validation clips of no command are accepted
    "validation accuracy best %": Metric("%", "higher", 1),  # of the weights that are kept
    "validation cross-entropy": Metric("nats", "lower", 3),  # of the same, labels not smoothed
    "flash KiB": Metric("KiB", "lower", 1),
    "flash as published KiB": Metric("KiB", "lower", 1),
    "RAM KiB": Metric("KiB", "lower", 1),
    "MACC M": Metric("million", "lower", 1),
    "flash share %": Metric("%", "lower", 1),
    "RAM share %": Metric("%", "lower", 1),
    "fits": Metric("", "higher", 0),
    "training minutes": Metric("min", "lower", 1),
    # Of long audio, as `hybridq stream-eval` measures it: all levels of noise together.
    "stream false alarms per hour": Metric("1/h", "lower", 1),
    "stream missed %": Metric("%", "lower", 1),  # of the commands in test clips
    "stream latency ms": Metric("ms", "lower", 0),  # from the end of a command, the median
    "stream threshold": Metric("", None, 3),
    # Of an image for the board, as `hybridq verify` measures it; the estimate is the memory report's ("packed").
    "image flash KiB": Metric("KiB", "lower", 1),
    "image flash beyond estimate KiB": Metric("KiB", "lower", 1),
    "image weights KiB": Metric("KiB", "lower", 1),
    "image weights beyond estimate KiB": Metric("KiB", "lower", 1),
    "image code KiB": Metric("KiB", "lower", 1),
    "image RAM KiB": Metric("KiB", "lower", 1),
    "image RAM beyond estimate KiB": Metric("KiB", "lower", 1),
    "image tensors KiB": Metric("KiB", "lower", 1),
    "image tensors beyond estimate KiB": Metric("KiB", "lower", 1),
    "image stack KiB": Metric("KiB", "lower", 2),
    "image instructions M": Metric("million", "lower", 2),  # of one inference, the front end not counted
    "image exact %": Metric("%", "higher", 2),  # of the sounds: input, logits and class are the integer network's
    "image agreement %": Metric("%", "higher", 2),  # of the sounds: the class by Python's front end
    "image accuracy %": Metric("%", "higher", 1),  # of the test clips that it heard, `image clips`
    "image clips": Metric("", None, 0),
}

EPOCH_SECTION = "training/"
OLD_SECTION = "by epoch/"  # of runs that were logged before


def mlflow_name(name: str) -> str:
    """The name under which MLflow holds a metric; one outside the table is kept, with `pct` for `%`."""
    plain = name.replace("%", "pct")
    if name in METRICS and METRICS[name].by_epoch:
        return EPOCH_SECTION + plain.removeprefix("training ")
    return plain


_NAMES = {mlflow_name(name): name for name in METRICS}
_NAMES |= {OLD_SECTION + name.replace("%", "pct"): name for name, metric in METRICS.items() if metric.by_epoch}


def name_from_mlflow(name: str) -> str:
    """The reverse of `mlflow_name`."""
    return _NAMES.get(name, name)
