/* What a test bench needs of the emulator. Text and the exit travel by semihosting, which qemu-system-arm and debug
 * probes know too; without a debugger attached a real chip stops at the first of these calls. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void board_print(const char *text);
void board_print_number(int32_t number);
void board_exit(int code);

/* hybridq/image/emulator.py counts the instructions from one mark to the next. */
void board_mark(uint32_t id);

#endif
