"""The boards, as data. Weights and activations share their flash and RAM with the rest of the program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from hybridq.errors import UserError, did_you_mean
from hybridq.settings.units import KB, KIB, parse_count, parse_size


class Limit(NamedTuple):
    """One limit of a target, and what a network needs of it."""

    name: str  # "flash", "RAM", "flash and RAM together", "operations"
    needed: int
    allowed: int

    @property
    def exceeded(self) -> bool:
        """Whether the network needs more."""
        return self.needed > self.allowed

    @property
    def share(self) -> float:
        """What is needed, in percent of what is allowed."""
        return 100.0 * self.needed / self.allowed


@dataclass(frozen=True)
class Target:
    """What a network must fit: flash and RAM in bytes, clock in MHz where there is one.

    A class of networks may also limit flash and RAM together, in bytes, and the operations of one inference, two
    a MACC.
    """

    name: str
    label: str
    flash_bytes: int
    ram_bytes: int
    core: str  # "" for a class of networks
    clock_mhz: int | None
    source: str
    block_bytes: int | None = None  # the largest part of the RAM without a gap in its addresses, where that is less
    memory_bytes: int | None = None
    operations: int | None = None

    @property
    def description(self) -> str:
        """What else there is to say of it: "Cortex-M4F, 80 MHz"."""
        parts = [self.core] if self.core else []
        parts += [f"{self.clock_mhz} MHz"] if self.clock_mhz else []
        parts += [f"{self.memory_bytes:,} B of flash and RAM together"] if self.memory_bytes else []
        parts += [f"{self.operations / 1e6:g} M operations"] if self.operations else []
        return ", ".join(parts)

    def limits(self, flash: int, ram: int, macc: int) -> tuple[Limit, ...]:
        """Its limits, for a network that needs so many bytes and multiply-accumulates."""
        needed = (("flash", flash, self.flash_bytes), ("RAM", ram, self.ram_bytes))
        further = (
            ("flash and RAM together", flash + ram, self.memory_bytes),
            ("operations", 2 * macc, self.operations),
        )
        return tuple(Limit(name, count, limit) for name, count, limit in (*needed, *further) if limit is not None)


def _board(name: str, label: str, flash: int, ram: int, block: int, core: str, clock: int, source: str) -> Target:
    """A board; its flash, its RAM and the largest block of that in KiB, its clock in MHz."""
    part = block * KIB if block < ram else None
    return Target(name, label, flash * KIB, ram * KIB, core, clock, source, part)


def _hello_edge(size: str, memory_kb: int, mega_operations: int) -> Target:
    """A class of networks: weights and activations in 8 bits, together; operations of one inference, ten a second."""
    memory, source = memory_kb * KB, "Zhang et al., Hello Edge, arXiv 1711.07128"
    label, operations = f"Hello Edge {size}", mega_operations * 10**6
    return Target(
        f"hello-edge-{size}", label, memory, memory, "", None, source, memory_bytes=memory, operations=operations
    )


_ESP32S3 = "ESP32-S3 Technical Reference Manual: SRAM1 and SRAM2, the data cache in them; flash: ESP32-S3-WROOM-1-N8"
_M4, _M7, _M33 = "Cortex-M4F", "Cortex-M7", "Cortex-M33"
_BOARDS = (  # flash, RAM and its largest block in KiB; MHz
    _board("stm32l496", "STM32L496", 1024, 320, 320, _M4, 80, "datasheet DS11585 (xG); SRAM2 follows SRAM1: RM0351"),
    _board("stm32l476", "STM32L476", 1024, 128, 96, _M4, 80, "datasheet DS10198 (xG); SRAM2 lies apart: RM0351"),
    _board("stm32l4r5", "STM32L4R5", 2048, 640, 640, _M4, 120, "datasheet DS12023 (xI)"),
    _board("stm32f407", "STM32F407", 1024, 192, 128, _M4, 168, "datasheet DS8626 (xG); 64 KiB of the RAM lie apart"),
    _board("stm32f411", "STM32F411", 512, 128, 128, _M4, 100, "datasheet DS10314 (xE)"),
    _board("stm32f446", "STM32F446", 512, 128, 128, _M4, 180, "datasheet DS10693 (xE)"),
    _board("stm32f746", "STM32F746", 1024, 320, 320, _M7, 216, "datasheet DS10916 (xG)"),
    _board("stm32h743", "STM32H743", 2048, 992, 512, _M7, 480, "datasheet DS12110 (xI); the RAM but for the ITCM"),
    _board("stm32u585", "STM32U585", 2048, 784, 768, _M33, 160, "datasheet DS13086 (xI); SRAM4 lies apart: RM0456"),
    _board("nrf52840", "nRF52840", 1024, 256, 256, _M4, 64, "nRF52840 Product Specification"),
    _board("nano33ble", "Arduino Nano 33 BLE", 1024, 256, 256, _M4, 64, "Arduino datasheet ABX00030; an nRF52840"),
    _board("nrf5340", "nRF5340", 1024, 512, 512, _M33, 128, "nRF5340 Product Specification; application core"),
    _board("rp2040", "RP2040 (Pico)", 2048, 264, 264, "Cortex-M0+", 133, "RP2040 and Raspberry Pi Pico datasheets"),
    _board("rp2350", "RP2350 (Pico 2)", 4096, 520, 520, _M33, 150, "RP2350 and Raspberry Pi Pico 2 datasheets"),
    _board("esp32s3", "ESP32-S3", 8192, 480, 480, "Xtensa LX7", 240, _ESP32S3),
    _board("apollo3", "Apollo3 Blue", 1024, 384, 384, _M4, 48, "Apollo3 Blue MCU Datasheet; 96 MHz in bursts"),
    _board("max78000", "MAX78000", 512, 128, 128, _M4, 100, "Analog Devices MAX78000 datasheet; no accelerator"),
    _board("teensy41", "Teensy 4.1", 7936, 1024, 512, _M7, 600, "PJRC, Teensy 4.1 Development Board"),
)
_CLASSES = (_hello_edge("small", 80, 6), _hello_edge("medium", 200, 20), _hello_edge("large", 500, 80))
TARGETS = {target.name: target for target in (*_BOARDS, *_CLASSES)}
DEFAULT_TARGET = "stm32l496"


def target(name: str) -> Target:
    """The board of that name, in any case; raises UserError naming the nearest one."""
    if known := TARGETS.get(name.lower()):
        return known
    raise UserError(f"'{name}' is not a known target{did_you_mean(name, TARGETS)} (one of: {', '.join(TARGETS)})")


# ------------------------------------------------------------------------------------- limits given by hand


def custom_target(
    flash: str | None = None, ram: str | None = None, base: Target | None = None, macc: str | None = None
) -> Target:
    """`base`, or else the default board, with other limits; None leaves the board's own.

    `parse_size` reads flash and RAM, `parse_count` the multiply-accumulates of one inference. Raises UserError for what
    is no size.
    """
    base = base or TARGETS[DEFAULT_TARGET]
    limits = (("flash", flash), ("RAM", ram), ("MACC", macc))
    given = [f"{kind} of {text.strip()}" for kind, text in limits if text is not None]
    if not given:
        return base
    return replace(
        base,
        label=f"{base.label} with {' and '.join(given)}",
        flash_bytes=base.flash_bytes if flash is None else parse_size(flash),
        ram_bytes=base.ram_bytes if ram is None else parse_size(ram),
        block_bytes=base.block_bytes if ram is None else None,
        operations=base.operations if macc is None else 2 * parse_count(macc),
        source=f"limits given by hand; else {base.source}",
    )
