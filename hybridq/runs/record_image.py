"""What was measured of an image, logged to the run that its network is of, beside the estimates."""

from __future__ import annotations

from hybridq.errors import UserError
from hybridq.runs.load_network import NETWORK_DIGEST
from hybridq.runs.verification import Verification

ARTIFACT = "verification.json"


def record(verification: Verification) -> str:
    """Log figures and metrics to the network's run, and say in a line that it was done, or why not.

    It is not where the network came from a file, its run or the store is not there, or the image computes something
    else than the network of the run.
    """
    from hybridq.tracking import open_store

    if not verification.run:
        return "not logged: the network was not exported from a run"
    if not verification.exact:
        return "not logged: the image does not compute what its network computes"
    try:
        store = open_store(make=False)
        view = store.find(verification.run)
        if view.tags.get(NETWORK_DIGEST, verification.digest) != verification.digest:
            return f"not logged: {view.name} ({view.id[:8]}) has another network"
        run = store.ended_run(view.id)
        run.metrics(verification.metrics())
        run.json(ARTIFACT, verification.to_json())
    except UserError as error:
        return f"not logged: {error}"
    return f"logged to {view.name} ({view.id[:8]}), with the differences to the estimates"
