/* Accumulators to stored integers. */
#include "hq_arithmetic.h"

static int32_t stored(const hq_output *by, const int32_t *sums, uint32_t o)
{
    return hq_clamp(hq_scaled(sums[o], by->multiplier[o], by->shift[o]), by->low, by->high);
}

void hq_requantize_s8(const hq_output *by, const int32_t *sums, uint32_t count, int8_t *out)
{
    for (uint32_t o = 0; o < count; o++) {
        out[o] = (int8_t)stored(by, sums, o);
    }
}

void hq_requantize_s16(const hq_output *by, const int32_t *sums, uint32_t count, int16_t *out)
{
    for (uint32_t o = 0; o < count; o++) {
        out[o] = (int16_t)stored(by, sums, o);
    }
}
