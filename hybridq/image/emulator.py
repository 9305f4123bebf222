"""Run an image for the STM32L496 in an emulator: Unicorn, which counts instructions, or qemu-system-arm.

Unicorn sees the device's memory map alone: any access outside its flash and RAM ends the run with a plain error. What
is counted is instructions, exactly, also those that a condition skips; cycles are not modelled. Counting makes a run
about ten times as long, so it is done only where it is asked for.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.errors import RUN_FAILED, UserError
from hybridq.image.toolchain import symbols

FLASH, FLASH_BYTES = 0x08000000, 1 << 20
RAM, RAM_BYTES = 0x20000000, 320 << 10
LIMIT = 300.0  # seconds that a run or a call may take
_SYSTEM, _SYSTEM_BYTES = 0xE0000000, 1 << 20  # the core's own registers, as plain memory
_RETURN = FLASH + FLASH_BYTES - 2  # where a called function returns to: nothing lies there
_PAINT = b"\xa5"
_BREAKPOINT_AB = b"\xab\xbe"
_WRITE0, _EXIT, _EXITED_WELL = 0x04, 0x18, 0x20026


class Fault(UserError):
    """The program did what the device would not allow."""


@dataclass(frozen=True)
class Finished:
    """A run from reset to exit: what it printed, its exit status, and where its instructions were counted its marks.

    marks: (id, instructions executed when board_mark(id) was entered), in order.
    """

    output: str
    exit_code: int
    marks: tuple[tuple[int, int], ...]

    def between(self) -> dict[int, int]:
        """Instructions from each mark to the next, summed by the id of the first; the end of the run is not a mark."""
        counts: dict[int, int] = {}
        for (mark, start), (_, end) in zip(self.marks, self.marks[1:], strict=False):
            counts[mark] = counts.get(mark, 0) + end - start
        return counts


class Board:
    """An image loaded into the emulated device; `run` it as a whole, or `call` its functions one by one.

    instructions: of the last run or call, where they are counted; else 0.
    """

    def __init__(self, elf: Path, counting: bool = False) -> None:
        import unicorn
        from unicorn import arm_const

        self._registers = arm_const
        self._error = unicorn.UcError
        core = self._core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        core.mem_map(FLASH, FLASH_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        core.mem_map(RAM, RAM_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        core.mem_map(_SYSTEM, _SYSTEM_BYTES)
        self.symbols = symbols(elf)
        self._load(elf)
        if counting:
            self.count()
        core.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        core.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        self._mark = self._address("board_mark") if "board_mark" in self.symbols else None
        self._costs: dict[tuple[int, int], int] = {}
        self._clear()

    def count(self) -> None:
        """Count instructions from now on."""
        import unicorn

        self._core.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
        self._core.ctl_flush_tb()  # the blocks that it has translated know nothing of the hook

    def run(self, limit: float = LIMIT) -> Finished:
        """From reset until the program exits. Raises Fault, also after so many seconds."""
        stack, reset = struct.unpack("<II", self.read(FLASH, 8))
        self._clear()
        self._go(reset, stack, limit)
        if self._exit_code is None:
            raise Fault("the program stopped without an exit", RUN_FAILED)
        return Finished(self._output, self._exit_code, tuple(self._marks))

    def call(self, function: str, *arguments: int) -> int:
        """Call a function with integers or addresses; what it returns (r0). Raises Fault.

        Variables are as `write` and earlier calls left them: those with a value are set by `run` only.
        """
        r = self._registers
        first = (r.UC_ARM_REG_R0, r.UC_ARM_REG_R1, r.UC_ARM_REG_R2, r.UC_ARM_REG_R3)
        words = [value & 0xFFFFFFFF for value in arguments]
        for register, word in zip(first, words, strict=False):
            self._core.reg_write(register, word)
        on_stack = struct.pack(f"<{len(words[4:])}I", *words[4:])
        stack = (self.symbols["board_stack_end"].address - len(on_stack)) & ~7
        self._clear()
        self.write(stack, on_stack)
        self._core.reg_write(r.UC_ARM_REG_LR, _RETURN | 1)
        self._go(self._address(function), stack, LIMIT)
        return int(self._core.reg_read(r.UC_ARM_REG_R0))

    def read(self, address: int, count: int) -> bytes:
        """Bytes of the device's memory."""
        return bytes(self._core.mem_read(address, count))

    def write(self, address: int, data: bytes) -> None:
        """Set bytes of the device's memory."""
        self._core.mem_write(address, data)

    @property
    def free(self) -> int:
        """The first address of RAM behind the program's variables."""
        return self.symbols["board_zero_end"].address

    @property
    def stack_bytes(self) -> int:
        """How deep the stack was in the last run or call."""
        start, end = (self.symbols[f"board_stack_{name}"].address for name in ("start", "end"))
        return len(self.read(start, end - start).lstrip(_PAINT))

    def _load(self, elf: Path) -> None:
        from elftools.elf.elffile import ELFFile

        with elf.open("rb") as file:
            for segment in ELFFile(file).iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    self.write(segment["p_paddr"], segment.data())

    def _clear(self) -> None:
        self.instructions = 0
        self._output = ""
        self._marks: list[tuple[int, int]] = []
        self._exit_code: int | None = None
        self._fault: str | None = None
        start, end = (self.symbols[f"board_stack_{name}"].address for name in ("start", "end"))
        self.write(start, _PAINT * (end - start))

    def _go(self, start: int, stack: int, limit: float) -> None:
        self._core.reg_write(self._registers.UC_ARM_REG_SP, stack)
        watchdog = threading.Timer(limit, self._stop, [f"no end after {limit:g} s"])  # unicorn's own polls all the time
        watchdog.start()
        try:
            self._core.emu_start(start | 1, _RETURN)
        except self._error as error:
            self._fault = self._fault or str(error)
        finally:
            watchdog.cancel()
        if self._fault is not None:
            at = int(self._core.reg_read(self._registers.UC_ARM_REG_PC))
            raise Fault(f"{self._fault} by the instruction at 0x{at:08x} in {self._function_at(at)}", RUN_FAILED)

    def _stop(self, fault: str) -> None:
        self._fault = fault
        self._core.emu_stop()

    def _on_block(self, core: Any, address: int, size: int, _: object) -> None:
        if address == self._mark:
            self._marks.append((int(core.reg_read(self._registers.UC_ARM_REG_R0)), self.instructions))
        cost = self._costs.get((address, size))
        if cost is None:
            cost = self._costs[address, size] = _instructions_in(self.read(address, size))
        self.instructions += cost

    def _on_interrupt(self, core: Any, number: int, _: object) -> None:
        r = self._registers
        at, operation, argument = (int(core.reg_read(k)) for k in (r.UC_ARM_REG_PC, r.UC_ARM_REG_R0, r.UC_ARM_REG_R1))
        if self.read(at, 2) != _BREAKPOINT_AB or operation not in (_WRITE0, _EXIT):
            self._stop(f"exception {number}")
        elif operation == _EXIT:
            self._exit_code = int(argument != _EXITED_WELL)
            core.emu_stop()
        else:
            self._output += self._text(argument)
            core.reg_write(r.UC_ARM_REG_PC, (at + 2) | 1)

    def _on_invalid(self, _core: object, _access: int, address: int, size: int, _value: int, _data: object) -> bool:
        self._fault = f"access to {size} bytes at 0x{address:08x}"
        return False

    def _text(self, address: int) -> str:
        text = bytearray()
        while (byte := self.read(address + len(text), 1)) != b"\0":
            text += byte
        return text.decode()

    def _address(self, name: str) -> int:
        return self.symbols[name].address & ~1

    def _function_at(self, address: int) -> str:
        for name, symbol in self.symbols.items():
            if symbol.is_function and symbol.address & ~1 <= address < (symbol.address & ~1) + symbol.bytes:
                return name
        return "no function"


def run_in_qemu(elf: Path, seconds: float = 60) -> tuple[str, int]:
    """What an image prints in qemu-system-arm, and its exit status. Raises UserError where it hangs, or without qemu.

    The machine (netduinoplus2) has the same flash and 192 KB of RAM at the same addresses.
    """
    if shutil.which("qemu-system-arm") is None:
        raise UserError("qemu-system-arm is not installed", RUN_FAILED)
    semihosting = ("-semihosting-config", "enable=on,target=native")
    command = ["qemu-system-arm", "-M", "netduinoplus2", "-nographic", "-monitor", "none", *semihosting]
    try:
        done = subprocess.run([*command, "-kernel", str(elf)], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise UserError(f"qemu-system-arm: no exit within {seconds:g} s", RUN_FAILED) from None
    return done.stderr, done.returncode


def _instructions_in(code: bytes) -> int:
    """Thumb instructions are 2 bytes, or 4 where the first half-word is 0xe800 or more."""
    count = at = 0
    while at < len(code):
        at += 4 if code[at + 1] >= 0xE8 else 2
        count += 1
    return count
