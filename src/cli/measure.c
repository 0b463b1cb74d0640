/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "diagnose.h"

/* ---- the contender's side ----------------------------------------------------------------------
 */

/* What comes back after the beginning and after each run. */
typedef struct reply {
    double figures[MAX_FIGURES];
    size_t peak_rss;
    vt_error err;
} reply;

/* The kernel begins to count anew when a process is forked. */
static size_t peak_rss(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Linux counts a process's peak anew where 5 is written; elsewhere the peak remains as it was. */
void forget_peak(void) {
#ifdef __GLIBC__
    malloc_trim(0); /* what was freed goes back to the system */
#endif
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

static bool write_all(int file, const void *bytes, size_t size) {
    for (ssize_t put; size > 0; bytes = (const char *)bytes + put, size -= (size_t)put) {
        put = write(file, bytes, size);
        if (put < 0 && errno == EINTR)
            put = 0;
        if (put < 0)
            return false;
    }
    return true;
}

static bool read_all(int file, void *bytes, size_t size) {
    for (ssize_t got; size > 0; bytes = (char *)bytes + got, size -= (size_t)got) {
        got = read(file, bytes, size);
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0)
            return false;
    }
    return true;
}

static bool send_reply(int file, reply *r, vt_status status) {
    r->err.code = status;
    r->peak_rss = peak_rss();
    return write_all(file, r, sizeof *r) && status == VT_OK;
}

/* Does a run for each byte that is read. */
static void serve(const contender *c, int in, int out) {
    reply r = {0};
    char word;
    bool on = send_reply(out, &r, c->what->begin(c->context, &r.err));
    while (on && read_all(in, &word, 1))
        on = send_reply(out, &r, c->what->run(c->context, r.figures, &r.err));
}

/* ---- the measuring side ------------------------------------------------------------------------
 */

static void fail(contender *c, vt_status code, const char *what, const char *reason) {
    c->err.code = code;
    snprintf(c->err.message, sizeof c->err.message, "%s%s%s", what, *reason ? ": " : "", reason);
}

static void close_pipes(contender *c) {
    if (c->to >= 0)
        close(c->to);
    if (c->from >= 0)
        close(c->from);
    c->to = c->from = -1;
}

/* Waits for the process; its pipes are closed. */
static int reap(contender *c) {
    int status = 0;
    while (c->process > 0 && waitpid(c->process, &status, 0) < 0 && errno == EINTR)
        ;
    c->process = 0;
    return status;
}

/* The process ended without a word: the system ended it. */
static void fail_silent(contender *c) {
    char signal[48] = "";
    close_pipes(c);
    int status = reap(c);
    if (WIFSIGNALED(status))
        snprintf(signal, sizeof signal, "signal %d%s", WTERMSIG(status),
                 WTERMSIG(status) == SIGKILL ? ", as when memory runs out" : "");
    fail(c, VT_ERR_INTERNAL, "the measuring process ended", signal);
}

static bool receive(contender *c, reply *r) {
    if (!read_all(c->from, r, sizeof *r)) {
        fail_silent(c);
        return false;
    }
    c->peak_rss = r->peak_rss;
    c->err = r->err;
    return r->err.code == VT_OK;
}

static bool fork_process(contender *c) {
    int down[2], up[2];
    if (pipe(down) != 0)
        return false;
    if (pipe(up) != 0) {
        close(down[0]);
        close(down[1]);
        return false;
    }
    c->process = fork();
    if (c->process == 0) {
        close(down[1]);
        close(up[0]);
        serve(c, down[0], up[1]);
        _exit(0); /* what the parent has yet to print, the parent prints */
    }
    close(down[0]);
    close(up[1]);
    c->to = down[1];
    c->from = up[0];
    return c->process > 0;
}

void contender_start(contender *c, size_t runs) {
    reply r;
    c->to = c->from = -1;
    for (size_t i = 0; i < c->what->num_figures; i++)
        c->figures[i] = allocate(runs, sizeof *c->figures[i]);
    if (!fork_process(c))
        fail(c, VT_ERR_MEMORY, "no process to measure in", strerror(errno));
    else
        receive(c, &r);
}

bool contender_run(contender *c, bool record) {
    reply r;
    double started = clock_ms();
    if (c->err.code != VT_OK)
        return false;
    if (!write_all(c->to, "r", 1)) {
        fail_silent(c);
        return false;
    }
    bool done = receive(c, &r);
    c->last_ms = clock_ms() - started;
    if (!done || !record)
        return done;
    for (size_t i = 0; i < c->what->num_figures; i++)
        c->figures[i][c->num_runs] = r.figures[i];
    c->num_runs++;
    return true;
}

static void take_turn(contender *c, bool record) {
    enum { SHORT_MS = 100 };
    if (record && c->last_ms < SHORT_MS)
        contender_run(c, false);
    contender_run(c, record);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A process holds the pipes of those before it open: all are closed before the first is waited for.
 */
void contender_finish(contender *contenders, size_t count) {
    for (size_t i = 0; i < count; i++)
        close_pipes(&contenders[i]);
    for (size_t i = 0; i < count; i++) {
        contender *c = &contenders[i];
        reap(c);
        for (size_t j = 0; j < c->what->num_figures; j++)
            qsort(c->figures[j], c->num_runs, sizeof *c->figures[j], compare);
    }
}

void measure(contender *contenders, size_t count, size_t warmups, size_t runs, bool quiet) {
    progress bar;
    size_t done = 0;
    progress_begin(&bar, count * (warmups + runs), quiet);
    for (size_t i = 0; i < count; i++)
        contender_start(&contenders[i], runs);
    for (size_t round = 0; round < warmups + runs; round++)
        for (size_t i = 0; i < count; i++) {
            progress_show(&bar, done++);
            take_turn(&contenders[i], round >= warmups);
        }
    contender_finish(contenders, count);
    progress_hide(&bar);
}

void contender_free(contender *c) {
    for (size_t i = 0; i < MAX_FIGURES; i++)
        free(c->figures[i]);
}

double percentile(const double *ascending, size_t count, double percent) {
    if (count == 0)
        return NAN;
    double at = percent / 100 * (double)(count - 1);
    size_t below = (size_t)at, above = below + 1 < count ? below + 1 : below;
    return ascending[below] + (at - (double)below) * (ascending[above] - ascending[below]);
}
