/* A convolution's row for 8- and 4-bit weights: the input is widened to int16, so that the window of an output is one run
 * of numbers. Then 2 outputs at 2 places at a time. Where the inputs are a multiple of 4 a strip is widened, tile by
 * tile, each column (window_rows, inputs) in one piece, and windows beside each other share its columns; else, and
 * where places lie apart, each window by itself.
 *
 * With SIMD there is an even and an odd number in each half of a word of weights, as its bytes: w = 256 odd + even, the
 * even one from 0 to 255. SMLAD multiplies such halves as they are, by an even input x, and after SXTB16 the odd ones
 * alone, by what the odd input y leaves: w x + odd (y - 256 x) = even x + odd y. So the even weights are stored with
 * 128 added, which takes off 128 times the sum of the even inputs, the same for all outputs; and of y 128 is taken off,
 * so that y - 256 x - 128 fits int16: biases have it added (channels.packed_bias). In a strip are then of each 4 inputs
 * the even ones, and what is made of both: the bytes y + 128 and, on top, -1 - x. */
#include "hq_conv.h"

#if HQ_DSP

#define MIX                              \
    "ldr    r4, [r0], #4\n"              \
    "rev16  r5, r4\n"                    \
    "sxtb16 r4, r4\n"                    \
    "eor    r5, r5, r12\n"               \
    "smlad  r3, r4, lr, r3\n"            \
    "strd   r4, r5, [r2], #8\n"

/* `count` columns of `inputs` each, a multiple of 4, to as many columns that lie `skip` bytes apart; of each the sum of
 * its even inputs is taken off `less`. 7 instructions for 4 inputs. */
__attribute__((naked)) static void mix(IN(const int8_t *from), IN(uint32_t inputs), IN(int16_t *to),
                                       IN(int32_t *less), IN(uint32_t count), IN(uint32_t skip))
{
    __asm__("push   {r4-r9, lr}\n"
            "ldrd   r6, r7, [sp, #28]\n"
            "mov    r8, r3\n"
            "mov    r9, r1\n"
            "mov    r12, #0xff00ff00\n"
            "orr    r12, r12, #0x00800080\n"
            "mov    lr, #-1\n" /* twice, as halves */
            "1:\n"
            "add    r1, r0, r9\n"
            "ldr    r3, [r8]\n"
            "lsls   r4, r9, #30\n" /* an odd number of steps: the carry is bit 2 */
            "bcs    3f\n"
            "2:\n" MIX "3:\n" MIX
            "cmp    r0, r1\n"
            "bne    2b\n"
            "str    r3, [r8], #4\n"
            "add    r2, r2, r7\n"
            "subs   r6, r6, #1\n"
            "bne    1b\n"
            "pop    {r4-r9, pc}\n");
}

/* A place outside the image, of which there is no sum where what stands for 0 is 0. */
static void surround(int8_t outside, uint32_t inputs, int16_t *to, int32_t *less)
{
    const uint32_t even = ((uint32_t)outside & 0xffff) * 0x10001u;
    const uint32_t byte = (uint8_t)outside;
    const uint32_t both[2] = {even, ((byte ^ 0x80) | (byte ^ 0xff) << 8) * 0x10001u};
    for (const int16_t *const end = to + inputs; to != end; to += 4) {
        __builtin_memcpy(to, both, sizeof both);
    }
    *less -= outside * (int32_t)(inputs / 2);
}

#else

static void mix(const int8_t *from, uint32_t inputs, int16_t *to, int32_t *less, uint32_t count, uint32_t skip)
{
    (void)less;
    for (; count > 0; count--, to += skip / 2) {
        for (uint32_t i = 0; i < inputs; i++) {
            *to++ = (int16_t)(*from++ - 128 * (int32_t)(i & 1));
        }
    }
}

static void surround(int8_t outside, uint32_t inputs, int16_t *to, int32_t *less)
{
    (void)less;
    for (uint32_t i = 0; i < inputs; i++) {
        to[i] = (int16_t)(outside - 128 * (int32_t)(i & 1));
    }
}

#endif

/* ------------------------------------------------------------------------------------------ a strip of columns */

/* From an output column on; and of each column less the sum of its even inputs. */
static void fill(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t span, int16_t *strip,
                 int32_t *less)
{
    const uint32_t inputs = layer->inputs, length = hq_length(layer) / layer->window_columns;
    const int8_t outside = (int8_t)HQ_OUTSIDE(layer);
    const hq_inside inside = hq_columns_inside(layer, out_column, span);
    __builtin_memset(less, 0, span * sizeof *less);
    for (uint32_t row = 0; row < layer->window_rows; row++, strip += inputs) {
        uint32_t c = 0;
        if (rows[row] != 0 && inside.first < inside.end) {
            for (; c < inside.first; c++) {
                surround(outside, inputs, strip + c * length, less + c);
            }
            const int8_t *const from = rows[row] + (inside.left + (int32_t)c) * (int32_t)inputs;
            mix(from, inputs, strip + c * length, less + c, inside.end - c, 2 * (length - inputs));
            c = inside.end;
        }
        for (; c < span; c++) {
            surround(outside, inputs, strip + c * length, less + c);
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

/* What is the same for all places of a row. */
static inline hq_places places_of(const hq_conv *layer)
{
    return (hq_places){.zero = hq_zero(&layer->out), .low = layer->out.low, .high = layer->out.high};
}

/* Two places, at x0 and x1, or the last one of a row, at x0: where there is no kernel for one, computed twice. */
static inline void run(hq_places *at, const hq_conv *layer, uint32_t length, hq_outputs_at *two)
{
    at->end = at->x0 + length;
    at->out1 = at->out0 + layer->outputs;
    two(at, layer->weights);
}
static inline void run_last(hq_places *at, const hq_conv *layer, uint32_t length, hq_outputs_at *one)
{
    at->end = at->x0 + length;
#if HQ_ONE_PLACE
    at->entry = 0;
#else
    at->x1 = at->x0;
    at->less1 = at->less0;
    at->out1 = at->out0;
#endif
    one(at, layer->weights);
}

void hq_conv_strip_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_outputs_at *two, hq_outputs_at *one)
{
    const uint32_t length = hq_length(layer), window = layer->window_columns, stride = layer->stride;
    const uint32_t step = length / window * stride;
    hq_places at = places_of(layer);
    at.out0 = out;
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t left = layer->out_columns - first;
        left = left < layer->tile ? left : layer->tile;
        const uint32_t span = (left - 1) * stride + window;
        int32_t *less = (int32_t *)(void *)(strip + length / window * span);
        fill(layer, rows, first, span, strip, less);
        at.entry = 0;
        for (at.x0 = strip; left > 1; left -= 2, less += 2 * stride) {
            at.x1 = at.x0 + step;
            at.less0 = sum_of(less, window);
            at.less1 = sum_of(less + stride, window);
            run(&at, layer, length, two);
            at.x0 = at.x1 + step;
            at.out0 = at.out1 + layer->outputs;
        }
        if (left > 0) {
            at.less0 = sum_of(less, window);
            run_last(&at, layer, length, one);
            at.out0 += layer->outputs;
        }
    }
}

#else

/* All outputs at two places, out0 and out1. */
static void outputs_at(const hq_conv *layer, const int16_t *x0, const int16_t *x1, int8_t *out0, int8_t *out1,
                       hq_pairs pairs)
{
    const uint32_t length = hq_length(layer), words = pairs.words * (length / 4);
    const uint32_t *from = layer->weights;
    int32_t sums[4];
    for (uint32_t o = 0; o < layer->outputs; o += 2, from += words + 5) {
        const uint32_t *const biases = from + (pairs.biases_first ? 0 : words), *const by = from + words + 2;
        pairs.dot(from + (pairs.biases_first ? 2 : 0), x0, x1, x0 + length, sums);
        for (uint32_t k = 0; k < 2 && o + k < layer->outputs; k++) {
            const int32_t multiplier = (int32_t)(by[k] >> HQ_ROUNDS_TWICE);
            const hq_channel channel = {(int32_t)biases[k], multiplier};
            const uint32_t shift = by[2] >> 8 * k & 255;
            out0[o + k] = (int8_t)hq_stored_place(sums[2 * k], channel, shift, &layer->out);
            out1[o + k] = (int8_t)hq_stored_place(sums[2 * k + 1], channel, shift, &layer->out);
        }
    }
}

void hq_conv_strip_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip, hq_pairs pairs)
{
    const uint32_t step = hq_length(layer) / layer->window_columns * layer->stride;
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        const uint32_t span = (count - 1) * layer->stride + layer->window_columns;
        fill(layer, rows, first, span, strip, (int32_t *)(void *)(strip + step / layer->stride * span));
        const int16_t *x = strip;
        for (uint32_t p = 0; p < count; p += 2, x += 2 * step, out += 2 * layer->outputs) {
            const uint32_t second = p + 1 < count; /* else the last place is computed twice */
            outputs_at(layer, x, x + second * step, out, out + second * layer->outputs, pairs);
        }
        out -= (count & 1) * layer->outputs;
    }
}

#endif

/* ------------------------------------------------------------------------------------------ each window by itself */

/* Of `count` rows so many words, each row `step` bytes behind the one before, so that it overwrites what is too much. */
#if HQ_DSP
__attribute__((naked)) static void copy_words(IN(const int8_t *const rows[]), IN(uint32_t offset), IN(uint32_t words),
                                              IN(int8_t *to), IN(uint32_t step), IN(uint32_t count))
{
    __asm__("push   {r4-r8, lr}\n"
            "ldrd   r4, r12, [sp, #24]\n"
            "1:\n"
            "ldr    r5, [r0], #4\n"
            "mov    r6, r3\n"
            "mov    r8, r2\n"
            "add    r5, r5, r1\n"
            "2:\n"
            "ldr    r7, [r5], #4\n"
            "subs   r8, r8, #1\n"
            "str    r7, [r6], #4\n"
            "bne    2b\n"
            "add    r3, r3, r4\n"
            "subs   r12, r12, #1\n"
            "bne    1b\n"
            "pop    {r4-r8, pc}\n");
}
#else
static void copy_words(const int8_t *const rows[], uint32_t offset, uint32_t words, int8_t *to, uint32_t step,
                       uint32_t count)
{
    (void)words;
    for (; count > 0; count--, to += step) {
        __builtin_memcpy(to, *rows++ + offset, step);
    }
}
#endif

/* Of `count` rows so many bytes; nothing of a row that is missing. */
static void copy(const int8_t *const rows[], uint32_t offset, uint32_t bytes, int8_t *to, uint32_t step,
                 uint32_t count)
{
    for (; count > 0; count--, rows++, to += step) {
        for (uint32_t k = 0; *rows != 0 && k < bytes; k++) {
            to[k] = (*rows)[offset + k];
        }
    }
}

/* A window that begins at column `left`, and less the sum of its even inputs. There is room for its bytes and 4 more. */
static int32_t window_at(const hq_conv *layer, const int8_t *const rows[], int32_t left, uint32_t all_rows,
                         int16_t *window, uint32_t *bytes)
{
    const uint32_t inputs = layer->inputs, step = layer->window_columns * inputs, length = hq_length(layer);
    const int32_t right = left + layer->window_columns - layer->columns; /* so many columns are beyond the row */
    const int8_t *from = (const int8_t *)bytes;
    int32_t less = 0;
    if (all_rows && left >= 0 && right <= 0) {
        if (step == length) {
            from = rows[0] + (uint32_t)left * inputs;
        } else {
            copy_words(rows, (uint32_t)left * inputs, (step + 3) / 4, (int8_t *)bytes, step, layer->window_rows);
        }
    } else {
        const uint32_t first = left < 0 ? (uint32_t)-left : 0, missing = first + (right > 0 ? (uint32_t)right : 0);
        for (uint32_t k = 0; k < length / 4; k++) {
            bytes[k] = (uint8_t)HQ_OUTSIDE(layer) * 0x01010101u;
        }
        if (missing < layer->window_columns) {
            const uint32_t offset = (uint32_t)(left + (int32_t)first) * inputs, count = step - missing * inputs;
            copy(rows, offset, count, (int8_t *)bytes + first * inputs, step, layer->window_rows);
        }
    }
    mix(from, length, window, &less, 1, 0);
    return less;
}

static uint32_t are_all_there(const hq_conv *layer, const int8_t *const rows[])
{
    uint32_t all = 1;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        all &= rows[row] != 0;
    }
    return all;
}

#if HQ_DSP

void hq_conv_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *windows,
                      hq_outputs_at *two, hq_outputs_at *one)
{
    const uint32_t length = hq_length(layer), all = are_all_there(layer, rows);
    uint32_t *const bytes = (uint32_t *)(void *)(windows + 2 * length);
    hq_places at = places_of(layer);
    at.x0 = windows;
    at.x1 = windows + length;
    at.out0 = out;
    int32_t left = -layer->pad_left;
    for (uint32_t count = layer->out_columns; count > 0; at.out0 = at.out1 + layer->outputs) {
        at.less0 = window_at(layer, rows, left, all, windows, bytes);
        left += layer->stride;
        if (count == 1) {
            run_last(&at, layer, length, one);
            break;
        }
        at.less1 = window_at(layer, rows, left, all, windows + length, bytes);
        left += layer->stride;
        run(&at, layer, length, two);
        count -= 2;
    }
}

#else

void hq_conv_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *windows, hq_pairs pairs)
{
    const uint32_t length = hq_length(layer), all = are_all_there(layer, rows);
    uint32_t *const bytes = (uint32_t *)(void *)(windows + 2 * length);
    for (uint32_t p = 0; p < layer->out_columns; p += 2, out += 2 * layer->outputs) {
        const int32_t left = (int32_t)(p * layer->stride) - layer->pad_left, second = p + 1u < layer->out_columns;
        window_at(layer, rows, left, all, windows, bytes);
        window_at(layer, rows, left + second * layer->stride, all, windows + length, bytes);
        outputs_at(layer, windows, windows + length, out, out + second * layer->outputs, pairs);
    }
}

#endif
