/* SPDX-License-Identifier: MIT
 *
 * Small checkpoints against what the real timm and transformers answered for them: every stage
 * of every size of every case within the tolerance that the case states
 * (tests/data/golden/README.md, FAMILIES.md).
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"
#include "nn/bias.h"

typedef struct golden_case {
    const char *name;
    const json_t *tolerances; /* stage name -> largest difference */
    const vt_tensor_file *expected;
    char size[32]; /* "48x48", of the pass that runs */
    size_t stages; /* compared */
    double worst;  /* difference / tolerance */
    char worst_stage[96];
} golden_case;

/* timm_deit_distilled has the stored table under `pos` for every size, 38 rows where 51 were
 * added: what recorded the goldens did not see VisionTransformerDistilled resize it. The resized
 * table is held to `embeddings` and what follows instead. */
static bool is_unresized_pos(const golden_case *c, const vt_tensor *stage,
                             const vt_tensor *expected) {
    return strcmp(c->name, "timm_deit_distilled") == 0 && strcmp(stage->name, "pos") == 0 &&
           tensor_elements(expected) != tensor_elements(stage);
}

static void compare_values(golden_case *c, const char *stage, const float *found,
                           const float *expected, size_t n) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", stage, c->size);
    double tolerance = json_number_value(json_object_get(c->tolerances, stage));
    if (tolerance <= 0)
        fail_msg("%s: no tolerance for %s", c->name, stage);
    double difference = max_difference(found, expected, n);
    if (!(difference <= tolerance))
        fail_msg("%s: %s: largest difference %.3g, tolerance %.3g", c->name, name, difference,
                 tolerance);
    if (difference / tolerance >= c->worst) {
        c->worst = difference / tolerance;
        snprintf(c->worst_stage, sizeof c->worst_stage, "%s", name);
    }
}

/* The engine has one value a channel pair; the references repeat it for both channels of the
 * pair: halves one behind the other in DINOv3, neighbours in timm's other models. transformers has
 * cos and sin apart, timm as the halves of a row, sin first. */
static void compare_rope(golden_case *c, const vt_tensor *stage) {
    bool is_sin = strcmp(stage->name, "rope_sin") == 0;
    bool interleaved = strncmp(c->name, "timm_", 5) == 0 && !strstr(c->name, "dinov3");
    size_t rows = stage->shape[0], pairs = stage->shape[1], dim = 2 * pairs;
    char split[96], joint[96];
    snprintf(split, sizeof split, "%s.%s", stage->name, c->size);
    snprintf(joint, sizeof joint, "rope.%s", c->size);
    const vt_tensor *expected = vt_tensor_file_find(c->expected, split);
    size_t ld = dim, offset = 0;
    if (!expected) {
        expected = vt_tensor_file_find(c->expected, joint);
        ld = 2 * dim;
        offset = is_sin ? 0 : dim;
    }
    if (!expected)
        fail_msg("%s: neither %s nor %s", c->name, split, joint);
    assert_int_equal(tensor_elements(expected), rows * ld);
    c->stages++;
    float row[2 * 64];
    assert_true(dim <= sizeof row / sizeof row[0]);
    for (size_t i = 0; i < rows; i++) {
        const float *found = (const float *)stage->data + i * pairs;
        for (size_t j = 0; j < dim; j++)
            row[j] = interleaved ? found[j / 2] : found[j % pairs];
        compare_values(c, ld == dim ? stage->name : "rope", row,
                       (const float *)expected->data + i * ld + offset, dim);
    }
}

/* Compares one stage with the golden of its name, where the case has one. */
static void compare_stage(void *user, const vt_tensor *stage) {
    golden_case *c = user;
    char name[96];
    snprintf(name, sizeof name, "%s.%s", stage->name, c->size);
    if (strcmp(stage->name, "rope_cos") == 0 || strcmp(stage->name, "rope_sin") == 0) {
        compare_rope(c, stage);
        return;
    }
    const vt_tensor *expected = vt_tensor_file_find(c->expected, name);
    if (!expected)
        return;
    c->stages++;
    if (is_unresized_pos(c, stage, expected))
        return;
    if (tensor_elements(expected) != tensor_elements(stage))
        fail_msg("%s: %s has %zu values, expected %zu", c->name, name, tensor_elements(stage),
                 tensor_elements(expected));
    compare_values(c, stage->name, stage->data, expected->data, tensor_elements(stage));
}

/* Stages of this size that the case has, but for what is no output of a forward pass. timm's
 * "rope" counts twice: the engine tells its two halves apart. */
static size_t count_expected(const vt_tensor_file *file, const char *size) {
    static const char *const stages[] = {"pos",    "rope_cos", "rope_sin",   "rope",
                                         "rope",   "block0",   "embeddings", "block1",
                                         "block2", "features", "pooled",     "logits"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s.%s", stages[i], size);
        count += vt_tensor_file_find(file, name) != NULL;
    }
    return count;
}

/* A result of a pass without listeners, which leaves out of the last block what nobody reads. */
static void compare_result(golden_case *c, const char *name, const float *found) {
    char full[96];
    snprintf(full, sizeof full, "%s.%s", name, c->size);
    const vt_tensor *expected = vt_tensor_file_find(c->expected, full);
    if (expected)
        compare_values(c, name, found, expected->data, tensor_elements(expected));
}

static void run_size(golden_case *c, const vt_model *model, const vt_tensor *input,
                     size_t num_threads) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = input->shape[0];
    options.height = input->shape[2];
    options.width = input->shape[3];
    options.num_threads = num_threads;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    vt_session_on_stage(session, compare_stage, c);
    c->stages = 0;
    expect_ok(vt_session_forward(session, input->data, input->shape[0], &err), &err);
    assert_int_equal(c->stages, count_expected(c->expected, c->size));
    vt_session_on_stage(session, NULL, NULL);
    expect_ok(vt_session_forward(session, input->data, input->shape[0], &err), &err);
    compare_result(c, "pooled", vt_session_pooled(session));
    compare_result(c, "logits", vt_session_logits(session));
    vt_session_destroy(session);
}

static void fail_on_warning(void *user, const char *line) {
    fail_msg("%s: %s", (const char *)user, line);
}

/* "input.24x36p6" is run with patches of 6, "input.24x36" with the model's own. */
static vt_model *open_model(const char *name, const vt_kernels *kernels, const vt_backend *backend,
                            const char *size) {
    const char *patch = strchr(size, 'p');
    vt_model *model;
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.kernels = kernels ? kernels->name : NULL;
    options.backend = vt_backend_name(backend);
    options.precision = backend ? "f32" : NULL;
    options.patch_size = patch ? strtoul(patch + 1, NULL, 10) : 0;
    options.log = fail_on_warning;
    options.log_user = (void *)name;
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), &options, &err), &err);
    return model;
}

/* Every input of the case, with every table of kernels that this processor has, and with every
 * backend that is compiled in. */
static void run_case(const char *name, const json_t *tolerances) {
    size_t sizes = 0;
    golden_case c = {.name = name, .tolerances = tolerances};
    vt_tensor_file *expected;
    vt_error err = {0};
    expect_ok(vt_tensor_file_open(&expected,
                                  data_path("golden", name, "expected.safetensors", NULL), &err),
              &err);
    c.expected = expected;
    size_t num_tables = 0, num_backends = 0;
    while (vt_kernels_at(num_tables))
        num_tables++;
    while (vt_backend_at(num_backends))
        num_backends++;
    for (size_t way = 0; way < num_tables + num_backends; way++) {
        const vt_kernels *kernels = vt_kernels_at(way);
        const vt_backend *backend = kernels ? NULL : vt_backend_at(way - num_tables);
        const vt_tensor *tensor;
        for (size_t i = 0; (tensor = vt_tensor_file_at(expected, i)) != NULL; i++) {
            if (strncmp(tensor->name, "input.", 6) != 0)
                continue;
            snprintf(c.size, sizeof c.size, "%s", tensor->name + 6);
            vt_model *model = open_model(name, kernels, backend, c.size);
            run_size(&c, model, tensor, 1 + sizes % 3);
            vt_model_close(model);
            sizes++;
        }
    }
    assert_true(sizes > 0);
    print_message("%-28s %zu passes, worst %.0f%% of its tolerance (%s)\n", name, sizes,
                  100 * c.worst, c.worst_stage);
    vt_tensor_file_close(expected);
}

/* timm_beit's rel_bias0 is the first block's bias for all pairs of tokens. The engine never lays
 * that out: a row is asked of the bias itself. */
static void test_relative_bias(void **state) {
    (void)state;
    enum { GRID = 6, TOKENS = GRID * GRID + 1, NUM_HEADS = 2 };
    vt_tensor_file *model, *expected;
    vt_error err = {0};
    expect_ok(vt_tensor_file_open(
                  &model, data_path("golden", "timm_beit", "model.safetensors", NULL), &err),
              &err);
    expect_ok(vt_tensor_file_open(
                  &expected, data_path("golden", "timm_beit", "expected.safetensors", NULL), &err),
              &err);
    const float *rows = f32_tensor(expected, "rel_bias0.48x48")->data;
    vt_grid_bias bias =
        vt_grid_bias_make(f32_tensor(model, "blocks.0.attn.relative_position_bias_table")->data,
                          NUM_HEADS, GRID, GRID);
    for (size_t head = 0; head < NUM_HEADS; head++) {
        for (size_t query = 0; query < TOKENS; query++, rows += TOKENS) {
            float found[TOKENS] = {0};
            bias.base.add(&bias.base, found, head, query, 0, TOKENS);
            expect_close("rel_bias0", found, rows, TOKENS, 1e-6);
        }
    }
    vt_tensor_file_close(expected);
    vt_tensor_file_close(model);
}

static void test_case(void **state) {
    const json_t *entry = *state;
    run_case(json_string_value(json_object_get(entry, "case")),
             json_object_get(entry, "suggested_atol"));
}

/* Models of pictures alone; those of pictures and text are test_golden_pairs.c's. */
static bool is_covered(const json_t *entry) {
    static const char *const others[] = {"hf_clip", "hf_siglip", "text_"};
    const char *name = json_string_value(json_object_get(entry, "case"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return false;
    return !json_is_true(json_object_get(entry, "pair"));
}

int main(void) {
    json_t *cases = load_golden_cases();
    struct CMUnitTest tests[128];
    size_t count = 0, i;
    json_t *entry;
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_relative_bias);
    json_array_foreach(cases, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "case"));
        if (is_covered(entry) && count < sizeof tests / sizeof tests[0])
            tests[count++] = (struct CMUnitTest){name, test_case, NULL, NULL, entry};
    }
    int failed = _cmocka_run_group_tests("golden vision models", tests, count, NULL, NULL);
    json_decref(cases);
    return failed;
}
