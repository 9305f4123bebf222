"""C compilers: for this machine, and for the Cortex-M4F; and what the linker made of the code.

For the Cortex-M4F either zig's clang from PyPI (`pip install hybridq[deploy]`) or gcc (`arm-none-eabi-gcc`) will do.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridq.backend.startup import sealed
from hybridq.errors import ENVIRONMENT, UserError

SOURCES = Path(__file__).parent / "c"
BOARD = SOURCES / "board"
LINKER_SCRIPT = BOARD / "stm32l496.ld"
STACK_BYTES = 2048  # a multiple of 8

_COMMON = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror")
_ZIG = (sys.executable, "-m", "ziglang", "cc")
_BARE = ("-g", "-ffreestanding", "-fno-common", "-ffunction-sections", "-fdata-sections")


@dataclass(frozen=True)
class Compiler:
    """A command that compiles and links C, with what it needs for its target."""

    name: str
    command: tuple[str, ...]

    def build(self, sources: Sequence[Path], output: Path, flags: Sequence[str] = ()) -> Path:
        """Compile and link the C files to `output`. Raises UserError with the first error of the compiler."""
        command = [*self.command, *_COMMON, f"-I{SOURCES}", f"-I{BOARD}", *flags, *map(str, sources), "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, env=sealed())  # zig is a Python module
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            first = next((line for line in lines if "error" in line or "overflowed" in line), lines[-1])
            raise UserError(f"{self.name}: {first}")
        return output


def require_emulator() -> None:
    """Raise UserError where the packages that read and run images are not installed."""
    missing = [name for name in ("elftools", "unicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"verify needs {' and '.join(missing)}: pip install hybridq[deploy]", ENVIRONMENT)


def host() -> Compiler | None:
    """A compiler for this machine, or None."""
    for name in ("gcc", "clang", "cc"):
        if shutil.which(name):
            return Compiler(name, (name,))
    return Compiler("zig", _ZIG) if _has_zig() else None


def cortex_m4() -> dict[str, Compiler]:
    """The compilers for the Cortex-M4F that are installed, by name: zig, gcc. The hot loops are assembly, so that each
    has the level at which its code is small: clang unrolls at -O2, gcc does not.
    """
    compilers = {}
    if _has_zig():
        target = "-target thumb-freestanding-eabihf -mcpu=cortex_m4+vfp4d16sp -Os"
        compilers["zig"] = Compiler("zig", (*_ZIG, *target.split(), *_BARE))
    if shutil.which("arm-none-eabi-gcc"):
        target = "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -O2"
        compilers["gcc"] = Compiler("gcc", ("arm-none-eabi-gcc", *target.split(), *_BARE))
    return compilers


def a_cortex_m4_compiler(name: str | None = None) -> Compiler:
    """The compiler of that name, or the first that is installed. Raises UserError where there is none."""
    installed = cortex_m4()
    if name is None and installed:
        return next(iter(installed.values()))
    if name not in installed:
        wanted = "no compiler for the Cortex-M4" if name is None else f"no Cortex-M4 compiler {name!r}"
        raise UserError(f"{wanted}: pip install hybridq[deploy], or install arm-none-eabi-gcc", ENVIRONMENT)
    return installed[name]


def build_image(
    compiler: Compiler,
    sources: Sequence[Path],
    output: Path,
    flags: Sequence[str] = (),
    stack_bytes: int = STACK_BYTES,
) -> Path:
    """An ELF for the STM32L496 from C files that define `main`: start-up added, what nothing refers to left out."""
    link = ("-nostdlib", f"-Wl,-T,{LINKER_SCRIPT}", "-Wl,--gc-sections")
    every = [*sources, *sorted(BOARD.glob("*.c"))]
    return compiler.build(every, output, (f"-DBOARD_STACK_BYTES={stack_bytes}", *flags, *link))


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image, as linked: in flash and in RAM; `initialized` variables take both."""

    code: int
    constants: int
    initialized: int
    zeroed: int
    stack: int

    @property
    def flash(self) -> int:
        """What the image takes of flash."""
        return self.code + self.constants + self.initialized

    @property
    def ram(self) -> int:
        """What the image takes of RAM, the room for the stack included."""
        return self.initialized + self.zeroed + self.stack


def sizes(elf: Path) -> Sizes:
    """The sizes of the sections of an image."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        image = ELFFile(file)
        sections = [image.get_section_by_name(name) for name in (".text", ".rodata", ".data", ".bss", ".stack")]
    return Sizes(*(0 if section is None else int(section["sh_size"]) for section in sections))


@dataclass(frozen=True)
class Symbol:
    """A function or a variable: its address, and its bytes."""

    address: int
    bytes: int
    is_function: bool


def symbols(elf: Path) -> dict[str, Symbol]:
    """All functions, variables and marks of the linker script by name. Of static ones of one name the last is given."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {
            symbol.name: Symbol(symbol["st_value"], symbol["st_size"], symbol["st_info"]["type"] == "STT_FUNC")
            for symbol in table.iter_symbols()
            if symbol.name and not symbol.name.startswith("$")
        }


def _has_zig() -> bool:
    return importlib.util.find_spec("ziglang") is not None
