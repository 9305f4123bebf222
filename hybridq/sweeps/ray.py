"""Runs on a Ray cluster (https://docs.ray.io), for more machines than one.

Every machine needs hybridq, the clips under the same path, and a tracking store that all of them reach: set
`MLFLOW_TRACKING_URI`, with the store's user and password where it asks for them, in the environment of each. The cache
of features is each machine's own. Checkpoints are in `mlruns` of the folder that the sweep was started from: a
run goes on after its machine is lost where that folder is shared, and is trained again from its first epoch where it is
not. The machine that the sweep was started on must stay.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from hybridq.backend.tensorflow import threads
from hybridq.errors import ENVIRONMENT, UserError, first_line
from hybridq.sweeps.engines import Crew, Engine
from hybridq.sweeps.events import Died, Event
from hybridq.sweeps.schedule import Schedule
from hybridq.sweeps.worker import Task, work

WAIT_SECONDS = 0.5
SETTINGS = (
    "HYBRIDQ_THREADS",
    "KERAS_BACKEND",
    "OPENBLAS_NUM_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
)  # no password among them


def on_ray(slots: int, address: str | None = None) -> Engine:
    """An engine of `slots` runs at once on the cluster at `address`, or on one that is started on this machine.

    Raises UserError where Ray is not installed, or nobody answers.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'hybridq[ray]'", ENVIRONMENT) from None

    def engine(schedule: Schedule, crew: Crew) -> None:
        with _cluster(ray, address, slots):
            _run(ray, schedule, crew, slots)

    return engine


@contextlib.contextmanager
def _cluster(ray: Any, address: str | None, slots: int) -> Any:
    env = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    env["HYBRIDQ_THREADS"] = str(threads())  # the same on every machine, and so the same results
    here = {} if address else {"num_cpus": slots, "include_dashboard": False}
    try:
        with contextlib.chdir("/"):  # its workers import the modules of the folder that this is called in
            ray.init(address=address, runtime_env={"env_vars": env}, log_to_driver=False, logging_level="ERROR", **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster at {address}: {first_line(error)}", ENVIRONMENT) from error
    try:
        yield
    finally:
        ray.shutdown()


def _run(ray: Any, schedule: Schedule, crew: Crew, slots: int) -> None:
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})  # no other machine takes it along
    remote = ray.remote(num_cpus=1, max_retries=0)(_perform)
    running: dict[Any, int] = {}
    try:
        while not schedule.over:
            while len(running) < slots and (job := schedule.take()):
                running[remote.remote(crew.task(job, schedule), queue, os.getcwd())] = job.number
            ended, _ = ray.wait(list(running), timeout=WAIT_SECONDS)
            for event in _heard(queue):
                _note(schedule, crew, event)
            for reference in ended:
                number = running.pop(reference)
                try:
                    last = ray.get(reference)
                except ray.exceptions.RayError as error:
                    last = Died(number, f"its Ray worker is gone: {first_line(error)}")
                for event in _heard(queue):
                    _note(schedule, crew, event)
                _note(schedule, crew, last)
    finally:
        for reference in running:
            ray.cancel(reference)  # as Ctrl-C: the run is marked as interrupted, its checkpoint stays
        ray.wait(list(running), num_returns=len(running), timeout=60) if running else None
        queue.shutdown()


def _heard(queue: Any) -> list[Event]:
    return list(queue.get_nowait_batch(queue.qsize()))


def _note(schedule: Schedule, crew: Crew, event: Event) -> None:
    schedule.hear(event)
    crew.tell(event)


def _perform(task: Task, queue: Any, folder: str) -> Event:
    """On a worker of the cluster: make the run; the last event is the result, the others go through the queue."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    last: list[Event] = []

    def tell(event: Event) -> None:
        if event.last:
            last.append(event)
        else:
            queue.put(event)

    work(task, tell)
    return last[0]
