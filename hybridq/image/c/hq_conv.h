/* What the convolutions of all widths share: the strip, and with 8- and 4-bit weights the loop over a row. */
#ifndef HQ_CONV_H
#define HQ_CONV_H

#include "hq_arithmetic.h"

static inline uint32_t hq_column(const hq_conv *layer)
{
    return HQ_ROUND4((uint32_t)layer->window_rows * layer->inputs);
}

/* Of a window, with 8- and 4-bit weights. */
static inline uint32_t hq_length(const hq_conv *layer)
{
    return HQ_ROUND4((uint32_t)layer->window_rows * layer->window_columns * layer->inputs);
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

#if HQ_DSP

/* In assembly: a result within int8, within its part above 0, or between registers. */
#define HQ_SIGNED(v) "ssat   " v ", #8, " v "\n"
#define HQ_POSITIVE(v) "usat   " v ", #7, " v "\n"
#define HQ_WITHIN(v, low, high)     \
    "cmp    " v ", " low "\n"       \
    "it     lt\n"                   \
    "movlt  " v ", " low "\n"       \
    "cmp    " v ", " high "\n"      \
    "it     gt\n"                   \
    "movgt  " v ", " high "\n"

/* All outputs at two places, or at the first of them: where their windows begin, from what their sums start (less the
 * sum of the even inputs), where the outputs go; and what is the same for all. HQ_PLACES counts on the order. */
typedef struct {
    const int16_t *x0, *x1;
    int32_t less0, less1;
    int8_t *out0, *out1;
    int32_t zero, low, high;
    const int16_t *end; /* of the window at x0 */
    uint32_t entry;     /* 0 before the first call of a function */
} hq_places;
typedef void hq_outputs_at(hq_places *places, const uint32_t *weights);

/* One row of the output: the windows are those of a strip, or each is made by itself (packing.is_each). */
void hq_conv_strip_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_outputs_at *two, hq_outputs_at *one);
void hq_conv_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *windows,
                      hq_outputs_at *two, hq_outputs_at *one);

/* An hq_outputs_at in assembly, as compilers spill there; the outputs two by two. Weights and what is with them
 * (hybridq/image/channels.py) are in r0, the windows in r1 and r2. The sums are r4 and r5 for the first output, r6 and r7
 * for the second; of one place r4 and r6. On the stack are the places.
 *
 * ONCE sets r3. START: r1 to r7. STEP: 4 inputs; the loop is entered where their number wants it. NEXT compares r1 with the
 * end. FINISH ends the sums, OUT scales and stores them; then the carry says whether it was the last. */
#define HQ_PLACES(name, ONCE, START, STEP, NEXT, FINISH, OUT)                                   \
    __attribute__((naked)) static void name(IN(hq_places *places), IN(const uint32_t *weights)) \
    {                                                                                           \
        __asm__("push   {r4-r11, lr}\n"                                                         \
                "ldm    r0, {r2-r12}\n"                                                         \
                "cmp    r12, #0\n"                                                              \
                "beq    7f\n"                                                                   \
                "0:\n"                                                                          \
                "push   {r2-r12}\n"                                                             \
                "mov    r0, r1\n" ONCE                                                          \
                "1:\n" START                                                                    \
                "ldr    pc, [sp, #40]\n"                                                        \
                "2:\n" STEP "3:\n" STEP "4:\n" STEP "5:\n" STEP NEXT                            \
                "bne    2b\n" FINISH                                                            \
                "ldrd   r10, r11, [r0], #8\n" /* multipliers */                                 \
                "ldr    r9, [r0], #4\n"       /* shifts, and what ends the loop */              \
                "ldrd   lr, r12, [sp, #24]\n" /* zero point and low */                          \
                HQ_SHIFTS OUT                                                                   \
                "bcc    1b\n"                                                                   \
                "add    sp, sp, #44\n"                                                          \
                "pop    {r4-r11, pc}\n"                                                         \
                "7:\n"                                                                          \
                "sub    lr, r11, r2\n" /* bytes of the window, 8 a step */                      \
                "ubfx   lr, lr, #3, #2\n"                                                       \
                "adr    r12, 9f\n"                                                              \
                "ldr    lr, [r12, lr, lsl #2]\n"                                                \
                "add    r12, r12, lr\n"                                                         \
                "str    r12, [r0, #40]\n"                                                       \
                "b      0b\n"                                                                   \
                ".balign 4\n"                                                                   \
                "9:\n"                                                                          \
                ".word  2b - 9b + 1, 5b - 9b + 1, 4b - 9b + 1, 3b - 9b + 1\n");                 \
    }

/* The shifts are in r9 or r1, and in r2. A shift by a register takes its lowest byte. */
#if HQ_SHIFTED
#define HQ_SHIFTS "lsr    r2, r9, #8\n"
#define HQ_FIRST(v, by) HQ_SCALED(v, by, "r9", "lr")
#else
#define HQ_SHIFTS "uxtb   r1, r9\nubfx   r2, r9, #8, #8\n"
#define HQ_FIRST(v, by) HQ_SCALED(v, by, "r1", "lr")
#endif
#define HQ_SECOND(v, by) HQ_SCALED(v, by, "r2", "lr")

/* Results between low, in r12, and high. */
#if HQ_BOUNDS == 1
#define HQ_BETWEEN(EACH) EACH(HQ_SIGNED)
#elif HQ_BOUNDS == 3
#define HQ_BETWEEN(EACH) EACH(HQ_POSITIVE)
#elif HQ_BOUNDS == 2
#define HQ_BETWEEN(EACH)                           \
    "cmp    r12, #0\n"                             \
    "bne    6f\n" EACH(HQ_POSITIVE) "b      8f\n"  \
    "6:\n" EACH(HQ_SIGNED) "8:\n"
#else
#define HQ_BETWEEN(EACH) "ldr    r8, [sp, #32]\n" EACH(HQ_IN_R12_R8)
#define HQ_IN_R12_R8(v) HQ_WITHIN(v, "r12", "r8")
#endif

/* The last of an odd number of outputs has none beside it: the sign of r1 then. */
#define HQ_TWO(OF) OF("r4") OF("r5") OF("r6") OF("r7")
#define HQ_TWO_OUT                                                                                             \
    HQ_FIRST("r4", "r10") HQ_FIRST("r5", "r10") HQ_SECOND("r6", "r11") HQ_SECOND("r7", "r11") HQ_BETWEEN(HQ_TWO) \
    "lsls   r1, r9, #1\n"                                                                                      \
    "ldrd   r8, r9, [sp, #16]\n"                                                                               \
    "strb   r4, [r8], #1\n"                                                                                    \
    "strb   r5, [r9], #1\n"                                                                                    \
    "itt    pl\n"                                                                                              \
    "strbpl r6, [r8], #1\n"                                                                                    \
    "strbpl r7, [r9], #1\n"                                                                                    \
    "strd   r8, r9, [sp, #16]\n"
#define HQ_ONE(OF) OF("r4") OF("r6")
#define HQ_ONE_OUT                                                             \
    HQ_FIRST("r4", "r10") HQ_SECOND("r6", "r11") HQ_BETWEEN(HQ_ONE)            \
    "lsls   r1, r9, #1\n"                                                      \
    "ldr    r8, [sp, #16]\n"                                                   \
    "strb   r4, [r8], #1\n"                                                    \
    "it     pl\n"                                                              \
    "strbpl r6, [r8], #1\n"                                                    \
    "str    r8, [sp, #16]\n"

/* 4 inputs of a place: weights of two outputs are in r8 and r9, and after HQ_FIRST_PLACE the odd ones in r10 and r11. */
#define HQ_FOUR(sum, first, odd)                           \
    "smlad  " sum ", " first ", r12, " sum "\n"            \
    "smlad  " sum ", " odd ", lr, " sum "\n"
#define HQ_FIRST_PLACE                                     \
    "sxtb16 r10, r8, ror #8\n"                             \
    "sxtb16 r11, r9, ror #8\n"                             \
    HQ_FOUR("r4", "r8", "r10") HQ_FOUR("r6", "r9", "r11")
#define HQ_SECOND_PLACE                                    \
    "ldrd   r12, lr, [r2], #8\n"                           \
    HQ_FOUR("r5", "r8", "r10") HQ_FOUR("r7", "r9", "r11")

#else

/* 2 outputs at 2 places: x0 to end and x1 on, against one pair of rows of weights; out: both places of the first
 * output, then of the second. */
typedef void hq_dot_pair(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end,
                         int32_t sums[4]);

/* How the weights of a pair of rows lie: so many words for 4 inputs, the biases before or behind them. */
typedef struct {
    hq_dot_pair *dot;
    uint32_t words, biases_first;
} hq_pairs;

void hq_conv_strip_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip, hq_pairs pairs);
void hq_conv_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *windows, hq_pairs pairs);

#endif

#endif
