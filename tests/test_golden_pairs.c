/* SPDX-License-Identifier: MIT
 *
 * Models of pictures and text against transformers (tests/data/golden/README.md), and those that
 * transformers has not against tools/golden/pairs.py: both towers, their shared space and the
 * logits of each picture with each text.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

typedef struct golden_pair {
    const char *folder, *name; /* tests/data/FOLDER/NAME */
    json_t *tolerances;
    vt_tensor_file *expected;
    const char *suffix; /* of the goldens of this pass: ".48x48", "", ".nomask" */
    size_t stages;      /* compared */
    double worst;       /* difference / tolerance */
} golden_pair;

static void compare(golden_pair *c, const char *stage, const float *found, size_t n) {
    char name[96];
    snprintf(name, sizeof name, "%s%s", stage, c->suffix);
    const vt_tensor *expected = vt_tensor_file_find(c->expected, name);
    if (!expected)
        return;
    assert_int_equal(tensor_elements(expected), n);
    double tolerance = json_number_value(json_object_get(c->tolerances, stage));
    expect_close(name, found, expected->data, n, tolerance);
    c->worst = fmax(c->worst, max_difference(found, expected->data, n) / tolerance);
    c->stages++;
}

static void on_stage(void *user, const vt_tensor *stage) {
    compare(user, stage->name, stage->data, tensor_elements(stage));
}

/* [pictures][texts], as the reference makes them: of unit vectors, by exp(scale) and bias. */
static void compare_logits(golden_pair *c, const vt_model *model, const vt_session *session,
                           size_t num_pictures, size_t num_texts) {
    size_t n = vt_model_embed_dim(model), pairs = num_pictures * num_texts;
    const float *image = vt_session_image_embeds(session), *text = vt_session_text_embeds(session);
    float logits[16], probabilities[16];
    assert_true(pairs <= 16);
    for (size_t pair = 0; pair < pairs; pair++) {
        float cosine = 0;
        for (size_t i = 0; i < n; i++)
            cosine += image[pair / num_texts * n + i] * text[pair % num_texts * n + i];
        logits[pair] = vt_model_pair_logit(model, cosine);
        probabilities[pair] = 1.0f / (1.0f + expf(-logits[pair]));
    }
    compare(c, "logits_per_image", logits, pairs);
    compare(c, "probs_per_image", probabilities, pairs);
}

static void run_text(golden_pair *c, vt_session *session, bool masked) {
    const vt_tensor *ids = vt_tensor_file_find(c->expected, "input_ids");
    const vt_tensor *mask = vt_tensor_file_find(c->expected, "attention_mask");
    uint8_t bytes[256];
    vt_error err = {0};
    assert_non_null(ids);
    assert_int_equal(ids->dtype, VT_DTYPE_I64);
    for (size_t i = 0; mask && i < tensor_elements(mask); i++)
        bytes[i] = ((const int64_t *)mask->data)[i] != 0;
    c->suffix = masked ? "" : ".nomask";
    expect_ok(vt_session_forward_text(session, ids->data, masked && mask ? bytes : NULL,
                                      ids->shape[0], ids->shape[1], &err),
              &err);
}

static void run_picture(golden_pair *c, const vt_model *model, const vt_tensor *input) {
    const vt_tensor *ids = vt_tensor_file_find(c->expected, "input_ids");
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = input->shape[2];
    options.width = input->shape[3];
    options.text_batch = ids ? ids->shape[0] : 0;
    options.num_threads = 2;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    vt_session_on_stage(session, on_stage, c);
    if (ids) {
        run_text(c, session, false);
        run_text(c, session, true);
    }
    c->suffix = input->name + strlen("input");
    expect_ok(vt_session_forward(session, input->data, 1, &err), &err);
    if (ids)
        compare_logits(c, model, session, 1, ids->shape[0]);
    vt_session_destroy(session);
}

/* The list of a folder's cases. */
static json_t *load_cases(const char *folder) {
    if (strcmp(folder, "golden") == 0)
        return load_golden_cases();
    json_t *file = load_json(data_path(folder, "cases.json", NULL));
    json_t *cases = json_incref(json_object_get(file, "cases"));
    json_decref(file);
    return cases;
}

/* "golden/hf_clip": its tolerances and goldens. */
static golden_pair open_case(const char *path) {
    static char folder[32];
    const char *name = strchr(path, '/') + 1;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path - 1), path);
    golden_pair c = {.folder = folder, .name = name};
    json_t *cases = load_cases(folder), *entry;
    vt_error err = {0};
    size_t i;
    json_array_foreach(cases, i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "case")), name) == 0)
            c.tolerances = json_incref(json_object_get(entry, "suggested_atol"));
    }
    json_decref(cases);
    assert_non_null(c.tolerances);
    expect_ok(vt_tensor_file_open(&c.expected,
                                  data_path(folder, name, "expected.safetensors", NULL), &err),
              &err);
    return c;
}

static void close_case(golden_pair *c) {
    vt_tensor_file_close(c->expected);
    json_decref(c->tolerances);
}

/* A tensor that no family knows would be told of: there is none. */
static void on_log(void *user, const char *line) {
    (void)user;
    fail_msg("%s", line);
}

static void test_pair(void **state) {
    golden_pair c = open_case(*state);
    vt_error err = {0};
    size_t sizes = 0, stages;
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        vt_model *model;
        vt_model_options options = VT_MODEL_OPTIONS_INIT;
        options.kernels = kernels->name;
        options.log = on_log;
        expect_ok(vt_model_open(&model, data_path(c.folder, c.name, NULL), &options, &err), &err);
        const vt_tensor *tensor;
        for (size_t t = 0; (tensor = vt_tensor_file_at(c.expected, t)) != NULL; t++) {
            if (strncmp(tensor->name, "input.", 6) == 0) {
                run_picture(&c, model, tensor);
                sizes++;
            }
        }
        vt_model_close(model);
    }
    /* Of a picture at least embeddings, two blocks or one, features, pooled, image_embeds; where
     * there are texts, logits and four stages of theirs. */
    stages = vt_tensor_file_find(c.expected, "input_ids") ? 8 : 6;
    assert_true(sizes > 0 && c.stages >= stages * sizes);
    print_message("%s: %zu passes, %zu stages, worst %.0f%% of its tolerance\n", c.name, sizes,
                  c.stages, 100 * c.worst);
    close_case(&c);
}

/* Four pictures of different aspects in one padded batch, and each alone: the real tokens, the
 * pooled vectors and the logits. */
static void run_naflex(golden_pair *c, const vt_model *model, size_t first, size_t count) {
    static const char *const names[] = {"input.48x48", "input.32x64", "input.72x24", "input.40x40"};
    const float *pixels[4];
    size_t heights[4], widths[4];
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    const vt_tensor *ids = vt_tensor_file_find(c->expected, "input_ids");
    const float *expected = f32_tensor(c->expected, "image_embeds")->data;
    const float *pooled = f32_tensor(c->expected, "pooled")->data;
    size_t n = vt_model_embed_dim(model), num_texts = ids->shape[0];
    options.batch = count;
    options.text_batch = num_texts;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    for (size_t i = 0; i < count; i++) {
        const vt_tensor *input = f32_tensor(c->expected, names[first + i]);
        pixels[i] = input->data;
        heights[i] = input->shape[2];
        widths[i] = input->shape[3];
    }
    vt_session_on_stage(session, count == 4 ? on_stage : NULL, c);
    run_text(c, session, true); /* there is no mask: the goldens' names have no suffix */
    expect_ok(vt_session_forward_naflex(session, pixels, heights, widths, count, &err), &err);
    expect_close("image_embeds", vt_session_image_embeds(session), expected + first * n, count * n,
                 json_number_value(json_object_get(c->tolerances, "image_embeds")));
    expect_close("pooled", vt_session_pooled(session), pooled + first * n, count * n,
                 json_number_value(json_object_get(c->tolerances, "pooled")));
    if (count == 4)
        compare_logits(c, model, session, count, num_texts);
    vt_session_destroy(session);
}

static void test_naflex(void **state) {
    golden_pair c = open_case(*state);
    vt_error err = {0};
    vt_model *model;
    expect_ok(vt_model_open(&model, data_path(c.folder, c.name, NULL), NULL, &err), &err);
    assert_true(vt_model_is_naflex(model));
    run_naflex(&c, model, 0, 4);
    /* pos, features, pooled, image_embeds, text_embeds and logits_per_image of the padded batch */
    assert_int_equal(c.stages, 6);
    for (size_t picture = 0; picture < 4; picture++)
        run_naflex(&c, model, picture, 1);
    vt_model_close(model);
    close_case(&c);
}

/* ---- OpenCLIP's other towers -------------------------------------------------------------------
 */

static vt_status open_with(const char *folder, const char *tower, const char *key, json_t *value,
                           vt_error *err) {
    const char *name = "open_clip_config.json";
    vt_model *model = NULL;
    json_t *config = load_json(data_path("golden", "open_clip_quickgelu", name, NULL));
    json_object_set_new(json_object_get(json_object_get(config, "model_cfg"), tower), key, value);
    write_json(path_in(folder, name), config);
    json_decref(config);
    vt_status status = vt_model_open(&model, folder, NULL, err);
    vt_model_close(model);
    return status;
}

/* A key whose computation is not known is named; the value that is CLIP's own is none. */
static void test_open_clip_keys(void **state) {
    static const struct {
        const char *tower, *key, *value; /* value: JSON */
        bool plain;
    } keys[] = {
        {"vision_cfg", "pool_type", "\"avg\"", false},
        {"vision_cfg", "pool_type", "\"tok\"", true},
        {"vision_cfg", "attentional_pool", "true", false},
        {"vision_cfg", "attentional_pool", "false", true},
        {"vision_cfg", "pos_embed_type", "\"sin_cos_2d\"", false},
        {"vision_cfg", "timm_model_name", "\"resnet50\"", false},
        {"vision_cfg", "norm_kwargs", "{\"eps\": 1e-6}", true},
        {"vision_cfg", "block_type", "\"custom\"", false},
        {"vision_cfg", "block_type", "\"default\"", true},
        {"vision_cfg", "qk_norm", "true", false},
        {"text_cfg", "pool_type", "\"argmax\"", true},
        {"text_cfg", "pool_type", "\"eos\"", true},
        {"text_cfg", "pool_type", "\"none\"", false},
        {"text_cfg", "no_causal_mask", "true", true},
        {"text_cfg", "embed_cls", "true", false},
        {"text_cfg", "hf_model_name", "null", true},
        {"text_cfg", "proj_type", "\"none\"", false},
    };
    void *folder = NULL;
    const char *weights = "open_clip_model.safetensors";
    (void)state;
    assert_int_equal(create_temp_dir(&folder), 0);
    copy_file(data_path("golden", "open_clip_quickgelu", weights, NULL), path_in(folder, weights));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        vt_error err = {0};
        json_t *value = json_loads(keys[i].value, JSON_DECODE_ANY, NULL);
        vt_status status = open_with(folder, keys[i].tower, keys[i].key, value, &err);
        if (keys[i].plain) {
            expect_ok(status, &err);
        } else {
            assert_int_equal(status, VT_ERR_UNSUPPORTED);
            assert_non_null(strstr(err.message, keys[i].key));
        }
    }
    remove_temp_dir(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"hf_clip", test_pair, NULL, NULL, "golden/hf_clip"},
        {"hf_clip_gelu_eos", test_pair, NULL, NULL, "golden/hf_clip_gelu_eos"},
        {"hf_siglip", test_pair, NULL, NULL, "golden/hf_siglip"},
        {"open_clip_quickgelu", test_pair, NULL, NULL, "golden/open_clip_quickgelu"},
        {"open_clip_custom_text", test_pair, NULL, NULL, "golden/open_clip_custom_text"},
        {"OpenCLIP's keys", test_open_clip_keys, NULL, NULL, NULL},
        {"jina_clip_v1", test_pair, NULL, NULL, "golden-pairs/jina_clip_v1"},
        {"jina_clip_v2", test_pair, NULL, NULL, "golden-pairs/jina_clip_v2"},
        {"jina_clip_plain", test_pair, NULL, NULL, "golden-pairs/jina_clip_plain"},
        {"nomic_vision", test_pair, NULL, NULL, "golden-pairs/nomic_vision"},
        {"open_clip_siglip", test_pair, NULL, NULL, "golden-pairs/open_clip_siglip"},
        {"open_clip_eva02", test_pair, NULL, NULL, "golden-pairs/open_clip_eva02"},
        {"hf_siglip2_naflex", test_naflex, NULL, NULL, "golden/hf_siglip2_naflex"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
