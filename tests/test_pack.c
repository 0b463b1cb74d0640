/* SPDX-License-Identifier: MIT
 *
 * Packed models: the same bits as the model that they were made from, for every family and
 * precision; and what is said of those that this processor, or the caller, can't use.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"

static const char *directory;
static char packed_path[512];

static const char *const beside[] = {"config.json", "open_clip_config.json",
                                     "preprocessor_config.json"};

static void copy_beside(const char *from) {
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        remove(path_in(directory, beside[i]));
        if (access(path_in(from, beside[i]), F_OK) == 0)
            copy_file(path_in(from, beside[i]), path_in(directory, beside[i]));
    }
}

static vt_status open_model(vt_model **out, const char *path, const char *precision,
                            const char *kernels, vt_error *err) {
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.precision = precision;
    options.kernels = kernels;
    return vt_model_open(out, path, &options, err);
}

/* A golden case packed into the directory; the model that it was packed from. */
static vt_model *pack_case(const char *folder, const char *name, const char *precision,
                           const char *kernels) {
    vt_error err = {0};
    vt_model *model;
    const char *path = data_path(folder, name, NULL);
    copy_beside(path);
    expect_ok(open_model(&model, path, precision, kernels, &err), &err);
    expect_ok(vt_model_pack(model, packed_path, &err), &err);
    return model;
}

/* ---- the same results --------------------------------------------------------------------------
 */

enum { MOST = 1 << 16, TOKENS = 7 };

typedef struct results {
    float values[MOST];
    size_t count;
} results;

static void add(results *out, const float *values, size_t count) {
    if (!values)
        return;
    assert_true(out->count + count <= MOST);
    memcpy(out->values + out->count, values, count * sizeof *values);
    out->count += count;
}

static void run_picture(results *out, vt_session *session, const vt_model *model) {
    static float pixels[3 * 256 * 256];
    vt_error err = {0};
    vt_model_info info;
    vt_model_describe(&info, model);
    size_t height, width, floats = 3 * 256 * 256;
    test_random random = {4};
    vt_session_input_size(session, &height, &width);
    assert_true(3 * height * width <= floats);
    random_floats(&random, pixels, 3 * height * width);
    const float *items[] = {pixels};
    if (vt_model_is_naflex(model))
        expect_ok(vt_session_forward_naflex(session, items, &height, &width, 1, &err), &err);
    else
        expect_ok(vt_session_forward(session, pixels, 1, &err), &err);
    add(out, vt_session_pooled(session), vt_session_pooled_width(session));
    add(out, vt_session_logits(session), info.num_classes);
    add(out, vt_session_image_embeds(session), vt_model_embed_dim(model));
}

static void run_text(results *out, vt_session *session, const vt_model *model) {
    vt_error err = {0};
    const int64_t ids[TOKENS] = {1, 5, 9, 2, 11, 7, 3};
    expect_ok(vt_session_forward_text(session, ids, NULL, 1, TOKENS, &err), &err);
    add(out, vt_session_hidden(session), TOKENS * vt_model_text_width(model));
    add(out, vt_session_text_embeds(session), vt_model_embed_dim(model));
    add(out, vt_session_text_logits(session), TOKENS * vt_model_vocab_size(model));
}

static void run_model(results *out, const vt_model *model) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    bool has_text = vt_model_text_width(model) > 0;
    vt_model_info info;
    vt_model_describe(&info, model);
    options.text_tokens = has_text ? TOKENS : 0;
    options.num_threads = 2;
    out->count = 0;
    if (vt_model_is_naflex(model))
        options.height = options.width = 64;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    if (info.image_height)
        run_picture(out, session, model);
    if (has_text)
        run_text(out, session, model);
    vt_session_destroy(session);
}

static void expect_the_same(const char *name, const vt_model *model) {
    static results original, packed;
    vt_error err = {0};
    vt_model *copy;
    expect_ok(open_model(&copy, directory, NULL, NULL, &err), &err);
    run_model(&original, model);
    run_model(&packed, copy);
    assert_true(original.count > 0);
    assert_int_equal(original.count, packed.count);
    if (memcmp(original.values, packed.values, packed.count * sizeof(float)) != 0)
        fail_msg("%s: packed, it gives other values", name);
    vt_model_info a, b;
    vt_model_describe(&a, model);
    vt_model_describe(&b, copy);
    assert_string_equal(a.kernels, b.kernels);
    assert_string_equal(a.precision, b.precision);
    assert_int_equal(a.num_parameters, b.num_parameters);
    vt_model_close(copy);
}

static void test_every_family(void **state) {
    (void)state;
    json_t *cases = load_json(data_path("golden", "cases.json", NULL)), *entry;
    size_t i, count = 0;
    json_array_foreach(json_object_get(cases, "cases"), i, entry) {
        const char *name = json_string_value(json_object_get(entry, "case"));
        if (!name || access(data_path("golden", name, "config.json", NULL), F_OK) != 0)
            continue;
        vt_model *model = pack_case("golden", name, NULL, NULL);
        expect_the_same(name, model);
        vt_model_close(model);
        count++;
    }
    json_decref(cases);
    print_message("%zu models\n", count);
    assert_true(count > 50);
}

/* Adapters are added to their weights when a model is opened. */
static void test_adapters(void **state) {
    (void)state;
    vt_model *model = pack_case("golden-pairs", "jina_clip_v2", NULL, NULL);
    expect_the_same("jina_clip_v2", model);
    vt_model_close(model);
}

static void test_precisions_and_kernels(void **state) {
    (void)state;
    static const char *const precisions[] = {"f32", "f16", "bf16", "int8"};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++)
        for (size_t p = 0; p < 4; p++) {
            vt_model *model = pack_case("golden", "timm_vit_token", precisions[p], kernels->name);
            expect_the_same(precisions[p], model);
            vt_model_close(model);
        }
}

/* No tensor is reported as unknown, and packing a packed model again changes nothing. */
static void on_log(void *user, const char *line) {
    (void)user;
    fail_msg("%s", line);
}

static void test_packed_again(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *copy;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    size_t first_size, second_size;
    options.log = on_log;
    vt_model_close(pack_case("golden", "timm_vit_token", NULL, NULL));
    unsigned char *first = read_bytes(packed_path, &first_size);
    expect_ok(vt_model_open(&copy, directory, &options, &err), &err);
    expect_ok(vt_model_pack(copy, packed_path, &err), &err);
    vt_model_close(copy);
    unsigned char *second = read_bytes(packed_path, &second_size);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    free(first);
    free(second);
}

/* ---- refusals ----------------------------------------------------------------------------------
 */

static void expect_refusal(const vt_model_options *options, vt_status status, const char *message) {
    vt_error err = {0};
    vt_model *model;
    assert_int_equal(vt_model_open(&model, directory, options, &err), status);
    if (!strstr(err.message, message))
        fail_msg("expected \"…%s…\", found \"%s\"", message, err.message);
    assert_null(model);
}

static void test_other_options(void **state) {
    (void)state;
    vt_model_options other = VT_MODEL_OPTIONS_INIT;
    vt_model_close(pack_case("golden", "timm_vit_token", "f16", "scalar"));
    other.kernels = vt_kernels_at(0)->name;
    expect_refusal(&other, VT_ERR_UNSUPPORTED, "packed for scalar kernels and precision f16");
    other.kernels = "scalar";
    other.precision = "int8";
    expect_refusal(&other, VT_ERR_UNSUPPORTED, "packed for scalar kernels and precision f16");
    other = (vt_model_options)VT_MODEL_OPTIONS_INIT;
    other.patch_size = 4;
    expect_refusal(&other, VT_ERR_FORMAT, "pack the model again, with the options");
}

/* The file with "vitrine.packed" changed. */
static void write_about(const char *text) {
    static vt_tensor tensors[512];
    vt_tensor_file *file;
    vt_error err = {0};
    size_t count = 0;
    const vt_tensor *tensor;
    expect_ok(vt_tensor_file_open(&file, packed_path, &err), &err);
    for (size_t i = 0; (tensor = vt_tensor_file_at(file, i)) != NULL; i++) {
        assert_true(count < 512);
        tensors[count] = *tensor;
        if (strcmp(tensor->name, "vitrine.packed") == 0) {
            tensors[count].data = text;
            tensors[count].size = tensors[count].shape[0] = strlen(text);
        }
        count++;
    }
    expect_ok(vt_tensor_file_write(packed_path, tensors, count, &err), &err);
    vt_tensor_file_close(file);
}

static void test_damaged(void **state) {
    (void)state;
    static const struct {
        const char *about, *message;
        vt_status status;
    } cases[] = {
        {"{\"version\": 3}", "packed in version 3 of the layout, this is version 2: pack it again",
         VT_ERR_UNSUPPORTED},
        {"not JSON", "vitrine.packed is not a JSON object", VT_ERR_FORMAT},
        {"{\"version\": 2, \"kernels\": 7}", "kernels", VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [{\"name\": \"x\", \"dtype\": \"F31\"}]}", "F31",
         VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [{\"name\": \"x\", \"dtype\": \"F32\", \"shape\": [-1]}]}",
         "dimension 0 is not a size", VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [{\"name\": \"x\", \"dtype\": \"F32\", \"shape\": "
         "[4294967296, 4294967296]}]}",
         "not a size", VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [{\"name\": \"x\", \"dtype\": \"F32\"}]}", "x: no shape",
         VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [{\"name\": \"x\", \"dtype\": \"F32\", \"shape\": "
         "[1, 1, 1, 1, 1, 1, 1, 1, 1]}]}",
         "x: no shape", VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [{\"name\": \"x\", \"dtype\": \"F32\", \"shape\": "
         "[4611686018427387904]}]}",
         "x is too large", VT_ERR_FORMAT},
        {"{\"version\": 2, \"tensors\": [7]}", "", VT_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_model_close(pack_case("golden", "timm_vit_token", NULL, NULL));
        write_about(cases[i].about);
        vt_error err = {0};
        vt_model *model;
        vt_status status = open_model(&model, directory, NULL, NULL, &err);
        if (status == VT_OK || !strstr(err.message, cases[i].message))
            fail_msg("%s: status %d, \"%s\"", cases[i].about, (int)status, err.message);
        assert_int_equal(status, cases[i].status);
    }
}

static void test_other_processors(void **state) {
    (void)state;
    static const char *const changes[][3] = {
        {"kernels", "avx9000", "packed for avx9000 kernels, which this processor has not"},
        {"int8", "abacus", "packed for abacus integers, this processor takes"},
    };
    for (size_t i = 0; i < 2; i++) {
        vt_tensor_file *file;
        vt_error err = {0};
        vt_model_close(pack_case("golden", "timm_vit_token", "int8", NULL));
        expect_ok(vt_tensor_file_open(&file, packed_path, &err), &err);
        const vt_tensor *about = vt_tensor_file_find(file, "vitrine.packed");
        json_t *json = json_loadb(about->data, about->size, 0, NULL);
        vt_tensor_file_close(file);
        json_object_set_new(json, changes[i][0], json_string(changes[i][1]));
        char *text = json_dumps(json, 0);
        write_about(text);
        expect_refusal(NULL, VT_ERR_UNSUPPORTED, changes[i][2]);
        free(text);
        json_decref(json);
    }
}

/* Eight more spaces in the header, and no matrix begins where the kernels may read it. */
static void test_shifted(void **state) {
    (void)state;
    enum { SHIFT = 8 };
    size_t size;
    vt_model_close(pack_case("golden", "timm_vit_token", NULL, NULL));
    unsigned char *bytes = read_bytes(packed_path, &size), *shifted = test_malloc(size + SHIFT);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    size_t data = sizeof header + (size_t)header;
    memcpy(shifted, bytes, data);
    memset(shifted + data, ' ', SHIFT);
    memcpy(shifted + data + SHIFT, bytes + data, size - data);
    header += SHIFT;
    memcpy(shifted, &header, sizeof header);
    write_bytes(packed_path, shifted, size + SHIFT);
    expect_refusal(NULL, VT_ERR_FORMAT, "begins at no multiple of 64");
    test_free(shifted);
    free(bytes);
}

/* Cut anywhere, it is refused; and a matrix that is missing is named. */
static void test_cut(void **state) {
    (void)state;
    size_t size;
    vt_model_close(pack_case("golden", "timm_vit_token", NULL, NULL));
    unsigned char *bytes = read_bytes(packed_path, &size);
    for (size_t cut = 0; cut < size; cut += 1 + size / 50) {
        write_bytes(packed_path, bytes, cut);
        expect_refusal(NULL, VT_ERR_FORMAT, "packed.safetensors");
    }
    free(bytes);
}

static int open_directory(void **state) {
    int failed = create_temp_dir(state);
    directory = *state;
    snprintf(packed_path, sizeof packed_path, "%s/packed.safetensors", directory);
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_precisions_and_kernels),
        cmocka_unit_test(test_packed_again),
        cmocka_unit_test(test_other_options),
        cmocka_unit_test(test_other_processors),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_shifted),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests_name("pack", tests, open_directory, remove_temp_dir);
}
