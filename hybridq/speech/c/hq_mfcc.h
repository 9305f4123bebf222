/* The front end on the device: int16 sound in, the last columns of standardised MFCC out, as the int8 that the network
 * reads. hybridq/speech/mfcc.py defines the numbers; hq_mfcc_config.h, which hybridq/speech/c_front_end.py makes, has
 * the sizes.
 *
 * Single precision throughout, no heap, no library. Compile with -ffp-contract=off: then every machine with IEEE floats
 * gives the same bits.
 */
#ifndef HQ_MFCC_H
#define HQ_MFCC_H

#include <stddef.h>
#include <stdint.h>

#include "hq_mfcc_config.h"

typedef struct {
    float re, im;
} hq_mfcc_complex;

/* What a push works in. Nothing in it lives from one push to the next: it may lie where the network's tensors lie, if
 * the network does not run during a push. */
typedef struct {
    hq_mfcc_complex spectrum[HQ_MFCC_TRANSFORM / 2];
    float bands[HQ_MFCC_BANDS];
} hq_mfcc_work;

typedef struct {
    hq_mfcc_work *work;
    uint32_t held;    /* samples of the next window that are there */
    uint32_t skipped; /* samples to pass over before it */
    uint32_t column;  /* where the next column goes, in place of the oldest one */
    int16_t samples[HQ_MFCC_WINDOW];
    int8_t columns[HQ_MFCC_COEFFICIENTS][HQ_MFCC_FRAMES];
} hq_mfcc;

/* The start of a stream. All columns are zeros, the mean of the training set, until there are others. */
void hq_mfcc_init(hq_mfcc *state, hq_mfcc_work *work);

/* The next samples of the stream, in pieces of any size; returns the number of columns that they completed. */
int hq_mfcc_push(hq_mfcc *state, const int16_t *samples, size_t count);

/* One row of the network's input: a coefficient in the last HQ_MFCC_FRAMES columns, the oldest first. */
void hq_mfcc_row(const hq_mfcc *state, uint32_t coefficient, int8_t row[HQ_MFCC_FRAMES]);

#endif
