/* SPDX-License-Identifier: MIT
 *
 * Models whose matrices are kept in other types than their checkpoint's: close to the model in F32,
 * as close as the type explains; the same bits for any number of threads and in any batch.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vt_model *open_as(const char *path, const char *precision) {
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.precision = precision;
    options.backend = "native"; /* others do not promise the same bits in any batch */
    expect_ok(vt_model_open(&model, path, &options, &err), &err);
    return model;
}

static void expect_precision(const vt_model *model, const char *name) {
    vt_model_info info;
    vt_model_describe(&info, model);
    assert_string_equal(info.precision, name);
}

static size_t weight_bytes(const vt_model *model) {
    vt_model_plan plan;
    vt_error err = {0};
    expect_ok(vt_model_plan_forward(&plan, model, 1, 0, 0, 1, &err), &err);
    return plan.weight_bytes;
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

enum { BATCH = 3, PIXELS = 3 * 128 * 128, MAX_CLASSES = 1000 };

typedef struct scores {
    float logits[BATCH * MAX_CLASSES];
    size_t count;
} scores;

static float pixels[BATCH * PIXELS];

static void run_pictures(scores *out, const vt_model *model, size_t batch, size_t threads) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_model_info info;
    options.batch = batch;
    options.num_threads = threads;
    vt_model_describe(&info, model);
    size_t floats = 3 * info.image_height * info.image_width;
    assert_true(floats <= PIXELS && info.num_classes <= MAX_CLASSES);
    out->count = info.num_classes;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    for (size_t done = 0; done < BATCH; done += batch) {
        expect_ok(vt_session_forward(session, pixels + done * floats, batch, &err), &err);
        memcpy(out->logits + done * out->count, vt_session_logits(session),
               batch * out->count * sizeof(float));
    }
    vt_session_destroy(session);
}

/* The root of the mean squared difference, over that of the logits. */
static double relative_error(const scores *a, const scores *b) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < BATCH * a->count; i++) {
        difference += pow((double)a->logits[i] - b->logits[i], 2);
        size += pow(b->logits[i], 2);
    }
    return sqrt(difference / size);
}

static void test_pictures(void **state) {
    (void)state;
    static const struct {
        const char *precision;
        double least, most; /* relative error: rounding must show, and no more than it explains */
    } cases[] = {{"f32", 0, 0}, {"f16", 1e-6, 2e-3}, {"bf16", 1e-5, 2e-2}, {"int8", 1e-4, 0.1}};
    static const char *const models[] = {"timm_vit_token", "hf_vit", "timm_eva02_tiny"};
    static scores exact, single, batched;
    test_random random = {5};
    random_floats(&random, pixels, BATCH * PIXELS);
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        const char *path = data_path("golden", models[m], NULL);
        vt_model *model = open_as(path, NULL);
        size_t bytes = weight_bytes(model);
        run_pictures(&exact, model, 1, 1);
        vt_model_close(model);
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            model = open_as(path, cases[c].precision);
            expect_precision(model, cases[c].precision);
            assert_true(c == 0 ? weight_bytes(model) == bytes : weight_bytes(model) < bytes);
            run_pictures(&single, model, 1, 1);
            run_pictures(&batched, model, BATCH, 3);
            assert_memory_equal(single.logits, batched.logits,
                                BATCH * single.count * sizeof(float));
            double error = relative_error(&single, &exact);
            print_message("%-16s %-5s relative error %.2g\n", models[m], cases[c].precision, error);
            assert_true(error >= cases[c].least && error <= cases[c].most);
            vt_model_close(model);
        }
    }
}

/* ---- text --------------------------------------------------------------------------------------
 */

enum { TOKENS = 9, MAX_HIDDEN = TOKENS * 512 };

static size_t run_text(float *hidden, const vt_model *model) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    const int64_t ids[TOKENS] = {1, 5, 9, 2, 30, 31, 7, 8, 3};
    options.text_tokens = TOKENS;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    expect_ok(vt_session_forward_text(session, ids, NULL, 1, TOKENS, &err), &err);
    size_t floats = TOKENS * vt_model_text_width(model);
    assert_true(floats <= MAX_HIDDEN);
    memcpy(hidden, vt_session_hidden(session), floats * sizeof *hidden);
    vt_session_destroy(session);
    return floats;
}

static void test_text(void **state) {
    (void)state;
    static const char *const models[] = {"text_bert", "text_llama"};
    static float exact[MAX_HIDDEN], rounded[MAX_HIDDEN];
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        vt_model *model = open_as(data_path("golden", models[m], NULL), NULL);
        run_text(exact, model);
        vt_model_close(model);
        model = open_as(data_path("golden", models[m], NULL), "int8");
        size_t floats = run_text(rounded, model);
        double dot = 0, a2 = 0, b2 = 0;
        for (size_t i = 0; i < floats; i++) {
            dot += (double)exact[i] * rounded[i];
            a2 += (double)exact[i] * exact[i];
            b2 += (double)rounded[i] * rounded[i];
        }
        double cosine = dot / sqrt(a2 * b2);
        print_message("%-16s int8  cosine %.6f\n", models[m], cosine);
        assert_true(cosine > 0.995 && cosine < 1);
        vt_model_close(model);
    }
}

/* ---- the trained model -------------------------------------------------------------------------
 */

enum { NUM_PICTURES = 120 };

static void classify_all(size_t *best, const char *precision) {
    vt_error err = {0};
    vt_session *session;
    char line[1024];
    vt_model *model = open_as(data_path("emoji", "model", NULL), precision);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    FILE *file = fopen(data_path("emoji", "pictures", "expected.jsonl", NULL), "r");
    assert_non_null(file);
    for (size_t i = 0; i < NUM_PICTURES; i++) {
        vt_image image;
        vt_prediction first;
        assert_non_null(fgets(line, sizeof line, file));
        json_t *entry = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(entry, "file"));
        expect_ok(vt_image_read(&image, data_path("emoji", "pictures", name, NULL), NULL, &err),
                  &err);
        expect_ok(vt_classify_image(session, &image, &first, 1, &err), &err);
        best[i] = first.index;
        vt_image_free(&image);
        json_decref(entry);
    }
    fclose(file);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_predictions_hold(void **state) {
    (void)state;
    static size_t exact[NUM_PICTURES], rounded[NUM_PICTURES];
    size_t same = 0;
    classify_all(exact, "f32");
    classify_all(rounded, "int8");
    for (size_t i = 0; i < NUM_PICTURES; i++)
        same += exact[i] == rounded[i];
    print_message("int8 agrees with f32 on %zu of %d pictures\n", same, NUM_PICTURES);
    assert_true(same * 100 >= NUM_PICTURES * 99);
}

static void test_unknown_name(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.precision = "int4";
    assert_int_equal(
        vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), &options, &err),
        VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "no precision named \"int4\": f32, f16, bf16 or int8");
    assert_null(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_predictions_hold),
        cmocka_unit_test(test_unknown_name),
    };
    return cmocka_run_group_tests_name("precision", tests, NULL, NULL);
}
