/* SPDX-License-Identifier: MIT
 *
 * Text models against transformers (NomicBERT: against its own code; tests/data/golden/README.md),
 * and those that have no golden there against tools/golden/text.py: every stage, with and without
 * padding masks, with every kernel table and 1 to 3 threads.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

enum { MAX_TOKENS = 256 };

typedef struct golden_text {
    const char *folder, *name;
    json_t *tolerances;
    vt_tensor_file *expected;
    char suffix[32];       /* of this pass: ".33", ".33.masked" */
    size_t reach;          /* of a window to both sides; 0: no window */
    const vt_tensor *mask; /* of this pass, or NULL */
    size_t stages;         /* compared */
    double worst;          /* of all stages, the largest share of the tolerance that was used up */
    char worst_stage[96];
} golden_text;

/* A padding token whose window holds padding alone sees nothing. The reference then averages all
 * tokens, for its mask is a large number added to scores that vanish beside it; vitrine gives 0.
 * Nobody reads that row. */
static bool sees_nothing(const golden_text *c, size_t row) {
    size_t tokens = c->mask->shape[1], item = row / tokens, at = row % tokens;
    const int64_t *mask = (const int64_t *)c->mask->data + item * tokens;
    for (size_t i = 0; i < tokens; i++)
        if (mask[i] && (i > at ? i - at : at - i) <= c->reach)
            return false;
    return true;
}

/* The golden, but for rows that have no meaning, which are as they were found. */
static float *meant(const golden_text *c, const float *found, const vt_tensor *expected) {
    size_t width = expected->shape[expected->ndim - 1], n = tensor_elements(expected);
    float *out = malloc(n * sizeof *out);
    assert_non_null(out);
    memcpy(out, expected->data, n * sizeof *out);
    for (size_t row = 0; c->mask && c->reach && expected->ndim == 3 && row < n / width; row++)
        if (sees_nothing(c, row))
            memcpy(out + row * width, found + row * width, width * sizeof *out);
    return out;
}

static void compare(golden_text *c, const char *stage, const float *found,
                    const vt_tensor *expected, size_t n) {
    double tolerance = json_number_value(json_object_get(c->tolerances, stage));
    assert_true(tolerance > 0);
    assert_int_equal(tensor_elements(expected), n);
    float *wanted = meant(c, found, expected);
    expect_close(expected->name, found, wanted, n, tolerance);
    double share = max_difference(found, wanted, n) / tolerance;
    free(wanted);
    if (share >= c->worst) {
        c->worst = share;
        snprintf(c->worst_stage, sizeof c->worst_stage, "%s", expected->name);
    }
    c->stages++;
}

static const vt_tensor *find_expected(const golden_text *c, const char *stage) {
    char name[96];
    snprintf(name, sizeof name, "%s%s", stage, c->suffix);
    return vt_tensor_file_find(c->expected, name);
}

/* The reference repeats the angles for the second half of the channels. */
static void compare_rotation(golden_text *c, const vt_tensor *stage, const vt_tensor *expected) {
    size_t rows = stage->shape[0], pairs = stage->shape[1];
    const float *from = stage->data;
    float *doubled = malloc(rows * 2 * pairs * sizeof *doubled);
    assert_non_null(doubled);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < 2 * pairs; i++)
            doubled[row * 2 * pairs + i] = from[row * pairs + i % pairs];
    compare(c, stage->name, doubled, expected, rows * 2 * pairs);
    free(doubled);
}

static void on_stage(void *user, const vt_tensor *stage) {
    golden_text *c = user;
    const vt_tensor *expected = find_expected(c, stage->name);
    if (!expected)
        return;
    if (strncmp(stage->name, "rope_", 5) == 0)
        compare_rotation(c, stage, expected);
    else
        compare(c, stage->name, stage->data, expected, tensor_elements(stage));
}

/* What the getters return is what the last stages were. */
static void check_results(golden_text *c, const vt_session *session) {
    const vt_tensor *hidden = find_expected(c, "hidden"), *logits = find_expected(c, "logits"),
                    *pooled = find_expected(c, "pooled");
    assert_true(hidden || logits);
    if (hidden)
        compare(c, "hidden", vt_session_hidden(session), hidden, tensor_elements(hidden));
    if (logits)
        compare(c, "logits", vt_session_text_logits(session), logits, tensor_elements(logits));
    if (pooled)
        compare(c, "pooled", vt_session_text_pooled(session), pooled, tensor_elements(pooled));
}

static void run(golden_text *c, vt_session *session, const vt_tensor *ids, bool masked) {
    const char *length = ids->name + strlen("input_ids");
    uint8_t bytes[MAX_TOKENS];
    vt_error err = {0};
    snprintf(c->suffix, sizeof c->suffix, "%s", length);
    const vt_tensor *mask = find_expected(c, "attention_mask"),
                    *types = find_expected(c, "token_type_ids");
    if (masked)
        strcat(c->suffix, ".masked");
    if (!find_expected(c, "hidden") && !find_expected(c, "logits"))
        return;
    assert_true(!masked || (mask && tensor_elements(mask) <= MAX_TOKENS));
    c->mask = masked ? mask : NULL;
    for (size_t i = 0; masked && i < tensor_elements(mask); i++)
        bytes[i] = ((const int64_t *)mask->data)[i] != 0;
    vt_session_set_token_types(session, types ? types->data : NULL);
    expect_ok(vt_session_forward_text(session, ids->data, masked ? bytes : NULL, ids->shape[0],
                                      ids->shape[1], &err),
              &err);
    check_results(c, session);
}

static void run_threads(golden_text *c, const vt_model *model, const vt_tensor *ids) {
    for (size_t threads = 1; threads <= 3; threads++) {
        vt_error err = {0};
        vt_session *session;
        vt_session_options options = VT_SESSION_OPTIONS_INIT;
        options.text_batch = ids->shape[0];
        options.text_tokens = ids->shape[1];
        options.num_threads = threads;
        expect_ok(vt_session_create(&session, model, &options, &err), &err);
        vt_session_on_stage(session, on_stage, c);
        run(c, session, ids, false);
        run(c, session, ids, true);
        vt_session_destroy(session);
    }
}

static void expect_silence(void *user, const char *line) {
    fail_msg("%s: %s", (const char *)user, line);
}

static void run_kernels(golden_text *c, const vt_kernels *kernels) {
    vt_model *model;
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.kernels = kernels->name;
    options.log = expect_silence; /* every tensor of these files is known */
    options.log_user = (void *)(uintptr_t)c->name;
    expect_ok(vt_model_open(&model, data_path(c->folder, c->name, NULL), &options, &err), &err);
    const vt_tensor *tensor;
    for (size_t t = 0; (tensor = vt_tensor_file_at(c->expected, t)) != NULL; t++) {
        if (strncmp(tensor->name, "input_ids.", 10) == 0) {
            assert_int_equal(tensor->dtype, VT_DTYPE_I64);
            run_threads(c, model, tensor);
        }
    }
    vt_model_close(model);
}

/* Stages that a case has goldens for, but for inputs and what primitives' tests compare. */
static size_t count_goldens(const golden_text *c) {
    static const char *const others[] = {"input_ids.", "attention_mask.", "token_type_ids.",
                                         "position_bias."};
    size_t count = 0;
    const vt_tensor *tensor;
    for (size_t t = 0; (tensor = vt_tensor_file_at(c->expected, t)) != NULL; t++) {
        count++;
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            count -= strncmp(tensor->name, others[i], strlen(others[i])) == 0;
    }
    return count;
}

static void test_case(void **state) {
    golden_text c = {0};
    vt_error err = {0};
    c.folder = json_string_value(json_object_get(*state, "folder"));
    c.name = json_string_value(json_object_get(*state, "case"));
    c.tolerances = json_object_get(*state, "suggested_atol");
    expect_ok(vt_tensor_file_open(&c.expected,
                                  data_path(c.folder, c.name, "expected.safetensors", NULL), &err),
              &err);
    json_t *config = load_json(data_path(c.folder, c.name, "config.json", NULL));
    c.reach = (size_t)json_integer_value(json_object_get(config, "local_attention")) / 2;
    json_decref(config);
    const vt_kernels *kernels;
    size_t tables = 0;
    for (; (kernels = vt_kernels_at(tables)) != NULL; tables++)
        run_kernels(&c, kernels);
    /* Every golden was reached in every pass, by its stage; those with a getter by that too. */
    assert_true(c.stages >= 3 * tables * count_goldens(&c));
    print_message("%s: %zu stages, worst %s at %.0f%% of its tolerance\n", c.name, c.stages,
                  c.worst_stage, 100 * c.worst);
    vt_tensor_file_close(c.expected);
}

/* Adds the cases of a folder whose names begin with `prefix`. */
static size_t add_cases(struct CMUnitTest *tests, size_t count, size_t limit, json_t *cases,
                        const char *folder, const char *prefix) {
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(cases, "cases"), i, entry) {
        const char *name = json_string_value(json_object_get(entry, "case"));
        if (strncmp(name, prefix, strlen(prefix)) != 0 || count == limit)
            continue;
        json_object_set_new(entry, "folder", json_string(folder));
        tests[count++] = (struct CMUnitTest){name, test_case, NULL, NULL, entry};
    }
    return count;
}

int main(void) {
    static struct CMUnitTest tests[64];
    json_t *golden = load_json(data_path("golden", "cases.json", NULL));
    json_t *own = load_json(data_path("text", "cases.json", NULL));
    size_t count = add_cases(tests, 0, 64, golden, "golden", "text_");
    size_t all = add_cases(tests, count, 64, own, "text", "");
    int failed =
        count == 20 && all > count ? _cmocka_run_group_tests("text", tests, all, NULL, NULL) : 1;
    json_decref(golden);
    json_decref(own);
    return failed;
}
