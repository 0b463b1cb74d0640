/* SPDX-License-Identifier: MIT
 *
 * Percentiles of any number of durations, in memory that does not grow: they are counted in classes
 * each 1 % wider than the one before.
 */
#ifndef CLI_LATENCY_H
#define CLI_LATENCY_H

#include <stddef.h>
#include <stdint.h>

/* From a microsecond to half an hour; what is shorter or longer is counted with these. */
enum { LATENCY_CLASSES = 2150 };

/* Zeroed at first. */
typedef struct latency {
    uint64_t counts[LATENCY_CLASSES];
    uint64_t total;
} latency;

void latency_add(latency *l, double ms);

/* What `percent` of the durations are not above, within 1 %; NaN of none. */
double latency_percentile(const latency *l, double percent);

#endif
