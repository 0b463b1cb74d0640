/* SPDX-License-Identifier: MIT
 *
 * The attention that a session tells: against what timm answered (tools/golden/attention.py), and
 * that it is one for every family; and the classifier at each token.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

enum { MAX_STAGES = 8 };

/* What was told, copied. */
typedef struct told {
    float *data[MAX_STAGES];
    size_t shape[MAX_STAGES][VT_MAX_DIMS];
    size_t count, blocks;
} told;

static void on_stage(void *user, const vt_tensor *stage) {
    told *t = user;
    char name[32];
    if (!strstr(stage->name, ".attention")) {
        t->blocks += strncmp(stage->name, "block", 5) == 0;
        return;
    }
    assert_true(t->count < MAX_STAGES);
    assert_int_equal(t->count, t->blocks); /* before the block's own stage */
    snprintf(name, sizeof name, "block%zu.attention", t->count);
    assert_string_equal(stage->name, name);
    assert_int_equal(stage->ndim, 4);
    assert_int_equal(stage->size, tensor_elements(stage) * sizeof(float));
    memcpy(t->shape[t->count], stage->shape, sizeof stage->shape);
    t->data[t->count] = malloc(stage->size);
    assert_non_null(t->data[t->count]);
    memcpy(t->data[t->count++], stage->data, stage->size);
}

static void free_told(told *t) {
    for (size_t i = 0; i < t->count; i++)
        free(t->data[i]);
    *t = (told){0};
}

/* A golden case and a session for an input of it. */
typedef struct fixture {
    vt_model *model;
    vt_session *session;
    vt_tensor_file *expected;
    const vt_tensor *input;
} fixture;

/* Of the model's own size, as tools/golden/attention.py has it, or else the first. */
static const vt_tensor *find_input(const vt_tensor_file *file) {
    const vt_tensor *tensor = vt_tensor_file_find(file, "input.48x48");
    if (!tensor)
        tensor = vt_tensor_file_find(file, "input.24x24");
    for (size_t i = 0; !tensor && i < vt_tensor_file_count(file); i++) {
        const vt_tensor *one = vt_tensor_file_at(file, i);
        if (strncmp(one->name, "input.", 6) == 0 && !strchr(one->name + 6, 'p'))
            tensor = one;
    }
    return tensor;
}

/* False where the case takes no pictures of one size. */
static bool open_fixture(fixture *f, const char *name, const char *kernels,
                         const vt_session_options *wanted) {
    vt_error err = {0};
    vt_model_options how = VT_MODEL_OPTIONS_INIT;
    vt_session_options options = *wanted;
    *f = (fixture){0};
    how.kernels = kernels;
    expect_ok(vt_model_open(&f->model, data_path("golden", name, NULL), &how, &err), &err);
    expect_ok(vt_tensor_file_open(&f->expected,
                                  data_path("golden", name, "expected.safetensors", NULL), &err),
              &err);
    f->input = find_input(f->expected);
    if (!f->input || vt_model_is_naflex(f->model))
        return false;
    options.batch = f->input->shape[0];
    options.height = f->input->shape[2];
    options.width = f->input->shape[3];
    expect_ok(vt_session_create(&f->session, f->model, &options, &err), &err);
    return true;
}

static void close_fixture(fixture *f) {
    vt_session_destroy(f->session);
    vt_tensor_file_close(f->expected);
    vt_model_close(f->model);
}

static void forward(const fixture *f) {
    vt_error err = {0};
    expect_ok(vt_session_forward(f->session, f->input->data, f->input->shape[0], &err), &err);
}

static vt_session_options with_attention(void) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.attention = true;
    return options;
}

/* The norm of heads, BEiT's bias and both kinds of rotations among them; with every table. */
static void test_as_timm_has_it(void **state) {
    (void)state;
    static const char *const cases[] = {"timm_vit_token", "timm_vit_qknorm", "timm_beit",
                                        "timm_dinov3", "timm_vit_rope_mixed"};
    const vt_session_options options = with_attention();
    vt_tensor_file *file;
    vt_error err = {0};
    expect_ok(vt_tensor_file_open(&file, data_path("attention.safetensors", NULL), &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; vt_kernels_at(k); k++) {
            fixture f;
            told t = {0};
            assert_true(open_fixture(&f, cases[i], vt_kernels_at(k)->name, &options));
            vt_session_on_stage(f.session, on_stage, &t);
            forward(&f);
            assert_true(t.count > 0);
            for (size_t block = 0; block < t.count; block++) {
                char name[64];
                snprintf(name, sizeof name, "%s.block%zu", cases[i], block);
                const vt_tensor *expected = f32_tensor(file, name);
                for (size_t d = 0; d < 3; d++)
                    assert_int_equal(expected->shape[d], t.shape[block][d + 1]);
                expect_close(name, t.data[block], expected->data, tensor_elements(expected), 1e-5);
            }
            free_told(&t);
            close_fixture(&f);
        }
    }
    vt_tensor_file_close(file);
}

static void expect_shares(const char *name, const told *t, const vt_model *model) {
    vt_model_info info;
    vt_model_describe(&info, model);
    if (t->count != info.depth)
        fail_msg("%s: the attention of %zu blocks of %zu", name, t->count, info.depth);
    for (size_t block = 0; block < t->count; block++) {
        const size_t *shape = t->shape[block];
        assert_int_equal(shape[1], info.num_heads);
        assert_int_equal(shape[2], shape[3]);
        for (size_t row = 0; row < shape[0] * shape[1] * shape[2]; row++) {
            double sum = 0;
            for (size_t j = 0; j < shape[3]; j++) {
                float share = t->data[block][row * shape[3] + j];
                assert_true(share >= 0);
                sum += (double)share;
            }
            if (!(fabs(sum - 1) < 1e-5))
                fail_msg("%s: block %zu, row %zu: the sum is %.9g", name, block, row, sum);
        }
    }
}

/* Of all families; and asking changes no bit of the results. */
static void test_every_family(void **state) {
    (void)state;
    json_t *cases = load_golden_cases(), *entry;
    size_t i, num_run = 0;
    json_array_foreach(cases, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "case"));
        const vt_session_options options = with_attention(), plain = VT_SESSION_OPTIONS_INIT;
        fixture f, g;
        told t = {0};
        if (strncmp(name, "text_", 5) == 0 || json_is_true(json_object_get(entry, "pair")) ||
            strncmp(name, "hf_clip", 7) == 0 || strncmp(name, "hf_siglip", 9) == 0)
            continue;
        if (open_fixture(&f, name, NULL, &options)) {
            assert_true(open_fixture(&g, name, NULL, &plain));
            size_t bytes = f.input->shape[0] * vt_session_pooled_width(f.session) * sizeof(float);
            vt_session_on_stage(f.session, on_stage, &t);
            forward(&f);
            expect_shares(name, &t, f.model);
            told without = {0};
            vt_session_on_stage(g.session, on_stage, &without);
            forward(&g);
            assert_int_equal(without.count, 0);
            assert_memory_equal(vt_session_pooled(f.session), vt_session_pooled(g.session), bytes);
            free_told(&t);
            close_fixture(&g);
            num_run++;
        }
        close_fixture(&f);
    }
    assert_true(num_run > 30);
    json_decref(cases);
}

/* What is padding is seen by nobody. */
static void test_naflex(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    told t = {0};
    const vt_session_options options = with_attention();
    expect_ok(vt_model_open(&model, data_path("golden", "hf_siglip2_naflex", NULL), NULL, &err),
              &err);
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    vt_model_info info;
    vt_model_describe(&info, model);
    size_t height = 2 * info.patch_size, width = 3 * info.patch_size;
    float *pixels = calloc(3 * height * width, sizeof *pixels);
    assert_non_null(pixels);
    vt_session_on_stage(session, on_stage, &t);
    expect_ok(vt_session_forward_naflex(session, (const float *const[]){pixels}, &height, &width, 1,
                                        &err),
              &err);
    expect_shares("hf_siglip2_naflex", &t, model);
    assert_true(t.shape[0][3] > 6);
    for (size_t row = 0; row < t.shape[0][1] * t.shape[0][2]; row++)
        for (size_t j = 6; j < t.shape[0][3]; j++)
            assert_true(t.data[0][row * t.shape[0][3] + j] == 0);
    free(pixels);
    free_told(&t);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_not_with_merging(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_session_options options = with_attention();
    options.merge = 2;
    expect_ok(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), NULL, &err), &err);
    assert_int_equal(vt_session_create(&session, model, &options, &err), VT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "merged"));
    vt_model_close(model);
}

/* ---- the classifier at each token --------------------------------------------------------------
 */

/* logits[tokens][classes] of each picture of the fixture, one behind the other. */
static float *token_logits(const fixture *f, size_t *tokens, size_t *classes) {
    vt_model_info info;
    vt_error err = {0};
    vt_model_describe(&info, f->model);
    *tokens = vt_session_num_tokens(f->session);
    *classes = info.num_classes;
    float *logits = malloc(f->input->shape[0] * *tokens * *classes * sizeof *logits);
    assert_non_null(logits);
    for (size_t i = 0; i < f->input->shape[0]; i++)
        expect_ok(vt_session_token_logits(f->session, logits + i * *tokens * *classes, i, &err),
                  &err);
    return logits;
}

/* Where one token is classified, its row is the logits. */
static void test_class_token(void **state) {
    (void)state;
    static const char *const cases[] = {"timm_vit_token", "hf_vit", "timm_vit_token_bf16"};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.features = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        size_t tokens, classes;
        assert_true(open_fixture(&f, cases[i], NULL, &options));
        forward(&f);
        float *logits = token_logits(&f, &tokens, &classes);
        for (size_t p = 0; p < f.input->shape[0]; p++)
            expect_close(cases[i], logits + p * tokens * classes,
                         vt_session_logits(f.session) + p * classes, classes, 1e-5);
        free(logits);
        close_fixture(&f);
    }
}

/* DeiT's two heads: the mean of both is at each token, and so the logits lie between. */
static void test_two_heads(void **state) {
    (void)state;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    fixture f;
    size_t tokens, classes;
    vt_tensor_file *file;
    vt_error err = {0};
    options.features = true;
    assert_true(open_fixture(&f, "timm_deit_distilled", NULL, &options));
    expect_ok(
        vt_tensor_file_open(
            &file, data_path("golden", "timm_deit_distilled", "model.safetensors", NULL), &err),
        &err);
    forward(&f);
    float *logits = token_logits(&f, &tokens, &classes);
    const float *w[] = {f32_tensor(file, "head.weight")->data,
                        f32_tensor(file, "head_dist.weight")->data};
    const float *b[] = {f32_tensor(file, "head.bias")->data,
                        f32_tensor(file, "head_dist.bias")->data};
    size_t width = vt_session_pooled_width(f.session);
    const float *x = vt_session_features(f.session);
    for (size_t t = 0; t < tokens; t++)
        for (size_t k = 0; k < classes; k++) {
            double sum = 0;
            for (size_t h = 0; h < 2; h++) {
                sum += (double)b[h][k];
                for (size_t j = 0; j < width; j++)
                    sum += (double)w[h][k * width + j] * (double)x[t * width + j];
            }
            assert_float_equal(logits[t * classes + k], sum / 2, 1e-5);
        }
    free(logits);
    vt_tensor_file_close(file);
    close_fixture(&f);
}

/* A class activation map is exact: its mean is the logit. BEiT's norm behind the mean is taken out
 * by the case without it. */
static void test_mean_of_patches(void **state) {
    (void)state;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    fixture f;
    vt_model_info info;
    size_t tokens, classes;
    options.features = true;
    assert_true(open_fixture(&f, "timm_vit_gap_nobias", NULL, &options));
    vt_model_describe(&info, f.model);
    assert_string_equal(info.pooling, "mean of patch tokens");
    forward(&f);
    float *logits = token_logits(&f, &tokens, &classes);
    size_t prefix = info.num_prefix_tokens;
    for (size_t k = 0; k < classes; k++) {
        double sum = 0;
        for (size_t t = prefix; t < tokens; t++)
            sum += (double)logits[t * classes + k];
        assert_float_equal(sum / (double)(tokens - prefix), vt_session_logits(f.session)[k], 1e-5);
    }
    free(logits);
    close_fixture(&f);
}

static void expect_refused(const char *name, bool features, size_t index, vt_status status,
                           const char *why) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_error err = {0};
    fixture f;
    float none;
    options.features = features;
    assert_true(open_fixture(&f, name, NULL, &options));
    forward(&f);
    assert_int_equal(vt_session_token_logits(f.session, &none, index, &err), status);
    if (!strstr(err.message, why))
        fail_msg("%s: %s", name, err.message);
    close_fixture(&f);
}

static void test_no_token_logits(void **state) {
    (void)state;
    expect_refused("timm_vit_token", false, 0, VT_ERR_UNSUPPORTED, "`features`");
    expect_refused("timm_vit_token", true, 99, VT_ERR_ARGUMENT, "picture 99");
    expect_refused("timm_vit_siglip_map", true, 0, VT_ERR_UNSUPPORTED, "none alone has logits");
    expect_refused("meta_dinov2", true, 0, VT_ERR_UNSUPPORTED, "no classifier");
    expect_refused("meta_dinov2_lc4", true, 0, VT_ERR_UNSUPPORTED, "several blocks");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_timm_has_it),  cmocka_unit_test(test_every_family),
        cmocka_unit_test(test_naflex),          cmocka_unit_test(test_not_with_merging),
        cmocka_unit_test(test_class_token),     cmocka_unit_test(test_two_heads),
        cmocka_unit_test(test_mean_of_patches), cmocka_unit_test(test_no_token_logits),
    };
    return cmocka_run_group_tests_name("attention stages", tests, NULL, NULL);
}
