"""The boards, as data. Weights and activations share their flash and RAM with the rest of the program."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from hybridq.errors import UserError

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Target:
    """A microcontroller: flash and RAM in bytes, clock in MHz."""

    name: str
    label: str
    flash_bytes: int
    ram_bytes: int
    core: str
    clock_mhz: int
    source: str


TARGETS = {
    target.name: target
    for target in (
        Target("stm32l496", "STM32L496", MIB, 320 * KIB, "Cortex-M4F", 80, "datasheet DS11585, STM32L496xG"),
        Target("stm32l476", "STM32L476", MIB, 128 * KIB, "Cortex-M4F", 80, "datasheet, STM32L476xG"),
        Target("stm32l4r5", "STM32L4R5", 2 * MIB, 640 * KIB, "Cortex-M4F", 120, "datasheet, STM32L4R5xI"),
        Target("stm32f411", "STM32F411", 512 * KIB, 128 * KIB, "Cortex-M4F", 100, "datasheet, STM32F411xE"),
        Target("stm32f746", "STM32F746", MIB, 320 * KIB, "Cortex-M7F", 216, "datasheet, STM32F746xG"),
        Target(
            "stm32h743",
            "STM32H743",
            2 * MIB,
            MIB,
            "Cortex-M7F",
            480,
            "datasheet, STM32H743xI; several RAM blocks",
        ),
        Target("nrf52840", "nRF52840", MIB, 256 * KIB, "Cortex-M4F", 64, "product specification, nRF52840"),
        Target(
            "rp2040",
            "RP2040 (Pico)",
            2 * MIB,
            264 * KIB,
            "Cortex-M0+",
            133,
            "datasheet; the flash is the Pico board's",
        ),
    )
}
DEFAULT_TARGET = "stm32l496"


def target(name: str) -> Target:
    """The board of that name, in any case; raises UserError naming the nearest one."""
    found = TARGETS.get(name.lower())
    if found:
        return found
    near = difflib.get_close_matches(name.lower(), TARGETS, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise UserError(f"'{name}' is not a known target{hint} (one of: {', '.join(TARGETS)})")
