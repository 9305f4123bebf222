"""The rates of the time estimates, fitted on published figures, and how far off they are, as a Markdown table.

python tools/fit_time.py FOLDER      (with the reference networks of MLPerf Tiny as .tflite files)

The fit makes the largest relative error as small as it can. A network is then left out, and estimated by rates that are
fitted on the others.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from hybridq.profiler import Profile, profile
from hybridq.profiler.estimates import latency
from hybridq.profiler.rates import COUNTED, CYCLES_AN_INSTRUCTION, PUBLISHED, PUBLISHED_MHZ, X_CUBE_AI, Stack, work_of

FILES = {
    "kws": "kws_ref_model.tflite",
    "vww": "vww_96_int8.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "ad": "ad01_int8.tflite",
    "str_ww": "str_ww_ref_model.tflite",
}


def main() -> None:
    """One table a version: measured, estimated by the rates in use, and left out; then the interpreter's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for version, stack in X_CUBE_AI.items():
        name = f"x-cube-ai:{version[0]}.{version[1]}" if version != (10, 2) else "x-cube-ai:2.2"
        reports = {network: report(folder, network, name) for network in PUBLISHED[stack.label]}
        print_version(stack, reports)
    print("\nTensorFlow Lite for Microcontrollers, cycles as counted instructions:\n")
    print("| network | counted, M | estimate, M | off |\n|---|--:|--:|--:|")
    for network, count in COUNTED.items():
        cycles = estimate(report(folder, network, "tflm")) / CYCLES_AN_INSTRUCTION
        print(f"| {network} | {count / 1e6:.2f} | {cycles / 1e6:.2f} | {cycles / count - 1:+.1%} |")


def report(folder: Path, network: str, accounting: str) -> Profile:
    """The report on a network."""
    return profile(folder / FILES[network], target="stm32l4r5", accounting=accounting)


def estimate(found: Profile) -> float:
    """Clock cycles of a network, by the rates in use."""
    time = latency(found.rows, found.target, found.accounting)
    return time.value * PUBLISHED_MHZ * 1e3 if time else 0.0


def print_version(stack: Stack, reports: Mapping[str, Profile]) -> None:
    """What was measured, what the rates say, and what rates say that were fitted without the network."""
    groups = groups_of(stack)
    measured = {name: ms * PUBLISHED_MHZ * 1e3 for name, ms in PUBLISHED[stack.label].items()}
    work = {name: work_by(found, groups) for name, found in reports.items()}
    fitted = fit(work, measured)
    rates = (f"{rate:.2f} ({' '.join(group)})" for rate, group in zip(fitted, groups, strict=True))
    print(f"\n{stack.label}, cycles a MACC as fitted: {', '.join(rates)}\n")
    print("| network | measured, ms | estimate, ms | off | left out |\n|---|--:|--:|--:|--:|")
    for name, found in reports.items():
        others = {other: cycles for other, cycles in measured.items() if other != name}
        without = float(work[name] @ fit(work, others)) / measured[name] - 1
        cycles, ms = estimate(found), PUBLISHED[stack.label][name]
        off = cycles / measured[name] - 1
        print(f"| {name} | {ms} | {cycles / PUBLISHED_MHZ / 1e3:.1f} | {off:+.1%} | {without:+.0%} |")


def groups_of(stack: Stack) -> list[tuple[str, ...]]:
    """The kinds of work that share a rate."""
    rates = dict.fromkeys(rate.macc for rate in stack.rates.values())
    return [tuple(kind for kind, rate in stack.rates.items() if rate.macc == value) for value in rates]


def work_by(found: Profile, groups: list[tuple[str, ...]]) -> NDArray[np.float64]:
    """Multiply-accumulates of a network for each group of kinds."""
    return np.array([sum(row.macc or 0 for row in found.rows if work_of(row) in group) for group in groups], float)


def fit(work: Mapping[str, NDArray[np.float64]], measured: Mapping[str, float]) -> NDArray[np.float64]:
    """Cycles a multiply-accumulate for each group: the largest relative error is the least."""
    parts = np.array([work[name] / cycles for name, cycles in measured.items()])
    count, networks = parts.shape[1], len(parts)
    bounds = np.vstack([np.c_[parts, -np.ones(networks)], np.c_[-parts, -np.ones(networks)]])
    ends = np.r_[np.ones(networks), -np.ones(networks)]
    found = linprog(np.r_[np.zeros(count), 1], A_ub=bounds, b_ub=ends, bounds=[(0, None)] * (count + 1))
    return np.asarray(found.x[:count])


if __name__ == "__main__":
    main()
