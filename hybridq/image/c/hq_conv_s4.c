/* A convolution with 4-bit weights. A byte is 16 b + a, the weights a and b of two outputs for one input. Its sum with
 * the inputs is 16 B + A; that of its lower nibble, moved up, 16 A. */
#include "hq_conv.h"

#if HQ_DSP

/* 16 MACC in 16 instructions: 16 b + a in r8, 16 a in r9 by the mask in r3. */
#define STEP                      \
    "ldr    r8, [r0], #4\n"       \
    "ldrd   r12, lr, [r1], #8\n"  \
    "and    r9, r3, r8, lsl #4\n" \
    HQ_DOT_4

HQ_DOT_PAIR(dot)
{
    __asm__("push   {r3-r11, lr}\n"
            "sub    r12, r3, r1\n"
            "mov    r3, #0xf0f0f0f0\n"
            "mov    r4, #0\n"
            "mov    r5, r4\n"
            "mov    r6, r4\n"
            "mov    r7, r4\n"
            "lsls   r12, r12, #29\n" /* an odd number of steps: the carry is bit 3 */
            "bcs    2f\n"
            "1:\n" STEP "2:\n" STEP "ldr    r12, [sp]\n" /* the end: no register is left for it */
            "cmp    r1, r12\n"
            "bne    1b\n"
            "asr    r8, r6, #4\n" /* A */
            "asr    r9, r7, #4\n"
            "sub    r10, r4, r8\n"
            "sub    r11, r5, r9\n"
            "asr    r10, r10, #4\n" /* B */
            "asr    r11, r11, #4\n"
            "ldr    r0, [sp, #40]\n"
            "stm    r0, {r8-r11}\n"
            "pop    {r3-r11, pc}\n");
}

#else

static void dot(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end, int32_t sums[4])
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (; x0 != end; x0 += 4, x1 += 4, weights++) {
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t both = hq_byte(*weights, i), first = ((both + 8) & 15) - 8, second = (both - first) / 16;
            sums[0] += first * x0[i];
            sums[1] += first * x1[i];
            sums[2] += second * x0[i];
            sums[3] += second * x1[i];
        }
    }
}

#endif

void hq_conv_s4_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    hq_conv_pairs_row(layer, rows, out, scratch, dot, layer->window_columns * hq_column(layer) / 4);
}
