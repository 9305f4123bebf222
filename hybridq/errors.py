"""What reaches a user as a plain message: one exception, hints at what was meant, and interrupts in disguise."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

OK = 0
RUN_FAILED = 1
BAD_INPUT = 2
ENVIRONMENT = 3
INTERRUPTED = 130


class UserError(Exception):
    """Something the user can mend: one or two plain lines, and the exit status of the command.

    Exit status: 1 a run failed, 2 bad input (recipe, data, usage), 3 the environment (disk full, folder not
    writable, tracking store out of reach), 130 interrupted.
    """

    def __init__(self, message: str, exit_code: int = BAD_INPUT) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotWritable(UserError):
    """A file or folder could not be written: read-only, or the disk is full."""

    def __init__(self, where: object, error: OSError) -> None:
        super().__init__(f"cannot write {where}: {error.strerror or error}", ENVIRONMENT)


def nearest(word: str, choices: Iterable[str], count: int = 1, likeness: float = 0.0) -> list[str]:
    """The `count` choices spelled most like a word, the nearest first; capitals do not matter.

    `likeness`, from 0 to 1, is the least ratio of equal characters (`difflib.SequenceMatcher.ratio`).
    """
    as_written = {choice.lower(): choice for choice in reversed(list(choices))}
    return [as_written[one] for one in difflib.get_close_matches(word.lower(), as_written, count, likeness)]


def did_you_mean(word: str, choices: Iterable[str], likeness: float = 0.5) -> str:
    """The end of a message: "; did you mean 'dense'?", or "" where no choice is like the word."""
    near = nearest(word, choices, likeness=likeness)
    return f"; did you mean '{near[0]}'?" if near else ""


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """An interrupt in the midst of compiled code may come out of it as a SystemError; from here it goes on as itself.

    Python has "returned a result with an exception set" then, with the interrupt as the cause.
    """
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise
