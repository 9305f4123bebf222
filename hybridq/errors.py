"""What reaches a user as a plain message: one exception, hints at what was meant, and interrupts in disguise."""

import difflib
import errno
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

RUN_FAILED = 1
BAD_INPUT = 2
ENVIRONMENT = 3
INTERRUPTED = 130
LONGEST_LINE = 200  # characters of what somebody else says: it may quote a whole file
# What would move the cursor, end the line or turn the text around; and a byte that was not UTF-8, as Python keeps it.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text on one line, safe for a terminal: control characters and what is not UTF-8 are written as \\n, \\xff.

    Names of files and the words of servers may hold anything; printed raw they could fake a line of ours.
    """
    return UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else match[0].encode("unicode_escape").decode()


class UserError(Exception):
    """Something the user can mend: a plain line or several, and the exit status of the command.

    Exit status: 1 a run failed, 2 bad input (recipe, data, usage), 3 the environment (disk full, folder not
    writable, tracking store out of reach), 130 interrupted.
    """

    def __init__(self, message: str | Sequence[str], exit_code: int = BAD_INPUT) -> None:
        self.lines = [plain(line) for line in ([message] if isinstance(message, str) else message)]
        self.exit_code = exit_code
        super().__init__(tuple(self.lines), exit_code)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class NotWritable(UserError):
    """A file or folder could not be written: read-only, or the disk is full."""

    def __init__(self, where: object, error: OSError) -> None:
        why = "the disk is full" if disk_is_full(error) else error.strerror or error
        super().__init__(f"cannot write {where}: {why}", ENVIRONMENT)


def plain_os_error(error: OSError) -> str:
    """An error of the system that nobody foresaw, as a line: the file where it is known, and what is wrong."""
    place = error.filename or ("the output" if disk_is_full(error) else "the system")
    return plain(f"{place}: {error.strerror or error}")


def first_line(error: BaseException) -> str:
    """What an error of a library says, cut to a line of at most 200 characters; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0][:LONGEST_LINE] if text else type(error).__name__


def disk_is_full(error: BaseException) -> bool:
    """Whether something could not be written for want of room; HDF5 and NumPy say so in their text alone."""
    text = str(error)
    return (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or (
        "No space left on device" in text or re.search(r"\d+ requested and \d+ written", text) is not None
    )


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
def undisturbed(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """What is done in here is done whole: a signal that Python would heed comes behind it. For short work."""
    here = threading.current_thread() is threading.main_thread()
    heeded = {one: signal.getsignal(one) for one in signals} if here else {}
    came: list[int] = []
    for one, handler in heeded.items():
        if callable(handler):
            signal.signal(one, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for one, handler in heeded.items():
            if callable(handler):
                signal.signal(one, handler)
        for number in came[:1]:
            signal.raise_signal(number)


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
