/* Start-up for the STM32L496 (Cortex-M4F). No vendor code and no libc; what a compiler may call is in memory.c. */
#include <stddef.h>
#include <stdint.h>

#include "board.h"

/* From stm32l496.ld. */
extern uint32_t board_stack_end[]; /* a multiple of 8 */
extern uint32_t board_data_image[], board_data_start[], board_data_end[];
extern uint32_t board_zero_start[], board_zero_end[];

#ifndef BOARD_STACK_BYTES
#define BOARD_STACK_BYTES 2048
#endif
__attribute__((section(".bss.board_stack"), used, aligned(8))) static uint8_t stack[BOARD_STACK_BYTES];

int main(void);
void board_reset(void);

static void hang(void)
{
    for (;;) {
    }
}

#define HANG4 hang, hang, hang, hang
#define HANG16 HANG4, HANG4, HANG4, HANG4
/* The stack, the reset, 14 exceptions of the core, 91 interrupts of the device. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[1 + 14 + 91])(void);
} vectors = {board_stack_end,
             {board_reset, HANG16, HANG16, HANG16, HANG16, HANG16, HANG16, HANG4, HANG4, hang}};

void board_reset(void)
{
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: the floating-point unit may be used */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    const uint32_t *from = board_data_image;
    for (uint32_t *to = board_data_start; to != board_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = board_zero_start; to != board_zero_end; to++) {
        *to = 0;
    }
    board_exit(main());
    hang();
}
