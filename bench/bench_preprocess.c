/* SPDX-License-Identifier: MIT
 *
 * From a JPEG's bytes to a model's input: decoding, resizing (short edge to 256, bicubic, the
 * middle 224x224) and normalising, in milliseconds of processor time.
 *
 *     bench_preprocess [kernels [runs]]
 *
 * Pictures are made here: noise whose amplitude falls with its frequency, as in photographs,
 * encoded at quality 90 with halved chroma. A figure is the median of its runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

#include "kernels/kernels.h"
#include "vision/preprocess.h"

typedef struct size {
    size_t width, height;
} size;

static const size sizes[] = {{512, 512}, {1280, 720}, {1920, 1080}, {4000, 3000}};

enum { NUM_SIZES = sizeof sizes / sizeof sizes[0], MAX_RUNS = 1001, INPUT = 224 };

/* DECODE_SMALL: at the DCT scale that still has twice the pixels that are asked for. */
enum stage { DECODE, DECODE_SMALL, RESIZE, RESIZE_SMALL, WHOLE, NUM_STAGES };

typedef struct bench {
    const vt_kernels *kernels;
    vt_preprocess preprocess;
    unsigned char *jpeg;
    unsigned long jpeg_size;
    vt_image image, small;
    float pixels[3 * INPUT * INPUT];
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *allocate(size_t bytes) {
    void *memory = calloc(bytes, 1);
    if (!memory)
        abort();
    return memory;
}

static void check(vt_status status, const vt_error *err) {
    if (!status)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* Adds random values at every `step` pixels, bicubic between them. */
static void add_octave(const bench *b, int *sums, size s, size_t step, int amplitude) {
    vt_error err = {0};
    vt_image coarse = {.width = s.width / step + 2, .height = s.height / step + 2};
    coarse.stride = 3 * coarse.width;
    coarse.pixels = allocate(coarse.stride * coarse.height);
    for (size_t i = 0; i < coarse.stride * coarse.height; i++)
        coarse.pixels[i] = (uint8_t)(rand() >> 7);
    uint8_t *fine = allocate(3 * s.width * s.height);
    const vt_resize_window all = vt_resize_whole(s.height, s.width);
    check(vt_resize_u8(fine, 3 * s.width, &coarse, &all, VT_FILTER_BICUBIC, b->kernels, &err),
          &err);
    for (size_t i = 0; i < 3 * s.width * s.height; i++)
        sums[i] += (fine[i] - 128) * amplitude / 128;
    free(fine);
    free(coarse.pixels);
}

static uint8_t *make_picture(const bench *b, size s) {
    const size_t count = 3 * s.width * s.height;
    int *sums = allocate(count * sizeof *sums);
    uint8_t *rgb = allocate(count);
    for (size_t step = 1; step <= 256; step *= 2)
        add_octave(b, sums, s, step, 12 + (int)step / 4);
    for (size_t i = 0; i < count; i++) {
        const int value = 128 + sums[i];
        rgb[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    free(sums);
    return rgb;
}

static void encode(bench *b, size s) {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    uint8_t *rgb = make_picture(b, s);
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    b->jpeg = NULL;
    jpeg_mem_dest(&info, &b->jpeg, &b->jpeg_size);
    info.image_width = (JDIMENSION)s.width;
    info.image_height = (JDIMENSION)s.height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 90, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = rgb + 3 * s.width * info.next_scanline;
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    free(rgb);
}

static void decode(bench *b, vt_image *out, size_t min_edge) {
    vt_error err = {0};
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.min_width = options.min_height = min_edge;
    vt_image_free(out);
    check(vt_image_decode(out, b->jpeg, b->jpeg_size, &options, &err), &err);
}

static void resize(bench *b, const vt_image *image) {
    vt_error err = {0};
    check(vt_preprocess_run(&b->preprocess, b->pixels, image, INPUT, INPUT, b->kernels, &err),
          &err);
}

static void run_stage(bench *b, enum stage stage) {
    const size_t twice = 2 * b->preprocess.resize_height;
    if (stage == DECODE || stage == WHOLE)
        decode(b, &b->image, 0);
    if (stage == DECODE_SMALL)
        decode(b, &b->small, twice);
    if (stage == RESIZE || stage == WHOLE)
        resize(b, &b->image);
    if (stage == RESIZE_SMALL)
        resize(b, &b->small);
}

static double time_stage(bench *b, enum stage stage, size_t runs) {
    static double times[MAX_RUNS];
    for (size_t i = 0; i < runs; i++) {
        const double start = now();
        run_stage(b, stage);
        times[i] = now() - start;
    }
    qsort(times, runs, sizeof *times, compare);
    return times[runs / 2];
}

static void run_size(bench *b, size s, size_t runs) {
    double ms[NUM_STAGES];
    encode(b, s);
    for (enum stage stage = 0; stage < NUM_STAGES; stage++)
        ms[stage] = time_stage(b, stage, runs);
    printf("| %4zux%-4zu | %6lu | %6.2f | %6.2f | %6.2f | %4zux%-4zu | %6.2f | %6.2f |\n", s.width,
           s.height, b->jpeg_size >> 10, ms[DECODE], ms[RESIZE], ms[WHOLE], b->small.width,
           b->small.height, ms[DECODE_SMALL], ms[RESIZE_SMALL]);
    vt_image_free(&b->image);
    vt_image_free(&b->small);
    free(b->jpeg);
}

int main(int argc, char **argv) {
    static bench b = {.preprocess = {.height = INPUT,
                                     .width = INPUT,
                                     .fit = VT_FIT_SHORT_EDGE,
                                     .resize_height = 256,
                                     .resize_width = 256,
                                     .crop_pct = 0.875,
                                     .filter = VT_FILTER_BICUBIC,
                                     .center_crop = true,
                                     .rescale = VT_RESCALE_TORCH,
                                     .normalize = true,
                                     .mean = {0.5f, 0.5f, 0.5f},
                                     .std = {0.5f, 0.5f, 0.5f}}};
    vt_error err = {0};
    size_t runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 11;
    check(vt_kernels_select(&b.kernels, argc > 1 ? argv[1] : NULL, &err), &err);
    runs = runs < 1 ? 1 : runs < MAX_RUNS ? runs : MAX_RUNS;
    printf("%s, %zu runs\n\n", b.kernels->name, runs);
    puts("|    picture |    KiB | decode | resize |  whole |   shrunk to | decode | resize |");
    puts("|-----------:|-------:|-------:|-------:|-------:|------------:|-------:|-------:|");
    for (size_t i = 0; i < NUM_SIZES; i++)
        run_size(&b, sizes[i], runs);
}
