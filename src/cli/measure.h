/* SPDX-License-Identifier: MIT
 *
 * Measuring: contenders take turns, run by run, so that whatever holds the machine up for a while
 * holds up all alike. Each lives in a process of its own, forked from this one, so that its peak of
 * memory is its own while all share the weights of a model opened before. One runs at a time; the
 * others sleep.
 */
#ifndef CLI_MEASURE_H
#define CLI_MEASURE_H

#include <sys/types.h>

#include <vitrine.h>

#include "progress.h"

enum { MAX_FIGURES = 4 };

/* What a contender does, in its own process. Both say in `err` why they failed. */
typedef struct measured {
    /* Allocates what the runs need. */
    vt_status (*begin)(void *context, vt_error *err);
    /* One run; writes its figures, times in milliseconds for example. */
    vt_status (*run)(void *context, double *figures, vt_error *err);
    size_t num_figures;
} measured;

typedef struct contender {
    const measured *what;
    void *context; /* as it was when the process began; what a run changes stays there */
    /* Results. */
    double *figures[MAX_FIGURES]; /* [num_runs] of each, in ascending order */
    size_t num_runs;
    size_t peak_rss; /* bytes, the shared weights among them */
    vt_error err;    /* its code is VT_OK unless it failed */
    /* Its process. */
    pid_t process;
    int to, from;
    double last_ms; /* of the last run, the way there and back included */
} contender;

/* Runs all of them `warmups` times unrecorded, then `runs` times. One that fails drops out.
 *
 * A turn finds the contender's threads asleep and the caches filled by others, which would cost a
 * short run several per cent: a turn of one whose runs take less than 100 ms begins with a run that
 * is not recorded. */
void measure(contender *contenders, size_t count, size_t warmups, size_t runs, bool quiet);

/* The same by hand: starts one, with room for `runs` figures; one run, false when it failed; and
 * the end of all that were started. */
void contender_start(contender *c, size_t runs);
bool contender_run(contender *c, bool record);
void contender_finish(contender *contenders, size_t count);

/* For a contender that gave memory back when it began: its peak counts from here. */
void forget_peak(void);

void contender_free(contender *c);

/* The value below which `percent` of the ascending values lie, between two of them in proportion;
 * NaN of none. */
double percentile(const double *ascending, size_t count, double percent);

#endif
