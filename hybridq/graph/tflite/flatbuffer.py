"""A FlatBuffer as tables whose fields are read by their number in the schema: every offset and count is checked."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hybridq.errors import UserError

DAMAGED = "damaged, or not a .tflite file"


def number_at(data: bytes, form: str, at: int) -> int:
    """One little-endian number, its type as a letter of the module `struct`."""
    if not 0 <= at <= len(data) - struct.calcsize(f"<{form}"):
        raise UserError(f"{DAMAGED}: it points outside itself")
    return int(struct.unpack_from(f"<{form}", data, at)[0])


@dataclass(frozen=True)
class Table:
    """A table of a FlatBuffer; its fields are read by their number in the schema."""

    data: bytes
    at: int

    def _field(self, slot: int) -> int:
        """Where a field lies; 0 where the file leaves it out and its default holds."""
        vtable = self.at - number_at(self.data, "i", self.at)
        if 4 + 2 * slot >= number_at(self.data, "H", vtable):
            return 0
        offset = number_at(self.data, "H", vtable + 4 + 2 * slot)
        return self.at + offset if offset else 0

    def number(self, slot: int, form: str = "i", default: int = 0) -> int:
        """A number ("i" int32, "I" uint32, "b" a byte: an enum or a truth value)."""
        at = self._field(slot)
        return number_at(self.data, form, at) if at else default

    def table(self, slot: int) -> Table:
        """A table; one that is left out reads as one with defaults alone."""
        at = self._field(slot)
        return Table(self.data, at + number_at(self.data, "I", at)) if at else NO_TABLE

    def vector(self, slot: int, size: int) -> range:
        """Where the elements of a vector lie, each of `size` bytes."""
        at = self._field(slot)
        if not at:
            return range(0)
        start = at + number_at(self.data, "I", at)
        end = start + 4 + size * number_at(self.data, "I", start)
        if end > len(self.data):
            raise UserError(f"{DAMAGED}: it ends before its tables do")
        return range(start + 4, end, size)

    def numbers(self, slot: int, most: int) -> tuple[int, ...]:
        """A vector of at most so many int32."""
        places = self.vector(slot, 4)
        if len(places) > most:
            raise UserError(f"{DAMAGED}: a list of {len(places):,} where at most {most:,} are possible")
        return tuple(number_at(self.data, "i", at) for at in places)

    def item(self, slot: int, index: int) -> Table:
        """One table of a vector of tables."""
        places = self.vector(slot, 4)
        if not 0 <= index < len(places):
            raise UserError(f"{DAMAGED}: it names the entry {index} of a list of {len(places)}")
        return Table(self.data, places[index] + number_at(self.data, "I", places[index]))

    def text(self, slot: int) -> str:
        """A short text; empty where it is left out, too long or not printable."""
        places = self.vector(slot, 1)
        if len(places) > 200:
            return ""
        text = self.data[places.start : places.stop].decode(errors="replace")
        return text if text.isprintable() else ""


NO_TABLE = Table(struct.pack("<HHi", 4, 4, 4), 4)
