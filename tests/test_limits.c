/* SPDX-License-Identifier: MIT
 *
 * vt_limits: each is kept at its edge and enforced one past it, set or by default.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static vt_limits of_none(void) {
    vt_limits limits = VT_LIMITS_INIT;
    return limits;
}

static void set(const vt_limits *limits) {
    vt_error err = {0};
    expect_ok(vt_set_limits(limits, &err), &err);
}

static int reset(void **state) {
    (void)state;
    return vt_set_limits(NULL, NULL) == VT_OK ? 0 : -1;
}

static void expect_limit(vt_status status, const vt_error *err, const char *number) {
    if (status != VT_ERR_LIMIT || !strstr(err->message, number))
        fail_msg("expected the limit of %s, found %s: %s", number, vt_status_name(status),
                 err->message);
}

/* A file of that size which takes no room on the disk, and begins with `bytes`. */
static void write_sparse(const char *path, const void *bytes, size_t size, uint64_t total) {
    write_bytes(path, bytes, size);
    assert_int_equal(truncate(path, (off_t)total), 0);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static void test_pictures(void **state) {
    (void)state;
    const char *path = data_path("images", "rgb8.png", NULL);
    vt_limits limits = of_none();
    vt_error err = {0};
    vt_image image;
    struct stat about;
    char number[32];
    expect_ok(vt_image_read(&image, path, NULL, &err), &err);
    const uint64_t pixels = image.width * image.height;
    assert_int_equal(stat(path, &about), 0);
    vt_image_free(&image);

    limits.image_pixels = pixels;
    limits.image_bytes = (uint64_t)about.st_size;
    set(&limits);
    expect_ok(vt_image_read(&image, path, NULL, &err), &err);
    vt_image_free(&image);
    limits.image_pixels = pixels - 1;
    set(&limits);
    snprintf(number, sizeof number, "%llu pixels", (unsigned long long)pixels - 1);
    expect_limit(vt_image_read(&image, path, NULL, &err), &err, number);
    limits.image_pixels = 0;
    limits.image_bytes--;
    set(&limits);
    snprintf(number, sizeof number, "%llu bytes", (unsigned long long)limits.image_bytes);
    expect_limit(vt_image_read(&image, path, NULL, &err), &err, number);

    /* The call's own options go before. */
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.max_bytes = (uint64_t)about.st_size;
    expect_ok(vt_image_read(&image, path, &options, &err), &err);
    vt_image_free(&image);
}

static size_t largest; /* block asked for */

static void *note_size(void *user, size_t bytes, size_t alignment) {
    (void)user;
    if (bytes > largest)
        largest = bytes;
    return aligned_alloc(alignment, bytes);
}

static void give_back(void *user, void *memory) {
    (void)user;
    free(memory);
}

/* A header alone is not believed: no memory is taken for pixels that so few bytes can't hold. */
static void test_headers_without_pixels(void **state) {
    static const unsigned char tga[18] = {
        [2] = 2, [13] = 0x40, [14] = 0xff, [15] = 0x3f, [16] = 24};
    static const unsigned char rle_tga[18] = {
        [2] = 10, [13] = 0x40, [14] = 0xff, [15] = 0x3f, [16] = 24};
    static const unsigned char bmp[54] = {
        'B', 'M', [10] = 54, [14] = 40, [19] = 0x40, [23] = 0x3f, [26] = 1, [28] = 24};
    static const unsigned char psd[26] = {
        '8', 'B', 'P', 'S', 0, 1, [13] = 3, [16] = 0x3f, [20] = 0x40, [23] = 8, [25] = 3};
    static const unsigned char gif[33] = {'G', 'I', 'F', '8', '7', 'a', 0, 0x3f, 0, 0x40};
    static const char pnm[] = "P6 16384 16384 255\n", hdr[] = "#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n"
                                                              "-Y 16384 +X 16384\n";
    const struct {
        const void *bytes;
        size_t size;
    } files[] = {{tga, sizeof tga},    {gif, sizeof gif}, {rle_tga, sizeof rle_tga},
                 {bmp, sizeof bmp},    {psd, sizeof psd}, {pnm, sizeof pnm - 1},
                 {hdr, sizeof hdr - 1}};
    const vt_allocator watching = {note_size, give_back, NULL};
    (void)state;
    vt_set_allocator(&watching);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        vt_error err = {0};
        vt_image image;
        largest = 0;
        vt_status status = vt_image_decode(&image, files[i].bytes, files[i].size, NULL, &err);
        if (status != VT_ERR_FORMAT || largest > 1 << 20)
            fail_msg("file %zu: %s: %s; %zu bytes", i, vt_status_name(status), err.message,
                     largest);
    }
    vt_set_allocator(NULL);
}

static void test_pictures_by_default(void **state) {
    const char *path = path_in(*state, "picture");
    vt_error err = {0};
    vt_image image;
    /* A PNM's header is all that is looked at. */
    write_text(path, "P6 16384 16385 255\n");
    expect_limit(vt_image_read(&image, path, NULL, &err), &err, "268435456 pixels");
    write_text(path, "P6 16384 16384 255\n");
    assert_int_equal(vt_image_read(&image, path, NULL, &err), VT_ERR_FORMAT);
    assert_non_null(strstr(err.message, "truncated after 19 bytes"));
    write_sparse(path, "P6 1 1 255\n", 11, (UINT64_C(1) << 30) + 1);
    expect_limit(vt_image_read(&image, path, NULL, &err), &err, "1073741824 bytes");
    write_sparse(path, "P6 1 1 255\n", 11, UINT64_C(1) << 30);
    expect_ok(vt_image_read(&image, path, NULL, &err), &err);
    vt_image_free(&image);
    remove(path);
}

/* ---- tensor files ---------------------------------------------------------------------------- */

static vt_status open_tensors(const char *path, vt_error *err) {
    vt_tensor_file *file;
    vt_status status = vt_tensor_file_open(&file, path, err);
    vt_tensor_file_close(file);
    return status;
}

static void test_tensor_files(void **state) {
    const char *path = path_in(*state, "a.safetensors");
    static const float value = 1;
    const vt_tensor tensors[] = {{"a", VT_DTYPE_F32, 0, {0}, &value, 4},
                                 {"b", VT_DTYPE_F32, 0, {0}, &value, 4}};
    struct stat about;
    vt_error err = {0};
    vt_limits limits = of_none();
    expect_ok(vt_tensor_file_write(path, tensors, 2, &err), &err);
    assert_int_equal(stat(path, &about), 0);
    limits.weights_bytes = (uint64_t)about.st_size;
    limits.header_bytes = (uint64_t)about.st_size - 8 - 2 * sizeof value;
    limits.tensors = 2;
    set(&limits);
    expect_ok(open_tensors(path, &err), &err);

    vt_limits less = limits;
    less.weights_bytes--;
    set(&less);
    expect_limit(open_tensors(path, &err), &err, "bytes");
    less = limits;
    less.header_bytes--;
    set(&less);
    expect_limit(open_tensors(path, &err), &err, "header");
    less = limits;
    less.tensors--;
    set(&less);
    expect_limit(open_tensors(path, &err), &err, "2 tensors are over the limit of 1");
}

static void test_tensor_files_by_default(void **state) {
    static const unsigned char at_edge[8] = {0x00, 0xE1, 0xF5, 0x05},
                               past[8] = {0x01, 0xE1, 0xF5, 5};
    const char *path = path_in(*state, "b.safetensors");
    vt_error err = {0};
    write_sparse(path, past, 8, 100000009);
    expect_limit(open_tensors(path, &err), &err, "limit of 100000000 bytes");
    write_sparse(path, at_edge, 8, 100000008);
    assert_int_equal(open_tensors(path, &err), VT_ERR_FORMAT); /* no JSON, but looked at */
    write_bytes(path, past, 8);
    if (truncate(path, ((off_t)1 << 40) + 1) == 0) /* where the disk's file system has such */
        expect_limit(open_tensors(path, &err), &err, "1099511627776 bytes");
    remove(path);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* {"a": and so many levels in all, whose strings and escapes are not levels. */
static void write_nested(const char *path, size_t levels) {
    char *text = malloc(2 * levels + 64), *at = text;
    assert_non_null(text);
    at += sprintf(at, "{\"\\\"[[[{{{\": \"]\", \"a\":");
    for (size_t i = 1; i < levels; i++)
        *at++ = '[';
    for (size_t i = 1; i < levels; i++)
        *at++ = ']';
    strcpy(at, "}");
    write_text(path, text);
    free(text);
}

/* Of the configuration: beyond its limits it is not looked at, within them the weights are missing.
 */
static void expect_depth(const char *directory, size_t most) {
    vt_error err = {0};
    char number[32];
    snprintf(number, sizeof number, "limit of %zu", most);
    write_nested(path_in(directory, "config.json"), most);
    assert_int_equal(vt_model_check(directory, &err), VT_ERR_MISSING);
    write_nested(path_in(directory, "config.json"), most + 1);
    expect_limit(vt_model_check(directory, &err), &err, number);
    assert_non_null(strstr(err.message, "config.json"));
}

static void test_json_depth(void **state) {
    vt_limits limits = of_none();
    expect_depth(*state, 128);
    limits.json_depth = 3;
    set(&limits);
    expect_depth(*state, 3);
    limits.json_depth = 2048; /* and Jansson agrees */
    set(&limits);
    expect_depth(*state, 2048);
}

/* A header and what a packed file says of itself are JSON as well. */
static void test_depth_of_headers(void **state) {
    const char *path = path_in(*state, "deep.safetensors");
    char bytes[8 + 300] = {0};
    vt_error err = {0};
    bytes[0] = (char)200;
    memset(bytes + 8, '[', 200);
    write_bytes(path, bytes, 8 + 200);
    expect_limit(open_tensors(path, &err), &err, "limit of 128");

    char deep[200];
    memset(deep, '[', sizeof deep);
    const vt_tensor about = {"vitrine.packed", VT_DTYPE_U8, 1, {sizeof deep}, deep, sizeof deep};
    write_text(path_in(*state, "config.json"), "{}");
    path = path_in(*state, "packed.safetensors");
    expect_ok(vt_tensor_file_write(path, &about, 1, &err), &err);
    expect_limit(vt_model_check(*state, &err), &err, "limit of 128");
    remove(path);
}

static void test_json_bytes(void **state) {
    const char *path = path_in(*state, "config.json");
    vt_limits limits = of_none();
    vt_error err = {0};
    write_sparse(path, "{}", 2, (1 << 26) + 1);
    expect_limit(vt_model_check(*state, &err), &err, "67108864 bytes");
    write_sparse(path, "{}", 2, 1 << 26);
    assert_int_equal(vt_model_check(*state, &err), VT_ERR_FORMAT);
    limits.json_bytes = 4;
    set(&limits);
    write_text(path, "{  }");
    assert_int_equal(vt_model_check(*state, &err), VT_ERR_MISSING);
    write_text(path, "{   }");
    expect_limit(vt_model_check(*state, &err), &err, "4 bytes");
}

static void test_labels(void **state) {
    vt_limits limits = of_none();
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    vt_model *model;
    vt_error err = {0};
    const char *labels = path_in(*state, "labels.txt");
    const uint64_t bytes = (1 << 20) + 18;
    write_sparse(labels, "a\nb\nc\nd\ne\nf\ng\nh\ni\n", 18, bytes);
    options.labels_path = labels;
    limits.json_bytes = bytes;
    set(&limits);
    expect_ok(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), &options, &err),
              &err);
    vt_model_close(model);
    limits.json_bytes--;
    set(&limits);
    expect_limit(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), &options, &err),
                 &err, "labels.txt");
}

/* ---- tokenizers ------------------------------------------------------------------------------ */

#define MODEL_WITH(id) "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":" id "},\"merges\":[]}"

static vt_status open_tokenizer(const char *directory, const char *json, vt_error *err) {
    vt_tokenizer *tokenizer;
    const char *path = path_in(directory, "tokenizer.json");
    write_text(path, json);
    vt_status status = vt_tokenizer_open(&tokenizer, path, err);
    vt_tokenizer_close(tokenizer);
    return status;
}

static void test_vocabulary(void **state) {
    static const char added_8[] =
        "{" MODEL_WITH("1") ",\"added_tokens\":[{\"content\":\"x\",\"id\":8}]}";
    static const char added_9[] =
        "{" MODEL_WITH("1") ",\"added_tokens\":[{\"content\":\"x\",\"id\":9}]}";
    vt_limits limits = of_none();
    vt_error err = {0};
    expect_ok(open_tokenizer(*state, "{" MODEL_WITH("4194303") "}", &err), &err);
    expect_limit(open_tokenizer(*state, "{" MODEL_WITH("4194304") "}", &err), &err, "4194304 ids");
    limits.vocabulary = 9;
    set(&limits);
    expect_ok(open_tokenizer(*state, "{" MODEL_WITH("8") "}", &err), &err);
    expect_limit(open_tokenizer(*state, "{" MODEL_WITH("9") "}", &err), &err, "9 ids");
    expect_ok(open_tokenizer(*state, added_8, &err), &err);
    expect_limit(open_tokenizer(*state, added_9, &err), &err, "9 ids");
}

static void test_padding(void **state) {
    static const char *const forms[] = {"\"strategy\":{\"Fixed\":%zu}",
                                        "\"strategy\":\"BatchLongest\",\"pad_to_multiple_of\":%zu"};
    vt_limits limits = of_none();
    vt_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        const size_t most = i < 2 ? 1 << 24 : 12;
        char form[128], json[512];
        limits.tokens = i < 2 ? 0 : most;
        set(&limits);
        for (size_t past = 0; past < 2; past++) {
            snprintf(form, sizeof form, forms[i % 2], most + past);
            snprintf(json, sizeof json, "{" MODEL_WITH("1") ",\"padding\":{%s}}", form);
            vt_status status = open_tokenizer(*state, json, &err);
            if (past)
                expect_limit(status, &err, most == 12 ? "12 tokens" : "16777216 tokens");
            else
                expect_ok(status, &err);
        }
    }
}

/* ---- sessions -------------------------------------------------------------------------------- */

static vt_status create(const char *golden_case, const vt_session_options *options, vt_error *err) {
    vt_model *model;
    vt_session *session;
    vt_error opening = {0};
    expect_ok(vt_model_open(&model, data_path("golden", golden_case, NULL), NULL, &opening),
              &opening);
    vt_status status = vt_session_create(&session, model, options, err);
    vt_session_destroy(session);
    vt_model_close(model);
    return status;
}

static void test_tokens_of_a_picture(void **state) {
    (void)state;
    vt_limits limits = of_none();
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = 64; /* with 48: 8 x 6 patches of 8 pixels, and a class token */
    options.width = 48;
    limits.tokens = 49;
    set(&limits);
    expect_ok(create("timm_vit_token", &options, &err), &err);
    limits.tokens = 48;
    set(&limits);
    expect_limit(create("timm_vit_token", &options, &err), &err,
                 "49 tokens is over the limit of 48");
    set(NULL);
    options.height = options.width = 8 * 4096; /* 2^24, and a class token */
    expect_limit(create("timm_vit_token", &options, &err), &err, "16777216");
}

static void test_tokens_of_a_text(void **state) {
    (void)state;
    vt_limits limits = of_none();
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    limits.tokens = 40;
    set(&limits);
    options.text_tokens = options.cache_tokens = 40;
    expect_ok(create("text_llama", &options, &err), &err);
    options.text_tokens = 41;
    expect_limit(create("text_llama", &options, &err), &err, "41 tokens");
    options.text_tokens = 40;
    options.cache_tokens = 41;
    expect_limit(create("text_llama", &options, &err), &err, "41 in the cache");
    set(NULL);
    options.cache_tokens = (1 << 24) + 1;
    expect_limit(create("text_llama", &options, &err), &err, "16777216");
}

/* ---- setting them ---------------------------------------------------------------------------- */

static void test_what_cannot_be_set(void **state) {
    (void)state;
    vt_error err = {0};
    vt_limits limits = of_none();
    limits.json_depth = 2049;
    assert_int_equal(vt_set_limits(&limits, &err), VT_ERR_ARGUMENT);
    limits.json_depth = 0;
    limits.vocabulary = ((size_t)1 << 30) + 1;
    assert_int_equal(vt_set_limits(&limits, &err), VT_ERR_ARGUMENT);
    limits.vocabulary = 0;
    limits.tokens = ((size_t)1 << 30) + 1;
    assert_int_equal(vt_set_limits(&limits, &err), VT_ERR_ARGUMENT);
    limits = (vt_limits){0};
    assert_int_equal(vt_set_limits(&limits, &err), VT_ERR_ARGUMENT);
}

int main(void) {
#define EDGES(test) cmocka_unit_test_teardown(test, reset)
    const struct CMUnitTest tests[] = {
        EDGES(test_pictures),
        EDGES(test_headers_without_pixels),
        EDGES(test_pictures_by_default),
        EDGES(test_tensor_files),
        EDGES(test_tensor_files_by_default),
        EDGES(test_json_depth),
        EDGES(test_depth_of_headers),
        EDGES(test_json_bytes),
        EDGES(test_labels),
        EDGES(test_vocabulary),
        EDGES(test_padding),
        EDGES(test_tokens_of_a_picture),
        EDGES(test_tokens_of_a_text),
        EDGES(test_what_cannot_be_set),
    };
    return cmocka_run_group_tests_name("limits", tests, create_temp_dir, remove_temp_dir);
}
