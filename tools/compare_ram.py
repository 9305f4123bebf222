"""Our activations beside those that ST prints for the same models, as a Markdown table; then how many are close.

python tools/compare_ram.py ../shared/facts      (with modelzoo, xcube and xcube-new: pairs.json and models in each)
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from compare_reports import accounting

from hybridq.errors import UserError
from hybridq.profiler import profile

FOLDERS = ("modelzoo", "xcube", "xcube-new")
UNSAID = "8.1.0"  # of the rows beside it, where one of modelzoo says no version
CLOSE = 0.02
LOW = 0.05  # below by more than that is said as "at least"


class Row(NamedTuple):
    """A figure of ST, and ours."""

    folder: str
    model: str
    accounting: str
    printed: float  # bytes, to a hundredth of a KiB in modelzoo
    ours: int
    least: int | None  # our bounds, where the planner is not known to the byte
    most: int | None

    @property
    def off(self) -> float:
        """Ours over ST's, less 1."""
        return self.ours / self.printed - 1

    @property
    def exact(self) -> bool:
        """To the printed digit."""
        if self.folder == "modelzoo":
            return f"{self.ours / 1024:.2f}" == f"{self.printed / 1024:.2f}"
        return self.ours == self.printed


def rows(facts: Path) -> Iterator[Row | UserError]:
    """All pairs in the folders, the models that are not read as the errors that say why."""
    for folder in FOLDERS:
        for pair in json.loads((facts / folder / "pairs.json").read_text()):
            printed = pair["activations_kib"] * 1024 if folder == "modelzoo" else pair["activations_rw"]
            named = {"optimization": None} | pair | {"version": pair["version"] or UNSAID}
            path = facts / folder / pair["model"]
            try:
                totals = profile(path, accounting=accounting(named)).totals
            except UserError as error:
                yield error
                continue
            bounds = totals.ram_least_bytes, totals.ram_most_bytes
            yield Row(folder, path.name, accounting(named), printed, totals.activations_bytes, *bounds)


def verdict(row: Row) -> str:
    """One word for the table."""
    bounded = row.least is not None
    if row.exact:
        return "exact"
    if abs(row.off) <= CLOSE:
        return "within 2 %"
    return "bounds" if bounded else "off"


def main() -> None:
    """One row a figure, then the sums of each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facts", type=Path)
    print("| model | tool | ST B | ours | off | at least | at most | |\n|---|---|--:|--:|--:|--:|--:|---|")
    counts: dict[str, Counter[str]] = {folder: Counter() for folder in FOLDERS}
    for row in rows(parser.parse_args().facts):
        if isinstance(row, UserError):
            print(f"| not read: {row} |")
            continue
        least, most = (f"{bound:,}" if bound is not None else "" for bound in (row.least, row.most))
        name = re.sub(r"_int8|\.tflite|\.h5", "", row.model.split("__")[0]).replace("+", "/")
        cells = [name, row.accounting.removeprefix("x-cube-ai:"), f"{row.printed:,.0f}", f"{row.ours:,}"]
        print("|", " | ".join([*cells, f"{100 * row.off:+.1f} %", least, most, verdict(row)]), "|")
        counts[row.folder][verdict(row)] += 1
    for folder, count in counts.items():
        print(f"\n{folder}: {', '.join(f'{number} {word}' for word, number in count.most_common())}")


if __name__ == "__main__":
    main()
