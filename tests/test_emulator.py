"""Images for the STM32L496 in the emulators: start-up, counts, the stack, and what the device would not allow."""

from pathlib import Path

import pytest

from hybridq.errors import UserError
from hybridq.image import emulator, toolchain

pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")

PROGRAM = """
#include "board.h"
static volatile int value = 5, zeros[100];
const char text[] = "ready ";

__attribute__((naked, used)) void twenty_two(void)
{
    __asm__("mov r0, #10\\n1: subs r0, r0, #1\\nbne 1b\\nbx lr");
}

__attribute__((noinline)) static int deep(volatile uint8_t *buffer)
{
    for (int i = 0; i < 600; i++) {
        buffer[i] = (uint8_t)i;
    }
    return buffer[7];
}

int main(void)
{
    volatile uint8_t buffer[600];
    volatile float half = 0.5f;
    half *= 3.0f;
    twenty_two();
    board_mark(1);
    twenty_two();
    board_mark(2);
    board_print(text);
    board_print_number(-value);
    return deep(buffer) == 7 && zeros[99] == 0 && half == 1.5f ? 0 : 1;
}
"""


@pytest.fixture(params=["zig", "gcc"])
def compiler(request: pytest.FixtureRequest) -> toolchain.Compiler:
    found = toolchain.cortex_m4().get(request.param)
    if found is None:
        pytest.skip(f"{request.param} for the Cortex-M4 is not installed")
    return found


def image(compiler: toolchain.Compiler, folder: Path, program: str) -> Path:
    source = folder / "main.c"
    source.write_text(program)
    return toolchain.build_image(compiler, [source], folder / "image.elf")


def test_a_program_starts_counts_and_exits(compiler: toolchain.Compiler, tmp_path: Path) -> None:
    elf = image(compiler, tmp_path, PROGRAM)
    board = emulator.Board(elf, counting=True)
    for _ in range(2):  # a second run starts as fresh as the first
        run = board.run()
        assert (run.output, run.exit_code) == ("ready -5", 0)
        assert [mark for mark, _ in run.marks] == [1, 2]
        assert 22 < run.between()[1] < 30  # and the calls
        assert 600 < board.stack_bytes < 720
    assert (board.call("twenty_two"), board.instructions) == (0, 22)
    assert board.stack_bytes == 0
    uncounted = emulator.Board(elf)
    assert uncounted.run() == emulator.Finished("ready -5", 0, ())
    assert (uncounted.call("twenty_two"), uncounted.instructions) == (0, 0)
    sizes = toolchain.sizes(elf)
    assert (sizes.initialized, sizes.stack) == (4, toolchain.STACK_BYTES)
    assert sizes.flash == sizes.code + sizes.constants + 4 < 1400
    assert sizes.ram == sizes.stack + 4 + sizes.zeroed
    assert toolchain.symbols(elf)["text"].bytes == 7


@pytest.mark.slow
def test_qemu_sees_the_same(compiler: toolchain.Compiler, tmp_path: Path) -> None:
    elf = image(compiler, tmp_path, PROGRAM)
    try:
        assert emulator.run_in_qemu(elf) == ("ready -5", 0)
    except UserError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))


def test_a_program_that_fails_says_so(compiler: toolchain.Compiler, tmp_path: Path) -> None:
    assert emulator.Board(image(compiler, tmp_path, "int main(void) { return 3; }")).run().exit_code == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("*(volatile int *)0x20050000 = 1;", r"4 bytes at 0x20050000 by the instruction at 0x08\w+ in broken"),
        ("*(volatile int *)0x08000000 = 1;", r"4 bytes at 0x08000000 by .* in broken"),
        ("volatile int unread = *(volatile int *)0x30000000; (void)unread;", "4 bytes at 0x30000000 by .* in broken"),
        ('__asm__ volatile("udf #0");', "in broken"),
        (
            "volatile char big[4000]; for (int i = 0; i < 4000; i++) { big[i] = 1; } (void)big[9];",
            r"bytes at 0x1fff\w+ by",
        ),
    ],
)
def test_what_the_device_would_not_allow(compiler: toolchain.Compiler, tmp_path: Path, body: str, message: str) -> None:
    program = (
        "__attribute__((noinline)) static void broken(volatile char *p)\n{\n    (void)p;\n    %s\n}\n"
        "int main(void)\n{\n    broken(0);\n    return 0;\n}\n"
    )
    board = emulator.Board(image(compiler, tmp_path, program % body))
    with pytest.raises(emulator.Fault, match=message):
        board.run()


@pytest.mark.parametrize("counting", [False, True])
def test_a_program_that_hangs_is_ended(compiler: toolchain.Compiler, tmp_path: Path, counting: bool) -> None:
    elf = image(compiler, tmp_path, "int main(void)\n{\n    for (;;) {\n    }\n}\n")
    board = emulator.Board(elf, counting)
    with pytest.raises(emulator.Fault, match=r"no end after 0.5 s by .* in main"):
        board.run(limit=0.5)


@pytest.mark.parametrize(("kind", "bytes_"), [("const", 1 << 20), ("", 320 << 10)])
def test_what_does_not_fit_is_said_by_how_much(
    compiler: toolchain.Compiler, tmp_path: Path, kind: str, bytes_: int
) -> None:
    program = f"{kind} volatile char big[{bytes_}];\nint main(void)\n{{\n    return big[1];\n}}\n"
    with pytest.raises(UserError, match=r"overflowed by \d+ bytes"):
        image(compiler, tmp_path, program)


def test_a_compiler_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"no Cortex-M4 compiler 'armcc': pip install hybridq\[deploy\]"):
        toolchain.a_cortex_m4_compiler("armcc")
