/* SPDX-License-Identifier: MIT
 *
 * vitrine bench: how long a forward pass takes, at all combinations of some precisions, sizes,
 * batches and numbers of threads, and what share that is of what the processor can do.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "command.h"
#include "measure.h"
#include "model.h"

/* ---- the forward pass as a contender -----------------------------------------------------------
 */

/* The same model once for each precision; NULL after the last. */
typedef struct model_list {
    vt_model *items[MAX_REPEATS + 1];
} model_list;

typedef struct pass {
    const vt_model *model;
    model_list *all;
    size_t height, width, threads, batch;
    vt_model_plan plan;
    /* In its own process. */
    vt_session *session;
    float *pixels;
} pass;

/* The weights of other precisions would count as this one's memory. */
static void close_others(model_list *all, const vt_model *kept) {
    for (size_t i = 0; all->items[i]; i++)
        if (all->items[i] != kept)
            vt_model_close(all->items[i]);
    forget_peak();
}

static vt_status begin_pass(void *context, vt_error *err) {
    pass *p = context;
    close_others(p->all, p->model);
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = p->height;
    options.width = p->width;
    options.batch = p->batch;
    options.num_threads = p->threads;
    vt_status status = vt_session_create(&p->session, p->model, &options, err);
    if (status)
        return status;
    size_t floats = p->batch * vt_session_picture_floats(p->session);
    p->pixels = allocate(floats, sizeof *p->pixels);
    for (size_t i = 0; i < floats; i++) /* what pictures are after normalisation: -1 to 1 */
        p->pixels[i] = (float)(i * 2654435761u >> 8 & 255) / 127.5f - 1.0f;
    return VT_OK;
}

static vt_status run_pass(void *context, double *figures, vt_error *err) {
    pass *p = context;
    double start = clock_ms();
    vt_status status = vt_session_forward(p->session, p->pixels, p->batch, err);
    figures[0] = clock_ms() - start;
    return status;
}

static const measured forward_pass = {begin_pass, run_pass, 1};

/* ---- the processor's peak as a contender -------------------------------------------------------
 */

typedef struct peak {
    const vt_model *model;
    size_t threads;
} peak;

static vt_status begin_peak(void *context, vt_error *err) {
    (void)context;
    (void)err;
    return VT_OK;
}

static vt_status run_peak(void *context, double *figures, vt_error *err) {
    const peak *p = context;
    return vt_measure_peak_gflops(&figures[0], p->model, p->threads, err);
}

static const measured processor_peak = {begin_peak, run_peak, 1};

/* ---- all of them -------------------------------------------------------------------------------
 */

typedef struct bench {
    const settings *settings;
    model_list models;
    bench_report report;
    pass *passes;
    size_t num_passes;
    peak peaks[MAX_REPEATS];
    size_t num_peaks;
    contender *contenders; /* the passes, then the peaks */
} bench;

/* One value where the command line has none. */
static count_list counts_or(const count_list *given, size_t fallback) {
    return given->count ? *given : (count_list){.items = {fallback}, .count = 1};
}

static size_list sizes_or_native(const bench *b) {
    const vt_model_info *info = &b->report.info;
    size_list native = {.items = {{info->image_height, info->image_width}}, .count = 1};
    return b->settings->sizes.count ? b->settings->sizes : native;
}

static void note_rounding(const bench *b, const size_t *size, const vt_model_plan *plan) {
    if (!b->settings->quiet && (size[0] != plan->input_height || size[1] != plan->input_width))
        note("the input size %zux%zu was rounded to %zux%zu, whole patches of %zu (height x width)",
             size[0], size[1], plan->input_height, plan->input_width, b->report.info.patch_size);
}

static vt_status add_pass(bench *b, const vt_model *model, const size_t *size, size_t threads,
                          size_t batch, vt_error *err) {
    pass *p = &b->passes[b->num_passes++];
    *p = (pass){.model = model, .all = &b->models, .threads = threads, .batch = batch};
    vt_status status =
        vt_model_plan_forward(&p->plan, model, batch, size[0], size[1], threads, err);
    p->height = p->plan.input_height;
    p->width = p->plan.input_width;
    return status;
}

static size_t count_models(const bench *b) {
    size_t count = 0;
    while (b->models.items[count])
        count++;
    return count;
}

static vt_status list_passes(bench *b, vt_error *err) {
    size_list sizes = sizes_or_native(b);
    size_t models = count_models(b);
    count_list batches = counts_or(&b->settings->batches, 1);
    count_list threads = counts_or(&b->settings->thread_counts, vt_num_processors());
    vt_status status = VT_OK;
    b->passes = allocate(models * sizes.count * batches.count * threads.count, sizeof *b->passes);
    for (size_t i = 0; i < sizes.count && !status; i++) {
        for (size_t j = 0; j < batches.count && !status; j++)
            for (size_t k = 0; k < threads.count && !status; k++)
                for (size_t m = 0; m < models && !status; m++)
                    status = add_pass(b, b->models.items[m], sizes.items[i], threads.items[k],
                                      batches.items[j], err);
        if (!status)
            note_rounding(b, sizes.items[i], &b->passes[b->num_passes - 1].plan);
    }
    return status;
}

/* The number of the peak of as many threads, which is added where there is none yet. */
static size_t find_peak(bench *b, size_t threads) {
    size_t i = 0;
    while (i < b->num_peaks && b->peaks[i].threads != threads)
        i++;
    if (i == b->num_peaks)
        b->peaks[b->num_peaks++] = (peak){.model = b->models.items[0], .threads = threads};
    return i;
}

static void list_contenders(bench *b) {
    for (size_t i = 0; i < b->num_passes; i++)
        find_peak(b, b->passes[i].threads);
    b->contenders = allocate(b->num_passes + b->num_peaks, sizeof *b->contenders);
    for (size_t i = 0; i < b->num_passes; i++)
        b->contenders[i] = (contender){.what = &forward_pass, .context = &b->passes[i]};
    for (size_t i = 0; i < b->num_peaks; i++)
        b->contenders[b->num_passes + i] =
            (contender){.what = &processor_peak, .context = &b->peaks[i]};
}

/* The best that the processor did, as its peak is what others are held against. */
static double peak_gflops(bench *b, size_t threads) {
    const contender *c = &b->contenders[b->num_passes + find_peak(b, threads)];
    return percentile(c->figures[0], c->num_runs, 100);
}

static bench_result result_of(bench *b, const pass *p, const contender *c) {
    const double *ms = c->figures[0];
    vt_model_info info;
    vt_model_describe(&info, p->model);
    return (bench_result){.height = p->height,
                          .width = p->width,
                          .threads = p->threads,
                          .batch = p->batch,
                          .precision = info.precision,
                          .plan = p->plan,
                          .runs = c->num_runs,
                          .min_ms = percentile(ms, c->num_runs, 0),
                          .p5_ms = percentile(ms, c->num_runs, 5),
                          .median_ms = percentile(ms, c->num_runs, 50),
                          .p95_ms = percentile(ms, c->num_runs, 95),
                          .peak_gflops = peak_gflops(b, p->threads),
                          .peak_rss = c->peak_rss};
}

static void complain_of(const bench *b, const pass *p, const char *message) {
    char what[160];
    vt_model_info info;
    vt_model_describe(&info, p->model);
    bool many = b->settings->precisions.count > 1;
    snprintf(what, sizeof what, "%s%s%zux%zu, threads %zu, batch %zu", many ? info.precision : "",
             many ? ", " : "", p->height, p->width, p->threads, p->batch);
    complain(what, message);
}

/* Those that failed are named on standard error, and the others printed. */
static int report(bench *b) {
    bench_result *results = allocate(b->num_passes, sizeof *results);
    size_t count = 0;
    for (size_t i = 0; i < b->num_passes; i++) {
        const contender *c = &b->contenders[i];
        if (c->err.code == VT_OK)
            results[count++] = result_of(b, &b->passes[i], c);
        else
            complain_of(b, &b->passes[i], c->err.message);
    }
    bench_print(b->settings->format, &b->report, results, count);
    free(results);
    return count == b->num_passes ? EXIT_DONE : EXIT_SOME_FAILED;
}

static int measure_models(bench *b) {
    const settings *s = b->settings;
    vt_error err = {0};
    int code = EXIT_DONE;
    vt_model_describe(&b->report.info, b->models.items[0]);
    if (list_passes(b, &err)) {
        code = model_failed(b->models.items[0], &err, bench_command.name);
    } else {
        list_contenders(b);
        measure(b->contenders, b->num_passes + b->num_peaks, s->warmups, s->runs, s->quiet);
        code = report(b);
        for (size_t i = 0; i < b->num_passes + b->num_peaks; i++)
            contender_free(&b->contenders[i]);
    }
    free(b->contenders);
    free(b->passes);
    return code;
}

static int open_models(model_list *out, const settings *s) {
    const name_list *precisions = &s->precisions;
    int code = EXIT_DONE;
    for (size_t i = 0; (i == 0 || i < precisions->count) && code == EXIT_DONE; i++) {
        settings one = *s;
        one.precision = precisions->count ? precisions->items[i] : NULL;
        code = open_model(&out->items[i], &one, bench_command.name);
    }
    return code;
}

static int run(const settings *s) {
    bench b = {.settings = s, .report = {.arch = s->arch}};
    if (s->num_operands)
        return complain_usage(bench_command.name,
                              "unexpected '%s': a model is named with -m, an architecture with "
                              "--arch",
                              s->operands[0]);
    if (s->model && s->arch)
        return complain_usage(bench_command.name, "both --model and --arch given");
    int code = open_models(&b.models, s);
    if (code == EXIT_DONE)
        code = measure_models(&b);
    for (size_t i = 0; b.models.items[i]; i++)
        vt_model_close(b.models.items[i]);
    return code;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static const option bench_rows[] = {
    {'s', "sizes", "LIST",
     "input sizes in pixels, such as 224,384x512 or 64:320:16; without it, the model's own",
     .parse = parse_sizes, FIELD(sizes)},
    {'t', "threads", "LIST", "numbers of threads, such as 1,2,4" THREADS_ELSE,
     .parse = parse_counts, FIELD(thread_counts), .variable = THREADS_VARIABLE},
    {0, "batch", "LIST", "pictures in one forward pass, such as 1,8", .initial = "1",
     .parse = parse_counts, FIELD(batches)},
    OPTION_PRECISIONS,
    {'n', "runs", "N", "forward passes of each combination that are timed", .initial = "20",
     .parse = parse_count, FIELD(runs)},
    {0, "warmups", "N", "passes before those, not timed", .initial = "2", .parse = parse_count,
     FIELD(warmups)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = bench_format_name,
     FIELD(format)},
    {0},
};

static const option bench_model_rows[] = {
    OPTION_MODEL,   OPTION_ARCH, OPTION_POS_RESIZE, OPTION_PATCH_SIZE, OPTION_KERNELS,
    OPTION_BACKEND, {0},
};

static const option_group bench_options = {"What is measured", bench_rows};
static const option_group bench_model_options = {"Model", bench_model_rows};

const command bench_command = {
    .name = "bench",
    .topic = TOPIC_MEASURING,
    .summary = "measure how fast a model runs, and in how much memory",
    .operands = "",
    .about =
        "Times the forward pass at every combination of sizes, batches, threads and precisions: "
        "its median, "
        "where nine tenths of the runs lie (p5..p95), the arithmetic it does a second, and what "
        "share "
        "that is of the peak, which is measured too: multiply-adds in registers, on as many "
        "threads. The "
        "combinations take turns, run by run, so that a slow spell of the machine holds up all "
        "alike, a turn beginning with a run that is not timed where runs are short; each runs in a "
        "process of its own, whose peak of resident memory is told, the "
        "weights among it. Speed "
        "does not depend on what a model was trained for: with --arch no checkpoint is needed. "
        "Measure on a machine that does nothing else; where p5 and p95 lie far apart, it did "
        "something else.",
    .groups =
        (const option_group *const[]){&bench_options, &bench_model_options, &general_options, NULL},
    .examples = "  vitrine bench\n"
                "  vitrine bench -m MODEL --sizes 224,384 --threads 1,2 --batch 1,8\n"
                "  vitrine bench --arch vit_base_patch16_224 --runs 50\n"
                "  vitrine bench --arch vit_base_patch16_224 --precision f32,int8\n"
                "  vitrine bench --arch vit_small_patch14_dinov2 -s 224 --kernels avx2\n"
                "  vitrine bench --arch vit_tiny_patch16_224 --format=json | jq .median_ms\n",
    .run = run,
};
