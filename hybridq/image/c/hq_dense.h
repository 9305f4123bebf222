/* What the dense layers with 8- and 4-bit weights share. */
#ifndef HQ_DENSE_H
#define HQ_DENSE_H

#include "hq_arithmetic.h"

/* `fours` times 4 outputs: the inputs from x to the end, a multiple of 4, against two pairs of rows of weights, then the
 * two behind these. With SIMD sums start from `less`, less the sum of the even inputs. A pair takes so many bytes. */
typedef struct {
    const int8_t *x, *end;
    int32_t *sums, less;
    uint32_t fours, pair;
} hq_dots;
typedef void hq_dot_fours(const uint32_t *first, const uint32_t *second, const hq_dots *of);

/* The sums of all outputs. A pair of rows takes so many words for each 4 inputs. */
void hq_dense_fours(const hq_dense *layer, const int8_t *x, int32_t *sums, hq_dot_fours *dot, uint32_t words);

#if HQ_DSP

/* An hq_dot_fours in assembly, as compilers spill there: the pairs in r0 and r1, x in r2, the end in r3, the sums in r4
 * to r7. ONCE sets r11, START begins the sums by `less` in r12. STEP: 4 inputs, as hq_conv.c describes. */
#define HQ_DOT_FOURS(name, ONCE, START, STEP, FINISH)                                       \
    __attribute__((naked)) static void name(IN(const uint32_t *first), IN(const uint32_t *second), \
                                            IN(const hq_dots *of))                          \
    {                                                                                       \
        __asm__("push   {r4-r11, lr}\n"                                                     \
                "ldm    r2, {r2-r7}\n"                                                      \
                "mov    r10, r6\n"                                                          \
                "push   {r2, r4, r5, r7}\n" ONCE                                            \
                "1:\n"                                                                      \
                "ldr    r2, [sp]\n"                                                         \
                "ldr    r12, [sp, #8]\n" START                                              \
                "sub    r12, r3, r2\n"                                                      \
                "lsls   r12, r12, #30\n" /* an odd number of steps: the carry is bit 2 */   \
                "bcs    3f\n"                                                               \
                "2:\n" STEP "3:\n" STEP                                                     \
                "cmp    r2, r3\n"                                                           \
                "bne    2b\n" FINISH                                                        \
                "ldr    r12, [sp, #4]\n"                                                    \
                "stm    r12!, {r4-r7}\n"                                                    \
                "str    r12, [sp, #4]\n"                                                    \
                "ldr    r12, [sp, #12]\n"                                                   \
                "mov    r0, r1\n"                                                           \
                "add    r1, r1, r12\n"                                                      \
                "subs   r10, r10, #1\n"                                                     \
                "bne    1b\n"                                                               \
                "add    sp, sp, #16\n"                                                      \
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
