"""The studies of Optuna, in a file beside the runs: what was proposed, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.tracking.local import address

if TYPE_CHECKING:
    from hybridq.tracking import Store

STUDIES = "studies.db"  # in the store's folder


def open_study(store: Store, name: str, **options: Any) -> Any:
    """The study of that name; a new one has the `options` of `optuna.create_study`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name=name, storage=_address(store), load_if_exists=True, **options)


def trial_at(store: Store, study: Any, number: int) -> Any:
    """The trial of that number, which its process has left unfinished, to go on with."""
    import optuna

    storage = optuna.storages.RDBStorage(_address(store))
    study_id = storage.get_study_id_from_name(study.study_name)
    return optuna.trial.Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id, number))


def _address(store: Store) -> str:
    folder = store.root or Path("mlruns")
    folder.mkdir(parents=True, exist_ok=True)
    return address(folder.resolve() / STUDIES)
