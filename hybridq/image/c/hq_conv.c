/* A convolution's row for 8- and 4-bit weights: tile by tile, a strip of the input is widened to int16, each column
 * (window_rows, inputs) in one piece, so that the window of an output is one run of numbers and shares its columns
 * with the windows beside it. Then 2 outputs at 2 places at a time.
 *
 * With SIMD there is an even and an odd number in each half of a word of weights, as its bytes: w = 256 odd + even, the
 * even one from 0 to 255. SMLAD multiplies such halves as they are, by an even input x, and after SXTB16 the odd ones
 * alone, by what the odd input y leaves: w x + odd (y - 256 x) = even x + odd y. So the even weights are stored with
 * 128 added, which takes off 128 times the sum of the even inputs, the same for all outputs; and of y 128 is taken off,
 * so that y - 256 x - 128 fits int16: biases have it added (packing.packed_bias). In a strip are then of each 4 inputs
 * the even ones, and what is made of both: the bytes y + 128 and, on top, -1 - x. */
#include "hq_conv.h"

#if HQ_DSP

/* 4 inputs in a strip. */
static inline void mix(uint32_t word, int16_t *to)
{
    uint32_t swapped;
    __asm__("rev16 %0, %1" : "=r"(swapped) : "r"(word));
    const uint32_t both[2] = {(uint32_t)hq_even(word), swapped ^ 0xff80ff80u};
    __builtin_memcpy(to, both, sizeof both);
}

/* Input k of a column, in `count` of them. */
static void widen_one(const int8_t *x, uint32_t inputs, uint32_t count, int16_t *strip, uint32_t length, uint32_t k)
{
    int16_t *even = strip + ((k & ~3u) | (k >> 1 & 1));
    int8_t *mixed = (int8_t *)(even + 2);
    for (; count > 0; count--, x += inputs, even += length, mixed += 2 * length) {
        if (k & 1) {
            mixed[0] = (int8_t)(*x ^ -128);
        } else {
            *even = *x;
            mixed[1] = (int8_t)~*x;
        }
    }
}

/* `count` columns of one row, to their place (at k) in as many columns of the strip. */
static void widen(const int8_t *from, uint32_t inputs, uint32_t count, int16_t *strip, uint32_t length, uint32_t k)
{
    if (inputs % 4 != 0) {
        for (uint32_t i = 0; i < inputs; i++) {
            widen_one(from + i, inputs, count, strip, length, k + i);
        }
        return;
    }
    if (length == inputs) { /* one run */
        inputs *= count;
        count = 1;
    }
    for (strip += k; count > 0; count--, strip += length) {
        int16_t *to = strip;
        for (const int8_t *const end = from + inputs; from != end; from += 4, to += 4) {
            mix(hq_word(from), to);
        }
    }
}

static void surround(int8_t outside, int16_t *strip, uint32_t count)
{
    const uint32_t four = (uint8_t)outside * 0x01010101u;
    for (const int16_t *const end = strip + count; strip != end; strip += 4) {
        mix(four, strip);
    }
}

/* Less the sum of the even inputs in each column. */
static void less_even(const int16_t *strip, uint32_t span, uint32_t length, int32_t *less)
{
    for (; span > 0; span--) {
        int32_t sum = 0;
        for (const int16_t *const end = strip + length; strip != end; strip += 4) {
            sum = __smlad((int16x2_t)hq_word(strip), (int16x2_t)0x00010001, sum);
        }
        *less++ = -sum;
    }
}

#else

static void widen(const int8_t *from, uint32_t inputs, uint32_t count, int16_t *strip, uint32_t length, uint32_t k)
{
    for (strip += k; count > 0; count--, strip += length) {
        for (uint32_t i = 0; i < inputs; i++) {
            strip[i] = (int16_t)(*from++ - 128 * (int32_t)((k + i) & 1));
        }
    }
}

static void surround(int8_t outside, int16_t *strip, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        strip[k] = (int16_t)(outside - 128 * (int32_t)(k & 1));
    }
}

#endif

static void fill(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t span, int16_t *strip)
{
    const uint32_t inputs = layer->inputs, length = hq_column(layer), window = layer->window_rows;
    const hq_inside inside = hq_columns_inside(layer, out_column, span);
    uint32_t missing = length - window * inputs + inside.first + span - inside.end;
    for (uint32_t row = 0; row < window; row++) {
        missing += rows[row] == 0;
    }
    if (missing > 0) {
        surround((int8_t)HQ_OUTSIDE(layer), strip, span * length);
    }
    for (uint32_t row = 0; row < window && inside.first < inside.end; row++) {
        if (rows[row] != 0) {
            const int8_t *const from = rows[row] + (inside.left + (int32_t)inside.first) * (int32_t)inputs;
            widen(from, inputs, inside.end - inside.first, strip + inside.first * length, length, row * inputs);
        }
    }
}

#if HQ_DSP

/* Of the columns of a window. */
static inline int32_t sum_of(const int32_t *columns, uint32_t count)
{
    int32_t sum = *columns;
    while (--count > 0) {
        sum += *++columns;
    }
    return sum;
}

void hq_conv_strip_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_outputs_at *two, hq_outputs_at *one)
{
    const uint32_t length = hq_column(layer), stride = layer->stride, window = layer->window_columns;
    const uint32_t step = stride * length, outputs = layer->outputs, *const weights = layer->weights;
    hq_places at = {.zero = hq_zero(&layer->out), .low = layer->out.low, .high = layer->out.high};
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        const uint32_t span = (count - 1) * stride + window;
        const int32_t *less = (int32_t *)(void *)(strip + span * length);
        fill(layer, rows, first, span, strip);
        less_even(strip, span, length, (int32_t *)(void *)(strip + span * length));
        at.x0 = strip;
        at.out0 = out;
        for (uint32_t left = count; left > 0;) {
            at.less0 = sum_of(less, window);
            at.channels = layer->out.channels;
            at.shifts = layer->out.shifts;
            at.last = at.out0 + outputs - 1;
            at.end = at.x0 + window * length;
            if (left == 1) {
                one(&at, weights);
                break;
            }
            less += stride;
            at.less1 = sum_of(less, window);
            less += stride;
            at.x1 = at.x0 + step;
            at.out1 = at.out0 + outputs;
            two(&at, weights);
            at.x0 = at.x1 + step;
            at.out0 = at.out1 + outputs;
            left -= 2;
        }
        out += count * outputs;
    }
}

#else

/* Of one output, two places. */
static inline void finish(const int32_t sums[2], hq_channel by, uint32_t shift, const hq_output *out, int8_t *out0,
                          int8_t *out1)
{
    *out0 = (int8_t)hq_stored_place(sums[0], by, shift, out);
    *out1 = (int8_t)hq_stored_place(sums[1], by, shift, out);
}

/* All outputs at two places, out0 and out1. */
static void pairs(const hq_conv *layer, const int16_t *x0, const int16_t *x1, int8_t *out0, int8_t *out1,
                  hq_dot_pair *dot, uint32_t words_per_pair)
{
    const int16_t *const end = x0 + layer->window_columns * hq_column(layer);
    const hq_channel *by = layer->out.channels;
    const uint8_t *shifts = layer->out.shifts;
    const uint32_t *weights = layer->weights;
    const int8_t *const last = out0 + layer->outputs - 1;
    int32_t sums[4];
    for (; out0 < last; weights += words_per_pair, by += 2, shifts += 2, out0 += 2, out1 += 2) {
        dot(weights, x0, x1, end, sums);
        finish(sums, by[0], shifts[0], &layer->out, out0, out1);
        finish(sums + 2, by[1], shifts[1], &layer->out, out0 + 1, out1 + 1);
    }
    if (out0 == last) {
        dot(weights, x0, x1, end, sums);
        finish(sums, by[0], shifts[0], &layer->out, out0, out1);
    }
}

void hq_conv_strip_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_dot_pair *dot, uint32_t words_per_pair)
{
    const uint32_t length = hq_column(layer), step = layer->stride * length;
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        fill(layer, rows, first, (count - 1) * layer->stride + layer->window_columns, strip);
        const int16_t *x = strip;
        for (uint32_t p = 0; p < count; p += 2, x += 2 * step, out += 2 * layer->outputs) {
            const uint32_t second = p + 1 < count; /* else the last place is computed twice */
            pairs(layer, x, x + second * step, out, out + second * layer->outputs, dot, words_per_pair);
        }
        out -= (count & 1) * layer->outputs;
    }
}

#endif
