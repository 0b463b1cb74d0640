/* SPDX-License-Identifier: MIT
 *
 * Out of memory at every place where memory is asked for: each time VT_ERR_MEMORY, with nothing
 * left behind, and success once there is enough. Never another status: a failure that is taken for
 * a missing file, say, would make the library go on with defaults.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "models/random.h"

/* An operation that cleans up after itself. */
typedef vt_status operation(void *context, vt_error *err);

/* Whether the operation may go on without some of what it asks for: see test_decoding_each_format.
 * */
static bool may_do_without;

/* Fails the Nth allocation for every N; returns how many there are. */
static size_t fail_every_allocation(const char *what, operation *run, void *context) {
    for (size_t n = 1;; n++) {
        vt_error err = {0};
        size_t before = allocations_live();
        allocations_watch(n);
        vt_status status = run(context, &err);
        size_t seen = allocations_seen();
        allocations_watch(0);
        if (allocations_live() != before)
            fail_msg("%s: allocation %zu: %zu blocks before, %zu after", what, n, before,
                     allocations_live());
        if (seen < n) {
            expect_ok(status, &err);
            return n - 1;
        }
        if (status == VT_OK && may_do_without)
            continue;
        if (status != VT_ERR_MEMORY || err.code != status)
            fail_msg("%s: allocation %zu: expected %s, found %s: %s", what, n,
                     vt_status_name(VT_ERR_MEMORY), vt_status_name(status), err.message);
        assert_non_null(strstr(err.message, "memory"));
    }
}

static vt_status open_model(void *context, vt_error *err) {
    vt_model *model;
    vt_status status = vt_model_open(&model, context, NULL, err);
    assert_true((status == VT_OK) == (model != NULL));
    vt_model_close(model);
    return status;
}

static void test_opening_a_model(void **state) {
    (void)state;
    static const char *const cases[] = {
        "golden/timm_vit_siglip_map",   "golden/hf_vit_nobias",       "golden/hf_deit_distilled",
        "golden/timm_vit_token_f16",    "golden/timm_vit_rope_mixed", "golden/timm_vit_pe_core",
        "golden/meta_dinov2_lc4",       "golden-pairs/jina_clip_v2",  "golden-pairs/nomic_vision",
        "golden-pairs/open_clip_siglip"};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        char path[1024];
        snprintf(path, sizeof path, "%s", data_path(cases[c], NULL));
        size_t count = fail_every_allocation(cases[c], open_model, path);
        assert_true(count > 50);
        print_message("%s: %zu allocations\n", cases[c], count);
    }
}

/* What becomes of the checkpoint is as above. */
static vt_status make_checkpoint(void *context, vt_error *err) {
    vt_checkpoint *checkpoint;
    vt_status status = vt_random_checkpoint(&checkpoint, context, err);
    assert_true((status == VT_OK) == (checkpoint != NULL));
    vt_checkpoint_close(checkpoint);
    return status;
}

static void test_making_a_checkpoint(void **state) {
    (void)state;
    assert_int_equal(fail_every_allocation("random", make_checkpoint, "vit_tiny_patch16_224"), 4);
}

/* The same through an index of one shard, and with a file of labels. */
static vt_status open_with_labels(void *context, vt_error *err) {
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.labels_path = path_in(context, "labels.txt");
    vt_status status = vt_model_open(&model, context, &options, err);
    vt_model_close(model);
    return status;
}

static void test_opening_shards_and_labels(void **state) {
    test_model model;
    json_t *map = json_object();
    load_test_model(&model, "timm_vit_token");
    write_test_model(&model, *state);
    for (size_t i = 0; i < model.count; i++)
        json_object_set_new(map, model.tensors[i].name, json_string("a.safetensors"));
    json_t *index = json_pack("{s:o}", "weight_map", map);
    write_json(path_in(*state, "model.safetensors.index.json"), index);
    json_decref(index);
    write_text(path_in(*state, "labels.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
    assert_int_equal(rename(path_in(*state, "model.safetensors"), path_in(*state, "a.safetensors")),
                     0);
    free_test_model(&model);
    assert_true(fail_every_allocation("shards", open_with_labels, *state) > 50);
}

/* At a size that the model has no position table for, so that one is made. The model is opened
 * anew: the table stays with it. */
static vt_status create_session(void *context, vt_error *err) {
    vt_model *model;
    vt_session *session = NULL;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_status status = vt_model_open(&model, context, NULL, err);
    options.height = 64;
    options.num_threads = 3;
    if (!status) {
        status = vt_session_create(&session, model, &options, err);
        assert_true((status == VT_OK) == (session != NULL));
    }
    vt_session_destroy(session);
    vt_model_close(model);
    return status;
}

static void test_creating_a_session(void **state) {
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s", data_path("golden", "hf_vit_nobias", NULL));
    size_t opening = fail_every_allocation("opening", open_model, path);
    size_t both = fail_every_allocation("session", create_session, path);
    assert_true(both >= opening + 3);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static vt_status read_image(void *context, vt_error *err) {
    vt_image image;
    vt_status status = vt_image_read(&image, context, NULL, err);
    assert_true((status == VT_OK) == (image.pixels != NULL));
    vt_image_free(&image);
    return status;
}

/* stb_image needs memory to see whether the bytes are a GIF, and does so before it looks at some
 * other formats. That it could not is no harm to those. */
static void test_decoding_each_format(void **state) {
    (void)state;
    static const struct {
        const char *file;
        bool after_gif;
    } files[] = {
        {"gray16_adam7.png", false}, {"graya8.png", false},   {"gray8_trns.png", false},
        {"baseline420.jpg", false},  {"cmyk.jpg", false},     {"orientation6.jpg", false},
        {"lossy_alpha.webp", false}, {"animated.gif", false}, {"gray8.tga", true},
        {"gray.pgm", true},          {"light.hdr", true},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s", data_path("images", files[i].file, NULL));
        may_do_without = files[i].after_gif;
        assert_true(fail_every_allocation(files[i].file, read_image, path) >= 1);
    }
    may_do_without = false;
}

typedef struct pass {
    const vt_model *model;
    vt_session *session;
    const void *jpeg;
    size_t jpeg_size;
    const vt_image *image;
    float *pixels;
} pass;

static vt_status preprocess(void *context, vt_error *err) {
    const pass *p = context;
    return vt_session_preprocess(p->session, p->pixels, p->image, err);
}

/* In a session of its own, which keeps what it allocated for the picture. */
static vt_status classify(void *context, vt_error *err) {
    const pass *p = context;
    vt_prediction best[3];
    vt_session *session;
    vt_status status = vt_session_create(&session, p->model, NULL, err);
    if (!status)
        status = vt_classify_image(session, p->image, best, 3, err);
    vt_session_destroy(session);
    return status;
}

/* Frames of each kind of way to an input, the second larger than the first. */
static vt_status run_frames(void *context, vt_error *err) {
    static uint8_t bytes[64 * 64 * 2];
    const pass *p = context;
    vt_prediction best[3];
    vt_session *session;
    vt_frame small = VT_FRAME_INIT, large = VT_FRAME_INIT, jpeg = VT_FRAME_INIT;
    vt_result result = VT_RESULT_INIT;
    result.predictions = best;
    result.top_k = 3;
    vt_frame_set_packed(&small, VT_PIXEL_NV12, 20, 20, bytes, sizeof bytes, NULL);
    vt_frame_set_packed(&large, VT_PIXEL_YUYV, 64, 64, bytes, sizeof bytes, NULL);
    vt_frame_set_packed(&jpeg, VT_PIXEL_MJPEG, 0, 0, p->jpeg, p->jpeg_size, NULL);
    vt_status status = vt_session_create(&session, p->model, NULL, err);
    if (!status)
        status = vt_session_run(session, &result, &small, 1, err);
    if (!status)
        status = vt_session_run(session, &result, &large, 1, err);
    if (!status)
        status = vt_session_run(session, &result, &jpeg, 1, err);
    vt_session_destroy(session);
    return status;
}

static void test_preprocessing_and_classifying(void **state) {
    (void)state;
    static const char *const cases[] = {"timm_vit_token", "hf_vit_nobias", "hf_deit_distilled"};
    vt_error err = {0};
    vt_image image;
    const char *path = data_path("images", "baseline420.jpg", NULL);
    size_t jpeg_size;
    unsigned char *jpeg = read_bytes(path, &jpeg_size);
    expect_ok(vt_image_read(&image, path, NULL, &err), &err);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        size_t height, width;
        vt_model *model;
        pass p = {.image = &image, .jpeg = jpeg, .jpeg_size = jpeg_size};
        expect_ok(vt_model_open(&model, data_path("golden", cases[c], NULL), NULL, &err), &err);
        expect_ok(vt_session_create(&p.session, model, NULL, &err), &err);
        vt_session_input_size(p.session, &height, &width);
        p.pixels = malloc(3 * height * width * sizeof *p.pixels);
        assert_non_null(p.pixels);
        assert_true(fail_every_allocation(cases[c], preprocess, &p) >= 1);
        p.model = model;
        assert_true(fail_every_allocation(cases[c], classify, &p) >= 5);
        assert_true(fail_every_allocation(cases[c], run_frames, &p) >= 6);
        free(p.pixels);
        vt_session_destroy(p.session);
        vt_model_close(model);
    }
    free(jpeg);
    vt_image_free(&image);
}

/* ---- tensor files ---------------------------------------------------------------------------- */

static vt_status write_tensors(void *context, vt_error *err) {
    static const float values[2] = {1, 2};
    static const vt_tensor tensors[] = {{"a", VT_DTYPE_F32, 1, {2}, values, 8},
                                        {"b", VT_DTYPE_U8, 2, {2, 4}, values, 8}};
    return vt_tensor_file_write(context, tensors, 2, err);
}

static vt_status read_tensors(void *context, vt_error *err) {
    vt_tensor_file *file;
    vt_status status = vt_tensor_file_open(&file, context, err);
    vt_tensor_file_close(file);
    return status;
}

static void test_tensor_files(void **state) {
    char path[2048];
    snprintf(path, sizeof path, "%s", path_in(*state, "w.safetensors"));
    assert_true(fail_every_allocation("writing", write_tensors, path) >= 2);
    assert_true(fail_every_allocation("reading", read_tensors, path) >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opening_a_model),
        cmocka_unit_test(test_making_a_checkpoint),
        cmocka_unit_test(test_opening_shards_and_labels),
        cmocka_unit_test(test_creating_a_session),
        cmocka_unit_test(test_decoding_each_format),
        cmocka_unit_test(test_preprocessing_and_classifying),
        cmocka_unit_test(test_tensor_files),
    };
    allocations_watch_json();
    return cmocka_run_group_tests_name("out of memory", tests, create_temp_dir, remove_temp_dir);
}
