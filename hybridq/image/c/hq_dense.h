/* What the dense layers with 8- and 4-bit weights share. */
#ifndef HQ_DENSE_H
#define HQ_DENSE_H

#include "hq_arithmetic.h"

/* 4 outputs: the inputs from x to the end, a multiple of 4, against two pairs of rows of weights. With SIMD sums start
 * from `less`, less the sum of the even inputs. */
typedef void hq_dot_four(const uint32_t *first, const uint32_t *second, const int8_t *x, const int8_t *end,
                         int32_t sums[4], int32_t less);

/* The sums of all outputs. A pair of rows takes so many words for each 4 inputs. */
void hq_dense_fours(const hq_dense *layer, const int8_t *x, int32_t *sums, hq_dot_four *dot, uint32_t words);

#if HQ_DSP

/* An hq_dot_four in assembly, as compilers spill there: the pairs in r0 and r1, x in r2, the end in r3, the sums in r4
 * to r7. START begins these by `less` in r12. STEP: 4 inputs, as hq_conv.c describes. */
#define HQ_DOT_FOUR(name, START, STEP, FINISH)                                              \
    __attribute__((naked)) static void name(__attribute__((unused)) const uint32_t *first,  \
                                            __attribute__((unused)) const uint32_t *second, \
                                            __attribute__((unused)) const int8_t *x,        \
                                            __attribute__((unused)) const int8_t *end,      \
                                            __attribute__((unused)) int32_t sums[4],        \
                                            __attribute__((unused)) int32_t less)           \
    {                                                                                       \
        __asm__("push   {r4-r11, lr}\n"                                                     \
                "ldr    r12, [sp, #40]\n" START                                             \
                "sub    r12, r3, r2\n"                                                      \
                "lsls   r12, r12, #30\n" /* an odd number of steps: the carry is bit 2 */   \
                "bcs    2f\n"                                                               \
                "1:\n" STEP "2:\n" STEP                                                     \
                "cmp    r2, r3\n"                                                           \
                "bne    1b\n"                                                               \
                "ldr    r0, [sp, #36]\n" FINISH                                             \
                "stm    r0, {r4-r7}\n"                                                      \
                "pop    {r4-r11, pc}\n");                                                   \
    }
/* Two outputs, whose 4 weights are in r8 and r9. */
#define HQ_DOT_TWO(a, b)                    \
    "smlad  " a ", r8, r12, " a "\n"        \
    "sxtb16 r8, r8, ror #8\n"               \
    "smlad  " b ", r9, r12, " b "\n"        \
    "sxtb16 r9, r9, ror #8\n"               \
    "smlad  " a ", r8, lr, " a "\n"         \
    "smlad  " b ", r9, lr, " b "\n"

#endif

#endif
