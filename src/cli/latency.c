/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <math.h>

static const double shortest_ms = 1e-3, growth = 1.01;

void latency_add(latency *l, double ms) {
    double class = ms > shortest_ms ? log(ms / shortest_ms) / log(growth) : 0;
    l->counts[class < LATENCY_CLASSES - 1 ? (size_t) class : LATENCY_CLASSES - 1]++;
    l->total++;
}

double latency_percentile(const latency *l, double percent) {
    double wanted = ceil(percent / 100 * (double)l->total);
    uint64_t below = 0;
    for (size_t i = 0; i < LATENCY_CLASSES; i++) {
        below += l->counts[i];
        if (l->counts[i] && (double)below >= wanted)
            return shortest_ms * pow(growth, (double)i + 0.5);
    }
    return NAN;
}
