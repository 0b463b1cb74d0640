/* SPDX-License-Identifier: MIT */
#include "pictures.h"

#include <stdlib.h>

#include "diagnose.h"
#include "files.h"
#include "lines.h"
#include "model.h"
#include "progress.h"

/* What one batch needs, allocated once. */
typedef struct work {
    vt_session *session;
    bool is_naflex;
    vt_image_options decoding;
    loader *loader;
    progress progress;
    size_t batch, floats;     /* of one picture, at most */
    picture *pictures;        /* [batch] */
    float *pixels;            /* [batch][floats] */
    size_t *heights, *widths; /* [batch], as the next: of those that could be read */
    const float **starts;
    const picture_sink *sink;
    void *user;
    size_t num_failed;
} work;

/* ---- before anything runs ----------------------------------------------------------------------
 */

int check_pictures(const settings *s, bool json, const char *command) {
    if (s->null && !s->files_from)
        return complain_usage(command, "--null is about the names of --files-from");
    if (s->skip_done && !json)
        return complain_usage(command, "--skip-done continues JSON lines: it needs --format=json");
    return EXIT_DONE;
}

size_t useful_batch(const settings *s) {
    size_t count = s->batch > 1 ? files_count(s, NULL, s->batch) : 1;
    return count ? count : 1;
}

/* Decoding is light beside a forward pass: half as many threads keep it fed. One thread asked for
 * is one thread used. */
static size_t loader_threads(const settings *s) {
    enum { MOST = 8 };
    size_t threads = s->threads ? s->threads : vt_num_processors();
    return threads / 2 < MOST ? threads / 2 : MOST;
}

/* Counting takes a while, and who sees no bar has nothing of it. */
static size_t count_all(const settings *s, const done_set *done) {
    bool is_seen = !s->quiet && terminal_of(stderr).present;
    return is_seen ? files_count(s, done, progress_unknown) : 0;
}

/* ---- one batch ---------------------------------------------------------------------------------
 */

static void fail_picture(work *w, const picture *p, const char *message) {
    const char *subject = files_subject(p->path);
    complain(subject, message);
    if (w->sink->failed && !p->is_list)
        w->sink->failed(w->user, p->path, reason_of(subject, message));
    w->num_failed++;
}

/* The next pictures, those that could be read with their pixels one behind the other. Returns how
 * many; none only at the end. */
static size_t load_batch(work *w, size_t *num_read) {
    size_t count = 0, rows = 0;
    for (; count < w->batch; count++) {
        picture *p = &w->pictures[count];
        float *pixels = w->pixels + rows * w->floats;
        if (!loader_next(w->loader, p, pixels, count == 0))
            break;
        if (p->error.code)
            continue;
        w->starts[rows] = pixels;
        w->heights[rows] = p->input_height;
        w->widths[rows] = p->input_width;
        rows++;
    }
    *num_read = rows;
    return count;
}

static void forward(work *w, size_t count, vt_error *err) {
    if (w->is_naflex)
        vt_session_forward_naflex(w->session, w->starts, w->heights, w->widths, count, err);
    else
        vt_session_forward(w->session, w->pixels, count, err);
}

/* In the order of the inputs. `err` is that of the forward pass. False: nobody reads it. */
static bool report_batch(work *w, size_t count, const vt_error *err, double forward_ms) {
    bool arrived = true;
    progress_hide(&w->progress);
    for (size_t i = 0, row = 0; i < count; i++) {
        picture *p = &w->pictures[i];
        const vt_error *failure = p->error.code ? &p->error : err;
        p->forward_ms = forward_ms;
        lines_begin();
        if (failure->code)
            fail_picture(w, p, failure->message);
        else
            w->sink->found(w->user, p, row++);
        arrived &= lines_end();
        free(p->path);
    }
    return arrived;
}

static bool run_batch(work *w, size_t count, size_t num_read) {
    vt_error err = {0};
    double start = clock_ms();
    if (num_read)
        forward(w, num_read, &err);
    return report_batch(w, count, &err, num_read ? (clock_ms() - start) / (double)num_read : 0);
}

/* ---- all of them -------------------------------------------------------------------------------
 */

/* Stops early only when nobody reads the results any more. */
static int run_all(work *w, const file_source *files) {
    bool arrived = true;
    size_t num_read;
    progress_show(&w->progress, 0);
    for (size_t done = 0, count; arrived && (count = load_batch(w, &num_read)) > 0;) {
        arrived = run_batch(w, count, num_read);
        done += count;
        progress_show(&w->progress, done);
    }
    progress_hide(&w->progress);
    return arrived && !w->num_failed && !files_abandoned(files) ? EXIT_DONE : EXIT_SOME_FAILED;
}

static int run_files(work *w, const settings *s, file_source *files) {
    w->pixels = allocate(w->batch * w->floats, sizeof *w->pixels);
    w->pictures = allocate(w->batch, sizeof *w->pictures);
    w->heights = allocate(w->batch, sizeof *w->heights);
    w->widths = allocate(w->batch, sizeof *w->widths);
    w->starts = allocate(w->batch, sizeof *w->starts);
    w->loader = loader_start(w->session, &w->decoding, files, loader_threads(s));
    int code = run_all(w, files);
    loader_stop(w->loader);
    free(w->starts);
    free(w->widths);
    free(w->heights);
    free(w->pictures);
    free(w->pixels);
    return code;
}

int each_picture(vt_session *session, const vt_model *model, const settings *s,
                 const picture_sink *sink, void *user) {
    done_set *done = NULL;
    work w = {.session = session,
              .is_naflex = vt_model_is_naflex(model),
              .decoding = decoding_options(s, session),
              .batch = s->batch,
              .floats = vt_session_picture_floats(session),
              .sink = sink,
              .user = user};
    if (s->skip_done && !(done = done_read(s->skip_done, sink->result_key, s->quiet)))
        return EXIT_SOME_FAILED;
    if (done && s->verbose)
        note("%s has the results of %zu pictures", s->skip_done, done_count(done));
    progress_begin(&w.progress, count_all(s, done), s->quiet);
    file_source *files = files_open(s, done, sink->is_printed);
    int code = run_files(&w, s, files);
    files_close(files);
    done_free(done);
    return code;
}
