/* A convolution with 4-bit weights. A byte is 16 b + a, the weights a and b of two outputs for one input. Its sum with
 * the inputs is 16 B + A; that of its lower nibble, moved up, 16 A. In an even place a and b have 8 added, so that both
 * bytes are above 0: 136 too much, and 128. */
#include "hq_conv.h"

#if HQ_DSP

/* 16 MACC in 14 instructions: 16 b + a in r8, 16 a in r9 by the mask in r3. */
#define LOAD                            \
    "ldr    r8, [r0], #4\n"             \
    "ldrd   r12, lr, [r1], #8\n"        \
    "and    r9, r3, r8, lsl #4\n"
#define TWO_STEP LOAD HQ_FIRST_PLACE HQ_SECOND_PLACE
#define TWO_START                       \
    "ldm    sp, {r1, r2, r10, r11}\n"   \
    "lsl    r6, r10, #7\n"              \
    "lsl    r7, r11, #7\n"              \
    "add    r4, r6, r10, lsl #3\n"      \
    "add    r5, r7, r11, lsl #3\n"
#define ONCE "mov    r3, #0xf0f0f0f0\n"
#define NEXT                            \
    "ldr    r12, [sp, #36]\n"           \
    "cmp    r1, r12\n"
#define TWO_FINISH                      \
    "ldrd   r1, r2, [r0], #8\n" /* the biases */ \
    "asr    r8, r6, #4\n" /* A */       \
    "asr    r9, r7, #4\n"               \
    "sub    r10, r4, r8\n" /* 16 B */   \
    "sub    r11, r5, r9\n"              \
    "add    r4, r1, r8\n"               \
    "add    r5, r1, r9\n"               \
    "add    r6, r2, r10, asr #4\n"      \
    "add    r7, r2, r11, asr #4\n"
HQ_PLACES(two, ONCE, TWO_START, TWO_STEP, NEXT, TWO_FINISH, HQ_TWO_OUT)

#if HQ_ONE_PLACE
#define ONE_STEP LOAD HQ_FIRST_PLACE
#define ONE_START                       \
    "ldr    r1, [sp]\n"                 \
    "ldr    r10, [sp, #8]\n"            \
    "lsl    r6, r10, #7\n"              \
    "add    r4, r6, r10, lsl #3\n"
#define ONE_FINISH                      \
    "ldrd   r1, r2, [r0], #8\n"         \
    "asr    r8, r6, #4\n"               \
    "sub    r10, r4, r8\n"              \
    "add    r4, r1, r8\n"               \
    "add    r6, r2, r10, asr #4\n"
HQ_PLACES(one, ONCE, ONE_START, ONE_STEP, NEXT, ONE_FINISH, HQ_ONE_OUT)

#define KERNELS two, one
#else
#define KERNELS two, two
#endif

#else

static void dot(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end, int32_t sums[4])
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (; x0 != end; x0 += 4, x1 += 4, weights++) {
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t both = hq_both(*weights, i), first = hq_lower(both), second = (both - first) / 16;
            sums[0] += first * x0[i];
            sums[1] += first * x1[i];
            sums[2] += second * x0[i];
            sums[3] += second * x1[i];
        }
    }
}

#define KERNELS ((hq_pairs){dot, 1, 0})

#endif

void hq_conv_s4_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    hq_conv_strip_row(layer, rows, out, scratch, KERNELS);
}

void hq_conv_s4_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    hq_conv_each_row(layer, rows, out, scratch, KERNELS);
}
