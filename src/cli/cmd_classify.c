/* SPDX-License-Identifier: MIT
 *
 * vitrine classify: names what is in pictures.
 *
 * Inputs are taken in batches of --batch; those of a batch that can't be read are reported and left
 * out of its forward pass.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "head.h"
#include "loader.h"
#include "model.h"
#include "progress.h"
#include "report.h"

/* What one batch needs, allocated once. */
typedef struct work {
    const settings *settings;
    const vt_model *model;
    const head *head; /* NULL: the model's own classifier */
    vt_session *session;
    vt_image_options decoding;
    loader *loader;
    report report;
    progress progress;
    size_t batch, input_height, input_width, num_classes;
    picture *pictures;   /* [batch] */
    float *pixels;       /* [batch][3][H][W] */
    vt_prediction *best; /* [top] */
    size_t num_failed;
} work;

static size_t pixels_per_picture(const work *w) {
    return 3 * w->input_height * w->input_width;
}

static void fail_picture(work *w, const char *path, const char *message) {
    const char *subject = strcmp(path, "-") == 0 ? "standard input" : path;
    output_flush(); /* so that lines keep their order when both streams end in one place */
    complain(subject, message);
    report_failure(&w->report, path, reason_of(subject, message));
    w->num_failed++;
}

/* Of picture `row` of the last pass. */
static size_t predict(const work *w, size_t row) {
    size_t top = w->settings->top;
    if (w->head)
        return head_predict(w->head, vt_session_pooled(w->session) + row * w->head->width, w->best,
                            top);
    return vt_model_top_k(w->model, vt_session_logits(w->session) + row * w->num_classes, w->best,
                          top);
}

static void report_picture(work *w, const picture *p, size_t row, double forward_ms) {
    result found = {
        .path = p->path,
        .width = p->width,
        .height = p->height,
        .input_width = w->input_width,
        .input_height = w->input_height,
        .predictions = w->best,
        .decode_ms = p->decode_ms,
        .preprocess_ms = p->preprocess_ms,
        .forward_ms = forward_ms,
    };
    found.count = predict(w, row);
    report_result(&w->report, &found);
}

/* Loads `count` pictures, the readable ones into the first rows of `pixels`. Returns how many. */
static size_t load_batch(work *w, size_t count) {
    size_t readable = 0;
    for (size_t i = 0; i < count; i++) {
        float *row = w->pixels + readable * pixels_per_picture(w);
        loader_next(w->loader, &w->pictures[i], row);
        readable += w->pictures[i].error.code == VT_OK;
    }
    return readable;
}

/* In the order of the inputs. `err` is that of the forward pass. */
static void report_batch(work *w, size_t count, const vt_error *err, double forward_ms) {
    progress_hide(&w->progress);
    for (size_t i = 0, row = 0; i < count; i++) {
        const picture *p = &w->pictures[i];
        if (p->error.code)
            fail_picture(w, p->path, p->error.message);
        else if (err->code)
            fail_picture(w, p->path, err->message);
        else
            report_picture(w, p, row++, forward_ms);
    }
}

static void classify_batch(work *w, size_t count) {
    vt_error err = {0};
    size_t readable = load_batch(w, count);
    double start = clock_ms();
    if (readable)
        vt_session_forward(w->session, w->pixels, readable, &err);
    double share = readable ? (clock_ms() - start) / (double)readable : 0;
    report_batch(w, count, &err, share);
}

/* Stops early only when nobody reads the results any more. */
static int classify_all(work *w, const file_list *files) {
    bool arrived = true;
    progress_begin(&w->progress, files->count, w->settings->quiet);
    for (size_t done = 0; done < files->count && arrived;) {
        size_t left = files->count - done, count = left < w->batch ? left : w->batch;
        progress_show(&w->progress, done);
        classify_batch(w, count);
        done += count;
        arrived = output_flush();
    }
    progress_hide(&w->progress);
    return !arrived || w->num_failed || files->num_failed ? EXIT_SOME_FAILED : EXIT_DONE;
}

/* Decoding is light beside a forward pass: half as many threads keep it fed. One thread asked for
 * is one thread used. */
static size_t loader_threads(const settings *s, size_t num_pictures) {
    enum { MOST = 8 };
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = s->threads ? s->threads : online > 0 ? (size_t)online : 1;
    size_t wanted = threads == 1 || num_pictures < 2 ? 0 : threads / 2;
    wanted = wanted < num_pictures ? wanted : num_pictures;
    return wanted < MOST ? wanted : MOST;
}

static const char *model_label(const void *model, size_t index) {
    return vt_model_label(model, index);
}

static int classify_files(work *w, const file_list *files) {
    const settings *s = w->settings;
    vt_session_input_size(w->session, &w->input_height, &w->input_width);
    w->pictures = allocate(w->batch, sizeof *w->pictures);
    w->pixels = allocate(w->batch * pixels_per_picture(w), sizeof *w->pixels);
    w->best = allocate(s->top < w->num_classes ? s->top : w->num_classes, sizeof *w->best);
    report_begin(&w->report, s->format, w->head ? head_label : model_label,
                 w->head ? (const void *)w->head : w->model);
    w->decoding = decoding_options(s, w->session);
    w->loader = loader_start(w->session, &w->decoding, files->paths, files->count,
                             loader_threads(s, files->count));
    int code = classify_all(w, files);
    loader_stop(w->loader);
    free(w->best);
    free(w->pixels);
    free(w->pictures);
    return code;
}

static void list_files(file_list *files, const settings *s) {
    for (size_t i = 0; i < s->num_operands; i++)
        files_add(files, s->operands[i]);
    if (s->files_from)
        files_add_from(files, s->files_from);
}

static int check_head(const settings *s, const head *h, const vt_model *model,
                      size_t *num_classes) {
    *num_classes = h->num_classes;
    return head_check(h, s->head, model);
}

static int check_classifier(const vt_model *model, size_t *num_classes) {
    vt_model_info info;
    vt_model_describe(&info, model);
    *num_classes = info.num_classes;
    if (info.num_classes)
        return EXIT_DONE;
    complain(info.path, "expected a model with a classifier; this one only has features: "
                        "'vitrine fit' makes one of your own classes, for --head");
    return EXIT_MODEL;
}

/* A head's pictures were seen at its own input size. */
static settings sized_for(const settings *s, const head *h) {
    settings sized = *s;
    if (h && !s->height) {
        sized.height = h->input_height;
        sized.width = h->input_width;
    }
    return sized;
}

static int classify_with(const settings *s, const vt_model *model, const head *h) {
    work w = {.settings = s, .model = model, .head = h};
    settings sized = sized_for(s, h);
    file_list files = {0};
    int code =
        h ? check_head(s, h, model, &w.num_classes) : check_classifier(model, &w.num_classes);
    if (code != EXIT_DONE)
        return code;
    list_files(&files, s);
    if (sized.batch > files.count)
        sized.batch = files.count ? files.count : 1;
    w.batch = sized.batch;
    code = open_session(&w.session, model, &sized, classify_command.name);
    if (code == EXIT_DONE && h)
        code = head_check_width(h, s->head, vt_session_pooled_width(w.session));
    if (code == EXIT_DONE)
        code = classify_files(&w, &files);
    files_free(&files);
    vt_session_destroy(w.session);
    return code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    head own = {0};
    if (!s->num_operands && !s->files_from)
        return complain_usage(classify_command.name, "no picture given");
    if (s->head && s->labels)
        return complain_usage(classify_command.name,
                              "--labels names the model's own classes: not with --head");
    int code = s->head ? head_read(&own, s->head) : EXIT_DONE;
    if (code == EXIT_DONE)
        code = open_model(&model, s, classify_command.name);
    if (code == EXIT_DONE)
        code = classify_with(s, model, s->head ? &own : NULL);
    head_free(&own);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {0, "head", "HEAD", "name the classes of what 'vitrine fit' made, not the model's own",
     .parse = parse_text, FIELD(head)},
    {'k', "top", "N", "classes shown for a picture, best first", .initial = "5",
     .parse = parse_count, FIELD(top)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = report_format_name,
     FIELD(format)},
    {0},
};

static const option input_rows[] = {
    {0, "files-from", "FILE", "also classify what FILE lists, one a line; - is standard input",
     .parse = parse_text, FIELD(files_from)},
    OPTION_SIZE,
    OPTION_BATCH,
    OPTION_SHRINK_ON_LOAD,
    OPTION_MERGE,
    OPTION_THREADS,
    {0},
};

static const option_group result_options = {"Results", result_rows};
static const option_group input_options = {"Input and speed", input_rows};

const command classify_command = {
    .name = "classify",
    .summary = "name what is in pictures",
    .operands = "IMAGE...",
    .about =
        "Runs a vision transformer over each picture and prints its most probable classes, in "
        "the order of the pictures. Reads PNG, JPEG, WebP, GIF, BMP, TGA, PSD, PNM and Radiance "
        "HDR, told apart by their content; - is standard input. A directory stands for all "
        "pictures in it and below. A picture that can't be read is named on standard error, and "
        "the others are still processed. With --head the classes are your own: see 'vitrine help "
        "fit'.",
    .groups = (const option_group *const[]){&result_options, &input_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine classify cat.png\n"
                "  vitrine classify -m vit_base_patch16_224 -k 1 --size 384 album\n"
                "  find . -name '*.jpg' | vitrine classify --files-from=- --format=csv\n"
                "  vitrine classify --format=json *.png | jq -r '.predictions[0].label'\n",
    .run = run,
};
