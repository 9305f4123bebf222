/* Sums of maps, tables, batch norms, and the answer. */
#include "hq_arithmetic.h"

void hq_add(const hq_addition *layer, const int8_t *a, const int8_t *b, uint32_t count, int8_t *out)
{
    const hq_addition by = *layer; /* a store to int8_t could change *layer, as far as a compiler knows */
    for (uint32_t k = 0; k < count; k++) {
        const int32_t sum = a[k] * by.scale_a + b[k] * by.scale_b;
        out[k] = (int8_t)hq_clamp(hq_shifted(sum, by.shift), by.low, by.high);
    }
}

void hq_table(const int8_t table[256], int8_t *x, uint32_t count)
{
    const int8_t *const of_zero = table + 128;
    for (; count >= 4; count -= 4, x += 4) {
        x[0] = of_zero[x[0]];
        x[1] = of_zero[x[1]];
        x[2] = of_zero[x[2]];
        x[3] = of_zero[x[3]];
    }
    for (; count > 0; count--, x++) {
        *x = of_zero[*x];
    }
}

void hq_affine(const hq_norm *by, int8_t *x, uint32_t columns, uint32_t channels)
{
    const uint32_t shift = by->shift;
    for (uint32_t c = 0; c < columns; c++) {
        const int32_t *scale = by->scale, *offset = by->offset;
        for (const int8_t *const end = x + channels; x != end; x++) {
            *x = hq_int8(hq_shifted(*x * *scale++ + *offset++, shift));
        }
    }
}

uint32_t hq_argmax(const int16_t *logits, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t k = 1; k < count; k++) {
        found = logits[k] > logits[found] ? k : found;
    }
    return found;
}
