"""Bytes and large counts: the units that a person writes and reads them in.

KiB and MiB are 1,024 and 1,048,576 bytes, as memories are made; kB and MB are 1,000 and 1,000,000, as the SI says.
"""

from __future__ import annotations

import re
from fractions import Fraction

from hybridq.errors import UserError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
KB = 1000

_UNITS = {"": 1, "b": 1, "k": KIB, "kib": KIB, "kb": KB, "m": MIB, "mib": MIB, "mb": KB * KB}
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_SIZE = re.compile(_NUMBER + " ?([A-Za-z]*)", re.ASCII)
_COUNT = re.compile(_NUMBER + " ?([kKmM]?)", re.ASCII)


def to_kib(size: float) -> float:
    """Bytes as KiB."""
    return size / KIB


def to_millions(count: float) -> float:
    """A count, such as MACC, in millions."""
    return count / 1e6


def format_size(size: int) -> str:
    """Bytes as a person reads them: 2.12 MiB, 127.5 KiB, 640 B."""
    for unit, unit_bytes in (("GiB", GIB), ("MiB", MIB)):
        if size >= unit_bytes:
            return f"{size / unit_bytes:,.2f} {unit}"
    return f"{to_kib(size):.1f} KiB" if size >= KIB else f"{size} B"


def parse_size(text: str) -> int:
    """Bytes of a size such as "320KiB", in any case.

    K and M alone are binary, as makers of microcontrollers write them; no unit, or B, is bytes. Raises UserError for
    anything else, for less than one byte and for parts of a byte; and for fewer bytes than 1 KiB without a unit, which
    nobody means.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    size = Fraction(match[1]) * unit if match and unit else Fraction(0)
    if size < 1 or size.denominator != 1:
        raise UserError(f"'{text}' is not a size: write a number of bytes or one with KiB, MiB, kB or MB, as in 320KiB")
    if size < KIB and match and not match[2]:
        raise UserError(f"'{text}' would be {int(size)} bytes: write {text.strip()}KiB, or {text.strip()}B for bytes")
    return int(size)


def parse_count(text: str) -> int:
    """A number such as "2.3M" or "800k", thousands and millions; raises UserError for anything else, and for zero."""
    match = _COUNT.fullmatch(text.strip())
    number = Fraction(match[1]) * {"": 1, "k": 10**3, "m": 10**6}[match[2].lower()] if match else Fraction(0)
    if number < 1 or number.denominator != 1:
        raise UserError(f"'{text}' is not a number of operations: write it as in 2300000, 800k or 2.3M")
    return int(number)
