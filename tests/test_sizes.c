/* SPDX-License-Identifier: MIT
 *
 * Pictures of several sizes in one pass: each as if it were alone, to the bit, for every way of
 * pooling; and what is refused.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 4, PATCHES = 64, MOST = 4096 };

/* In patches: height, width. */
static const size_t grids[COUNT][2] = {{8, 8}, {1, 3}, {7, 2}, {5, 12}};

typedef struct results {
    float pooled[COUNT * MOST], logits[COUNT * MOST];
    size_t width, classes;
} results;

typedef struct pictures {
    float *pixels[COUNT];
    size_t heights[COUNT], widths[COUNT];
} pictures;

static void make_pictures(pictures *out, size_t patch) {
    test_random random = {8};
    for (size_t i = 0; i < COUNT; i++) {
        out->heights[i] = grids[i][0] * patch;
        out->widths[i] = grids[i][1] * patch;
        size_t floats = 3 * out->heights[i] * out->widths[i];
        out->pixels[i] = test_malloc(floats * sizeof(float));
        random_floats(&random, out->pixels[i], floats);
    }
}

static void free_pictures(pictures *p) {
    for (size_t i = 0; i < COUNT; i++)
        test_free(p->pixels[i]);
}

static vt_session *create(const vt_model *model, size_t batch, size_t height, size_t width,
                          size_t threads) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = batch;
    options.height = height;
    options.width = width;
    options.num_threads = threads;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    return session;
}

static void keep(results *out, const vt_session *session, size_t first, size_t count) {
    size_t width = out->width, classes = out->classes;
    memcpy(out->pooled + first * width, vt_session_pooled(session), count * width * sizeof(float));
    if (classes)
        memcpy(out->logits + first * classes, vt_session_logits(session),
               count * classes * sizeof(float));
}

static void run_alone(results *out, const vt_model *model, const pictures *p) {
    vt_error err = {0};
    for (size_t i = 0; i < COUNT; i++) {
        vt_session *session = create(model, 1, p->heights[i], p->widths[i], 1);
        expect_ok(vt_session_forward(session, p->pixels[i], 1, &err), &err);
        keep(out, session, i, 1);
        vt_session_destroy(session);
    }
}

static void run_together(results *out, const vt_model *model, const pictures *p, size_t patch,
                         size_t threads) {
    vt_error err = {0};
    vt_session *session = create(model, COUNT, 8 * patch, 8 * patch, threads);
    const float *pixels[COUNT];
    memcpy(pixels, p->pixels, sizeof pixels);
    for (size_t again = 0; again < 2; again++)
        expect_ok(vt_session_forward_sizes(session, pixels, p->heights, p->widths, COUNT, &err),
                  &err);
    keep(out, session, 0, COUNT);
    vt_session_destroy(session);
}

static void check_model(const char *name) {
    static results alone, together;
    pictures p;
    vt_error err = {0};
    vt_model *model;
    vt_model_info info;
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), NULL, &err), &err);
    vt_model_describe(&info, model);
    alone = together = (results){.width = info.width, .classes = info.num_classes};
    assert_true(info.width <= MOST && info.num_classes <= MOST);
    make_pictures(&p, info.patch_size);
    run_alone(&alone, model, &p);
    for (size_t threads = 1; threads <= 3; threads++) {
        run_together(&together, model, &p, info.patch_size, threads);
        if (memcmp(&alone, &together, sizeof alone) != 0)
            fail_msg("%s: together they are not what each is alone", name);
    }
    free_pictures(&p);
    vt_model_close(model);
}

static void test_each_is_as_if_alone(void **state) {
    (void)state;
    static const char *const models[] = {"timm_vit_token",      "timm_vit_avg_fcnorm",
                                         "timm_deit_distilled", "hf_vit_pooler",
                                         "hf_siglip",           "hf_clip",
                                         "timm_deit3",          "hf_vit_mae"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        check_model(models[i]);
}

static void expect_refusal(const char *name, vt_session_options options, size_t count,
                           size_t height, vt_status status, const char *message) {
    static float pixels[3 * 128 * 128];
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    const float *items[COUNT] = {pixels, pixels, pixels, pixels};
    size_t heights[COUNT] = {height, height, height, height};
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), NULL, &err), &err);
    options.batch = 2;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    assert_int_equal(vt_session_forward_sizes(session, items, heights, heights, count, &err),
                     status);
    if (!strstr(err.message, message))
        fail_msg("%s: expected \"…%s…\", found \"%s\"", name, message, err.message);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_refusals(void **state) {
    (void)state;
    vt_session_options plain = VT_SESSION_OPTIONS_INIT, features = plain, merge = plain;
    features.features = true;
    merge.merge = 2;
    expect_refusal("hf_dinov3", plain, 1, 32, VT_ERR_UNSUPPORTED, "rotary positions");
    expect_refusal("timm_beit", plain, 1, 32, VT_ERR_UNSUPPORTED, "relative position biases");
    expect_refusal("hf_siglip2_naflex", plain, 1, 32, VT_ERR_UNSUPPORTED, "a NaFlex model");
    expect_refusal("text_bert", plain, 1, 32, VT_ERR_UNSUPPORTED, "takes no pictures");
    expect_refusal("timm_vit_token", features, 1, 32, VT_ERR_UNSUPPORTED, "with features");
    expect_refusal("timm_vit_token", merge, 1, 32, VT_ERR_UNSUPPORTED, "with merge");
    expect_refusal("timm_vit_token", plain, 0, 32, VT_ERR_ARGUMENT, "given 0");
    expect_refusal("timm_vit_token", plain, 3, 32, VT_ERR_ARGUMENT, "given 3");
    expect_refusal("timm_vit_token", plain, 1, 33, VT_ERR_ARGUMENT, "expected multiples of");
    expect_refusal("timm_vit_token", plain, 1, 0, VT_ERR_ARGUMENT, "expected multiples of");
    expect_refusal("timm_vit_token", plain, 1, 128, VT_ERR_ARGUMENT, "at most");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_as_if_alone),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("sizes", tests, NULL, NULL);
}
