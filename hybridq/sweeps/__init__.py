"""Many runs: which ones, in which order, by whom, and what became of each.

planning.py   recipes become jobs, each once, what others start from first
estimate.py   what they would cost
schedule.py   the state of every job, and which may start
events.py     what happens to a job, as data
engines.py    who trains: this process, worker processes
ray.py        ... on many machines
worker.py     one job in whatever process
board.py      the table that shows it all while it happens
parent.py     the run that the others are children of
sweep.py      the whole: plan, parent run, engine, report
"""

from hybridq.sweeps.board import Board
from hybridq.sweeps.engines import Crew, Engine, in_process, in_processes
from hybridq.sweeps.parent import parent_run
from hybridq.sweeps.planning import Job, Plan, plan, read_recipes
from hybridq.sweeps.schedule import Schedule, State
from hybridq.sweeps.sweep import REPORT, run_jobs, run_plan, run_sweep, unfinished_sweep

__all__ = [
    "REPORT",
    "Board",
    "Crew",
    "Engine",
    "Job",
    "Plan",
    "Schedule",
    "State",
    "engine",
    "in_process",
    "in_processes",
    "parent_run",
    "plan",
    "read_recipes",
    "run_jobs",
    "run_plan",
    "run_sweep",
    "unfinished_sweep",
]


def engine(name: str, workers: int = 1, address: str | None = None) -> Engine:
    """An engine by name: `local`, in this process or in `workers` processes; `ray`, on the cluster at `address`."""
    if name == "ray":
        from hybridq.sweeps.ray import on_ray

        return on_ray(workers, address)
    return in_processes(workers) if workers > 1 else in_process
