/* A keyword spotter: sound in, the class of the last HYBRIDQ_INPUT_SAMPLES samples out. Where HYBRIDQ_ONLINE is defined,
 * the network has a memory of its own: it hears every column once, as soon as it is there, and the class is that of the
 * stream so far.
 *
 * No heap, no operating system; all memory is static. One stream of sound, and no locking: the functions must not
 * interrupt one another. */
#ifndef HYBRIDQ_H
#define HYBRIDQ_H

#include <stddef.h>
#include <stdint.h>

#include "network.h" /* HYBRIDQ_CLASSES, hybridq_labels */

/* Before anything else, and to forget the sound so far. */
void hybridq_init(void);

/* The next samples of the stream, int16 at HYBRIDQ_SAMPLE_RATE, in pieces of any size. Returns how many columns of the
 * network's input they completed: where it is not 0, there is something new to classify. */
int hybridq_push_audio(const int16_t *samples, size_t count);

/* Runs the network on the last columns, or tells what it has said of the last one where it is online; before there are HYBRIDQ_INPUT_SAMPLES samples, the missing ones count as
 * average sound, and an online network says 0 before its first column. Returns the class, the first of the largest logits: an index of hybridq_labels. */
int hybridq_classify(int16_t logits[HYBRIDQ_CLASSES]);

#endif
