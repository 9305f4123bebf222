/* The stored integers of a dense layer, or the logits. */
#include "hq_arithmetic.h"

void hq_dense_doubled(const hq_dense *layer, uint32_t times, int32_t *sums)
{
    for (uint32_t o = 0; times > 0 && o < layer->outputs; o++) {
        sums[o] = (int32_t)((uint32_t)sums[o] << times);
    }
}

void hq_dense_out_s8(const hq_dense *layer, const int32_t *sums, int8_t *out)
{
    const hq_output to = layer->out; /* a store to int8_t could change *layer, as far as a compiler knows */
    const hq_channel *by = to.channels;
    const uint8_t *shift = to.shifts;
    for (const int32_t *const end = sums + layer->outputs; sums != end;) {
        *out++ = (int8_t)hq_stored(*sums++, *by++, *shift++, &to);
    }
}

void hq_dense_in_parts(const hq_dense *layer, void (*sums_of)(const hq_dense *, const int8_t *, int32_t *),
                       uint32_t words, uint32_t doublings, const int8_t *x, int32_t *sums, int8_t *out)
{
    hq_dense part = *layer;
    for (uint32_t left = layer->outputs; left > 0; left -= part.outputs, out += part.outputs) {
        part.outputs = (uint16_t)(left < HQ_DENSE_PART ? left : HQ_DENSE_PART);
        sums_of(&part, x, sums);
        hq_dense_doubled(&part, doublings, sums);
        hq_dense_out_s8(&part, sums, out);
        part.weights += words;
        part.out.channels += HQ_DENSE_PART;
        part.out.shifts += HQ_DENSE_PART;
    }
}

void hq_window_out_s8(const hq_dense *layer, const int32_t *sums, int8_t *out)
{
    const hq_output to = layer->out;
    for (uint32_t o = 0; o < layer->outputs; o++) {
        out[o] = (int8_t)hq_stored_place(sums[o], to.channels[o], to.shifts[o], &to);
    }
}

void hq_dense_out_s16(const hq_dense *layer, const int32_t *sums, int16_t *out)
{
    const hq_output to = layer->out;
    for (uint32_t o = 0; o < layer->outputs; o++) {
        out[o] = (int16_t)hq_stored_wide(sums[o], to.channels[o], to.shifts[o], &to);
    }
}
