/* SPDX-License-Identifier: MIT
 *
 * What the command kept for another time, or a hub sends: heads, vectors of pictures, labels, lists
 * of a model's files, its name. The first byte chooses the reader ('a' is the first of READERS
 * below); what follows is the reader's.
 */
#include "fuzz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/feature_cache.h"
#include "cli/head.h"
#include "cli/http_headers.h"
#include "cli/hub_files.h"
#include "cli/label_set.h"
#include "cli/paths.h"
#include "listener.h"

/* Each input is as of a user who has nothing but the fuzzer's folder. */
static void prepare(void) {
    static bool prepared;
    if (prepared)
        return;
    prepared = true;
    unsetenv("HF_ENDPOINT");
    unsetenv("HF_TOKEN");
    setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    setenv("HF_HUB_CACHE", "/cache", 1);
    setenv("XDG_CACHE_HOME", fuzz_directory(), 1);
}

static void check_told(int code) {
    fuzz_check(listener_lines() == (code != EXIT_DONE), "a failure is told, in one line");
}

/* As many floats as there are bytes of, and zeros behind them. */
static float *take_floats(fuzz_input *input, size_t count) {
    const size_t size = count * sizeof(float), there = input->size < size ? input->size : size;
    float *values = calloc(count, sizeof *values);
    fuzz_check(values != NULL, "memory");
    if (there)
        memcpy(values, input->data, there);
    input->data += there;
    input->size -= there;
    return values;
}

static void write_tensors(const char *path, const vt_tensor *tensors, size_t count) {
    vt_error err = {0};
    fuzz_check(vt_tensor_file_write(path, tensors, count, &err) == VT_OK, "a file of tensors");
}

/* ---- heads ------------------------------------------------------------------------------------
 */

static const vt_model *model(void) {
    static vt_model *opened;
    vt_error err = {0};
    if (!opened)
        fuzz_check(vt_model_open(&opened, VT_TEST_DATA "/golden/timm_vit_token", NULL, &err) ==
                       VT_OK,
                   "a golden model");
    return opened;
}

static void use_head(const head *h) {
    enum { MOST = 3 };
    vt_prediction best[MOST];
    double *scores = calloc(h->num_classes, sizeof *scores), sum = 0;
    float *pooled = calloc(h->width, sizeof *pooled);
    fuzz_check(scores && pooled, "memory");
    for (size_t i = 0; i < h->width; i++)
        pooled[i] = (float)(i % 7) - 3;
    head_scores(h, pooled, scores);
    for (size_t k = 0; k < h->num_classes; k++)
        sum += scores[k];
    fuzz_check(fabs(sum - 1) < 1e-6, "scores sum to 1");
    const size_t count = head_predict(h, pooled, best, MOST);
    fuzz_check(count == (h->num_classes < MOST ? h->num_classes : MOST), "as many as there are");
    for (size_t i = 0; i < count; i++) {
        fuzz_check(i == 0 || best[i].score <= best[i - 1].score, "best first");
        fuzz_touch(head_label(h, best[i].index), strlen(head_label(h, best[i].index)));
    }
    free(scores);
    free(pooled);
}

static void check_same_head(const head *a, const head *b) {
    fuzz_check(a->num_classes == b->num_classes && a->width == b->width &&
                   a->input_height == b->input_height && a->input_width == b->input_width,
               "the same sizes");
    fuzz_check(memcmp(a->weight, b->weight, a->num_classes * a->width * sizeof(float)) == 0 &&
                   memcmp(a->bias, b->bias, a->num_classes * sizeof(float)) == 0,
               "the same weights");
    for (size_t k = 0; k < a->num_classes; k++)
        fuzz_check(strcmp(a->labels[k], b->labels[k]) == 0, "the same labels");
}

static void read_head(const char *path) {
    head h, again;
    const int code = head_read(&h, path);
    check_told(code);
    if (code == EXIT_DONE) {
        const char *copy = fuzz_path("copy.safetensors");
        use_head(&h);
        check_told(head_check(&h, path, model()));
        check_told(head_check_width(&h, path, 4));
        fuzz_check(head_write(&h, json_null(), copy) == EXIT_DONE, "a head is written");
        fuzz_check(head_read(&again, copy) == EXIT_DONE, "and read again");
        check_same_head(&h, &again);
        head_free(&again);
    }
    head_free(&h);
}

/* How many classes, how wide, what it says of itself, then weights. */
static void read_head_parts(fuzz_input input) {
    const char *path = fuzz_path("head.safetensors");
    const size_t classes = 1 + fuzz_below(&input, 6), width = 1 + fuzz_below(&input, 8);
    const fuzz_input about = fuzz_part(&input);
    float *weight = take_floats(&input, classes * width), *bias = take_floats(&input, classes);
    const vt_tensor tensors[] = {
        {"weight", VT_DTYPE_F32, 2, {classes, width}, weight, classes * width * sizeof(float)},
        {"bias", VT_DTYPE_F32, 1, {classes}, bias, classes * sizeof(float)},
        {"vitrine.head", VT_DTYPE_U8, 1, {about.size}, about.data, about.size},
    };
    write_tensors(path, tensors, 3);
    read_head(path);
    free(weight);
    free(bias);
}

static void read_head_file(fuzz_input input) {
    read_head(fuzz_file(input.data, input.size));
}

/* ---- labels and their vectors -----------------------------------------------------------------
 */

static void read_labels(const char *path, size_t width) {
    label_set set = {.width = width}, again = {.width = width};
    const int code = labels_load(&set, path);
    check_told(code);
    if (code == EXIT_DONE) {
        const char *copy = fuzz_path("copy.safetensors");
        fuzz_check(set.count > 0, "there are labels");
        for (size_t i = 0; i < set.count * width; i++)
            fuzz_check(isfinite(set.vectors[i]), "vectors are numbers");
        fuzz_check(labels_save(&set, copy) == EXIT_DONE && labels_load(&again, copy) == EXIT_DONE,
                   "labels are written, and read again");
        fuzz_check(again.count == set.count, "as many");
        for (size_t i = 0; i < set.count; i++)
            fuzz_check(strcmp(set.names[i], again.names[i]) == 0, "the same names");
    }
    labels_free(&set);
    labels_free(&again);
}

/* How many, how wide, names, vectors. */
static void read_labels_parts(fuzz_input input) {
    const char *path = fuzz_path("labels.safetensors");
    const size_t count = fuzz_below(&input, 6), width = 1 + fuzz_below(&input, 8);
    const fuzz_input names = fuzz_part(&input);
    float *vectors = take_floats(&input, count * width);
    const vt_tensor tensors[] = {
        {"vectors", VT_DTYPE_F32, 2, {count, width}, vectors, count * width * sizeof(float)},
        {"names", VT_DTYPE_U8, 1, {names.size}, names.data, names.size},
    };
    write_tensors(path, tensors, 2);
    read_labels(path, width);
    free(vectors);
}

static void read_labels_file(fuzz_input input) {
    const size_t width = 1 + fuzz_below(&input, 8);
    read_labels(fuzz_file(input.data, input.size), width);
}

/* ---- vectors of pictures ----------------------------------------------------------------------
 */

static size_t load(const char *path, uint8_t *bytes, size_t most) {
    FILE *file = fopen(path, "rb");
    fuzz_check(file != NULL, "a vector is kept");
    const size_t size = fread(bytes, 1, most, file);
    fclose(file);
    return size;
}

static void store(const char *path, const uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    fuzz_check(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, "a file");
}

/* A width, then how much shorter or longer the file gets, and which bytes of it change to what: it
 * is then as good as none. */
static void read_vector(fuzz_input input) {
    enum { MOST = 256, WIDEST = 8 };
    uint8_t before[MOST], after[MOST] = {0};
    float vector[WIDEST], found[WIDEST];
    char name[HASH_TEXT];
    feature_cache cache;
    const size_t width = 1 + fuzz_below(&input, WIDEST);
    const hash picture = {1, 2}, how = {3, width};
    for (size_t i = 0; i < width; i++)
        vector[i] = (float)i;
    cache_open(&cache, how, width);
    fuzz_check(cache.folder != NULL, "there is a cache");
    cache_put(&cache, picture, vector);
    hash_text(name, picture);
    char *path = path_join(cache.folder, name);
    const size_t size = load(path, before, MOST - 64);
    memcpy(after, before, size);
    const size_t size_after = (size + fuzz_below(&input, 128)) % (size + 64);
    while (input.size && size_after) {
        const size_t at = fuzz_below(&input, size_after);
        after[at] = fuzz_byte(&input);
    }
    store(path, after, size_after);
    const bool same = size == size_after && memcmp(before, after, size) == 0;
    fuzz_check(cache_get(&cache, picture, found) == same, "a changed file is as good as none");
    fuzz_check(!same || memcmp(vector, found, width * sizeof *vector) == 0, "the same vector");
    free(path);
    cache_close(&cache);
}

/* ---- what a hub sends -------------------------------------------------------------------------
 */

static hub *connection(void) {
    static hub *h;
    if (!h)
        fuzz_check(hub_connect(&h, 0, true, "pull") == EXIT_DONE, "libcurl is there");
    return h;
}

static bool lies_beside(const char *name) {
    return *name && *name != '.' && !strchr(name, '/');
}

static void check_files(const hub_listing *listing, const hub_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        const char *name = files->items[i].name;
        fuzz_check(lies_beside(name), "no file outside of the model's folder is written");
        fuzz_check(hub_listing_has(listing, name), "only what the hub lists is asked for");
        for (size_t j = 0; j < i; j++)
            fuzz_check(strcmp(name, files->items[j].name) != 0, "each file once");
    }
}

/* The list of files, a NUL, the index of shards. */
static void read_listing(fuzz_input input) {
    const fuzz_input answer = fuzz_part(&input);
    hub_listing listing = {.model = {.name = "org/name", .revision = "main"}};
    hub_files files = {0};
    int code = hub_read_listing(connection(), &listing, (const char *)answer.data, answer.size);
    check_told(code);
    if (code == EXIT_DONE) {
        fuzz_check(hub_is_commit(listing.commit), "a commit");
        code = hub_files_choose(connection(), &listing, &files);
        check_told(code);
        fuzz_check((code == EXIT_DONE) == (files.count > 0), "there are files, or none");
    }
    if (code == EXIT_DONE && files.sharded)
        check_told(hub_files_add_shards(connection(), &listing, &files,
                                        fuzz_file(input.data, input.size)));
    check_files(&listing, &files);
    hub_files_free(&files);
    hub_listing_free(&listing);
}

/* Whether a text has the digits of a number. */
static bool has_digits(fuzz_input text, size_t number) {
    char digits[32];
    snprintf(digits, sizeof digits, "%zu", number);
    return memmem(text.data, text.size, digits, strlen(digits)) != NULL;
}

static void check_answer(const http_answer *answer, fuzz_input text) {
    const char *const texts[] = {answer->etag, answer->linked_etag, answer->commit,
                                 answer->error_code, answer->error_message};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        fuzz_check(memmem(text.data, text.size, texts[i], strlen(texts[i])) != NULL,
                   "a value is one that was sent");
    fuzz_check(!answer->has_size || has_digits(text, answer->size), "a size is one that was sent");
    fuzz_check(!answer->retry_after || has_digits(text, answer->retry_after),
               "a time is one that was sent");
    fuzz_check(!answer->first || answer->first == SIZE_MAX || has_digits(text, answer->first),
               "a part begins where it says");
}

/* Lines of headers, each in memory of its own size. */
static void read_headers(fuzz_input input) {
    header_reader reader;
    http_answer answer;
    fuzz_input rest = input;
    const uint8_t *end;
    headers_begin(&reader, &answer);
    while (rest.size && (end = memchr(rest.data, '\n', rest.size))) {
        const size_t size = (size_t)(end - rest.data) + 1;
        char *line = fuzz_copy(rest.data, size, false);
        headers_take(&reader, &answer, line, size);
        free(line);
        rest.data += size;
        rest.size -= size;
    }
    if (input.size)
        check_answer(&answer, input);
}

/* ---- names of models, commits -----------------------------------------------------------------
 */

static void check_revision(const char *revision) {
    for (const char *part = revision; part; part = strchr(part, '/')) {
        part += *part == '/';
        fuzz_check(*part && *part != '/' && *part != '.', "a revision stays below refs/");
    }
}

static void read_name(fuzz_input input) {
    hub_model parsed, again;
    char *text = fuzz_copy(input.data, input.size, true);
    if (hub_model_parse(&parsed, text)) {
        char *path = hub_cache_repository(parsed.name), *written = hub_model_text(&parsed);
        fuzz_check(strncmp(path, "/cache/models--", strlen("/cache/models--")) == 0 &&
                       strchr(path + strlen("/cache/"), '/') == NULL,
                   "a model has a folder of the cache");
        check_revision(parsed.revision);
        fuzz_check(strcmp(text, written) == 0 && hub_model_parse(&again, written) &&
                       memcmp(&parsed, &again, sizeof parsed) == 0,
                   "a name is that of its model");
        free(path);
        free(written);
    }
    free(text);
}

static void read_commit(fuzz_input input) {
    char commit[HUB_COMMIT_SIZE];
    if (hub_ref_read(commit, fuzz_file(input.data, input.size)))
        fuzz_check(hub_is_commit(commit), "a commit");
}

/* -----------------------------------------------------------------------------------------------
 */

static void (*const READERS[])(fuzz_input input) = {
    read_head_parts, read_head_file, read_labels_parts, read_labels_file, read_vector,
    read_listing,    read_name,      read_commit,       read_headers,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    stderr = listener_stream();
    prepare();
    READERS[(uint8_t)(fuzz_byte(&input) - 'a') % (sizeof READERS / sizeof *READERS)](input);
    fuzz_check(listener_lines() == 0, "nothing else is said");
    return 0;
}
