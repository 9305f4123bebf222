#include "hq_mfcc.h"

#include "hq_mfcc_tables.h"

enum {
    WINDOW = HQ_MFCC_WINDOW,
    HOP = HQ_MFCC_HOP,
    KEPT = HOP < WINDOW ? WINDOW - HOP : 0,    /* samples that the next window has too */
    SKIPPED = HOP > WINDOW ? HOP - WINDOW : 0, /* samples between two windows */
    TRANSFORM = HQ_MFCC_TRANSFORM,
    POINTS = TRANSFORM / 2, /* of the complex transform that does the work of the real one */
    QUARTER = TRANSFORM / 4,
    BANDS = HQ_MFCC_BANDS,
    COEFFICIENTS = HQ_MFCC_COEFFICIENTS,
    FRAMES = HQ_MFCC_FRAMES
};

typedef hq_mfcc_complex complex;

static complex times(complex a, complex b)
{
    return (complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static complex plus(complex a, complex b)
{
    return (complex){a.re + b.re, a.im + b.im};
}

static complex minus(complex a, complex b)
{
    return (complex){a.re - b.re, a.im - b.im};
}

/* exp(-2 pi i k / TRANSFORM), k up to a quarter turn. */
static complex turn(uint32_t k)
{
    return (complex){hq_mfcc_sine[QUARTER - k], -hq_mfcc_sine[k]};
}

/* A sample of the window under its weight; zeros follow the window. */
static float weighed(const int16_t *samples, uint32_t n)
{
    return n < WINDOW ? (float)samples[n] * hq_mfcc_window[n <= WINDOW / 2 ? n : WINDOW - n] : 0.0f;
}

/* The window as points: two neighbouring samples are real and imaginary part of one. In bit-reversed order. */
static void windowed(const int16_t *samples, complex *points)
{
    uint32_t reversed = 0;
    for (uint32_t n = 0; n < TRANSFORM; n += 2) {
        points[reversed] = (complex){weighed(samples, n), weighed(samples, n + 1)};
        uint32_t bit = POINTS / 2; /* counts up, from the top bit down */
        for (; reversed & bit; bit /= 2) {
            reversed -= bit;
        }
        reversed += bit;
    }
}

/* The discrete Fourier transform of points in bit-reversed order, in place: passes of radix 4, after one of radix 2
 * where the number of points is no power of 4. */
static void transformed(complex *points)
{
    uint32_t size = 1; /* of the transforms that are done */
    if (POINTS & 0xaaaaaaaau) {
        for (uint32_t i = 0; i < POINTS; i += 2) {
            complex a = points[i], b = points[i + 1];
            points[i] = plus(a, b);
            points[i + 1] = minus(a, b);
        }
        size = 2;
    }
    for (; size < POINTS; size *= 4) {
        for (uint32_t j = 0; j < size; j++) {
            complex w1 = turn(j * (QUARTER / size)), w2 = times(w1, w1), w3 = times(w1, w2);
            for (uint32_t i = j; i < POINTS; i += 4 * size) {
                complex *x = points + i;
                complex a = x[0], b = times(x[size], w2), c = times(x[2 * size], w1), d = times(x[3 * size], w3);
                complex even = plus(a, b), odd = minus(a, b), sum = plus(c, d), difference = minus(c, d);
                x[0] = plus(even, sum);
                x[size] = (complex){odd.re + difference.im, odd.im - difference.re};
                x[2 * size] = minus(even, sum);
                x[3 * size] = (complex){odd.re - difference.im, odd.im + difference.re};
            }
        }
    }
}

/* The power of each bin of the real transform but the first and the last, in place, where the real part was. The window
 * has the factor 1/2 that belongs to the sums of two points. */
static void powers(complex *points)
{
    for (uint32_t k = 1; k <= POINTS / 2; k++) {
        complex *low = points + k, *high = points + (POINTS - k);
        complex even = {low->re + high->re, low->im - high->im};
        complex odd = times((complex){low->im + high->im, high->re - low->re}, turn(k));
        complex sum = plus(even, odd), difference = minus(even, odd);
        low->re = sum.re * sum.re + sum.im * sum.im;
        high->re = difference.re * difference.re + difference.im * difference.im;
    }
}

/* The logarithm to base 2 of a normal positive number, within 1.5e-7 and the rounding of the result.
 *
 * x = m * 2^e with m from sqrt(1/2) to sqrt(2), and ln m = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + s^7/7 + ...) with
 * s = (m - 1) / (m + 1), |s| < 0.1716: the terms left out are below 5e-8. */
static float log2_of(float x)
{
    union {
        float value;
        uint32_t bits;
    } m = {x};
    const uint32_t one = 0x3f800000u, root = 0x3f3504f3u; /* 1 and sqrt(1/2) as bits */
    int32_t exponent = (int32_t)((m.bits + (one - root)) >> 23) - 127;
    m.bits -= (uint32_t)exponent << 23;
    float s = (m.value - 1.0f) / (m.value + 1.0f), square = s * s;
    /* 2 / (n ln 2) for n = 1, 3, 5, 7 */
    float series = 2.8853901f + square * (0.96179669f + square * (0.57707802f + square * 0.41219858f));
    return (float)exponent + s * series;
}

/* The logarithm of each band's power. A band rises over the bins from one corner to the next and falls to the one after
 * that, where the next band rises. */
static void heard(const complex *power, float *bands)
{
    const complex *bin = power + HQ_MFCC_FIRST_BIN;
    float risen = 0.0f;
    for (uint32_t b = 0; b <= BANDS; b++) {
        const hq_mfcc_flank *flank = &hq_mfcc_flanks[b];
        float rising = 0.0f, falling = 0.0f, height = flank->height;
        for (uint32_t n = 0; n < flank->bins; n++, bin++) {
            float part = height * bin->re;
            rising += part;
            falling += bin->re - part;
            height += flank->step;
        }
        if (b > 0) {
            float band = (risen + falling) * hq_mfcc_areas[b - 1];
            bands[b - 1] = log2_of(band > HQ_MFCC_FLOOR ? band : HQ_MFCC_FLOOR);
        }
        risen = rising;
    }
}

/* A cosine of the transform is the same in the bands' second half as in the first, mirrored; with the other sign where
 * its number is odd. So sums of mirrored bands go to the first half, differences to the second. */
static void folded(float *bands)
{
    for (uint32_t low = 0, high = BANDS - 1; low < high; low++, high--) {
        float sum = bands[low] + bands[high], difference = bands[low] - bands[high];
        bands[low] = sum;
        bands[high] = difference;
    }
}

/* One coefficient, standardised, in units of the stored integer. */
static float coefficient(const float *bands, uint32_t k)
{
    const float *band = k % 2 ? bands + BANDS - 1 : bands;
    const int32_t inwards = k % 2 ? -1 : 1;
    float sum = 0.0f;
    for (uint32_t n = (BANDS + 1) / 2, angle = k; n > 0; n--, band += inwards) {
        sum += *band * hq_mfcc_cosine[angle];
        angle += 2 * k;
        if (angle >= 4 * BANDS) {
            angle -= 4 * BANDS;
        }
    }
    return sum * hq_mfcc_standard[k][0] + hq_mfcc_standard[k][1];
}

/* Rounded half up, and clipped. */
static int8_t stored(float value)
{
    float clipped = value < -128.0f ? -128.0f : value > 127.0f ? 127.0f : value;
    return (int8_t)((int32_t)(clipped + 128.5f) - 128);
}

/* One column more, from a full window. */
static void extended(hq_mfcc *state)
{
    hq_mfcc_work *work = state->work;
    windowed(state->samples, work->spectrum);
    transformed(work->spectrum);
    powers(work->spectrum);
    heard(work->spectrum, work->bands);
    folded(work->bands);
    for (uint32_t k = 0; k < COEFFICIENTS; k++) {
        state->columns[k][state->column] = stored(coefficient(work->bands, k));
    }
    state->column = state->column + 1 < FRAMES ? state->column + 1 : 0;
}

void hq_mfcc_init(hq_mfcc *state, hq_mfcc_work *work)
{
    *state = (hq_mfcc){.work = work};
}

int hq_mfcc_push(hq_mfcc *state, const int16_t *samples, size_t count)
{
    int made = 0;
    while (count > 0) {
        uint32_t wanted = state->skipped > 0 ? state->skipped : WINDOW - state->held;
        uint32_t part = count < wanted ? (uint32_t)count : wanted;
        if (state->skipped > 0) {
            state->skipped -= part;
        } else {
            for (uint32_t i = 0; i < part; i++) {
                state->samples[state->held + i] = samples[i];
            }
            state->held += part;
        }
        samples += part;
        count -= part;
        if (state->held == WINDOW) {
            extended(state);
            made++;
            state->held = KEPT;
            state->skipped = SKIPPED;
            for (uint32_t i = HOP; i < WINDOW; i++) {
                state->samples[i - HOP] = state->samples[i];
            }
        }
    }
    return made;
}

void hq_mfcc_row(const hq_mfcc *state, uint32_t coefficient, int8_t row[HQ_MFCC_FRAMES])
{
    const int8_t *columns = state->columns[coefficient];
    for (uint32_t at = state->column; at < FRAMES; at++) {
        *row++ = columns[at];
    }
    for (uint32_t at = 0; at < state->column; at++) {
        *row++ = columns[at];
    }
}
