/* A convolution with 8-bit weights. */
#include "hq_conv.h"

#if HQ_DSP

/* 16 MACC in 15 instructions. */
#define STEP                     \
    "ldrd   r8, r9, [r0], #8\n"  \
    "ldrd   r12, lr, [r1], #8\n" \
    HQ_DOT_4

HQ_DOT_PAIR(dot)
{
    __asm__("push   {r4-r11, lr}\n"
            "sub    r12, r3, r1\n"
            "mov    r4, #0\n"
            "mov    r5, r4\n"
            "mov    r6, r4\n"
            "mov    r7, r4\n"
            "lsls   r12, r12, #29\n" /* an odd number of steps: the carry is bit 3 */
            "bcs    2f\n"
            "1:\n" STEP "2:\n" STEP "cmp    r1, r3\n"
            "bne    1b\n"
            "ldr    r0, [sp, #36]\n"
            "stm    r0, {r4-r7}\n"
            "pop    {r4-r11, pc}\n");
}

#else

static void dot(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end, int32_t sums[4])
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (; x0 != end; x0 += 4, x1 += 4, weights += 2) {
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t first = hq_byte(weights[0], i), second = hq_byte(weights[1], i);
            sums[0] += first * x0[i];
            sums[1] += first * x1[i];
            sums[2] += second * x0[i];
            sums[3] += second * x1[i];
        }
    }
}

#endif

void hq_conv_s8_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    hq_conv_pairs_row(layer, rows, out, scratch, dot, layer->window_columns * hq_column(layer) / 2);
}
