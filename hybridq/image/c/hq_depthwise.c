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

/* Sums of windows of 3 x 3, two beside each other in 19 instructions. Weights: a word for the pair of rows of each
 * column, the last row of the first two columns, and of the third. */
NAKED three_by_three(IN(const uint32_t *x), IN(const uint32_t *weights), IN(int32_t *sums), IN(const int32_t *end),
                     IN(int32_t bias))
{
    __asm__("push   {r4-r11, lr}\n"
            "ldm    r1, {r4-r8}\n"
            "ldr    r1, [sp, #36]\n"
            "1:\n"
            "ldrd   r11, r12, [r0], #32\n"
            "smlad  r9, r11, r4, r1\n"
            "smlabb r9, r12, r7, r9\n"
            "ldrd   r11, r12, [r0], #32\n"
            "smlad  r9, r11, r5, r9\n"
            "smlabt r9, r12, r7, r9\n"
            "smlad  r10, r11, r4, r1\n"
            "smlabb r10, r12, r7, r10\n"
            "ldrd   r11, r12, [r0]\n"
            "smlad  r9, r11, r6, r9\n"
            "smlabb r9, r12, r8, r9\n"
            "smlad  r10, r11, r5, r10\n"
            "smlabt r10, r12, r7, r10\n"
            "ldrd   r11, r12, [r0, #32]\n"
            "smlad  r10, r11, r6, r10\n"
            "smlabb r10, r12, r8, r10\n"
            "strd   r9, r10, [r2], #8\n"
            "cmp    r2, r3\n"
            "blo    1b\n"
            "pop    {r4-r11, pc}\n");
}

/* The same two columns apart, each in 12 instructions. */
NAKED three_by_three_apart(IN(const uint32_t *x), IN(const uint32_t *weights), IN(int32_t *sums),
                           IN(const int32_t *end), IN(int32_t bias))
{
    __asm__("push   {r4-r8, r11, lr}\n"
            "ldm    r1, {r4-r8}\n"
            "ldr    r1, [sp, #28]\n"
            "1:\n"
            "ldrd   r11, r12, [r0], #32\n"
            "smlad  lr, r11, r4, r1\n"
            "smlabb lr, r12, r7, lr\n"
            "ldrd   r11, r12, [r0], #32\n"
            "smlad  lr, r11, r5, lr\n"
            "smlabt lr, r12, r7, lr\n"
            "ldrd   r11, r12, [r0]\n"
            "smlad  lr, r11, r6, lr\n"
            "smlabb lr, r12, r8, lr\n"
            "str    lr, [r2], #4\n"
            "cmp    r2, r3\n"
            "blo    1b\n"
            "pop    {r4-r8, r11, pc}\n");
}

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

/* As `expand`, of 3 x 3 and as `three_by_three` reads them. */
static int32_t expand_three(const hq_conv *layer, const int8_t *const rows[], uint32_t channel, uint32_t to[5])
{
    const int8_t *const w = (const int8_t *)layer->weights + 9 * channel;
    const uint32_t first = hq_word(w), second = hq_word(w + 4);
    const int16x2_t pairs[4] = {hq_even(first), hq_odd(first), hq_even(second), hq_odd(second)};
    __builtin_memcpy(to, pairs, sizeof pairs);
    to[4] = (uint32_t)w[8];
    if (rows[0] != 0 && rows[1] != 0 && rows[2] != 0) {
        return 0;
    }
    int32_t outside = 0;
    for (uint32_t column = 0; column < 3; column++) {
        outside += (rows[0] == 0) * (int32_t)(int16_t)to[column] + (rows[1] == 0) * ((int32_t)to[column] >> 16);
        to[column] &= (rows[0] == 0 ? 0 : 0xffffu) | (rows[1] == 0 ? 0 : 0xffff0000u);
    }
    if (rows[2] == 0) {
        outside += (int32_t)(int16_t)to[3] + ((int32_t)to[3] >> 16) + (int32_t)to[4];
        to[3] = to[4] = 0;
    }
    return outside * layer->outside;
}

/* The stored integers of a channel at `count` places, from sums with their bias. */
static void store(const int32_t *sums, uint32_t count, int32_t multiplier, uint32_t shift, const hq_output *out,
                  int8_t *to, uint32_t step)
{
    const int32_t zero = out->zero, low = out->low, high = out->high;
    const int32_t *const end = sums + count;
#if HQ_ROUNDS_TWICE
    if (shift > 0 && low == -128 && high == 127) {
        for (; sums != end; to += step) {
            int32_t value = *sums++;
            __asm__("lsl %0, %0, #1\n\t"
                    "smmulr %0, %0, %1\n\t"
                    "add %0, %0, %0, asr #31\n\t"
                    "asrs %0, %0, %2\n\t"
                    "adc %0, %0, %3\n\t"
                    "ssat %0, #8, %0"
                    : "+&r"(value)
                    : "r"(multiplier), "r"(shift), "r"(zero)
                    : "cc");
            *to = (int8_t)value;
        }
        return;
    }
    for (; sums != end; to += step) {
        *to = (int8_t)hq_clamp(hq_scaled_twice(*sums++, multiplier, shift, zero), low, high);
    }
#else
    for (; sums != end; to += step) {
        *to = (int8_t)hq_clamp(hq_scaled(*sums++, multiplier, shift, zero), low, high);
    }
#endif
}

/* A strip of 4 channels for so many columns of the input, the first of which is `inside.left`. */
static void fill(const hq_conv *layer, const int8_t *const rows[], uint32_t channel, hq_inside inside, uint32_t span,
                 const room *in)
{
    const uint32_t words = in->words, step = CHANNELS * words, around = pair(layer->outside, layer->outside);
    if (inside.first >= inside.end) {
        inside.first = inside.end = span;
    }
    const uint32_t count = inside.end - inside.first;
    for (uint32_t k = 0; k < inside.first * step; k++) {
        in->strip[k] = around;
    }
    for (uint32_t k = inside.end * step; k < span * step; k++) {
        in->strip[k] = around;
    }
    if (count == 0) {
        return;
    }
    /* A row that is not there has no weights either, so that any other will do. */
    const int8_t *any = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        any = rows[row] != 0 ? rows[row] : any;
    }
    uint32_t *const to = in->strip + inside.first * step;
    if (any == 0) {
        __builtin_memset(to, 0, count * step * sizeof *to);
        return;
    }
    const uint32_t offset = (uint32_t)(inside.left + (int32_t)inside.first) * layer->inputs + channel;
    if (layer->window_rows == 3) {
        const int8_t *from[3];
        for (uint32_t row = 0; row < 3; row++) {
            from[row] = (rows[row] != 0 ? rows[row] : any) + offset + count * layer->inputs;
        }
        widen_three(from[0], from[1], from[2], -(int32_t)(count * layer->inputs), layer->inputs, to);
        return;
    }
    for (uint32_t row = 0; row < layer->window_rows; row += 2) {
        const int8_t *const first = rows[row] != 0 ? rows[row] : any;
        const uint32_t has_second = row + 1 < layer->window_rows && rows[row + 1] != 0;
        widen(first + offset, (has_second ? rows[row + 1] : first) + offset, layer->inputs, count, to + row / 2, words);
    }
}

/* `count` columns of the output from `first` on, of 4 channels. */
static void four(const hq_conv *layer, const int8_t *const rows[], uint32_t first, uint32_t count, uint32_t channel,
                 const room *in, int8_t *out)
{
    const uint32_t span = (count - 1) * layer->stride + layer->window_columns;
    const hq_output *const by = &layer->out;
    const uint32_t is_three = layer->window_rows == 3 && layer->window_columns == 3 && layer->stride <= 2;
    fill(layer, rows, channel, hq_columns_inside(layer, first, span), span, in);
    for (uint32_t k = 0; k < CHANNELS; k++) {
        const hq_channel to = by->channels[channel + k];
        if (is_three) {
            const int32_t bias = to.bias + expand_three(layer, rows, channel + k, in->weights);
            (layer->stride == 1 ? three_by_three : three_by_three_apart)(in->strip + 2 * k, in->weights, in->sums,
                                                                        in->sums + count, bias);
        } else {
            any_window(layer, in, k, count, to.bias + expand(layer, rows, channel + k, in));
        }
        store(in->sums, count, to.multiplier, by->shifts[channel + k], by, out + k, layer->inputs);
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
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        for (done = 0; done + CHANNELS <= channels; done += CHANNELS) {
            four(layer, rows, first, count, done, &in, out + first * channels + done);
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
