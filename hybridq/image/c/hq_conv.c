/* A convolution's row for 8- and 4-bit weights: tile by tile, a strip of the input is widened to int16, each column
 * (window_rows, inputs) in one piece, so that the window of an output is one run of numbers and shares its columns
 * with the windows beside it. Then 2 outputs at 2 positions at a time. */
#include "hq_conv.h"

/* `count` columns of one row, to their place (at k) in as many columns of the strip. */
static void widen(const int8_t *from, uint32_t inputs, uint32_t count, int16_t *strip, uint32_t length, uint32_t k)
{
#if HQ_DSP
    /* SXTB16 takes bytes 0 and 2 of a word, then 1 and 3. Each 4 numbers of the strip are in that order. */
    if (inputs % 4 == 0) {
        for (strip += k; count > 0; count--, strip += length) {
            int16_t *to = strip;
            for (const int8_t *const end = from + inputs; from != end; from += 4, to += 4) {
                const uint32_t word = hq_word(from);
                const int16x2_t pairs[2] = {hq_even(word), hq_odd(word)};
                __builtin_memcpy(to, pairs, sizeof pairs);
            }
        }
        return;
    }
#endif
    for (uint32_t i = 0; i < inputs; i++, k++) {
        const uint32_t lane = HQ_DSP ? (k & ~3u) | (k & 1) << 1 | (k >> 1 & 1) : k;
        const int8_t *x = from + i;
        int16_t *to = strip + lane;
        for (uint32_t c = 0; c < count; c++, x += inputs, to += length) {
            *to = *x;
        }
    }
}

static void fill(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t span, int16_t *strip)
{
    const uint32_t inputs = layer->inputs, length = hq_column(layer), window = layer->window_rows;
    const hq_inside inside = hq_columns_inside(layer, out_column, span);
    uint32_t missing = length - window * inputs + inside.first + span - inside.end;
    for (uint32_t row = 0; row < window; row++) {
        missing += rows[row] == 0;
    }
    if (missing > 0) {
        const int32_t outside = HQ_OUTSIDE(layer);
        if (outside == 0) {
            __builtin_memset(strip, 0, span * length * sizeof *strip);
        }
        for (uint32_t k = 0; outside != 0 && k < span * length; k++) {
            strip[k] = (int16_t)outside;
        }
    }
    for (uint32_t row = 0; row < window && inside.first < inside.end; row++) {
        if (rows[row] != 0) {
            const int8_t *const from = rows[row] + (inside.left + (int32_t)inside.first) * (int32_t)inputs;
            widen(from, inputs, inside.end - inside.first, strip + inside.first * length, length, row * inputs);
        }
    }
}

/* Of one output, two positions. */
static inline void finish(const int32_t sums[2], hq_channel by, uint32_t shift, const hq_output *out, int8_t *out0,
                          int8_t *out1)
{
    *out0 = (int8_t)hq_stored_place(sums[0], by, shift, out);
    *out1 = (int8_t)hq_stored_place(sums[1], by, shift, out);
}

/* All outputs at two positions, out0 and out1. */
static void pairs(const hq_conv *layer, const int16_t *x0, const int16_t *x1, int8_t *out0, int8_t *out1,
                  hq_dot_pair *dot, uint32_t words_per_pair)
{
    const int16_t *const end = x0 + layer->window_columns * hq_column(layer);
    const hq_output out = layer->out; /* a store to int8_t could change *layer, as far as a compiler knows */
    const hq_channel *by = layer->out.channels;
    const uint8_t *shifts = layer->out.shifts;
    const uint32_t *weights = layer->weights;
    const int8_t *const last = out0 + layer->outputs - 1;
    int32_t sums[4];
    for (; out0 < last; weights += words_per_pair, by += 2, shifts += 2, out0 += 2, out1 += 2) {
        dot(weights, x0, x1, end, sums);
        finish(sums, by[0], shifts[0], &out, out0, out1);
        finish(sums + 2, by[1], shifts[1], &out, out0 + 1, out1 + 1);
    }
    if (out0 == last) {
        dot(weights, x0, x1, end, sums);
        finish(sums, by[0], shifts[0], &out, out0, out1);
    }
}

void hq_conv_pairs_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_dot_pair *dot, uint32_t words_per_pair)
{
    const uint32_t length = hq_column(layer), step = layer->stride * length;
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        fill(layer, rows, first, (count - 1) * layer->stride + layer->window_columns, strip);
        const int16_t *x = strip;
        for (uint32_t p = 0; p < count; p += 2, x += 2 * step, out += 2 * layer->outputs) {
            const uint32_t second = p + 1 < count; /* else the last position is computed twice */
            pairs(layer, x, x + second * step, out, out + second * layer->outputs, dot, words_per_pair);
        }
        out -= (count & 1) * layer->outputs;
    }
}
