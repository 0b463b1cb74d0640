/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundled.h"
#include "diagnose.h"
#include "hub_cache.h"
#include "progress.h"
#include "text.h"

static const char *default_model(void) {
    const char *named = getenv("VITRINE_MODEL");
    return named && *named ? named : bundled_model();
}

static void log_note(void *user, const char *line) {
    const settings *s = user;
    if (!s->quiet)
        note("%s", line);
}

static int failed(const char *path, const vt_error *err, const char *command) {
    if (err->code == VT_ERR_ARGUMENT)
        return complain_usage(command, "%s", err->message);
    complain(path, err->message);
    return EXIT_MODEL;
}

int model_failed(const vt_model *model, const vt_error *err, const char *command) {
    vt_model_info info;
    vt_model_describe(&info, model);
    return failed(info.path, err, command);
}

static void tell_missing(const char *named, bool cached) {
    char *cache = hub_cache_directory();
    char *message =
        cached ? text_format("in the cache without its weights: 'vitrine pull %s' downloads them",
                             named)
               : text_format("no such file, and not in %s: 'vitrine pull %s' downloads it", cache,
                             named);
    complain(named, message);
    free(message);
    free(cache);
}

/* What -m or $VITRINE_MODEL names: a path that is there, or else a model in the cache. NULL, having
 * complained, when it is neither. A single word is rather a path with a mistake in it than a
 * model's name: that is the library's to say. */
static char *find_model(const char *named) {
    hub_model model;
    if (access(named, F_OK) == 0 || !hub_model_parse(&model, named))
        return duplicate(named);
    char *snapshot = hub_cache_find(&model);
    if (snapshot && hub_cache_has_weights(snapshot))
        return snapshot;
    if (!snapshot && !model.pinned && !strchr(named, '/'))
        return duplicate(named);
    tell_missing(named, snapshot != NULL);
    free(snapshot);
    return NULL;
}

/* Files of a model by their names alone: its path stands before them, or before the whole. */
static void cut_path(char *message, const char *path) {
    size_t length = strlen(path);
    if (!message_names(message, path))
        return;
    const char *rest = message + length;
    rest += *rest == '/' ? 1 : strncmp(rest, ": ", 2) == 0 ? 2 : 0;
    memmove(message, rest, strlen(rest) + 1);
}

bool model_can_run(const char *path, vt_error *err) {
    vt_status status = vt_model_check(path, err);
    cut_path(err->message, path);
    return status == VT_OK;
}

static int open_found(vt_model **out, const char *path, const settings *s, const char *command) {
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.labels_path = s->labels;
    options.kernels = s->kernels;
    options.precision = s->precision;
    options.backend = s->backend;
    options.num_threads = s->threads;
    options.pos_resize = (vt_pos_resize)s->pos_resize;
    options.patch_size = s->patch_size;
    options.rope_scaling = s->rope_scaling;
    options.check_finite = s->check_finite;
    options.log = log_note;
    options.log_user = (void *)s;
    double start = clock_ms();
    vt_status status = s->arch ? vt_model_create_random(out, s->arch, &options, &err)
                               : vt_model_open(out, path, &options, &err);
    if (status)
        return failed(path, &err, command);
    if (s->verbose)
        note("%s opened in %.1f ms", path, clock_ms() - start);
    return EXIT_DONE;
}

int open_model(vt_model **out, const settings *s, const char *command) {
    if (s->arch)
        return open_found(out, s->arch, s, command);
    char *path = find_model(s->model ? s->model : default_model());
    int code = EXIT_MODEL;
    if (path && !s->model && access(path, F_OK) != 0)
        complain(path,
                 "the default model is not there: name one with -m MODEL, or in $VITRINE_MODEL");
    else if (path)
        code = open_found(out, path, s, command);
    free(path);
    return code;
}

/* Whole patches only: a size between them is not what was asked for, and said so. */
static void note_rounding(const vt_session *session, const vt_model *model, const settings *s) {
    vt_model_info info;
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    vt_model_describe(&info, model);
    if (!s->quiet && s->height && (height != s->height || width != s->width))
        note("the input size %zux%zu was rounded to %zux%zu, whole patches of %zu (height x width)",
             s->height, s->width, height, width, info.patch_size);
}

static int open_any_session(vt_session **out, const vt_model *model, const settings *s,
                            vt_session_options options, const char *command) {
    vt_error err = {0};
    options.height = s->height;
    options.width = s->width;
    options.batch = s->batch;
    options.merge = s->merge;
    options.num_threads = s->threads;
    double start = clock_ms();
    if (vt_session_create(out, model, &options, &err))
        return model_failed(model, &err, command);
    if (s->verbose)
        note("session created in %.1f ms", clock_ms() - start);
    note_rounding(*out, model, s);
    return EXIT_DONE;
}

int open_session(vt_session **out, const vt_model *model, const settings *s, const char *command) {
    const vt_session_options options = VT_SESSION_OPTIONS_INIT;
    return open_any_session(out, model, s, options, command);
}

int open_session_with_features(vt_session **out, const vt_model *model, const settings *s,
                               const char *command) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.features = true;
    return open_any_session(out, model, s, options, command);
}

int open_session_with_attention(vt_session **out, const vt_model *model, const settings *s,
                                const char *command) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.attention = true;
    return open_any_session(out, model, s, options, command);
}

int check_takes_pictures(const vt_model *model) {
    vt_model_info info;
    vt_model_describe(&info, model);
    if (info.patch_size)
        return EXIT_DONE;
    complain(info.path, "this model takes no pictures");
    return EXIT_MODEL;
}

bool model_find_class(size_t *out, const vt_model *model, const char *text) {
    vt_model_info info;
    char *end = NULL;
    vt_model_describe(&info, model);
    errno = 0;
    unsigned long long number = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    if (end && *end == '\0' && errno == 0) {
        *out = (size_t)number;
        return number < info.num_classes;
    }
    for (*out = 0; *out < info.num_classes; (*out)++)
        if (strcmp(vt_model_label(model, *out), text) == 0)
            return true;
    return false;
}

vt_image_options decoding_options(const settings *s, const vt_session *session) {
    vt_image_options options = s->image;
    if (s->shrink_on_load)
        vt_session_shrink_size(session, &options.min_height, &options.min_width);
    return options;
}

int open_session_with_text(vt_session **out, const vt_model *model, const settings *s,
                           const char *command) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.text_batch = 1;
    return open_any_session(out, model, s, options, command);
}

int open_text_session(vt_session **out, const vt_model *model, const settings *s, size_t batch,
                      const char *command) {
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.text_batch = batch;
    options.num_threads = s->threads;
    return vt_session_create(out, model, &options, &err) ? model_failed(model, &err, command)
                                                         : EXIT_DONE;
}
