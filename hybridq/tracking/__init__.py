"""Tracked runs: the only part of hybridq that imports mlflow, inside the functions that need it.

`open_store()` gives the store, `store.start_run(...)` a run to log to, `store.runs()` and `store.find()` the
runs that were logged.

store.py       where runs are started, listed and found; connection.py: the way to it
local.py       the default store, in one folder
run.py         a run being logged; run_view.py: one as it was logged
metrics.py     the metrics of a run: names, units, which way is better
provenance.py  the commit and the versions that made it
owner.py       which process a run belongs to
retry.py       a store that is away is asked again; guard.py: what goes wrong, in one plain line
ui.py          MLflow's own pages
"""

from hybridq.tracking.run import Run
from hybridq.tracking.run_view import TRIAL, RunView
from hybridq.tracking.store import EXPERIMENT, Store, open_store
from hybridq.tracking.ui import serve_ui

__all__ = ["EXPERIMENT", "TRIAL", "Run", "RunView", "Store", "open_store", "serve_ui"]
