/* The test bench's side of the emulator. Arm: Semihosting for AArch32 and AArch64. */
#include "board.h"

enum { SYS_WRITE0 = 0x04, SYS_EXIT = 0x18, STOPPED_BY_ERROR = 0x20023, STOPPED_BY_EXIT = 0x20026 };

static void semihosting(uint32_t operation, uint32_t argument)
{
    __asm__ volatile("mov r0, %0\n\tmov r1, %1\n\tbkpt 0xab" ::"r"(operation), "r"(argument) : "r0", "r1", "memory");
}

void board_print(const char *text)
{
    semihosting(SYS_WRITE0, (uint32_t)(uintptr_t)text);
}

void board_print_number(int32_t number)
{
    char digits[12], *first = digits + sizeof digits - 1;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    *first = 0;
    do {
        *--first = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *--first = '-';
    }
    board_print(first);
}

void board_exit(int code)
{
    semihosting(SYS_EXIT, code == 0 ? STOPPED_BY_EXIT : STOPPED_BY_ERROR);
}

__attribute__((noinline)) void board_mark(uint32_t id)
{
    __asm__ volatile("" ::"r"(id) : "memory");
}
