"""Processes of a sweep that are killed at named places in the program: each place kills the first that reaches it."""

from __future__ import annotations

import functools
import importlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEATHS = Path("deaths")  # a file for each place that has killed, in the folder where the sweep runs
WORKER = Path(__file__).with_name("dying_worker.py")


@dataclass(frozen=True)
class Place:
    """Before or behind a call of a function, which is written 'module:function' or 'module:Class.method'."""

    name: str
    function: str
    when: Callable[..., Any] = lambda *arguments, **options: True  # of the call's arguments
    behind: bool = False
    orphans: bool = False  # whether the parent is killed, and this process waits for what follows from that


def _file(name: str) -> Callable[..., bool]:
    """Whether a file is renamed to this."""
    return lambda source, target: Path(target).name == name


RUN, LOG = "hybridq.tracking.run:Run", "hybridq.runs.log:EpochLog"
PLACES = {
    "in process": (  # a sweep that makes its runs itself: `float`, two that start from it, and `wild`, which diverges
        Place("a store not in its place", "pathlib:Path.rename", lambda path, target: target.name == "mlflow.db"),
        Place("the sweep has a run", "hybridq.tracking.store:Store._create_run", behind=True),
        Place("a run without parameters", f"{RUN}.params", lambda run, values: run.name == "float"),
        Place("an epoch in the checkpoint alone", "os:replace", _file("checkpoint.npz"), behind=True),
        Place("half an artifact", "os:replace", _file("model.keras")),
        Place("finished, with a checkpoint", f"{RUN}.close", lambda run, error=None: run.name == "float", behind=True),
        Place("a second run", f"{RUN}.params", lambda run, values: "narrow" in run.name, behind=True),
        Place("why it fails, not that it has", f"{RUN}.tags", lambda run, tags, wait=None: "failure" in tags, True),
        Place("all but the sweep's end", f"{RUN}.text", lambda run, name, text: name == "report.html", behind=True),
    ),
    "worker": (  # of such a sweep
        Place("a worker that starts", "dying:started"),
        Place("a worker in an epoch", f"{LOG}.batch", lambda log, epoch, *_: epoch == 2),
        Place("the sweep of a worker", f"{LOG}.epoch", lambda log, row: "narrow" in log.run.name, orphans=True),
    ),
}


def started() -> None:
    """A worker calls this before it imports anything large."""


def arm(process: str) -> None:
    """Make of this process one that is killed at the first of its places that has killed nobody."""
    _arm(*PLACES[process])


def arm_start() -> None:
    """Make of this process one that is killed when it starts, where none was."""
    _arm(PLACES["worker"][0])
    started()


def _arm(*places: Place) -> None:
    for place in places:
        module, _, path = place.function.partition(":")
        *owners, name = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        setattr(owner, name, _deadly(getattr(owner, name), place))


def arm_workers() -> None:
    """Make of this process one whose workers are killed so."""
    start = subprocess.Popen.__init__

    def begin(self: Any, command: Any, *more: Any, **options: Any) -> None:
        if "hybridq.sweeps.worker" in command:
            command = [command[0], str(WORKER), command[-1]]
        start(self, command, *more, **options)

    subprocess.Popen.__init__ = begin  # type: ignore[method-assign]


def _deadly(function: Callable[..., Any], place: Place) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        if not place.behind and place.when(*arguments, **options):
            _die(place)
        result = function(*arguments, **options)
        if place.behind and place.when(*arguments, **options):
            _die(place)
        return result

    return called


def _die(place: Place) -> None:
    try:
        (DEATHS / place.name).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getppid() if place.orphans else os.getpid(), signal.SIGKILL)
    time.sleep(60)  # until this process is told to end
