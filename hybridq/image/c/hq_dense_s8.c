/* A dense layer with 8-bit weights. */
#include "hq_dense.h"

#if HQ_DSP

/* 16 MACC in 18 instructions; 0xff80ff80 in r11. */
#define START                           \
    "lsl    r4, r12, #7\n"              \
    "mov    r5, r4\n"                   \
    "mov    r6, r4\n"                   \
    "mov    r7, r4\n"
#define ONCE                            \
    "mov    r11, #0xff00ff00\n"         \
    "orr    r11, r11, #0x00800080\n"
#define STEP                            \
    "ldr    r12, [r2], #4\n"            \
    "ldrd   r8, r9, [r0], #8\n"         \
    "rev16  lr, r12\n"                  \
    "sxtb16 r12, r12\n"                 \
    "eor    lr, lr, r11\n"              \
    HQ_DOT_TWO("r4", "r5")              \
    "ldrd   r8, r9, [r1], #8\n"         \
    HQ_DOT_TWO("r6", "r7")
HQ_DOT_FOURS(dot, ONCE, START, STEP, "")

#else

static void dot(const uint32_t *first, const uint32_t *second, const hq_dots *of)
{
    int32_t *sums = of->sums;
    for (uint32_t count = of->fours; count > 0; count--, sums += 4) {
        sums[0] = sums[1] = sums[2] = sums[3] = of->less;
        for (const int8_t *x = of->x; x != of->end; x += 4, first += 2, second += 2) {
            for (uint32_t i = 0; i < 4; i++) {
                const int32_t value = x[i] - 128 * (int32_t)(i & 1);
                sums[0] += hq_weight(first[0], i) * value;
                sums[1] += hq_weight(first[1], i) * value;
                sums[2] += hq_weight(second[0], i) * value;
                sums[3] += hq_weight(second[1], i) * value;
            }
        }
        first = second;
        second += of->pair / 4;
    }
}

#endif

void hq_dense_s8(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    hq_dense_fours(layer, x, sums, dot, 2);
}
