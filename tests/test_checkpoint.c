/* SPDX-License-Identifier: MIT
 *
 * Checkpoints as they lie on disk: one file or several, with an index that may be stale or hostile,
 * and the names of the classes beside them.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char CASE[] = "timm_vit_token"; /* ten classes */
static const char INDEX[] = "model.safetensors.index.json";
enum { NUM_SHARDS = 3, NUM_CLASSES = 10 };

/* ---- the folder that a test starts from ------------------------------------------------------ */

static const char *const files[] = {
    "config.json",         "model.safetensors",        "model.safetensors.index.json",
    "pytorch_model.bin",   "preprocessor_config.json", "labels.txt",
    "other.safetensors",   "shard-1.safetensors",      "shard-2.safetensors",
    "shard-3.safetensors",
};

static void clear(const char *directory) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        remove(path_in(directory, files[i]));
}

/* Tensor i is in shard i % NUM_SHARDS + 1. */
static void write_shard(const char *directory, const test_model *model, size_t shard,
                        json_t *weight_map) {
    vt_tensor tensors[MAX_TEST_TENSORS];
    size_t count = 0;
    char name[32];
    vt_error err = {0};
    snprintf(name, sizeof name, "shard-%zu.safetensors", shard + 1);
    for (size_t i = shard; i < model->count; i += NUM_SHARDS) {
        tensors[count++] = model->tensors[i];
        json_object_set_new(weight_map, model->tensors[i].name, json_string(name));
    }
    expect_ok(vt_tensor_file_write(path_in(directory, name), tensors, count, &err), &err);
}

static void write_index(const char *directory, json_t *weight_map) {
    json_t *index =
        json_pack("{s:{s:i}, s:O}", "metadata", "total_size", 0, "weight_map", weight_map);
    write_json(path_in(directory, INDEX), index);
    json_decref(index);
}

/* The case as three shards; returns the weight map. */
static json_t *write_shards(const char *directory) {
    test_model model;
    json_t *weight_map = json_object();
    clear(directory);
    load_test_model(&model, CASE);
    for (size_t shard = 0; shard < NUM_SHARDS; shard++)
        write_shard(directory, &model, shard, weight_map);
    write_index(directory, weight_map);
    write_json(path_in(directory, "config.json"), model.config);
    free_test_model(&model);
    return weight_map;
}

static void write_single(const char *directory, test_model *model) {
    clear(directory);
    load_test_model(model, CASE);
    write_test_model(model, directory);
}

static void expect_open_fails(const char *path, const char *labels, vt_status expected,
                              const char *part1, const char *part2) {
    vt_model *model = (vt_model *)(uintptr_t)1;
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.labels_path = labels;
    vt_status status = vt_model_open(&model, path, &options, &err);
    assert_null(model);
    if (status != expected || err.code != status)
        fail_msg("expected %s, found %s: %s", vt_status_name(expected), vt_status_name(status),
                 err.message);
    if (!strstr(err.message, part1) || !strstr(err.message, part2))
        fail_msg("\"%s\" and \"%s\" should be in: %s", part1, part2, err.message);
    assert_int_equal(vt_model_open(&model, path, &options, NULL), expected);
}

/* ---- shards ---------------------------------------------------------------------------------- */

static void read_logits(const char *path, float *logits) {
    vt_tensor_file *expected;
    vt_model *model;
    vt_session *session;
    vt_error err = {0};
    const char *goldens = data_path("golden", CASE, "expected.safetensors", NULL);
    expect_ok(vt_tensor_file_open(&expected, goldens, &err), &err);
    expect_ok(vt_model_open(&model, path, NULL, &err), &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    const vt_tensor *input = f32_tensor(expected, "input.48x48");
    expect_ok(vt_session_forward(session, input->data, 1, &err), &err);
    memcpy(logits, vt_session_logits(session), NUM_CLASSES * sizeof *logits);
    vt_session_destroy(session);
    vt_model_close(model);
    vt_tensor_file_close(expected);
}

static void test_shards_equal_one_file(void **state) {
    float whole[NUM_CLASSES], sharded[NUM_CLASSES] = {0};
    json_decref(write_shards(*state));
    read_logits(data_path("golden", CASE, NULL), whole);
    read_logits(*state, sharded);
    assert_memory_equal(sharded, whole, sizeof whole);
}

/* vt_model_tensor walks all shards, each tensor once. */
static void test_all_tensors_of_all_shards_are_listed(void **state) {
    json_t *weight_map = write_shards(*state);
    vt_model *model;
    vt_error err = {0};
    const vt_tensor *tensor;
    bool used;
    expect_ok(vt_model_open(&model, *state, NULL, &err), &err);
    for (size_t i = 0; (tensor = vt_model_tensor(model, i, &used)) != NULL; i++) {
        assert_true(used);
        assert_int_equal(json_object_del(weight_map, tensor->name), 0);
    }
    assert_int_equal(json_object_size(weight_map), 0);
    vt_model_close(model);
    json_decref(weight_map);
}

static void test_one_file_is_preferred_to_an_index(void **state) {
    test_model model;
    float logits[NUM_CLASSES];
    write_single(*state, &model);
    write_text(path_in(*state, INDEX), "not even JSON");
    read_logits(*state, logits);
    free_test_model(&model);
}

static void test_missing_shard(void **state) {
    json_decref(write_shards(*state));
    remove(path_in(*state, "shard-2.safetensors"));
    expect_open_fails(*state, NULL, VT_ERR_MISSING, *state, "shard-2.safetensors");
}

static void test_cut_shard(void **state) {
    size_t size;
    json_decref(write_shards(*state));
    unsigned char *bytes = read_bytes(path_in(*state, "shard-2.safetensors"), &size);
    write_bytes(path_in(*state, "shard-2.safetensors"), bytes, size - 1);
    free(bytes);
    expect_open_fails(*state, NULL, VT_ERR_FORMAT, "shard-2.safetensors", "cut off");
}

/* The index says where a tensor is, and it is elsewhere: shards of two versions side by side. */
static void test_stale_map(void **state) {
    json_t *weight_map = write_shards(*state);
    const char *found = json_string_value(json_object_get(weight_map, "norm.weight"));
    const char *wrong =
        strcmp(found, "shard-1.safetensors") ? "shard-1.safetensors" : "shard-2.safetensors";
    json_object_set_new(weight_map, "norm.weight", json_string(wrong));
    write_index(*state, weight_map);
    expect_open_fails(*state, NULL, VT_ERR_MISSING, INDEX, "norm.weight");
    json_decref(weight_map);
}

static void test_map_names_a_tensor_that_is_nowhere(void **state) {
    json_t *weight_map = write_shards(*state);
    json_object_set_new(weight_map, "norm.gamma", json_string("shard-1.safetensors"));
    write_index(*state, weight_map);
    expect_open_fails(*state, NULL, VT_ERR_MISSING, INDEX, "norm.gamma");
    json_decref(weight_map);
}

/* Names that lead out of the folder, or that are no names. */
static void test_hostile_shard_names(void **state) {
    static const char *const names[] = {
        "/etc/passwd", "../shard-1.safetensors", "a/b.safetensors", "..", ".", "", ".hidden"};
    json_t *weight_map = write_shards(*state);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_object_set_new(weight_map, "norm.weight", json_string(names[i]));
        write_index(*state, weight_map);
        expect_open_fails(*state, NULL, VT_ERR_FORMAT, INDEX, "norm.weight");
    }
    json_object_set_new(weight_map, "norm.weight", json_integer(1));
    write_index(*state, weight_map);
    expect_open_fails(*state, NULL, VT_ERR_FORMAT, INDEX, "norm.weight");
    json_decref(weight_map);
}

static void test_index_without_a_map(void **state) {
    static const char *const texts[] = {
        "{}",   "{\"weight_map\": {}}", "{\"weight_map\": []}", "{\"weight_map\": null}", "[]",
        "\"x\""};
    json_decref(write_shards(*state));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_text(path_in(*state, INDEX), texts[i]);
        expect_open_fails(*state, NULL, VT_ERR_FORMAT, INDEX, "");
    }
}

/* ---- files that are not there, or broken ----------------------------------------------------- */

static void test_no_config(void **state) {
    test_model model;
    write_single(*state, &model);
    remove(path_in(*state, "config.json"));
    expect_open_fails(*state, NULL, VT_ERR_MISSING, *state, "config.json");
    free_test_model(&model);
}

static void test_broken_config_has_line_and_column(void **state) {
    test_model model;
    write_single(*state, &model);
    write_text(path_in(*state, "config.json"),
               "{\n  \"architecture\": \"vit\",\n  \"depth\": 3,,\n}");
    expect_open_fails(*state, NULL, VT_ERR_FORMAT, "config.json: line 3", "column 14");
    write_text(path_in(*state, "config.json"), "");
    expect_open_fails(*state, NULL, VT_ERR_FORMAT, "config.json: line 1", "");
    write_text(path_in(*state, "config.json"), "[\"vit\"]");
    expect_open_fails(*state, NULL, VT_ERR_FORMAT, "config.json", "object");
    write_text(path_in(*state, "config.json"), "{\"depth\": 3, \"depth\": 4}");
    expect_open_fails(*state, NULL, VT_ERR_FORMAT, "config.json: line 1", "depth");
    free_test_model(&model);
}

static void test_no_weights(void **state) {
    test_model model;
    write_single(*state, &model);
    remove(path_in(*state, "model.safetensors"));
    expect_open_fails(*state, NULL, VT_ERR_MISSING, "model.safetensors", *state);
    write_text(path_in(*state, "pytorch_model.bin"), "PK");
    expect_open_fails(*state, NULL, VT_ERR_MISSING, "pytorch_model.bin", "pickle");
    free_test_model(&model);
}

static void test_no_such_path(void **state) {
    const char *path = path_in(*state, "nowhere");
    expect_open_fails(path, NULL, VT_ERR_MISSING, path, "no such");
}

static void test_path_of_one_file(void **state) {
    test_model model;
    float whole[NUM_CLASSES], single[NUM_CLASSES] = {0};
    write_single(*state, &model);
    assert_int_equal(
        rename(path_in(*state, "model.safetensors"), path_in(*state, "other.safetensors")), 0);
    read_logits(data_path("golden", CASE, NULL), whole);
    read_logits(path_in(*state, "other.safetensors"), single);
    assert_memory_equal(single, whole, sizeof whole);
    remove(path_in(*state, "config.json"));
    expect_open_fails(path_in(*state, "other.safetensors"), NULL, VT_ERR_MISSING, *state,
                      "config.json");
    free_test_model(&model);
}

/* ---- labels ---------------------------------------------------------------------------------- */

static vt_model *open_with_labels(const char *directory, const char *labels) {
    vt_model *model;
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.labels_path = labels;
    expect_ok(vt_model_open(&model, directory, &options, &err), &err);
    return model;
}

static void expect_labels(const char *directory, const char *labels, const char *first,
                          const char *second, const char *last) {
    vt_model *model = open_with_labels(directory, labels);
    assert_string_equal(vt_model_label(model, 0), first);
    assert_string_equal(vt_model_label(model, 1), second);
    assert_string_equal(vt_model_label(model, NUM_CLASSES - 1), last);
    assert_non_null(vt_model_label(model, NUM_CLASSES));
    assert_non_null(vt_model_label(model, SIZE_MAX));
    vt_model_close(model);
}

static void test_label_files(void **state) {
    test_model model;
    char labels[2048];
    write_single(*state, &model);
    snprintf(labels, sizeof labels, "%s", path_in(*state, "labels.txt"));
    write_text(labels, "a b\nc\n\n\n\n\n\n\n\nj\n");
    expect_labels(*state, labels, "a b", "c", "j");
    write_text(labels, "a b\r\nc\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nj");
    expect_labels(*state, labels, "a b", "c", "j");
    free_test_model(&model);
}

static void test_label_files_of_another_model(void **state) {
    static const char *const texts[] = {"", "a\n", "a\nb\nc\nd\ne\nf\ng\nh\ni\n",
                                        "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n"};
    static const char *const counts[] = {"found 0", "found 1", "found 9", "found 11"};
    test_model model;
    char labels[2048];
    write_single(*state, &model);
    snprintf(labels, sizeof labels, "%s", path_in(*state, "labels.txt"));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_text(labels, texts[i]);
        expect_open_fails(*state, labels, VT_ERR_SHAPE, labels, counts[i]);
    }
    remove(labels);
    expect_open_fails(*state, labels, VT_ERR_IO, labels, "");
    free_test_model(&model);
}

/* timm: label_names, and what they mean in label_descriptions; also within pretrained_cfg. */
static void test_labels_of_timm(void **state) {
    test_model model;
    write_single(*state, &model);
    expect_labels(*state, NULL, "class 0", "class 1", "class 9");
    json_t *names = json_array(), *config = model.config;
    for (size_t i = 0; i < NUM_CLASSES - 1; i++) /* one short */
        json_array_append_new(names, i == 1 ? json_null() : json_string("n01440764"));
    json_object_set(config, "label_names", names);
    write_test_model(&model, *state);
    expect_labels(*state, NULL, "n01440764", "class 1", "class 9");
    json_object_set_new(config, "label_descriptions",
                        json_pack("{s:s}", "n01440764", "tench, a fish"));
    write_test_model(&model, *state);
    expect_labels(*state, NULL, "tench, a fish", "class 1", "class 9");
    json_object_del(config, "label_names");
    json_object_set_new(json_object_get(config, "pretrained_cfg"), "label_names", names);
    write_test_model(&model, *state);
    expect_labels(*state, NULL, "tench, a fish", "class 1", "class 9");
    free_test_model(&model);
}

/* Hugging Face: id2label, whose keys are in no order and may have gaps. */
static void test_labels_of_hugging_face(void **state) {
    test_model model;
    clear(*state);
    load_test_model(&model, "hf_vit_nobias");
    json_object_set_new(model.config, "num_labels", json_integer(NUM_CLASSES));
    json_object_set_new(model.config, "id2label",
                        json_pack("{s:s, s:s, s:i}", "9", "the last", "0", "the first", "1", 5));
    write_test_model(&model, *state);
    expect_labels(*state, NULL, "the first", "class 1", "the last");
    free_test_model(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards_equal_one_file),
        cmocka_unit_test(test_all_tensors_of_all_shards_are_listed),
        cmocka_unit_test(test_one_file_is_preferred_to_an_index),
        cmocka_unit_test(test_missing_shard),
        cmocka_unit_test(test_cut_shard),
        cmocka_unit_test(test_stale_map),
        cmocka_unit_test(test_map_names_a_tensor_that_is_nowhere),
        cmocka_unit_test(test_hostile_shard_names),
        cmocka_unit_test(test_index_without_a_map),
        cmocka_unit_test(test_no_config),
        cmocka_unit_test(test_broken_config_has_line_and_column),
        cmocka_unit_test(test_no_weights),
        cmocka_unit_test(test_no_such_path),
        cmocka_unit_test(test_path_of_one_file),
        cmocka_unit_test(test_label_files),
        cmocka_unit_test(test_label_files_of_another_model),
        cmocka_unit_test(test_labels_of_timm),
        cmocka_unit_test(test_labels_of_hugging_face),
    };
    return cmocka_run_group_tests_name("checkpoints", tests, create_temp_dir, remove_temp_dir);
}
