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
#include <unistd.h>

#include "kernels/kernels.h"

typedef struct golden_pair {
    const char *folder, *name; /* tests/data/FOLDER/NAME */
    json_t *tolerances;
    vt_tensor_file *expected;
    const char *suffix; /* of the goldens of this pass: ".48x48", "", ".nomask" */
    size_t stages;      /* compared */
} golden_pair;

static void compare(golden_pair *c, const char *stage, const float *found, size_t n) {
    char name[96];
    snprintf(name, sizeof name, "%s%s", stage, c->suffix);
    const vt_tensor *expected = vt_tensor_file_find(c->expected, name);
    if (!expected)
        return;
    assert_int_equal(tensor_elements(expected), n);
    expect_close(name, found, expected->data, n,
                 json_number_value(json_object_get(c->tolerances, stage)));
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

/* "golden/hf_clip": its tolerances and goldens. */
static golden_pair open_case(const char *path) {
    static char folder[32];
    const char *name = strchr(path, '/') + 1;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path - 1), path);
    golden_pair c = {.folder = folder, .name = name};
    json_t *cases = load_json(data_path(folder, "cases.json", NULL)), *entry;
    vt_error err = {0};
    size_t i;
    json_array_foreach(json_object_get(cases, "cases"), i, entry) {
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
    print_message("%s: %zu passes, %zu stages\n", c.name, sizes, c.stages);
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

/* ---- OpenCLIP's layout -------------------------------------------------------------------------
 */

typedef struct rewrite {
    vt_tensor tensors[128];
    char names[128][96];
    size_t count;
    void *owned[32]; /* data made here */
    size_t num_owned;
} rewrite;

/* A tensor of that name with the data of others, one after another. */
static void put(rewrite *out, const char *name, size_t rows, size_t columns, const float *data) {
    vt_tensor *tensor = &out->tensors[out->count];
    snprintf(out->names[out->count], sizeof out->names[0], "%s", name);
    *tensor = (vt_tensor){.name = out->names[out->count],
                          .dtype = VT_DTYPE_F32,
                          .ndim = columns ? 2 : 1,
                          .shape = {rows, columns},
                          .data = data,
                          .size = rows * (columns ? columns : 1) * sizeof *data};
    out->count++;
}

static void put_as(rewrite *out, const char *name, const vt_tensor_file *file, const char *from) {
    vt_tensor *tensor = &out->tensors[out->count];
    *tensor = *f32_tensor(file, from);
    snprintf(out->names[out->count], sizeof out->names[0], "%s", name);
    tensor->name = out->names[out->count++];
}

static void put_layer(rewrite *out, const vt_tensor_file *file, const char *to, const char *from) {
    static const char *const suffixes[] = {"weight", "bias"};
    for (size_t i = 0; i < 2; i++) {
        char name[96], source[96];
        snprintf(name, sizeof name, "%s.%s", to, suffixes[i]);
        snprintf(source, sizeof source, "%s.%s", from, suffixes[i]);
        put_as(out, name, file, source);
    }
}

static float *own(rewrite *out, size_t size) {
    assert_true(out->num_owned < sizeof out->owned / sizeof out->owned[0]);
    out->owned[out->num_owned] = test_malloc(size);
    return out->owned[out->num_owned++];
}

/* q, k and v as one matrix and one bias. */
static void put_in_proj(rewrite *out, const vt_tensor_file *file, const char *to,
                        const char *from) {
    static const char *const kinds[] = {"q_proj", "k_proj", "v_proj"};
    static const char *const suffixes[] = {"weight", "bias"};
    for (size_t s = 0; s < 2; s++) {
        char name[96];
        float *joined = NULL;
        size_t rows = 0, columns = 0;
        for (size_t kind = 0; kind < 3; kind++) {
            snprintf(name, sizeof name, "%s.%s.%s", from, kinds[kind], suffixes[s]);
            const vt_tensor *part = f32_tensor(file, name);
            rows = part->shape[0];
            columns = part->ndim == 2 ? part->shape[1] : 0;
            if (!joined)
                joined = own(out, 3 * part->size);
            memcpy((char *)joined + kind * part->size, part->data, part->size);
        }
        snprintf(name, sizeof name, "%s.in_proj_%s", to, suffixes[s]);
        put(out, name, 3 * rows, columns, joined);
    }
}

static void put_tower(rewrite *out, const vt_tensor_file *file, const char *to, const char *from) {
    for (unsigned block = 0; block < 2; block++) {
        static const char *const layers[][2] = {{"ln_1", "layer_norm1"},
                                                {"ln_2", "layer_norm2"},
                                                {"attn.out_proj", "self_attn.out_proj"},
                                                {"mlp.c_fc", "mlp.fc1"},
                                                {"mlp.c_proj", "mlp.fc2"}};
        char name[64], source[64];
        for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
            snprintf(name, sizeof name, "%stransformer.resblocks.%u.%s", to, block, layers[i][0]);
            snprintf(source, sizeof source, "%s.encoder.layers.%u.%s", from, block, layers[i][1]);
            put_layer(out, file, name, source);
        }
        snprintf(name, sizeof name, "%stransformer.resblocks.%u.attn", to, block);
        snprintf(source, sizeof source, "%s.encoder.layers.%u.self_attn", from, block);
        put_in_proj(out, file, name, source);
    }
}

static void put_transposed(rewrite *out, const vt_tensor_file *file, const char *to,
                           const char *from) {
    const vt_tensor *tensor = f32_tensor(file, from);
    size_t rows = tensor->shape[0], columns = tensor->shape[1];
    const float *data = tensor->data;
    float *turned = own(out, tensor->size);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            turned[j * rows + i] = data[i * columns + j];
    put(out, to, columns, rows, turned);
}

/* The same weights in OpenCLIP's layout give the same embeddings, bit for bit where no matrix is
 * resized. */
static void test_open_clip_layout(void **state) {
    (void)state;
    static rewrite out;
    golden_pair c = open_case("golden/hf_clip");
    vt_error err = {0};
    vt_tensor_file *file;
    vt_model *model;
    char folder[] = "/tmp/vitrine-open-clip.XXXXXX", path[96];
    expect_ok(
        vt_tensor_file_open(&file, data_path("golden", "hf_clip", "model.safetensors", NULL), &err),
        &err);
    put_tower(&out, file, "visual.", "vision_model");
    put_tower(&out, file, "", "text_model");
    put_as(&out, "visual.class_embedding", file, "vision_model.embeddings.class_embedding");
    put_as(&out, "visual.positional_embedding", file,
           "vision_model.embeddings.position_embedding.weight");
    put_as(&out, "visual.conv1.weight", file, "vision_model.embeddings.patch_embedding.weight");
    put_layer(&out, file, "visual.ln_pre", "vision_model.pre_layrnorm");
    put_layer(&out, file, "visual.ln_post", "vision_model.post_layernorm");
    put_transposed(&out, file, "visual.proj", "visual_projection.weight");
    put_as(&out, "token_embedding.weight", file, "text_model.embeddings.token_embedding.weight");
    put_as(&out, "positional_embedding", file, "text_model.embeddings.position_embedding.weight");
    put_layer(&out, file, "ln_final", "text_model.final_layer_norm");
    put_transposed(&out, file, "text_projection", "text_projection.weight");
    put_as(&out, "logit_scale", file, "logit_scale");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/open_clip_model.safetensors", folder);
    expect_ok(vt_tensor_file_write(path, out.tensors, out.count, &err), &err);
    char config[96];
    snprintf(config, sizeof config, "%s/open_clip_config.json", folder);
    FILE *json = fopen(config, "w");
    assert_non_null(json);
    fputs(
        "{\"model_cfg\": {\"embed_dim\": 32, \"quick_gelu\": true, \"vision_cfg\": "
        "{\"image_size\": 48,"
        " \"layers\": 2, \"width\": 48, \"head_width\": 16, \"mlp_ratio\": 3.0, \"patch_size\": 8},"
        " \"text_cfg\": {\"context_length\": 16, \"vocab_size\": 99, \"width\": 36, \"heads\": 3,"
        " \"layers\": 2, \"mlp_ratio\": 2.0}}, \"preprocess_cfg\": {\"resize_mode\": "
        "\"shortest\"}}",
        json);
    fclose(json);
    expect_ok(vt_model_open(&model, folder, NULL, &err), &err);
    remove(path);
    remove(config);
    rmdir(folder);

    run_picture(&c, model, f32_tensor(c.expected, "input.48x48"));
    assert_true(c.stages >= 10);
    vt_model_close(model);
    close_case(&c);
    vt_tensor_file_close(file);
    for (size_t t = 0; t < out.num_owned; t++)
        test_free(out.owned[t]);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        {"hf_clip", test_pair, NULL, NULL, "golden/hf_clip"},
        {"hf_clip_gelu_eos", test_pair, NULL, NULL, "golden/hf_clip_gelu_eos"},
        {"hf_siglip", test_pair, NULL, NULL, "golden/hf_siglip"},
        {"jina_clip_v1", test_pair, NULL, NULL, "golden-pairs/jina_clip_v1"},
        {"jina_clip_v2", test_pair, NULL, NULL, "golden-pairs/jina_clip_v2"},
        {"jina_clip_plain", test_pair, NULL, NULL, "golden-pairs/jina_clip_plain"},
        {"nomic_vision", test_pair, NULL, NULL, "golden-pairs/nomic_vision"},
        {"hf_clip in OpenCLIP's layout", test_open_clip_layout, NULL, NULL, NULL},
        {"hf_siglip2_naflex", test_naflex, NULL, NULL, "golden/hf_siglip2_naflex"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
