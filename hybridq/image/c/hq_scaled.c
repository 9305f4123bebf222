/* Layers of tensors of any scale and zero point, as TensorFlow Lite's reference kernels compute them. */
#include "hq_arithmetic.h"

enum { FINER = 20 }; /* bits by which the numbers of a sum are finer: scaled.FINER */

static inline int32_t times(int32_t value, hq_factor by)
{
    return hq_scaled_twice(value, by.multiplier, by.shift, 0);
}

/* Rows of one shape, of which a counts half: its number is exact. */
static inline __attribute__((always_inline)) void add_half(const hq_pair *layer, const int8_t *a, const int8_t *b,
                                                           int8_t *out, int32_t fills_int8)
{
    const int32_t zero_a = layer->zero_a * (1 << (FINER - 1)), zero_b = layer->zero_b * (1 << FINER), zero = layer->zero;
    const int32_t low = layer->low, high = layer->high;
    const hq_factor by_b = layer->b, by = layer->out;
    for (const int8_t *const end = a + (uint32_t)layer->columns * layer->channels; a != end;) {
        const int32_t one = *a++ * (1 << (FINER - 1)) - zero_a;
        const int32_t two = times(*b++ * (1 << FINER) - zero_b, by_b);
        const int32_t sum = hq_scaled_down_twice(one + two, by.multiplier, by.shift, zero);
        *out++ = fills_int8 ? hq_int8(sum) : (int8_t)hq_clamp(sum, low, high);
    }
}

void hq_scaled_add(const hq_pair *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    const hq_pair by = *layer; /* a store to int8_t could change *layer, as far as a compiler knows */
    const uint32_t is_half = by.a.multiplier == 1 << 30 && by.a.shift == 0 && by.out.shift > 0 && !by.minus;
    if (is_half && by.next_channel == 1 && (by.columns == 1 || by.next_column == by.channels)) {
        if (by.low == -128 && by.high == 127) {
            add_half(layer, a, b, out, 1);
        } else {
            add_half(layer, a, b, out, 0);
        }
        return;
    }
    for (uint32_t column = 0; column < by.columns; column++, b += by.next_column) {
        const int8_t *other = b;
        for (uint32_t c = 0; c < by.channels; c++, other += by.next_channel) {
            const int32_t one = times((*a++ - by.zero_a) * (1 << FINER), by.a);
            const int32_t two = times((*other - by.zero_b) * (1 << FINER), by.b);
            const int32_t sum = times(by.minus ? one - two : one + two, by.out) + by.zero;
            *out++ = (int8_t)hq_clamp(sum, by.low, by.high);
        }
    }
}

void hq_scaled_multiply(const hq_pair *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    const hq_pair by = *layer;
    for (uint32_t column = 0; column < by.columns; column++, b += by.next_column) {
        const int8_t *other = b;
        for (uint32_t c = 0; c < by.channels; c++, other += by.next_channel) {
            const int32_t product = (*a++ - by.zero_a) * (*other - by.zero_b);
            *out++ = (int8_t)hq_clamp(times(product, by.out) + by.zero, by.low, by.high);
        }
    }
}

void hq_scaled_prelu(const hq_scaled_slopes *layer, const int8_t *x, uint32_t columns, int8_t *out)
{
    const hq_scaled_slopes by = *layer;
    for (; columns > 0; columns--) {
        for (uint32_t c = 0; c < by.channels; c++) {
            const int32_t value = *x++ - by.read, sloped = value * (by.slopes[c] - by.slope);
            const int32_t made = value >= 0 ? times(value * (1 << by.up_above), by.above)
                                            : times(sloped * (1 << by.up_below), by.below);
            *out++ = hq_int8(made + by.zero);
        }
    }
}

/* The mean of so many, rounded half away from 0. */
static inline int32_t mean_of(int32_t sum, int32_t places)
{
    return (sum < 0 ? sum - places / 2 : sum + places / 2) / places;
}

void hq_place_average_s8(const hq_place_average *layer, const int32_t *sums, uint32_t count, int8_t *out)
{
    const hq_place_average by = *layer;
    for (uint32_t k = 0; k < count; k++) {
        out[k] = (int8_t)hq_clamp(mean_of(sums[k], by.places), by.low, by.high);
    }
}

void hq_place_mean_row(const hq_place_mean *layer, const int8_t *const rows[], uint32_t out_columns, int32_t *sums,
                       int8_t *out)
{
    const hq_window *const of = &layer->window;
    const uint32_t channels = of->inputs;
    for (uint32_t column = 0; column < out_columns; column++, out += channels) {
        hq_place_average by = {0, layer->low, layer->high};
        __builtin_memset(sums, 0, channels * sizeof *sums);
        for (uint32_t i = 0; i < of->window_rows; i++) {
            for (uint32_t j = 0; rows[i] != 0 && j < of->window_columns; j++) {
                const uint32_t at = column * of->stride + j - of->pad_left; /* before the row it has wrapped around */
                if (at < of->columns) {
                    hq_sum_row(rows[i] + at * channels, 1, channels, sums);
                    by.places++;
                }
            }
        }
        hq_place_average_s8(&by, sums, channels, out);
    }
}

void hq_scaled_average_s8(const hq_scaled_average *layer, const int32_t *sums, uint32_t count, int8_t *out)
{
    const hq_scaled_average by = *layer;
    for (uint32_t k = 0; k < count; k++) {
        const int32_t value = hq_scaled_twice_by_any(sums[k] + by.added, by.by.multiplier, by.by.shift);
        out[k] = (int8_t)hq_clamp(value + by.zero, by.low, by.high);
    }
}
