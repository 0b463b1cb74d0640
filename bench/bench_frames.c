/* SPDX-License-Identifier: MIT
 *
 * Frames of a camera through one session, as a pipeline would run it for an hour: latency, and
 * whether memory stays where it is.
 *
 *     bench_frames [arch [frames [threads]]]
 *     bench_frames vit_tiny_patch16_224 10000 2
 *
 * Random weights and random frames of 1280 x 720 NV12, 640 x 480 YUYV, 1920 x 1080 I420 and 800 x
 * 600 RGB24, by turns. Allocations are those of the library, counted after each kind was there
 * once; resident memory is the system's figure then and at the end.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vitrine.h"

static atomic_size_t allocations;

static void *count_and_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return aligned_alloc(alignment, bytes);
}

static void release(void *user, void *memory) {
    (void)user;
    free(memory);
}

static void check(vt_status status, const vt_error *err) {
    if (!status)
        return;
    fprintf(stderr, "bench_frames: %s\n", err->message);
    exit(1);
}

static const struct kind {
    vt_pixel_format format;
    size_t width, height;
} KINDS[] = {
    {VT_PIXEL_NV12, 1280, 720},
    {VT_PIXEL_YUYV, 640, 480},
    {VT_PIXEL_I420, 1920, 1080},
    {VT_PIXEL_RGB24, 800, 600},
};
enum { NUM_KINDS = sizeof KINDS / sizeof KINDS[0] };

static vt_frame make_frame(const struct kind *kind) {
    const size_t size = vt_frame_bytes(kind->format, kind->width, kind->height);
    unsigned char *bytes = malloc(size);
    vt_frame frame = VT_FRAME_INIT;
    vt_error err = {0};
    if (!bytes)
        exit(1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)rand();
    check(vt_frame_set_packed(&frame, kind->format, kind->width, kind->height, bytes, size, &err),
          &err);
    return frame;
}

static size_t resident_kib(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*s %zu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_percentiles(const char *what, double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    printf("%-32s %8.2f %8.2f %8.2f %8.2f\n", what, values[count / 2], values[count * 95 / 100],
           values[count * 99 / 100], values[count - 1]);
}

int main(int argc, char **argv) {
    const vt_allocator counting = {count_and_allocate, release, NULL};
    const char *arch = argc > 1 ? argv[1] : "vit_tiny_patch16_224";
    const size_t frames = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.num_threads = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_set_allocator(&counting);
    check(vt_model_create_random(&model, arch, NULL, &err), &err);
    check(vt_session_create(&session, model, &options, &err), &err);

    vt_frame kinds[NUM_KINDS];
    for (size_t k = 0; k < NUM_KINDS; k++)
        kinds[k] = make_frame(&KINDS[k]);
    double *preprocess[NUM_KINDS], *all = calloc(frames + 1, sizeof *all);
    size_t counts[NUM_KINDS] = {0};
    for (size_t k = 0; k < NUM_KINDS; k++)
        preprocess[k] = calloc(frames / NUM_KINDS + 1, sizeof **preprocess);
    size_t resident = 0, before = 0;
    for (size_t i = 0; i < frames + NUM_KINDS; i++) {
        const size_t k = i % NUM_KINDS;
        vt_prediction best[5];
        vt_result result = VT_RESULT_INIT;
        result.predictions = best;
        result.top_k = 5;
        check(vt_session_run(session, &result, &kinds[k], 1, &err), &err);
        if (i + 1 == NUM_KINDS) {
            before = atomic_load(&allocations);
            resident = resident_kib();
        }
        if (i >= NUM_KINDS) {
            all[i - NUM_KINDS] = result.preprocess_ms + result.forward_ms;
            preprocess[k][counts[k]++] = result.preprocess_ms;
        }
    }
    printf("%s, %zu frames\n", arch, frames);
    printf("%-32s %8s %8s %8s %8s\n", "milliseconds", "p50", "p95", "p99", "most");
    print_percentiles("frame to scores", all, frames);
    for (size_t k = 0; k < NUM_KINDS; k++) {
        char what[64];
        snprintf(what, sizeof what, "  preprocessing, %s %zux%zu",
                 vt_pixel_format_name(KINDS[k].format), KINDS[k].width, KINDS[k].height);
        if (counts[k])
            print_percentiles(what, preprocess[k], counts[k]);
    }
    printf("allocations %zu, resident memory %zu KiB at first, %zu KiB at the end\n",
           atomic_load(&allocations) - before, resident, resident_kib());
    return 0;
}
