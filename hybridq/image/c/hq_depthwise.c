/* A depthwise convolution.
 *
 * Where there is SIMD, 4 channels at a time: a strip of the input is widened to int16, of each column and channel pairs
 * of rows in a word, so that the window of an output is words that lie a fixed distance apart. */
#include "hq_conv.h"

enum { CHANNELS = 4 }; /* at a time */

static inline int32_t weight_of(const hq_conv *layer, uint32_t channel, uint32_t row, uint32_t column)
{
    const uint32_t rows = layer->window_rows, columns = layer->window_columns;
    return ((const int8_t *)layer->weights)[channel * rows * columns + hq_tap(rows, columns, row, column)];
}

static int8_t one(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t channel)
{
    const uint32_t left = out_column * layer->stride - layer->pad_left; /* before the row it has wrapped around */
    int32_t sum = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        for (uint32_t k = 0; k < layer->window_columns; k++) {
            const uint32_t is_inside = rows[row] != 0 && left + k < layer->columns;
            const int32_t x = is_inside ? rows[row][(left + k) * layer->inputs + channel] : layer->outside;
            sum += x * weight_of(layer, channel, row, k);
        }
    }
    const hq_output *const by = &layer->out;
    return (int8_t)hq_stored_place(sum, by->channels[channel], by->shifts[channel], by);
}

#if HQ_DSP

/* Words of a strip: of a column those of 4 channels, of a channel (rows + 1) / 2. */
typedef struct {
    uint32_t *strip, *weights;
    int32_t *sums;
    uint32_t words; /* of a column of a channel */
} room;

static room room_of(const hq_conv *layer, void *scratch)
{
    room in = {scratch, 0, 0, (layer->window_rows + 1u) / 2};
    const uint32_t span = (layer->tile - 1u) * layer->stride + layer->window_columns + 1u;
    in.weights = in.strip + span * CHANNELS * in.words;
    in.sums = (int32_t *)(in.weights + layer->window_columns * in.words);
    return in;
}

static inline uint32_t pair(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffff) | (uint32_t)high << 16;
}

/* The bottom halves of two words, and their top halves. */
static inline uint32_t bottoms(int16x2_t low, int16x2_t high)
{
    uint32_t word;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(word) : "r"(low), "r"(high));
    return word;
}
static inline uint32_t tops(int16x2_t low, int16x2_t high)
{
    uint32_t word;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(word) : "r"(low), "r"(high));
    return word;
}

/* `count` columns of a strip: a pair of rows of 4 channels; without a second row what lies beside the first is not used. */
static void widen(const int8_t *first, const int8_t *second, uint32_t step, uint32_t count, uint32_t *to, uint32_t words)
{
    for (; count > 0; count--, first += step, second += step, to += CHANNELS * words) {
        const uint32_t a = hq_word(first), b = hq_word(second);
        const int16x2_t a_even = hq_even(a), b_even = hq_even(b), a_odd = hq_odd(a), b_odd = hq_odd(b);
        to[0] = bottoms(a_even, b_even);
        to[words] = bottoms(a_odd, b_odd);
        to[2 * words] = tops(a_even, b_even);
        to[3 * words] = tops(a_odd, b_odd);
    }
}

#define NAKED __attribute__((naked)) static void
#define IN(what) __attribute__((unused)) what

/* The same of three rows, in 19 instructions a column: their ends, and how far these are ahead, which is below 0. */
NAKED widen_three(IN(const int8_t *a), IN(const int8_t *b), IN(const int8_t *c), IN(int32_t ahead), IN(uint32_t step),
                  IN(uint32_t *to))
{
    __asm__("push   {r4-r11, lr}\n"
            "ldrd   lr, r12, [sp, #36]\n"
            "1:\n"
            "ldr    r4, [r0, r3]\n"
            "ldr    r5, [r1, r3]\n"
            "ldr    r6, [r2, r3]\n"
            "sxtb16 r7, r4\n"
            "sxtb16 r8, r4, ror #8\n"
            "sxtb16 r9, r5\n"
            "sxtb16 r10, r5, ror #8\n"
            "sxtb16 r5, r6\n"
            "sxtb16 r11, r6, ror #8\n"
            "pkhbt  r4, r7, r9, lsl #16\n"
            "pkhbt  r6, r8, r10, lsl #16\n"
            "pkhtb  r10, r10, r8, asr #16\n"
            "pkhtb  r8, r9, r7, asr #16\n"
            "mov    r7, r11\n"
            "asr    r9, r5, #16\n"
            "asr    r11, r11, #16\n"
            "stm    r12!, {r4-r11}\n"
            "adds   r3, r3, lr\n"
            "bne    1b\n"
            "pop    {r4-r11, pc}\n");
}

#if HQ_SHIFTED && HQ_BOUNDS
/* A channel of a 3 x 3 window at places beside each other: how its sums are stored, and where. */
typedef struct {
    int32_t bias, multiplier;
    uint32_t shift;
    int32_t zero;
    uint32_t step;     /* bytes from one place of the output to the next */
    const int8_t *end; /* behind the last whole pair of places */
    uint32_t odd;      /* whether there is one more place */
} places;

#if HQ_ROUNDS_TWICE /* sums are doubled, as the weights are */
#define DOUBLED                 \
    "sadd16 r4, r4, r4\n"       \
    "sadd16 r5, r5, r5\n"       \
    "sadd16 r6, r6, r6\n"       \
    "sadd16 r7, r7, r7\n"       \
    "add    r8, r8, r8\n"
#define SCALED(v)               \
    "smmulr " v ", " v ", lr\n" \
    "add    " v ", " v ", " v ", asr #31\n"
#else
#define DOUBLED
#define SCALED(v) "smmul  " v ", " v ", lr\n"
#endif
#define STORED(v, clamp)          \
    SCALED(v)                     \
    "asrs   " v ", " v ", r11\n"  \
    "adc    " v ", " v ", r12\n" clamp(v)
#define SIGNED(v) "ssat   " v ", #8, " v "\n"
#define POSITIVE(v) "usat   " v ", #7, " v "\n"

/* The strip in r0, the 9 weights in r1, the output in r2, `places` in r3. `apart` words from one column to the next are 8;
 * two places whose windows are one column apart share the two columns between them. */
#define THREE_BY_THREE(name, clamp)                                                       \
    NAKED name(IN(const uint32_t *x), IN(const int8_t *weights), IN(int8_t *out), IN(const places *by)) \
    {                                                                                     \
        __asm__("push   {r4-r11, lr}\n" LOADED                                            \
                "ldr    r12, [r3, #20]\n"                                                 \
                "cmp    r2, r12\n"                                                        \
                "beq    2f\n"                                                             \
                "1:\n"                                                                    \
                "ldrd   r11, r12, [r0], #32\n"                                            \
                "smlad  r9, r11, r4, r1\n"                                                \
                "smlabb r9, r12, r7, r9\n"                                                \
                "ldrd   r11, r12, [r0], #32\n"                                            \
                "smlad  r9, r11, r5, r9\n"                                                \
                "smlabt r9, r12, r7, r9\n"                                                \
                "smlad  r10, r11, r4, r1\n"                                               \
                "smlabb r10, r12, r7, r10\n"                                              \
                "ldrd   r11, r12, [r0]\n"                                                 \
                "smlad  r9, r11, r6, r9\n"                                                \
                "smlabb r9, r12, r8, r9\n"                                                \
                "smlad  r10, r11, r5, r10\n"                                              \
                "smlabt r10, r12, r7, r10\n"                                              \
                "ldrd   r11, r12, [r0, #32]\n"                                            \
                "smlad  r10, r11, r6, r10\n"                                              \
                "smlabb r10, r12, r8, r10\n"                                              \
                "ldrd   r11, r12, [r3, #8]\n" STORED("r9", clamp) STORED("r10", clamp)    \
                "strb   r9, [r2]\n"                                                       \
                "ldrd   r11, r12, [r3, #16]\n"                                            \
                "strb   r10, [r2, r11]\n"                                                 \
                "add    r2, r2, r11, lsl #1\n"                                            \
                "cmp    r2, r12\n"                                                        \
                "bne    1b\n"                                                             \
                "2:\n"                                                                    \
                "ldr    r12, [r3, #24]\n"                                                 \
                "cmp    r12, #0\n"                                                        \
                "beq    3f\n" ONE_PLACE(clamp)                                            \
                "strb   r9, [r2]\n"                                                       \
                "3:\n"                                                                    \
                "pop    {r4-r11, pc}\n");                                                 \
    }

/* The same for places whose windows are two columns apart; `odd` is not used. */
#define THREE_BY_THREE_APART(name, clamp)                                                 \
    NAKED name(IN(const uint32_t *x), IN(const int8_t *weights), IN(int8_t *out), IN(const places *by)) \
    {                                                                                     \
        __asm__("push   {r4-r11, lr}\n" LOADED                                            \
                "1:\n" ONE_PLACE(clamp)                                                   \
                "ldrd   r11, r12, [r3, #16]\n"                                            \
                "strb   r9, [r2]\n"                                                       \
                "add    r2, r2, r11\n"                                                    \
                "cmp    r2, r12\n"                                                        \
                "bne    1b\n"                                                             \
                "pop    {r4-r11, pc}\n");                                                 \
    }
#define LOADED                  \
    "ldr    r4, [r1]\n"         \
    "ldr    r7, [r1, #4]\n"     \
    "ldrsb  r8, [r1, #8]\n"     \
    "ldrd   r1, lr, [r3]\n"     \
    "sxtb16 r5, r4, ror #8\n"   \
    "sxtb16 r4, r4\n"           \
    "sxtb16 r6, r7\n"           \
    "sxtb16 r7, r7, ror #8\n" DOUBLED
#define ONE_PLACE(clamp)          \
    "ldrd   r11, r12, [r0], #32\n" \
    "smlad  r9, r11, r4, r1\n"    \
    "smlabb r9, r12, r7, r9\n"    \
    "ldrd   r11, r12, [r0], #32\n" \
    "smlad  r9, r11, r5, r9\n"    \
    "smlabt r9, r12, r7, r9\n"    \
    "ldrd   r11, r12, [r0]\n"     \
    "smlad  r9, r11, r6, r9\n"    \
    "smlabb r9, r12, r8, r9\n"    \
    "ldrd   r11, r12, [r3, #8]\n" STORED("r9", clamp)

/* The 9 weights of a channel with 0 in the place of those of rows that are missing (bit 0 for the first), and the sum of
 * these. Where they lie: hq_tap(3, 3, ...). */
static int32_t without(uint32_t missing, const int8_t *w, int8_t present[9])
{
    uint32_t words[2] = {hq_word(w), hq_word(w + 4)};
    int32_t sum = 0;
    present[8] = w[8];
    if (missing & 1) {
        sum += w[0] + w[1] + w[4];
        words[0] &= 0xffff0000u;
        words[1] &= 0xffffff00u;
    }
    if (missing & 2) {
        sum += w[2] + w[3] + w[6];
        words[0] &= 0x0000ffffu;
        words[1] &= 0xff00ffffu;
    }
    if (missing & 4) {
        sum += w[5] + w[7] + w[8];
        words[1] &= 0x00ff00ffu;
        present[8] = 0;
    }
    __builtin_memcpy(present, words, sizeof words);
    return sum;
}

THREE_BY_THREE(three_signed, SIGNED)
THREE_BY_THREE_APART(three_apart_signed, SIGNED)
#if HQ_BOUNDS == 2
THREE_BY_THREE(three_positive, POSITIVE)
THREE_BY_THREE_APART(three_apart_positive, POSITIVE)
#endif

/* `count` places of 4 channels of a 3 x 3 window; `missing` rows are not there. */
static void three_by_three(const hq_conv *layer, const uint32_t *strip, uint32_t missing, uint32_t count,
                           uint32_t channel, int8_t *out)
{
    const hq_output *const to = &layer->out;
    const uint32_t step = layer->inputs, pairs = layer->stride == 1 ? count & ~1u : count;
    const int8_t *weights = (const int8_t *)layer->weights + 9 * channel;
    places by = {0, 0, 0, to->zero, step, out + pairs * step, count - pairs};
    void (*run)(const uint32_t *, const int8_t *, int8_t *, const places *) =
        layer->stride == 1 ? three_signed : three_apart_signed;
#if HQ_BOUNDS == 2
    if (to->low == 0) {
        run = layer->stride == 1 ? three_positive : three_apart_positive;
    }
#endif
    for (uint32_t k = 0; k < CHANNELS; k++, strip += 2, weights += 9, by.end++) {
        const int8_t *from = weights;
        int8_t present[9];
        by.bias = to->channels[channel + k].bias;
        by.multiplier = to->channels[channel + k].multiplier;
        by.shift = to->shifts[channel + k];
        if (missing != 0) {
            by.bias += without(missing, weights, present) * layer->outside * (1 + HQ_ROUNDS_TWICE);
            from = present;
        }
        run(strip, from, out + k, &by);
    }
}
#endif

/* Sums of any windows: a word of the strip for each word of weights. */
static void any_window(const hq_conv *layer, const room *in, uint32_t channel, uint32_t count, int32_t bias)
{
    const uint32_t words = in->words, step = CHANNELS * words;
    const uint32_t *x = in->strip + channel * words;
    for (uint32_t p = 0; p < count; p++, x += layer->stride * step) {
        const uint32_t *from = x, *w = in->weights;
        int32_t sum = bias;
        for (uint32_t column = 0; column < layer->window_columns; column++, from += step, w += words) {
            for (uint32_t k = 0; k < words; k++) {
                sum = __smlad((int16x2_t)from[k], (int16x2_t)w[k], sum);
            }
        }
        in->sums[p] = sum;
    }
}

/* The weights of a channel in words; those of rows that are not there are 0, and what these count is in the result. */
static int32_t expand(const hq_conv *layer, const int8_t *const rows[], uint32_t channel, const room *in)
{
    uint32_t *to = in->weights;
    int32_t outside = 0;
    for (uint32_t column = 0; column < layer->window_columns; column++) {
        for (uint32_t row = 0; row < layer->window_rows; row += 2) {
            int32_t both[2] = {0, 0};
            for (uint32_t k = 0; k < 2 && row + k < layer->window_rows; k++) {
                const int32_t weight = weight_of(layer, channel, row + k, column);
                outside += rows[row + k] == 0 ? weight : 0;
                both[k] = rows[row + k] == 0 ? 0 : weight;
            }
            *to++ = pair(both[0], both[1]);
        }
    }
    return outside * layer->outside;
}

/* The stored integers of a channel at `count` places, from sums with their bias. */
static void store(const int32_t *sums, uint32_t count, int32_t multiplier, uint32_t shift, const hq_output *out,
                  int8_t *to, uint32_t step)
{
    const hq_output by = *out; /* a store to int8_t could change *out, as far as a compiler knows */
    for (const int32_t *const end = sums + count; sums != end; to += step) {
        const int32_t sum = *sums++;
        *to = (int8_t)hq_finished(HQ_ROUNDS_TWICE ? 2 * sum : sum, multiplier, shift, &by);
    }
}

/* What is the same for all channels of a tile. */
typedef struct {
    hq_inside inside;
    uint32_t first, count, span, missing; /* columns of the output; of the strip; rows, bit 0 for the first */
    const int8_t *any;                    /* a row that is there; 0 for none */
} tile;

static tile tile_of(const hq_conv *layer, const int8_t *const rows[], uint32_t first, const room *in)
{
    const uint32_t left = layer->out_columns - first, count = left < layer->tile ? left : layer->tile;
    const uint32_t span = (count - 1) * layer->stride + layer->window_columns, step = CHANNELS * in->words;
    const uint32_t around = pair(layer->outside, layer->outside);
    tile of = {hq_columns_inside(layer, first, span), first, count, span, 0, 0};
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        of.any = rows[row] != 0 ? rows[row] : of.any;
        of.missing |= (uint32_t)(rows[row] == 0) << (row & 31);
    }
    if (of.any == 0 || of.inside.first >= of.inside.end) {
        of.inside.first = of.inside.end = span;
    }
    for (uint32_t k = 0; k < of.inside.first * step; k++) {
        in->strip[k] = around;
    }
    for (uint32_t k = of.inside.end * step; k < span * step; k++) {
        in->strip[k] = around;
    }
    return of;
}

/* The strip of 4 channels. A row that is not there has no weights either, so that any other will do. */
static void fill(const hq_conv *layer, const int8_t *const rows[], uint32_t channel, const tile *of, const room *in)
{
    const uint32_t words = in->words, step = layer->inputs, count = of->inside.end - of->inside.first;
    uint32_t *const to = in->strip + of->inside.first * CHANNELS * words;
    const uint32_t offset = (uint32_t)(of->inside.left + (int32_t)of->inside.first) * step + channel;
    if (count == 0) {
        return;
    }
    if (layer->window_rows == 3) {
        const uint32_t end = offset + count * step;
        const int8_t *const a = rows[0] != 0 ? rows[0] : of->any, *const b = rows[1] != 0 ? rows[1] : of->any;
        widen_three(a + end, b + end, (rows[2] != 0 ? rows[2] : of->any) + end, -(int32_t)(count * step), step, to);
        return;
    }
    for (uint32_t row = 0; row < layer->window_rows; row += 2) {
        const int8_t *const first = rows[row] != 0 ? rows[row] : of->any;
        const uint32_t has_second = row + 1 < layer->window_rows && rows[row + 1] != 0;
        widen(first + offset, (has_second ? rows[row + 1] : first) + offset, step, count, to + row / 2, words);
    }
}

/* The places of a tile, of 4 channels. */
static void four(const hq_conv *layer, const int8_t *const rows[], uint32_t channel, const tile *of, const room *in,
                 int8_t *out)
{
    const hq_output *const by = &layer->out;
    fill(layer, rows, channel, of, in);
#if HQ_SHIFTED && HQ_BOUNDS
    if (layer->window_rows == 3 && layer->window_columns == 3 && layer->stride <= 2) {
        three_by_three(layer, in->strip, of->missing, of->count, channel, out);
        return;
    }
#endif
    for (uint32_t k = 0; k < CHANNELS; k++) {
        const hq_channel to = by->channels[channel + k];
        const int32_t start = HQ_ROUNDS_TWICE ? to.bias / 2 : to.bias;
        any_window(layer, in, k, of->count, start + expand(layer, rows, channel + k, in));
        store(in->sums, of->count, to.multiplier, by->shifts[channel + k], by, out + k, layer->inputs);
    }
}

#endif

void hq_depthwise_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    const uint32_t channels = layer->inputs;
    uint32_t done = 0;
#if HQ_DSP
    const room in = room_of(layer, scratch);
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        const tile of = tile_of(layer, rows, first, &in);
        for (done = 0; done + CHANNELS <= channels; done += CHANNELS) {
            four(layer, rows, done, &of, &in, out + first * channels + done);
        }
    }
#else
    (void)scratch;
#endif
    for (uint32_t p = 0; done < channels && p < layer->out_columns; p++) {
        for (uint32_t channel = done; channel < channels; channel++) {
            out[p * channels + channel] = one(layer, rows, p, channel);
        }
    }
}
