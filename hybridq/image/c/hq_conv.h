/* What the convolutions of all widths share: the strip, and with 8- and 4-bit weights the loop over a row. */
#ifndef HQ_CONV_H
#define HQ_CONV_H

#include "hq_arithmetic.h"

static inline uint32_t hq_column(const hq_conv *layer)
{
    return HQ_ROUND4((uint32_t)layer->window_rows * layer->inputs);
}

/* Which columns of a strip lie inside the row: from first to end; the strip's first is column `left` of the row. */
typedef struct {
    uint32_t first, end;
    int32_t left;
} hq_inside;

static inline hq_inside hq_columns_inside(const hq_conv *layer, uint32_t out_column, uint32_t span)
{
    const int32_t left = (int32_t)(out_column * layer->stride) - layer->pad_left, right = layer->columns - left;
    const uint32_t first = left < 0 ? (uint32_t)-left : 0, end = right < 0 ? 0 : (uint32_t)right;
    return (hq_inside){first, end < span ? end : span, left};
}

/* 2 outputs at 2 positions: x0 to end and x1 on, against one pair of rows of weights; out: both positions of the first
 * output, then of the second. */
typedef void hq_dot_pair(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end,
                         int32_t sums[4]);

/* One row of the output. A pair of rows of weights takes so many words. */
void hq_conv_pairs_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_dot_pair *dot, uint32_t words_per_pair);

#if HQ_DSP

/* An hq_dot_pair in assembly, as compilers spill there: weights in r0, x0 in r1, x1 in r2, the end in r3. */
#define HQ_DOT_PAIR(name)                                                                    \
    __attribute__((naked)) static void name(__attribute__((unused)) const uint32_t *weights, \
                                            __attribute__((unused)) const int16_t *x0,       \
                                            __attribute__((unused)) const int16_t *x1,       \
                                            __attribute__((unused)) const int16_t *end,      \
                                            __attribute__((unused)) int32_t sums[4])

/* 16 MACC: the 4 weights of two outputs, bytes in r8 and r9, with 4 inputs of x0, which are in r12 and lr, and of x1.
 * The sums are r4 and r5 for the first output, r6 and r7 for the second. */
#define HQ_DOT_4                 \
    "sxtb16 r10, r8\n"           \
    "sxtb16 r8, r8, ror #8\n"    \
    "sxtb16 r11, r9\n"           \
    "sxtb16 r9, r9, ror #8\n"    \
    "smlad  r4, r10, r12, r4\n"  \
    "smlad  r6, r11, r12, r6\n"  \
    "smlad  r4, r8, lr, r4\n"    \
    "smlad  r6, r9, lr, r6\n"    \
    "ldrd   r12, lr, [r2], #8\n" \
    "smlad  r5, r10, r12, r5\n"  \
    "smlad  r7, r11, r12, r7\n"  \
    "smlad  r5, r8, lr, r5\n"    \
    "smlad  r7, r9, lr, r7\n"

#endif

#endif
