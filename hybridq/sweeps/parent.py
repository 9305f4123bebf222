"""The run that others are children of, in one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.errors import UserError
from hybridq.paths import locked

if TYPE_CHECKING:
    from hybridq.tracking import Run, Store


@contextmanager
def parent_run(
    store: Store,
    name: str,
    tag: tuple[str, str],
    about: str,
    *,
    resume: bool = False,
    command: str = "",
    parent: str | None = None,
) -> Iterator[Run]:
    """The run that holds others, while they are made; `tag` says what kind it is, and with its value what decides them.

    With `resume` the newest run of that tag goes on. `about` says in a sentence what it is, `parent` is the id of the
    run that it is a child of itself. Raises UserError where another process holds a run of that tag.
    """
    kind, key = tag

    def refuse() -> None:
        raise UserError(f"the same {kind} is running already, in another process")

    root = store.root or Path("mlruns")
    with locked(root / "checkpoints" / f"{kind}-{key[:16]}.lock", refuse):
        earlier = [run for run in store.runs() if run.tags.get(kind) == key] if resume else []
        if earlier:
            run = store.resume_run(earlier[-1].id)
        else:
            tags = {"description": about, kind: key, "command": command}
            run = store.start_run(name, params={}, tags=tags, parent=parent)
        with run:
            yield run
