"""A store that is away for a moment: asked again, for as long as one setting says.

Training must outlive a restart of the tracking server, and two processes may write at the same moment. MLflow waits for
a server of its own, for a time that is hard to tell, and sends a request again blindly, which starts a run twice; it
does not wait for a database. So its own tries are turned off (`guard.quiet_mlflow`) and every request goes through
`patiently`. A request that is sent again must come to the same: see each caller.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.tracking.guard import FINAL, LOCKED, chain, plainly

SETTING = "HYBRIDQ_TRACKING_WAIT"
WAIT_SECONDS = 300.0
SILENT_SECONDS = 1.0  # a short break is not worth a line
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0  # seconds
# Another process writes at the same moment, or has just made the same row; asked again, the store finds it.
RACES = ("UNIQUE constraint failed", "duplicate key value", "already exists", LOCKED)
CUT_OFF = ("Max retries exceeded", "Connection aborted", "Connection broken", "timed out")  # in a failed download
log = logging.getLogger("hybridq")

Answer = TypeVar("Answer")


def patiently(where: str, ask: Callable[[], Answer], wait: float | None = None) -> Answer:
    """The answer of `ask`, asked again while the store is away; `wait` is for how many seconds (default: the setting).

    Raises UserError, exit status 3, when that time is over, and at once for what waiting does not mend.
    """
    seconds = wait_seconds() if wait is None else wait
    start = time.monotonic()
    pause = FIRST_PAUSE
    warned = False
    while True:
        try:
            with plainly(where):
                answer = ask()
        except UserError as error:
            waited = time.monotonic() - start
            cause = error.__cause__
            if cause is None or not _passing(cause):
                raise
            if waited + pause > seconds:
                over = f" (waited {waited:.0f} s, {SETTING})" if seconds else ""
                raise UserError(f"{error}{over}", ENVIRONMENT) from cause
            if not warned and waited > SILENT_SECONDS:
                log.warning("%s; trying again for %.0f s", error, seconds)
                warned = True
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            continue
        if warned:
            log.warning("tracking store %s: back after %.0f s, nothing is lost", where, time.monotonic() - start)
        return answer


def wait_seconds() -> float:
    """For how long a store may be away, from the environment; raises UserError if that is no number of seconds."""
    text = os.environ.get(SETTING, str(WAIT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{SETTING}='{text}' is not a number of seconds")
    return seconds


def _passing(error: BaseException) -> bool:
    """Whether the network, the server or its database is to blame, or another process, and not what was asked."""
    import requests
    from sqlalchemy.exc import DBAPIError, OperationalError

    texts = [str(one) for one in chain(error)]
    if any(symptom in text for text in texts for symptom in FINAL):
        return False
    if any(symptom in text for text in texts for symptom in RACES + CUT_OFF):
        return True
    for one in chain(error):
        if isinstance(one, (requests.ConnectionError, requests.Timeout, requests.exceptions.RetryError)):
            return True
        if isinstance(one, OperationalError) or (isinstance(one, DBAPIError) and one.connection_invalidated):
            return True
    return False
