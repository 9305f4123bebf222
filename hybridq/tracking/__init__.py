"""Tracked runs: the only part of hybridq that imports mlflow, inside the functions that need it.

`open_store()` gives the store, `store.start_run(...)` a run to log to, `store.runs()` and `store.find()` the
runs that were logged.
"""

from hybridq.tracking.run import Run
from hybridq.tracking.run_view import TRIAL, RunView
from hybridq.tracking.store import EXPERIMENT, Store, open_store
from hybridq.tracking.ui import serve_ui

__all__ = ["EXPERIMENT", "TRIAL", "Run", "RunView", "Store", "open_store", "serve_ui"]
