/* What the dense layers with 8- and 4-bit weights share. */
#ifndef HQ_DENSE_H
#define HQ_DENSE_H

#include "hq_arithmetic.h"

/* 4 outputs: the inputs from x to the end, a multiple of 4, against two pairs of rows of weights. */
typedef void hq_dot_four(const uint32_t *first, const uint32_t *second, const int8_t *x, const int8_t *end,
                         int32_t sums[4]);

/* The sums of all outputs. A pair of rows takes so many words for each 4 inputs. */
void hq_dense_fours(const hq_dense *layer, const int8_t *x, int32_t *sums, hq_dot_four *dot, uint32_t words);

#if HQ_DSP

/* An hq_dot_four in assembly, as compilers spill there: the pairs in r0 and r1, x in r2, the end in r3, the sums in r4
 * to r7, the inputs in r12 and lr, 0xf0f0f0f0 in r11. LOAD(pair) brings the 4 weights of two outputs to r8 and r9. */
#define HQ_DOT_FOUR(name, LOAD)                                                             \
    __attribute__((naked)) static void name(__attribute__((unused)) const uint32_t *first,  \
                                            __attribute__((unused)) const uint32_t *second, \
                                            __attribute__((unused)) const int8_t *x,        \
                                            __attribute__((unused)) const int8_t *end,      \
                                            __attribute__((unused)) int32_t sums[4])        \
    {                                                                                       \
        __asm__("push   {r4-r11, lr}\n"                                                     \
                "mov    r11, #0xf0f0f0f0\n"                                                 \
                "mov    r4, #0\n"                                                           \
                "mov    r5, r4\n"                                                           \
                "mov    r6, r4\n"                                                           \
                "mov    r7, r4\n"                                                           \
                "1:\n"                                                                      \
                "ldr    r12, [r2], #4\n"                                                    \
                "sxtb16 lr, r12, ror #8\n"                                                  \
                "sxtb16 r12, r12\n"                                                         \
                LOAD("r0") HQ_DOT_ONE("r8", "r4") HQ_DOT_ONE("r9", "r5")                    \
                LOAD("r1") HQ_DOT_ONE("r8", "r6") HQ_DOT_ONE("r9", "r7")                    \
                "cmp    r2, r3\n"                                                           \
                "bne    1b\n"                                                               \
                "ldr    r0, [sp, #36]\n"                                                    \
                "stm    r0, {r4-r7}\n"                                                      \
                "pop    {r4-r11, pc}\n");                                                   \
    }
#define HQ_DOT_ONE(weights, sum)          \
    "sxtb16 r10, " weights "\n"           \
    "smlad  " sum ", r10, r12, " sum "\n" \
    "sxtb16 r10, " weights ", ror #8\n"   \
    "smlad  " sum ", r10, lr, " sum "\n"

#else

/* 4 weights with 4 inputs. */
static inline int32_t hq_dot_word(uint32_t weights, const int8_t *x)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < 4; i++) {
        sum += hq_byte(weights, i) * x[i];
    }
    return sum;
}

#endif

#endif
