/* Sums over the inputs whose bit is set. */
#include "hq_bits.h"

#if HQ_DSP

/* The next bit of each byte to the GE flags, the bytes of r12 whose flag is set, their sum: 4 MACC in 3 instructions.
 * Compilers do not know that UADD8's result and its flags belong together, so nothing of it is left to them. */
#define ROW(word, sum)                      \
    "uadd8  " word ", " word ", " word "\n" \
    "sel    lr, r12, r3\n"                  \
    "usada8 " sum ", lr, r3, " sum "\n"
#define STEP                         \
    "ldr    r12, [r1], #4\n"         \
    "eor    r12, r12, #0x80808080\n" \
    ROW("r8", "r4") ROW("r9", "r5") ROW("r10", "r6") ROW("r11", "r7")

__attribute__((naked)) void hq_bit_sums(__attribute__((unused)) const uint32_t *weights,
                                        __attribute__((unused)) const int8_t *x,
                                        __attribute__((unused)) uint32_t quads,
                                        __attribute__((unused)) uint32_t sums[4])
{
    __asm__("push   {r2-r11, lr}\n"
            "mov    r3, #0\n"
            "mov    r4, r3\n"
            "mov    r5, r3\n"
            "mov    r6, r3\n"
            "mov    r7, r3\n"
            "lsrs   r2, r2, #3\n"
            "beq    2f\n"
            "add    r2, r1, r2, lsl #5\n"
            "1:\n"
            "ldm    r0!, {r8-r11}\n" STEP STEP STEP STEP STEP STEP STEP STEP "cmp    r1, r2\n"
            "bne    1b\n"
            "2:\n"
            "ldr    r2, [sp]\n"
            "ands   r2, r2, #7\n"
            "beq    4f\n"
            "ldm    r0, {r8-r11}\n"
            "3:\n" STEP "subs   r2, r2, #1\n"
            "bne    3b\n"
            "4:\n"
            "ldr    r0, [sp, #4]\n"
            "stm    r0, {r4-r7}\n"
            "pop    {r2-r11, pc}\n");
}

#else

void hq_bit_sums(const uint32_t *weights, const int8_t *x, uint32_t quads, uint32_t sums[4])
{
    for (uint32_t row = 0; row < 4; row++) {
        sums[row] = 0;
        for (uint32_t t = 0; t < quads; t++) {
            const uint32_t word = weights[t / 8 * 4 + row] >> (7 - t % 8);
            for (uint32_t i = 0; i < 4; i++) {
                if (word >> (8 * i) & 1) { /* not read where the bit is clear: there may be no input */
                    sums[row] += (uint32_t)(x[4 * t + i] + 128);
                }
            }
        }
    }
}

#endif

uint32_t hq_sum_of(const int8_t *x, uint32_t count)
{
    uint32_t sum = 0, k = 0;
#if HQ_DSP
    for (; k + 4 <= count; k += 4) {
        sum = __usada8(hq_word(x + k) ^ 0x80808080u, 0, sum);
    }
#endif
    for (; k < count; k++) {
        sum += (uint32_t)(x[k] + 128);
    }
    return sum;
}

uint32_t hq_binary_outputs(const uint32_t *weights, const int8_t *x, uint32_t quads, uint32_t all, int32_t outputs[4])
{
    uint32_t sums[4];
    hq_bit_sums(weights, x, quads, sums);
    for (uint32_t o = 0; o < 4; o++) {
        outputs[o] = (int32_t)(2 * sums[o] - all);
    }
    return 4;
}

/* A weight is 2 a + b, of binary a and b. */
uint32_t hq_4_level_outputs(const uint32_t *weights, const int8_t *x, uint32_t quads, uint32_t all, int32_t outputs[4])
{
    uint32_t sums[4];
    hq_bit_sums(weights, x, quads, sums);
    outputs[0] = (int32_t)(4 * sums[0] + 2 * sums[1] - 3 * all);
    outputs[1] = (int32_t)(4 * sums[2] + 2 * sums[3] - 3 * all);
    return 2;
}

uint32_t hq_ternary_outputs(const uint32_t *weights, const int8_t *x, uint32_t quads, uint32_t all, int32_t outputs[4])
{
    uint32_t sums[4];
    (void)all;
    hq_bit_sums(weights, x, quads, sums);
    outputs[0] = (int32_t)(sums[0] - sums[1]);
    outputs[1] = (int32_t)(sums[2] - sums[3]);
    return 2;
}
