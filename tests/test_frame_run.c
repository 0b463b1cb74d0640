/* SPDX-License-Identifier: MIT
 *
 * vt_session_run: frames give what their pictures give, whatever their format, batch and number of
 * threads; nothing is allocated once the largest frame was there; and what runs can be stopped.
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "frames.h"

enum { CLASSES = 10, TOP = 3 };

static vt_model *open_case(const char *name) {
    vt_model *model;
    vt_error err = {0};
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), NULL, &err), &err);
    return model;
}

static vt_session *create(const vt_model *model, size_t batch, size_t threads) {
    vt_session *session;
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = batch;
    options.num_threads = threads;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    return session;
}

/* One frame's logits. */
static void run_frame(vt_session *session, const vt_frame *frame, float logits[CLASSES]) {
    vt_error err = {0};
    vt_result result = VT_RESULT_INIT;
    result.logits = logits;
    expect_ok(vt_session_run(session, &result, frame, 1, &err), &err);
}

static void expect_identical(const char *what, const float *a, const float *b, size_t n) {
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s: not the same bits: largest difference %.3g", what, max_difference(a, b, n));
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(a[i]));
}

/* ---- the same as pictures -------------------------------------------------------------------- */

/* The logits that the image gives by preprocessing and a forward pass, one after the other. */
static void classify_image(vt_session *session, const vt_image *image, float logits[CLASSES]) {
    vt_error err = {0};
    size_t height, width;
    expect_ok(vt_session_fit_size(session, image, &height, &width, &err), &err);
    float *pixels = malloc(3 * height * width * sizeof *pixels);
    assert_non_null(pixels);
    expect_ok(vt_session_preprocess_to(session, pixels, image, height, width, &err), &err);
    expect_ok(vt_session_forward(session, pixels, 1, &err), &err);
    memcpy(logits, vt_session_logits(session), CLASSES * sizeof *logits);
    free(pixels);
}

static const char *const CASES[] = {"timm_vit_token", "hf_vit_nobias", "timm_vit_rect",
                                    "hf_deit_distilled"};
enum { NUM_CASES = sizeof CASES / sizeof CASES[0] };

/* The bytes of an image in the order of another format. */
static test_frame reordered(const vt_image *image, vt_pixel_format format, test_random *random) {
    test_frame made = make_frame(format, image->width, image->height, 5, random);
    const size_t step = format == VT_PIXEL_RGBA || format == VT_PIXEL_BGRA ? 4 : 3;
    const bool blue_first = format == VT_PIXEL_BGR24 || format == VT_PIXEL_BGRA;
    for (size_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < image->width; x++)
            for (size_t c = 0; c < 3; c++)
                made.memory[0][y * made.frame.strides[0] + step * x + (blue_first ? 2 - c : c)] =
                    image->pixels[y * image->stride + 3 * x + c];
    return made;
}

static void test_a_frame_is_its_picture(void **state) {
    (void)state;
    static const vt_pixel_format formats[] = {VT_PIXEL_RGB24, VT_PIXEL_BGR24, VT_PIXEL_RGBA,
                                              VT_PIXEL_BGRA};
    test_random random = {9};
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(CASES[c]);
        vt_session *session = create(model, 1, 2);
        vt_error err = {0};
        vt_image image;
        float expected[CLASSES], found[CLASSES];
        vt_prediction best[TOP], other[TOP];
        expect_ok(vt_image_read(&image, data_path("images", "baseline420.jpg", NULL), NULL, &err),
                  &err);
        classify_image(session, &image, expected);
        for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
            test_frame made = reordered(&image, formats[f], &random);
            run_frame(session, &made.frame, found);
            expect_identical(CASES[c], found, expected, CLASSES);
            free_frame(&made);
        }
        size_t size;
        unsigned char *jpeg = read_bytes(data_path("images", "baseline420.jpg", NULL), &size);
        vt_frame frame = VT_FRAME_INIT;
        expect_ok(vt_frame_set_packed(&frame, VT_PIXEL_MJPEG, 0, 0, jpeg, size, &err), &err);
        run_frame(session, &frame, found);
        expect_identical("MJPEG", found, expected, CLASSES);
        free(jpeg);
        assert_int_equal(vt_model_top_k(model, expected, best, TOP), TOP);
        expect_ok(vt_classify_image(session, &image, other, TOP, &err), &err);
        for (size_t i = 0; i < TOP; i++)
            assert_true(other[i].index == best[i].index && other[i].score == best[i].score);
        vt_image_free(&image);
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

/* Within one of 255 in a pixel, and so in a score. */
static void test_camera_formats(void **state) {
    (void)state;
    test_random random = {21};
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(CASES[c]);
        vt_session *session = create(model, 1, 2);
        for (int format = VT_PIXEL_GRAY8; format < VT_PIXEL_MJPEG; format++)
            for (unsigned turn = 0; turn < 8; turn++) {
                test_frame made = make_frame(format, 161, 97, 3, &random);
                made.frame.crop_left = turn;
                made.frame.rotate = 90 * (turn % 4);
                made.frame.mirror = turn > 3;
                vt_image picture = reference_picture(&made.frame);
                float expected[CLASSES], found[CLASSES];
                vt_prediction a[CLASSES], b[CLASSES];
                classify_image(session, &picture, expected);
                run_frame(session, &made.frame, found);
                vt_model_top_k(model, expected, a, CLASSES);
                vt_model_top_k(model, found, b, CLASSES);
                for (size_t i = 0; i < CLASSES; i++)
                    if (fabsf(a[i].score - b[i].score) > 1.0f / 255)
                        fail_msg("%s, %s, turn %u: score %zu is %g, expected %g", CASES[c],
                                 vt_pixel_format_name(format), turn, i, (double)b[i].score,
                                 (double)a[i].score);
                free(picture.pixels);
                free_frame(&made);
            }
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

/* Pictures of all aspects, and models whose pictures keep them. */
static void test_pictures_that_keep_their_aspect(void **state) {
    (void)state;
    vt_model *model = open_case("hf_siglip2_naflex");
    vt_session *session = create(model, 2, 2);
    vt_error err = {0};
    test_random random = {8};
    const size_t width = vt_session_pooled_width(session);
    float *found = malloc(2 * width * sizeof *found);
    assert_non_null(found);
    test_frame wide = make_frame(VT_PIXEL_RGB24, 90, 40, 0, &random);
    test_frame high = make_frame(VT_PIXEL_RGB24, 30, 100, 0, &random);
    vt_frame frames[2] = {wide.frame, high.frame};
    vt_result results[2] = {VT_RESULT_INIT, VT_RESULT_INIT};
    results[0].pooled = found;
    results[1].pooled = found + width;
    expect_ok(vt_session_run(session, results, frames, 2, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        vt_image image = reference_picture(&frames[i]);
        size_t h, w;
        expect_ok(vt_session_fit_size(session, &image, &h, &w, &err), &err);
        assert_true(results[i].input_height == h && results[i].input_width == w);
        float *pixels = malloc(3 * h * w * sizeof *pixels);
        const float *one = pixels;
        assert_non_null(pixels);
        expect_ok(vt_session_preprocess_to(session, pixels, &image, h, w, &err), &err);
        expect_ok(vt_session_forward_naflex(session, &one, &h, &w, 1, &err), &err);
        expect_identical("naflex", found + i * width, vt_session_pooled(session), width);
        free(pixels);
        free(image.pixels);
    }
    free(found);
    free_frame(&wide);
    free_frame(&high);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* ---- batches, threads, memory ---------------------------------------------------------------- */

enum { NUM_FRAMES = 8 };

/* Frames of all formats, sizes and turns. */
static void make_frames(test_frame made[NUM_FRAMES], uint64_t seed) {
    test_random random = {seed};
    for (size_t i = 0; i < NUM_FRAMES; i++) {
        const size_t width = 20 + random_below(&random, 200),
                     height = 20 + random_below(&random, 100);
        made[i] = make_frame((int)((i + seed) % VT_PIXEL_MJPEG), width, height, 0, &random);
        made[i].frame.rotate = 90 * (i % 4);
    }
}

static void free_frames(test_frame made[NUM_FRAMES]) {
    for (size_t i = 0; i < NUM_FRAMES; i++)
        free_frame(&made[i]);
}

static void test_batches_and_threads_do_not_change_a_bit(void **state) {
    (void)state;
    test_frame made[NUM_FRAMES];
    vt_frame frames[NUM_FRAMES];
    vt_error err = {0};
    float first[NUM_FRAMES][CLASSES], found[NUM_FRAMES][CLASSES];
    vt_model *model = open_case("timm_vit_token");
    make_frames(made, 4);
    for (size_t i = 0; i < NUM_FRAMES; i++)
        frames[i] = made[i].frame;
    for (size_t threads = 1; threads <= 8; threads++) {
        vt_session *one = create(model, 1, threads), *all = create(model, NUM_FRAMES, threads);
        vt_result results[NUM_FRAMES];
        for (size_t i = 0; i < NUM_FRAMES; i++) {
            run_frame(one, &frames[i], threads == 1 ? first[i] : found[i]);
            results[i] = (vt_result)VT_RESULT_INIT;
        }
        if (threads > 1)
            expect_identical("threads", found[0], first[0], NUM_FRAMES * CLASSES);
        for (size_t i = 0; i < NUM_FRAMES; i++)
            results[i].logits = found[i];
        expect_ok(vt_session_run(all, results, frames, NUM_FRAMES, &err), &err);
        expect_identical("batch", found[0], first[0], NUM_FRAMES * CLASSES);
        vt_session_destroy(one);
        vt_session_destroy(all);
    }
    free_frames(made);
    vt_model_close(model);
}

/* Of each kind of result, and of frames whose size and format change from one to the next. */
static void test_ten_thousand_frames_allocate_nothing(void **state) {
    (void)state;
    enum { FRAMES = 10000 };
    test_frame made[NUM_FRAMES];
    vt_model *model = open_case("timm_vit_token");
    vt_session *session;
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.features = true;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    const size_t width = vt_session_pooled_width(session);
    float logits[CLASSES], *pooled = malloc(width * sizeof *pooled);
    float *features = malloc(vt_session_num_tokens(session) * width * sizeof *features);
    vt_prediction best[TOP];
    vt_result result = VT_RESULT_INIT;
    result.predictions = best;
    result.top_k = TOP;
    result.logits = logits;
    result.pooled = pooled;
    result.features = features;
    make_frames(made, 1);
    for (size_t i = 0; i < FRAMES; i++) {
        if (i == NUM_FRAMES)
            allocations_watch(0);
        expect_ok(vt_session_run(session, &result, &made[i % NUM_FRAMES].frame, 1, &err), &err);
    }
    assert_int_equal(allocations_seen(), 0);
    assert_memory_equal(pooled, vt_session_pooled(session), width * sizeof *pooled);
    assert_int_equal(result.num_predictions, TOP);
    assert_true(logits[best[0].index] >= logits[best[1].index]);
    free(features);
    free(pooled);
    free_frames(made);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* ---- results and refusals -------------------------------------------------------------------- */

static void expect_error(vt_session *session, vt_result *result, const vt_frame *frames,
                         size_t count, vt_status status, const char *message) {
    vt_error err = {0};
    assert_int_equal(vt_session_run(session, result, frames, count, &err), status);
    assert_string_equal(err.message, message);
}

static void test_refusals(void **state) {
    (void)state;
    test_random random = {6};
    test_frame good = make_frame(VT_PIXEL_GRAY8, 30, 30, 0, &random);
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 2, 1);
    float logits[CLASSES] = {-1}, values[4096];
    vt_result results[2] = {VT_RESULT_INIT, VT_RESULT_INIT};
    vt_frame frames[2] = {good.frame, good.frame};
    results[0].logits = logits;
    expect_error(session, results, frames, 0, VT_ERR_ARGUMENT,
                 "a session for 2 pictures was given 0");
    expect_error(session, results, frames, 3, VT_ERR_ARGUMENT,
                 "a session for 2 pictures was given 3");
    frames[1].crop_left = 30;
    expect_error(session, results, frames, 2, VT_ERR_ARGUMENT,
                 "frame 1: crop of 0x0 at 30,0 in a frame of 30x30");
    expect_error(session, results, frames + 1, 1, VT_ERR_ARGUMENT,
                 "crop of 0x0 at 30,0 in a frame of 30x30");
    expect_ok(vt_frame_set_packed(&frames[1], VT_PIXEL_MJPEG, 0, 0, "GIF89a", 6, NULL), NULL);
    frames[1].crop_left = 0;
    vt_error err = {0};
    assert_int_equal(vt_session_run(session, results, frames, 2, &err), VT_ERR_FORMAT);
    assert_memory_equal(err.message, "frame 1: JPEG: ", 15);
    assert_true(logits[0] == -1); /* nothing is written when something is wrong */
    results[0].struct_size = 0;
    expect_error(session, results, frames, 1, VT_ERR_ARGUMENT,
                 "vt_results are not initialised: struct_size is 0");
    results[0].struct_size = sizeof results[0];
    frames[0].struct_size = 0;
    expect_error(session, results, frames, 1, VT_ERR_ARGUMENT,
                 "vt_frames are not initialised: struct_size is 0");
    frames[0].struct_size = sizeof frames[0];
    results[0].features = values;
    expect_error(session, results, frames, 1, VT_ERR_UNSUPPORTED,
                 "the session was created without `features`");
    results[0].features = NULL;
    results[0].image_embeds = values;
    expect_error(session, results, frames, 1, VT_ERR_UNSUPPORTED,
                 "this model has no space that texts share");
    vt_session_destroy(session);
    vt_model_close(model);
    free_frame(&good);
}

/* A program that was compiled with a later vitrine.h, whose structs are longer. */
typedef struct later_frame {
    vt_frame frame;
    size_t more[3];
} later_frame;
typedef struct later_result {
    vt_result result;
    size_t more[2];
} later_result;

static void test_structs_of_another_version(void **state) {
    (void)state;
    test_random random = {61};
    test_frame made[2] = {make_frame(VT_PIXEL_GRAY8, 30, 30, 0, &random),
                          make_frame(VT_PIXEL_NV12, 40, 20, 0, &random)};
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 2, 1);
    vt_error err = {0};
    float expected[2][CLASSES], logits[2][CLASSES];
    later_frame frames[2] = {{.frame = made[0].frame}, {.frame = made[1].frame}};
    later_result results[2] = {{.result = VT_RESULT_INIT}, {.result = VT_RESULT_INIT}};
    for (size_t i = 0; i < 2; i++) {
        run_frame(session, &made[i].frame, expected[i]);
        frames[i].frame.struct_size = sizeof frames[i];
        results[i].result.struct_size = sizeof results[i];
        results[i].result.logits = logits[i];
    }
    expect_ok(vt_session_run(session, &results[0].result, &frames[0].frame, 2, &err), &err);
    assert_memory_equal(logits, expected, sizeof logits);
    assert_int_equal(results[1].result.struct_size, sizeof results[1]);
    frames[1].more[2] = 1; /* something that this library does not know */
    assert_int_equal(vt_session_run(session, &results[0].result, &frames[0].frame, 2, &err),
                     VT_ERR_ARGUMENT);
    for (size_t i = 0; i < 2; i++)
        free_frame(&made[i]);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Stops the session as soon as that stage is there. */
typedef struct stopper {
    vt_session *session;
    const char *stage;
    size_t stages;
} stopper;

static void stop_at(void *user, const vt_tensor *stage) {
    stopper *s = user;
    s->stages++;
    if (strcmp(stage->name, s->stage) == 0)
        vt_session_cancel(s->session);
}

static void test_stopping_between_blocks(void **state) {
    (void)state;
    test_random random = {12};
    test_frame made = make_frame(VT_PIXEL_NV12, 60, 44, 0, &random);
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 1, 2);
    float before[CLASSES], after[CLASSES], untouched[CLASSES] = {7};
    vt_result result = VT_RESULT_INIT;
    result.logits = untouched;
    run_frame(session, &made.frame, before);
    stopper all = {session, "none", 0}, embedded = {session, "embeddings", 0},
            first = {session, "block0", 0}, last = {session, "logits", 0};
    vt_session_on_stage(session, stop_at, &all);
    run_frame(session, &made.frame, after);
    vt_session_on_stage(session, stop_at, &embedded);
    expect_error(session, &result, &made.frame, 1, VT_ERR_CANCELLED, "cancelled");
    vt_session_on_stage(session, stop_at, &first);
    expect_error(session, &result, &made.frame, 1, VT_ERR_CANCELLED, "cancelled");
    assert_int_equal(first.stages, embedded.stages + 1);
    assert_true(first.stages < all.stages && untouched[0] == 7);
    vt_session_on_stage(session, stop_at, &last); /* too late */
    run_frame(session, &made.frame, after);
    vt_session_on_stage(session, NULL, NULL);
    vt_session_cancel(session); /* nothing runs */
    run_frame(session, &made.frame, after);
    expect_identical("after it was stopped", after, before, CLASSES);
    vt_session_destroy(session);
    vt_model_close(model);
    free_frame(&made);
}

/* A step that was stopped was not made. */
static void test_stopping_a_step(void **state) {
    (void)state;
    static const int64_t ids[] = {3, 1, 4, 1, 5};
    enum { PROMPT = 3, MORE = 2 };
    vt_model *model = open_case("text_llama");
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.text_tokens = options.cache_tokens = 8;
    vt_session *plain, *stopped;
    expect_ok(vt_session_create(&plain, model, &options, &err), &err);
    expect_ok(vt_session_create(&stopped, model, &options, &err), &err);
    expect_ok(vt_session_step(plain, ids, PROMPT, &err), &err);
    expect_ok(vt_session_step(plain, ids + PROMPT, MORE, &err), &err);
    expect_ok(vt_session_step(stopped, ids, PROMPT, &err), &err);
    stopper first = {stopped, "block0", 0};
    vt_session_on_stage(stopped, stop_at, &first);
    assert_int_equal(vt_session_step(stopped, ids + PROMPT, MORE, &err), VT_ERR_CANCELLED);
    assert_int_equal(vt_session_forward_text(stopped, ids, NULL, 1, PROMPT, &err),
                     VT_ERR_CANCELLED);
    vt_session_on_stage(stopped, NULL, NULL);
    expect_ok(vt_session_step(stopped, ids + PROMPT, MORE, &err), &err);
    expect_identical("a step again", vt_session_text_logits(stopped), vt_session_text_logits(plain),
                     MORE * vt_model_vocab_size(model));
    vt_session_destroy(plain);
    vt_session_destroy(stopped);
    vt_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_is_its_picture),
        cmocka_unit_test(test_camera_formats),
        cmocka_unit_test(test_pictures_that_keep_their_aspect),
        cmocka_unit_test(test_batches_and_threads_do_not_change_a_bit),
        cmocka_unit_test(test_ten_thousand_frames_allocate_nothing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_structs_of_another_version),
        cmocka_unit_test(test_stopping_between_blocks),
        cmocka_unit_test(test_stopping_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
