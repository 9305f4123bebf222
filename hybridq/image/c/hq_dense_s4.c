/* A dense layer with 4-bit weights. A byte is 16 b + a, the weights a and b of two outputs: see hq_conv_s4.c. */
#include "hq_dense.h"

#if HQ_DSP

/* 16 MACC in 21 instructions; 0xf0f0f0f0 in r11. */
#define ONCE "mov    r11, #0xf0f0f0f0\n"
#define START                           \
    "lsl    r4, r12, #7\n"              \
    "add    r5, r4, r12, lsl #3\n"      \
    "mov    r6, r4\n"                   \
    "mov    r7, r5\n"
#define PAIR(at, a, b)                  \
    "ldr    r9, [" at "], #4\n"         \
    "and    r8, r11, r9, lsl #4\n"      \
    HQ_DOT_TWO(a, b)
#define STEP                            \
    "ldr    r12, [r2], #4\n"            \
    "rev16  lr, r12\n"                  \
    "sxtb16 r12, r12\n"                 \
    "eor    lr, lr, #0xff00ff00\n"      \
    "eor    lr, lr, #0x00800080\n"      \
    PAIR("r0", "r4", "r5") PAIR("r1", "r6", "r7")
#define FINISH                          \
    "asr    r4, r4, #4\n" /* A */       \
    "sub    r5, r5, r4\n" /* 16 B */    \
    "asr    r5, r5, #4\n"               \
    "asr    r6, r6, #4\n"               \
    "sub    r7, r7, r6\n"               \
    "asr    r7, r7, #4\n"
HQ_DOT_FOURS(dot, ONCE, START, STEP, FINISH)

#else

static void dot(const uint32_t *first, const uint32_t *second, const hq_dots *of)
{
    int32_t *sums = of->sums;
    for (uint32_t count = of->fours; count > 0; count--, sums += 4) {
        sums[0] = sums[1] = sums[2] = sums[3] = of->less;
        for (const int8_t *x = of->x; x != of->end; x += 4, first++, second++) {
            for (uint32_t i = 0; i < 4; i++) {
                const int32_t value = x[i] - 128 * (int32_t)(i & 1), ab = hq_both(*first, i), cd = hq_both(*second, i);
                sums[0] += hq_lower(ab) * value;
                sums[1] += (ab - hq_lower(ab)) / 16 * value;
                sums[2] += hq_lower(cd) * value;
                sums[3] += (cd - hq_lower(cd)) / 16 * value;
            }
        }
        first = second;
        second += of->pair / 4;
    }
}

#endif

void hq_dense_s4(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    hq_dense_fours(layer, x, sums, dot, 1);
}
