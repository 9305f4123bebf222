/* A depthwise convolution, 4 channels at a time where there is SIMD, else one. A window of 3 x 3 has a way of its own: a
 * strip of the input is widened to int16, of each column and channel the first two rows in a word and the third in the
 * next, so that the window of an output is words a fixed distance apart. */
#include "hq_conv.h"

static inline uint32_t is_three(const hq_conv *layer)
{
    return HQ_THREE_BY_THREE && layer->window_rows == 3 && layer->window_columns == 3;
}

/* As hybridq/image/packing.py describes: of 3 x 3 channel by channel, else place by place. */
static inline int32_t weight_of(const hq_conv *layer, uint32_t channel, uint32_t row, uint32_t column)
{
    const uint32_t place = row * layer->window_columns + column;
    const uint32_t at = is_three(layer) ? 9 * channel + hq_tap_of_three(place) : place * layer->inputs + channel;
    return ((const int8_t *)layer->weights)[at];
}

/* What a window counts that lies over an output column: the places outside the image, and if asked those inside. */
static int32_t sum_of(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t channel,
                      uint32_t with_inside)
{
    const uint32_t left = out_column * layer->stride - layer->pad_left; /* before the row it has wrapped around */
    int32_t sum = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        for (uint32_t k = 0; k < layer->window_columns; k++) {
            const uint32_t is_inside = rows[row] != 0 && left + k < layer->columns;
            if (!is_inside || with_inside) {
                const int32_t x = is_inside ? rows[row][(left + k) * layer->inputs + channel] : HQ_OUTSIDE(layer);
                sum += x * weight_of(layer, channel, row, k);
            }
        }
    }
    return sum;
}

static int8_t one(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t channel)
{
    const hq_output *const by = &layer->out;
    const int32_t sum = sum_of(layer, rows, out_column, channel, 1);
    return (int8_t)hq_stored_place(sum, by->channels[channel], by->shifts[channel], by);
}

#if HQ_DSP

enum { CHANNELS = 4 }; /* at a time */

/* ------------------------------------------------------------------------------------------ any window */

/* 4 channels at a place: from `start` on, `places` of each row that lie inside, `offset` bytes and `first` places in. */
static void four(const hq_conv *layer, const int8_t *const rows[], uint32_t offset, uint32_t first, uint32_t places,
                 uint32_t channel, const int32_t *start, int8_t *out)
{
    const uint32_t channels = layer->inputs, length = places * channels;
    const int8_t *weights = (const int8_t *)layer->weights + channel + first * channels;
    int32_t a = start[0], b = start[1], c = start[2], d = start[3];
    for (uint32_t row = 0; row < layer->window_rows; row++, weights += layer->window_columns * channels) {
        if (rows[row] != 0) {
            const int8_t *x = rows[row] + offset + channel, *w = weights;
            for (const int8_t *const end = x + length; x != end; x += channels, w += channels) {
                const uint32_t inputs = hq_word(x), word = hq_word(w);
                const int16x2_t even = hq_even(inputs), w_even = hq_even(word);
                a = __smlabb(w_even, even, a);
                c = __smlatt(w_even, even, c);
                const int16x2_t odd = hq_odd(inputs), w_odd = hq_odd(word);
                b = __smlabb(w_odd, odd, b);
                d = __smlatt(w_odd, odd, d);
            }
        }
    }
    const hq_output to = layer->out; /* a store to int8_t could change *layer, as far as a compiler knows */
    const hq_channel *const by = to.channels + channel;
    const uint8_t *const shifts = to.shifts + channel;
    out[0] = (int8_t)hq_stored_place(a, by[0], shifts[0], &to);
    out[1] = (int8_t)hq_stored_place(b, by[1], shifts[1], &to);
    out[2] = (int8_t)hq_stored_place(c, by[2], shifts[2], &to);
    out[3] = (int8_t)hq_stored_place(d, by[3], shifts[3], &to);
}

/* A place of the output; returns how many channels are done. */
static uint32_t place(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, int8_t *out)
{
    const hq_inside inside = hq_columns_inside(layer, out_column, layer->window_columns);
    const uint32_t places = inside.first < inside.end ? inside.end - inside.first : 0;
    const uint32_t offset = places > 0 ? (uint32_t)(inside.left + (int32_t)inside.first) * layer->inputs : 0;
    uint32_t counts = places < layer->window_columns; /* whether what lies outside does */
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        counts |= rows[row] == 0;
    }
    counts &= HQ_OUTSIDE(layer) != 0;
    uint32_t channel = 0;
    for (; channel + CHANNELS <= layer->inputs; channel += CHANNELS) {
        int32_t start[CHANNELS] = {0, 0, 0, 0};
        for (uint32_t k = 0; counts && k < CHANNELS; k++) {
            start[k] = sum_of(layer, rows, out_column, channel + k, 0);
        }
        four(layer, rows, offset, inside.first, places, channel, start, out + channel);
    }
    return channel;
}

/* -------------------------------------------------------------------------------------- a window of 3 x 3 */

#if HQ_THREE_BY_THREE

#define NAKED __attribute__((naked)) static void

/* Columns of three rows of 4 channels for the strip, in 18 instructions each. Given are the ends of the rows, how many
 * bytes to begin before them, which is below 0, and how many there are from one column to the next. In the place of a
 * first or a last row that is missing is the word that stands for it. */
#define WIDEN(name, FIRST, LAST)                                                              \
    NAKED name(IN(uint32_t first), IN(uint32_t second), IN(uint32_t last), IN(int32_t before), \
               IN(uint32_t step), IN(uint32_t *to))                                           \
    {                                                                                         \
        __asm__("push   {r4-r11, lr}\n"                                                       \
                "ldrd   lr, r12, [sp, #36]\n"                                                 \
                "1:\n" FIRST "ldr    r5, [r1, r3]\n" LAST                                     \
                "sxtb16 r8, r4\n"                                                             \
                "sxtb16 r10, r4, ror #8\n"                                                    \
                "sxtb16 r9, r5\n"                                                             \
                "sxtb16 r11, r5, ror #8\n"                                                    \
                "sxtb16 r5, r6\n"                                                             \
                "sxtb16 r7, r6, ror #8\n"                                                     \
                "pkhbt  r4, r8, r9, lsl #16\n"                                                \
                "pkhbt  r6, r10, r11, lsl #16\n"                                              \
                "pkhtb  r8, r9, r8, asr #16\n"                                                \
                "pkhtb  r10, r11, r10, asr #16\n"                                             \
                "asr    r9, r5, #16\n"                                                        \
                "asr    r11, r7, #16\n"                                                       \
                "stm    r12!, {r4-r11}\n"                                                     \
                "adds   r3, r3, lr\n"                                                         \
                "bne    1b\n"                                                                 \
                "pop    {r4-r11, pc}\n");                                                     \
    }
WIDEN(widen_three, "ldr    r4, [r0, r3]\n", "ldr    r6, [r2, r3]\n")
WIDEN(widen_without_first, "mov    r4, r0\n", "ldr    r6, [r2, r3]\n")
WIDEN(widen_without_last, "ldr    r4, [r0, r3]\n", "mov    r6, r2\n")

/* 4 channels of a 3 x 3 window at places beside each other. The assembly counts on the order, and leaves what the next
 * 4 begin with, but for the strip and the last. */
typedef struct {
    int32_t shift, zero; /* of the channel at hand */
    uint32_t step;       /* bytes from one place of the output to the next */
    const int8_t *end;   /* of the channel at hand, behind the last whole pair of places */
    const hq_channel *channels;
    const uint8_t *shifts;
    const uint32_t *strip;
    int8_t *out;
    const int8_t *weights, *last; /* last: out behind the last channel */
    uint32_t paired;              /* bytes from the first place to behind the last whole pair */
    uint32_t odd;                 /* whether there is one more place */
    uint32_t apart;               /* bytes of the strip from one place to the next */
    int32_t low, high;
} places;

/* Each channel of `places` in r0: its strip in r0 then, its 9 weights in r4 to r8, the bias in r1, the output in r2, the
 * multiplier in lr, `places` in r3. */
#define THREE_BY_THREE(name, PLACES)                     \
    NAKED name(IN(places *by))                                  \
    {                                                           \
        __asm__("push   {r4-r11, lr}\n"                         \
                "mov    r3, r0\n"                               \
                "1:\n"                                          \
                "ldr    r0, [r3, #32]\n"                        \
                "ldr    r4, [r0], #4\n"                         \
                "ldr    r7, [r0], #4\n"                         \
                "ldrsb  r8, [r0], #1\n"                         \
                "str    r0, [r3, #32]\n"                        \
                "ldrd   r11, r12, [r3, #16]\n"                  \
                "ldr    r1, [r11], #4\n"                        \
                "ldr    lr, [r11], #4\n"                        \
                "ldrb   r10, [r12], #1\n"                       \
                "strd   r11, r12, [r3, #16]\n"                  \
                "str    r10, [r3]\n"                            \
                "ldrd   r0, r2, [r3, #24]\n"                    \
                "ldrd   r9, r10, [r3, #40]\n"                   \
                "add    r11, r0, #8\n"                          \
                "add    r12, r2, #1\n"                          \
                "strd   r11, r12, [r3, #24]\n"                  \
                "add    r12, r2, r9\n"                          \
                "str    r12, [r3, #12]\n"                       \
                "sxtb16 r5, r4, ror #8\n"                       \
                "sxtb16 r4, r4\n"                               \
                "sxtb16 r6, r7\n"                               \
                "sxtb16 r7, r7, ror #8\n" HQ_DOUBLED("lr")      \
                PLACES                                          \
                "ldr    r11, [r3, #36]\n"                       \
                "ldr    r12, [r3, #28]\n"                       \
                "cmp    r11, r12\n"                             \
                "bne    1b\n"                                   \
                "pop    {r4-r11, pc}\n");                       \
    }

/* Two places whose windows are one column apart share the two columns between them. Then the odd one. */
#define PLACES_BESIDE(WITHIN)                                                             \
    "cmp    r9, #0\n"                                                                     \
    "beq    3f\n"                                                                         \
    "2:\n"                                                                                \
    "ldrd   r11, r12, [r0], #32\n"                                                        \
    "smlad  r9, r11, r4, r1\n"                                                            \
    "smlabb r9, r12, r7, r9\n"                                                            \
    "ldrd   r11, r12, [r0], #32\n"                                                        \
    "smlad  r9, r11, r5, r9\n"                                                            \
    "smlabt r9, r12, r7, r9\n"                                                            \
    "smlad  r10, r11, r4, r1\n"                                                           \
    "smlabb r10, r12, r7, r10\n"                                                          \
    "ldrd   r11, r12, [r0]\n"                                                             \
    "smlad  r9, r11, r6, r9\n"                                                            \
    "smlabb r9, r12, r8, r9\n"                                                            \
    "smlad  r10, r11, r5, r10\n"                                                          \
    "smlabt r10, r12, r7, r10\n"                                                          \
    "ldrd   r11, r12, [r0, #32]\n"                                                        \
    "smlad  r10, r11, r6, r10\n"                                                          \
    "smlabb r10, r12, r8, r10\n"                                                          \
    "ldrd   r11, r12, [r3]\n" HQ_SCALED("r9", "lr", "r11", "r12")                         \
    HQ_SCALED("r10", "lr", "r11", "r12") BOTH(WITHIN)                                     \
    "strb   r9, [r2]\n"                                                                   \
    "ldrd   r11, r12, [r3, #8]\n"                                                         \
    "strb   r10, [r2, r11]\n"                                                             \
    "add    r2, r2, r11, lsl #1\n"                                                        \
    "cmp    r2, r12\n"                                                                    \
    "bne    2b\n"                                                                         \
    "ldr    r10, [r3, #44]\n"                                                             \
    "3:\n"                                                                                \
    "cmp    r10, #0\n"                                                                    \
    "beq    4f\n" A_PLACE(WITHIN)                                                         \
    "strb   r9, [r2]\n"                                                                   \
    "4:\n"

/* Places whose windows are further apart: as if all were pairs. */
#define PLACES_APART(WITHIN)        \
    "ldr    r10, [r3, #48]\n"       \
    "2:\n" A_PLACE(WITHIN)          \
    "add    r0, r0, r10\n"          \
    "ldrd   r11, r12, [r3, #8]\n"   \
    "strb   r9, [r2]\n"             \
    "add    r2, r2, r11\n"          \
    "cmp    r2, r12\n"              \
    "bne    2b\n"

#define A_PLACE(WITHIN)                                                                   \
    "ldrd   r11, r12, [r0]\n"                                                             \
    "smlad  r9, r11, r4, r1\n"                                                            \
    "smlabb r9, r12, r7, r9\n"                                                            \
    "ldrd   r11, r12, [r0, #32]\n"                                                        \
    "smlad  r9, r11, r5, r9\n"                                                            \
    "smlabt r9, r12, r7, r9\n"                                                            \
    "ldrd   r11, r12, [r0, #64]\n"                                                        \
    "smlad  r9, r11, r6, r9\n"                                                            \
    "smlabb r9, r12, r8, r9\n"                                                            \
    "ldrd   r11, r12, [r3]\n" HQ_SCALED("r9", "lr", "r11", "r12") ONE(WITHIN)

#if HQ_BOUNDS
#define ONE(WITHIN) WITHIN("r9")
#define BOTH(WITHIN) WITHIN("r9") WITHIN("r10")
#else
#define ONE(WITHIN) "ldrd   r11, r12, [r3, #52]\n" WITHIN("r9")
#define BOTH(WITHIN) ONE(WITHIN) WITHIN("r10")
#define BETWEEN(v) HQ_WITHIN(v, "r11", "r12")
THREE_BY_THREE(beside, PLACES_BESIDE(BETWEEN))
THREE_BY_THREE(apart, PLACES_APART(BETWEEN))
#endif
#if HQ_BOUNDS == 1 || HQ_BOUNDS == 2
THREE_BY_THREE(signed_beside, PLACES_BESIDE(HQ_SIGNED))
THREE_BY_THREE(signed_apart, PLACES_APART(HQ_SIGNED))
#endif
#if HQ_BOUNDS == 2 || HQ_BOUNDS == 3
THREE_BY_THREE(positive_beside, PLACES_BESIDE(HQ_POSITIVE))
THREE_BY_THREE(positive_apart, PLACES_APART(HQ_POSITIVE))
#endif

typedef void run_places(places *by);

static inline run_places *kernel_for(const hq_conv *layer)
{
    const uint32_t are_beside = layer->stride == 1;
#if HQ_BOUNDS == 0
    return are_beside ? beside : apart;
#else
#if HQ_BOUNDS != 1
    if (HQ_BOUNDS == 3 || layer->out.low == 0) {
        return are_beside ? positive_beside : positive_apart;
    }
#endif
#if HQ_BOUNDS != 3
    return are_beside ? signed_beside : signed_apart;
#endif
#endif
}

/* A row of 4 channels that is missing, in `count` columns of the strip: half of a word for each channel. */
static void blank(uint32_t row, int32_t outside, uint32_t *strip, uint32_t count)
{
    int16_t *half = (int16_t *)strip + row;
    for (const int16_t *const end = half + count * 4 * CHANNELS; half != end; half += 4) {
        *half = (int16_t)outside;
    }
}

/* The columns of a strip that lie inside the image: `count` of them; in each row where they end, or what stands for it,
 * and whether that moves on with the channels; which rows are blanked then, as bits. */
typedef struct {
    uint32_t count, rows[3], moves[3], blanks;
    void (*widen)(uint32_t, uint32_t, uint32_t, int32_t, uint32_t, uint32_t *);
} inner_columns;

static inner_columns columns_of(const hq_conv *layer, const int8_t *const rows[], int32_t from, uint32_t count)
{
    inner_columns inner = {.count = count, .widen = widen_three};
    const int8_t *any = 0;
    uint32_t missing = 0;
    for (uint32_t row = 0; row < 3; row++) {
        any = rows[row] != 0 ? rows[row] : any;
        missing |= (uint32_t)(rows[row] == 0) << row;
    }
    if (any == 0) {
        inner.count = 0;
    }
    for (uint32_t row = 0; row < 3; row++) {
        const int8_t *const there = rows[row] != 0 ? rows[row] : any;
        inner.rows[row] = (uint32_t)there + (uint32_t)((from + (int32_t)count) * layer->inputs);
        inner.moves[row] = ~0u;
    }
    if (missing == 1 || missing == 4) {
        inner.widen = missing == 1 ? widen_without_first : widen_without_last;
        inner.rows[missing / 2] = (uint8_t)HQ_OUTSIDE(layer) * 0x01010101u;
        inner.moves[missing / 2] = 0;
    } else {
        inner.blanks = missing;
    }
    return inner;
}

/* Columns of the output from `first` on, with the strip in scratch. */
static void tile(const hq_conv *layer, const int8_t *const rows[], uint32_t first, uint32_t count, uint32_t *strip,
                 int8_t *out)
{
    const uint32_t stride = layer->stride, span = (count - 1) * stride + 3, channels = layer->inputs;
    const uint32_t around = ((uint32_t)(int32_t)HQ_OUTSIDE(layer) & 0xffff) * 0x10001u;
    const uint32_t paired = stride == 1 ? count & ~1u : count;
    const hq_inside inside = hq_columns_inside(layer, first, span);
    const uint32_t some = inside.first < inside.end ? inside.end - inside.first : 0;
    const inner_columns inner = columns_of(layer, rows, inside.left + (int32_t)inside.first, some);
    uint32_t *const to = strip + (some > 0 ? inside.first : 0) * 2 * CHANNELS;
    for (uint32_t *at = strip; at != to; at++) {
        *at = around;
    }
    for (uint32_t *at = to + inner.count * 2 * CHANNELS; at != strip + span * 2 * CHANNELS; at++) {
        *at = around;
    }
    places by = {
        .zero = hq_zero(&layer->out),
        .step = channels,
        .channels = layer->out.channels,
        .shifts = layer->out.shifts,
        .out = out,
        .weights = (const int8_t *)layer->weights,
        .paired = paired * channels,
        .odd = count - paired,
        .apart = stride * 8u * CHANNELS,
        .low = layer->out.low,
        .high = layer->out.high,
    };
    run_places *const run = kernel_for(layer);
    const int32_t before = -(int32_t)(inner.count * channels);
    for (uint32_t channel = 0; channel + CHANNELS <= channels; channel += CHANNELS) {
        if (inner.count > 0) {
            inner.widen(inner.rows[0] + (channel & inner.moves[0]), inner.rows[1] + (channel & inner.moves[1]),
                        inner.rows[2] + (channel & inner.moves[2]), before, channels, to);
        }
        for (uint32_t row = 0; inner.blanks >> row != 0; row++) {
            if (inner.blanks >> row & 1) {
                blank(row, HQ_OUTSIDE(layer), to, inner.count);
            }
        }
        by.strip = strip;
        by.last = by.out + CHANNELS;
        run(&by);
    }
}

#endif
#endif

void hq_depthwise_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    const uint32_t channels = layer->inputs;
    uint32_t done = 0;
#if HQ_DSP && HQ_THREE_BY_THREE
    if (is_three(layer)) {
        for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
            const uint32_t left = layer->out_columns - first;
            tile(layer, rows, first, left < layer->tile ? left : layer->tile, scratch, out + first * channels);
        }
        done = channels & ~3u;
        if (done == channels) {
            return;
        }
    }
#else
    (void)scratch;
#endif
    for (uint32_t p = 0; p < layer->out_columns; p++, out += channels) {
#if HQ_DSP
        if (!is_three(layer)) {
            done = place(layer, rows, p, out);
        }
#endif
        for (uint32_t channel = done; channel < channels; channel++) {
            out[channel] = one(layer, rows, p, channel);
        }
    }
}
