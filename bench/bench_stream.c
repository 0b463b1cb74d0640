/* SPDX-License-Identifier: MIT
 *
 * `vitrine stream` fed faster than it can run: how old an answer is, what was dropped, and whether
 * memory stays where it is.
 *
 *     bench_stream VITRINE TIMES SECONDS [OPTION]...
 *     bench_stream build/vitrine 4 30 --input-size 448
 *
 * The options are those of `stream`. Frames of noise, 1280 x 720 NV12, are first given one at a
 * time, each when the one before was answered: the median latency of these is what a frame takes.
 * Then they are written TIMES as often as that, whatever comes back. An answer's age is told in
 * milliseconds, in forward passes of the first kind, and in its own pass, which shares the
 * processors with what writes the frames.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

enum { WIDTH = 1280, HEIGHT = 720, FRAME_BYTES = WIDTH * HEIGHT * 3 / 2, PICTURES = 8 };
enum { ALONE = 40, WARMUPS = 8, MOST_LINES = 1 << 20 };

static unsigned char pictures[PICTURES][FRAME_BYTES];

static void die(const char *what) {
    fprintf(stderr, "bench_stream: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- the command ---------------------------------------------------------------------------- */

typedef struct command {
    pid_t process;
    int in;
    FILE *out;
} command;

static command start(const char *program, char **options, int count) {
    char *argv[64] = {(char *)program, "stream", "--format=nv12", "--size=1280x720", "-k1", "-q"};
    int used = 6, in[2], out[2];
    for (int i = 0; i < count && used < 62; i++)
        argv[used++] = options[i];
    argv[used] = "-";
    if (pipe(in) || pipe(out))
        die("pipe");
    command c = {.process = fork(), .in = in[1]};
    if (c.process < 0)
        die("fork");
    if (c.process == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execv(program, argv);
        die(program);
    }
    close(in[0]);
    close(out[1]);
    c.out = fdopen(out[0], "r");
    return c;
}

static void finish(command *c) {
    int status;
    fclose(c->out);
    if (waitpid(c->process, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "bench_stream: the command failed\n");
        exit(1);
    }
}

static void write_frame(const command *c, size_t number) {
    const unsigned char *at = pictures[number % PICTURES];
    for (size_t left = FRAME_BYTES; left > 0;) {
        ssize_t put = write(c->in, at, left);
        if (put < 0)
            die("write");
        at += put;
        left -= (size_t)put;
    }
}

typedef struct line {
    long frame, dropped;
    double latency_ms, forward_ms;
} line;

/* False at the end. */
static int read_line(const command *c, line *out) {
    static char text[1 << 16];
    double frame, dropped;
    if (!fgets(text, sizeof text, c->out))
        return 0;
    json_t *object = json_loads(text, 0, NULL);
    if (json_unpack(object, "{s:F, s:F, s:{s:F}, s:F}", "frame", &frame, "latency_ms",
                    &out->latency_ms, "ms", "forward", &out->forward_ms, "dropped", &dropped)) {
        fprintf(stderr, "bench_stream: not a result: %s", text);
        exit(1);
    }
    json_decref(object);
    out->frame = (long)frame;
    out->dropped = (long)dropped;
    return 1;
}

static double resident_mb(pid_t process) {
    char path[64];
    size_t pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)process);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*s %zu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* ---- figures -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of values that are sorted by the first call. */
static double percentile(double *values, size_t count, double percent) {
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)(percent / 100 * (double)(count - 1) + 0.5)];
}

/* What a frame takes, and what of that is the forward pass. */
static void run_alone(const char *program, char **options, int count, double *frame_ms,
                      double *forward_ms) {
    double latencies[ALONE], forwards[ALONE];
    command c = start(program, options, count);
    for (size_t i = 0; i < WARMUPS + ALONE; i++) {
        line l;
        write_frame(&c, i);
        if (!read_line(&c, &l))
            die("no answer");
        latencies[i < WARMUPS ? 0 : i - WARMUPS] = l.latency_ms;
        forwards[i < WARMUPS ? 0 : i - WARMUPS] = l.forward_ms;
    }
    close(c.in);
    finish(&c);
    *frame_ms = percentile(latencies, ALONE, 50);
    *forward_ms = percentile(forwards, ALONE, 50);
}

/* ---- too many frames ------------------------------------------------------------------------ */

typedef struct feeding {
    const command *to;
    double interval_ms;
    size_t count;
    double took_s;
} feeding;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *feed(void *context) {
    feeding *f = context;
    const double begun = now_s();
    for (size_t i = 0; i < f->count; i++) {
        const double due = begun + 1e-3 * f->interval_ms * (double)i;
        struct timespec at = {.tv_sec = (time_t)due};
        at.tv_nsec = (long)((due - (double)at.tv_sec) * 1e9);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        write_frame(f->to, i);
    }
    f->took_s = now_s() - begun;
    close(f->to->in);
    return NULL;
}

/* Of each answer: its latency, and that in forward passes of its own. */
typedef struct answers {
    double *latencies, *passes;
    size_t count;
} answers;

static void report(const feeding *f, answers *got, long last_frame, long dropped, double frame_ms,
                   double forward_ms) {
    static const double percents[] = {50, 95, 99, 100};
    printf("a frame alone: %.1f ms, of which the forward pass %.1f\n", frame_ms, forward_ms);
    printf("fed %zu frames in %.1f s, one every %.1f ms: %.2f times as fast\n", f->count, f->took_s,
           1e3 * f->took_s / (double)f->count, frame_ms / (1e3 * f->took_s / (double)f->count));
    printf("%zu answers, %ld dropped, last answer: frame %ld\n", got->count, dropped, last_frame);
    printf("%8s %10s %16s %16s\n", "", "latency", "passes alone", "its own passes");
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        const double ms = percentile(got->latencies, got->count, percents[i]);
        printf("%7.0f%% %7.1f ms %16.2f %16.2f\n", percents[i], ms, ms / forward_ms,
               percentile(got->passes, got->count, percents[i]));
    }
}

static void run_fed(const char *program, char **options, int count, double times, double seconds) {
    double frame_ms, forward_ms, early_mb = 0, late_mb = 0;
    run_alone(program, options, count, &frame_ms, &forward_ms);
    answers got = {.latencies = malloc(MOST_LINES * sizeof *got.latencies),
                   .passes = malloc(MOST_LINES * sizeof *got.passes)};
    command c = start(program, options, count);
    feeding f = {.to = &c, .interval_ms = frame_ms / times};
    f.count = (size_t)(1e3 * seconds / f.interval_ms);
    pthread_t thread;
    line l = {0};
    if (!got.latencies || !got.passes || pthread_create(&thread, NULL, feed, &f))
        die("start");
    for (; got.count < MOST_LINES && read_line(&c, &l); got.count++) {
        double *mb = l.frame < (long)f.count / 4 ? &early_mb : &late_mb;
        const double resident = resident_mb(c.process);
        *mb = resident > *mb ? resident : *mb;
        got.latencies[got.count] = l.latency_ms;
        got.passes[got.count] = l.latency_ms / l.forward_ms;
    }
    pthread_join(thread, NULL);
    finish(&c);
    report(&f, &got, l.frame, l.dropped, frame_ms, forward_ms);
    printf("resident: %.1f MB at most in the first quarter, %.1f MB after it\n", early_mb, late_mb);
    free(got.passes);
    free(got.latencies);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "bench_stream VITRINE TIMES SECONDS [OPTION of stream]...\n");
        return 2;
    }
    for (size_t p = 0; p < PICTURES; p++)
        for (size_t i = 0; i < FRAME_BYTES; i++)
            pictures[p][i] = (unsigned char)rand();
    run_fed(argv[1], argv + 4, argc - 4, strtod(argv[2], NULL), strtod(argv[3], NULL));
    return 0;
}
