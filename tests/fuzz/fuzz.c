/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void fuzz_check(bool condition, const char *what) {
    if (condition)
        return;
    dprintf(STDERR_FILENO, "fuzz_check: %s\n", what);
    abort();
}

bool fuzz_ok(vt_status status, const vt_error *err) {
    if (status == VT_OK)
        return true;
    fuzz_check(err->code == status, "the error's code is the status");
    fuzz_check(status != VT_ERR_INTERNAL, "no internal error");
    fuzz_check(err->message[0] != '\0', "the error has a message");
    for (const char *c = err->message; *c; c++)
        fuzz_check(*c != '\n' && *c != '\r', "the message is one line");
    return false;
}

void fuzz_touch(const void *data, size_t size) {
    static volatile unsigned char sink;
    unsigned char sum = 0;
    for (size_t i = 0; i < size; i++)
        sum ^= ((const unsigned char *)data)[i];
    sink = sum;
    (void)sink;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void write_all(int fd, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t count = write(fd, at, size);
        fuzz_check(count > 0, "a file is written");
        at += count;
        size -= (size_t)count;
    }
}

const char *fuzz_file(const void *bytes, size_t size) {
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_check(fd >= 0, "a file in memory");
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    fuzz_check(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0, "a file in memory");
    write_all(fd, bytes, size);
    return path;
}

static char directory[512];

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)about, (void)kind, (void)at;
    remove(path);
    return 0;
}

static void remove_directory(void) {
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_directory(void) {
    const char *root = getenv("TMPDIR");
    if (directory[0])
        return directory;
    snprintf(directory, sizeof directory, "%s/vitrine-fuzz-XXXXXX", root && *root ? root : "/tmp");
    fuzz_check(mkdtemp(directory) != NULL, "a folder of its own");
    atexit(remove_directory);
    return directory;
}

const char *fuzz_path(const char *name) {
    static char paths[4][1024];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", fuzz_directory(), name);
    return path;
}

void fuzz_write(const char *name, const void *bytes, size_t size) {
    const char *path = fuzz_path(name);
    unlink(path);
    if (!bytes)
        return;
    FILE *file = fopen(path, "wb");
    fuzz_check(file != NULL, "a file of the folder");
    fuzz_check(fwrite(bytes, 1, size, file) == size, "a file of the folder");
    fuzz_check(fclose(file) == 0, "a file of the folder");
}

/* ---- inputs ---------------------------------------------------------------------------------- */

uint8_t fuzz_byte(fuzz_input *input) {
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

size_t fuzz_below(fuzz_input *input, size_t limit) {
    size_t value = fuzz_byte(input);
    if (limit > 256)
        value = value << 8 | fuzz_byte(input);
    return value % limit;
}

fuzz_input fuzz_part(fuzz_input *input) {
    const uint8_t *end = input->size ? memchr(input->data, 0, input->size) : NULL;
    fuzz_input part = {input->data, end ? (size_t)(end - input->data) : input->size};
    const size_t taken = part.size + (end != NULL);
    input->data += taken;
    input->size -= taken;
    return part;
}

char *fuzz_copy(const void *data, size_t size, bool terminated) {
    char *copy = malloc(size + terminated);
    fuzz_check(copy != NULL || size + terminated == 0, "memory");
    if (size)
        memcpy(copy, data, size);
    if (terminated)
        copy[size] = '\0';
    return copy;
}

/* ---- models ---------------------------------------------------------------------------------- */

static const double MAX_FLOPS = 3e7;
static const size_t MAX_WORKSPACE = 32 << 20;
enum { TOKENS = 5 };

static void run_picture(vt_session *session, const vt_model *model) {
    static uint8_t pixels[3 * 37 * 29];
    vt_error err = {0};
    vt_frame frame = VT_FRAME_INIT;
    vt_result result = VT_RESULT_INIT;
    vt_prediction best[3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 7);
    fuzz_check(vt_frame_set_packed(&frame, VT_PIXEL_RGB24, 37, 29, pixels, sizeof pixels, &err) ==
                   VT_OK,
               "a frame of its size");
    result.predictions = best;
    result.top_k = vt_session_logits(session) ? 3 : 0;
    if (fuzz_ok(vt_session_run(session, &result, &frame, 1, &err), &err))
        for (size_t i = 0; i < result.num_predictions; i++)
            fuzz_touch(vt_model_label(model, best[i].index),
                       strlen(vt_model_label(model, best[i].index)));
}

static void run_text(vt_session *session, const vt_model *model) {
    vt_error err = {0};
    int64_t ids[TOKENS];
    for (size_t i = 0; i < TOKENS; i++)
        ids[i] = (int64_t)(i * 13 % vt_model_vocab_size(model));
    fuzz_ok(vt_session_forward_text(session, ids, NULL, 1, TOKENS, &err), &err);
}

void fuzz_run_model(const vt_model *model) {
    vt_error err = {0};
    vt_model_info info;
    vt_model_plan plan;
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    const bool has_text = vt_model_text_width(model) > 0;
    options.num_threads = 1;
    options.text_tokens = has_text ? TOKENS : 0;
    vt_model_describe(&info, model);
    fuzz_check(strlen(info.preprocessing) < sizeof info.preprocessing, "a line with its end");
    if (!fuzz_ok(vt_model_plan_session(&plan, model, &options, &err), &err) ||
        plan.flops > MAX_FLOPS || plan.workspace_bytes > MAX_WORKSPACE ||
        !fuzz_ok(vt_session_create(&session, model, &options, &err), &err))
        return;
    if (info.image_height)
        run_picture(session, model);
    if (has_text)
        run_text(session, model);
    vt_session_destroy(session);
}
