/* A convolution's row for 8- and 4-bit weights: tile by tile, a strip of the input is widened to int16, each column
 * (window_rows, inputs) in one piece, so that the window of an output is one run of numbers and shares its columns
 * with the windows beside it. Then 2 outputs at 2 positions at a time. */
#include "hq_conv.h"

/* Where input k of a column lies in the strip: SXTB16 takes bytes 0 and 2 of a word, then 1 and 3. */
#if HQ_DSP
#define LANE(k) (((k) & ~3u) | ((k) & 1u) << 1 | ((k) >> 1 & 1u))
#else
#define LANE(k) (k)
#endif

static void column(const hq_conv *layer, const int8_t *const rows[], int32_t at, int16_t *to)
{
    const uint32_t inputs = layer->inputs, length = hq_column(layer);
    uint32_t k = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        const int8_t *from = rows[row];
        const uint32_t end = k + inputs;
        if (from == 0 || at < 0 || at >= layer->columns) {
            for (; k < end; k++) {
                to[LANE(k)] = 0;
            }
            continue;
        }
        from += (uint32_t)at * inputs;
#if HQ_DSP
        if (inputs % 4 == 0) {
            for (; k < end; k += 4, from += 4) {
                const uint32_t word = hq_word(from);
                const int16x2_t pairs[2] = {hq_even(word), hq_odd(word)};
                __builtin_memcpy(to + k, pairs, sizeof pairs);
            }
            continue;
        }
#endif
        for (; k < end; k++) {
            to[LANE(k)] = *from++;
        }
    }
    for (; k < length; k++) {
        to[LANE(k)] = 0;
    }
}

/* All outputs at two positions, out0 and out1. */
static void pairs(const hq_conv *layer, const int16_t *x0, const int16_t *x1, int8_t *out0, int8_t *out1,
                  hq_dot_pair *dot, uint32_t words_per_pair)
{
    const int16_t *const end = x0 + layer->window_columns * hq_column(layer);
    const hq_output *const by = &layer->out;
    const int32_t low = by->low, high = by->high;
    const uint32_t *weights = layer->weights;
    for (uint32_t o = 0; o < layer->outputs; weights += words_per_pair) {
        int32_t sums[4], *sum = sums;
        dot(weights, x0, x1, end, sums);
        for (const uint32_t both = o + 2; o < both && o < layer->outputs; o++, sum += 2) {
            const int32_t bias = by->bias[o], multiplier = by->multiplier[o];
            const uint32_t shift = by->shift[o];
            out0[o] = (int8_t)hq_clamp(hq_scaled(sum[0] + bias, multiplier, shift), low, high);
            out1[o] = (int8_t)hq_clamp(hq_scaled(sum[1] + bias, multiplier, shift), low, high);
        }
    }
}

void hq_conv_pairs_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_dot_pair *dot, uint32_t words_per_pair)
{
    const uint32_t length = hq_column(layer), step = layer->stride * length;
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        const uint32_t span = (count - 1) * layer->stride + layer->window_columns;
        for (uint32_t c = 0; c < span; c++) {
            column(layer, rows, (int32_t)(first * layer->stride + c) - layer->pad_left, strip + c * length);
        }
        const int16_t *x = strip;
        for (uint32_t p = 0; p < count; p += 2, x += 2 * step, out += 2 * layer->outputs) {
            const uint32_t second = p + 1 < count; /* else the last position is computed twice */
            pairs(layer, x, x + second * step, out, out + second * layer->outputs, dot, words_per_pair);
        }
        out -= (count & 1) * layer->outputs;
    }
}
