/* The constants of one front end, in hq_mfcc_tables.c, which hybridq/speech/c_front_end.py makes and explains. */
#ifndef HQ_MFCC_TABLES_H
#define HQ_MFCC_TABLES_H

#include <stdint.h>

#include "hq_mfcc_config.h"

/* The first half of the window, its middle included; a quarter turn of the sine, both ends included. */
extern const float hq_mfcc_window[HQ_MFCC_WINDOW / 2 + 1];
extern const float hq_mfcc_sine[HQ_MFCC_TRANSFORM / 4 + 1];

/* The bins between two corners of the mel triangles: how many, how high the rising flank is at the first of them, and
 * how much higher at each next. What the rising flank lacks to 1 is the falling flank of the band before. */
typedef struct {
    float height, step;
    uint32_t bins;
} hq_mfcc_flank;
extern const hq_mfcc_flank hq_mfcc_flanks[HQ_MFCC_BANDS + 1];
extern const float hq_mfcc_areas[HQ_MFCC_BANDS];

/* A turn of the cosine, and what makes stored integers of its sums: scale and offset of each coefficient. */
extern const float hq_mfcc_cosine[4 * HQ_MFCC_BANDS];
extern const float hq_mfcc_standard[HQ_MFCC_COEFFICIENTS][2];

#endif
