/* A convolution with 8-bit weights. What stands in a strip, and why in an even place a weight has its top bit flipped:
 * see hq_conv.c. */
#include "hq_conv.h"

#if HQ_DSP

/* 16 MACC in 13 instructions. */
#define LOAD                            \
    "ldrd   r8, r9, [r0], #8\n"         \
    "ldrd   r12, lr, [r1], #8\n"
#define TWO_STEP LOAD HQ_FIRST_PLACE HQ_SECOND_PLACE
#define TWO_START                       \
    "ldrd   r4, r6, [r0], #8\n"         \
    "ldm    sp, {r1, r2, r10, r11}\n"   \
    "add    r5, r4, r11, lsl #7\n"      \
    "add    r4, r4, r10, lsl #7\n"      \
    "add    r7, r6, r11, lsl #7\n"      \
    "add    r6, r6, r10, lsl #7\n"
#define ONCE "ldr    r3, [sp, #36]\n"
#define NEXT "cmp    r1, r3\n"
HQ_PLACES(two, ONCE, TWO_START, TWO_STEP, NEXT, "", HQ_TWO_OUT)

#if HQ_ONE_PLACE
#define ONE_STEP LOAD HQ_FIRST_PLACE
#define ONE_START                       \
    "ldrd   r4, r6, [r0], #8\n"         \
    "ldr    r1, [sp]\n"                 \
    "ldr    r10, [sp, #8]\n"            \
    "add    r4, r4, r10, lsl #7\n"      \
    "add    r6, r6, r10, lsl #7\n"
HQ_PLACES(one, ONCE, ONE_START, ONE_STEP, NEXT, "", HQ_ONE_OUT)

#define KERNELS two, one
#else
#define KERNELS two, two
#endif

#else

static void dot(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end, int32_t sums[4])
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (; x0 != end; x0 += 4, x1 += 4, weights += 2) {
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t first = hq_weight(weights[0], i), second = hq_weight(weights[1], i);
            sums[0] += first * x0[i];
            sums[1] += first * x1[i];
            sums[2] += second * x0[i];
            sums[3] += second * x1[i];
        }
    }
}

#define KERNELS ((hq_pairs){dot, 2, 1})

#endif

void hq_conv_s8_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    hq_conv_strip_row(layer, rows, out, scratch, KERNELS);
}

void hq_conv_s8_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    hq_conv_each_row(layer, rows, out, scratch, KERNELS);
}
