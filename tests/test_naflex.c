/* SPDX-License-Identifier: MIT
 *
 * Pictures that keep their aspect (SigLIP 2's NaFlex): a wide one and the same one tall, their
 * sizes, together in a padded batch and each alone, in the library and by the command.
 */
#include "support.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "models/model.h"

enum { LONG = 640, SHORT = 200, PATCH = 8, BUDGET = 36, MAX_FLOATS = BUDGET * 3 * PATCH * PATCH };

static const char *const names[] = {"wide.png", "tall.png"};
static command_result ran;

typedef struct picture {
    vt_image image;
    size_t height, width; /* as the model takes it */
    float pixels[MAX_FLOATS];
} picture;

static vt_model *open_model(void) {
    vt_error err = {0};
    vt_model *model;
    expect_ok(vt_model_open(&model, data_path("golden", "hf_siglip2_naflex", NULL), NULL, &err),
              &err);
    assert_true(vt_model_is_naflex(model));
    assert_int_equal(model->config.vision.patch_size, PATCH);
    assert_int_equal(model->config.preprocess.max_num_patches, BUDGET);
    return model;
}

/* height x width: the model's own batches when 0. */
static vt_session *open_session(const vt_model *model, size_t batch, size_t height, size_t width) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = batch;
    options.height = height;
    options.width = width;
    options.features = true;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    return session;
}

/* Colours that run differently along the two sides. */
static void paint(unsigned char *rgb, size_t height, size_t width) {
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++, rgb += 3) {
            rgb[0] = (unsigned char)(255 * x / width);
            rgb[1] = (unsigned char)(127 + 120 * sin((double)(x + 2 * y) / 17));
            rgb[2] = (unsigned char)(255 * y / height);
        }
    }
}

static void write_png(const char *path, size_t height, size_t width) {
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = PNG_FORMAT_RGB};
    unsigned char *rgb = malloc(3 * height * width);
    assert_non_null(rgb);
    paint(rgb, height, width);
    assert_true(png_image_write_to_file(&png, path, 0, rgb, 0, NULL));
    free(rgb);
}

static void load(picture *p, const char *path, const vt_session *session) {
    vt_error err = {0};
    expect_ok(vt_image_read(&p->image, path, NULL, &err), &err);
    expect_ok(vt_session_fit_size(session, &p->image, &p->height, &p->width, &err), &err);
    assert_true(3 * p->height * p->width <= MAX_FLOATS);
    expect_ok(vt_session_preprocess_to(session, p->pixels, &p->image, p->height, p->width, &err),
              &err);
}

/* Some scale of the picture has sides that, rounded up to whole patches, are those of the grid: so
 * neither is off by a patch or more. */
static bool keeps_aspect(const picture *p) {
    double rows = (double)(p->height / PATCH), columns = (double)(p->width / PATCH);
    double h = (double)p->image.height, w = (double)p->image.width;
    return fmax((rows - 1) / h, (columns - 1) / w) < fmin(rows / h, columns / w);
}

static void test_sizes_keep_the_aspect(void **state) {
    (void)state;
    vt_model *model = open_model();
    vt_session *session = open_session(model, 1, 0, 0);
    static picture wide, tall;
    load(&wide, names[0], session);
    load(&tall, names[1], session);
    assert_int_equal(wide.image.width, LONG);
    assert_int_equal(tall.image.height, LONG);
    assert_true(keeps_aspect(&wide) && keeps_aspect(&tall));
    /* 3.2 : 1 within 36 patches, as transformers' get_image_size_for_max_num_patches has it */
    assert_int_equal(wide.height, 3 * PATCH);
    assert_int_equal(wide.width, 10 * PATCH);
    assert_int_equal(tall.height, wide.width);
    assert_int_equal(tall.width, wide.height);
    vt_image_free(&wide.image);
    vt_image_free(&tall.image);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void run_padded(vt_session *session, const picture *const *pictures, size_t count) {
    const float *pixels[2];
    size_t heights[2], widths[2];
    vt_error err = {0};
    for (size_t i = 0; i < count; i++) {
        pixels[i] = pictures[i]->pixels;
        heights[i] = pictures[i]->height;
        widths[i] = pictures[i]->width;
    }
    expect_ok(vt_session_forward_naflex(session, pixels, heights, widths, count, &err), &err);
}

/* Both in one batch; each alone, padded to the same budget: bit for bit the same, for a row of a
 * product does not depend on the others; each alone at its own size, without a padded token: equal
 * but for the order in which attention adds up its keys. */
static void test_batch_equals_single_pictures(void **state) {
    (void)state;
    vt_model *model = open_model();
    vt_session *both = open_session(model, 2, 0, 0), *alone = open_session(model, 1, 0, 0);
    size_t n = vt_model_embed_dim(model), tokens = vt_session_num_tokens(both);
    size_t width = vt_session_pooled_width(both);
    static picture pictures[2];
    for (size_t i = 0; i < 2; i++)
        load(&pictures[i], names[i], both);
    run_padded(both, (const picture *const[]){&pictures[0], &pictures[1]}, 2);
    assert_int_equal(tokens, BUDGET);
    for (size_t i = 0; i < 2; i++) {
        const picture *p = &pictures[i];
        size_t real = p->height / PATCH * (p->width / PATCH);
        vt_error err = {0};
        const float *embeds = vt_session_image_embeds(both) + i * n;
        const float *features = vt_session_features(both) + i * tokens * width;
        assert_true(real < tokens); /* so that there is padding */
        run_padded(alone, &p, 1);
        assert_memory_equal(vt_session_image_embeds(alone), embeds, n * sizeof *embeds);
        assert_memory_equal(vt_session_features(alone), features, real * width * sizeof *features);
        vt_session *unpadded = open_session(model, 1, p->height, p->width);
        assert_int_equal(vt_session_num_tokens(unpadded), real);
        expect_ok(vt_session_forward(unpadded, p->pixels, 1, &err), &err);
        expect_close("features", vt_session_features(unpadded), features, real * width, 2e-5);
        expect_close("image_embeds", vt_session_image_embeds(unpadded), embeds, n, 2e-6);
        vt_session_destroy(unpadded);
    }
    /* The two are not one picture turned: they are told apart. */
    assert_true(
        max_difference(vt_session_image_embeds(both), vt_session_image_embeds(both) + n, n) > 1e-3);
    for (size_t i = 0; i < 2; i++)
        vt_image_free(&pictures[i].image);
    vt_session_destroy(alone);
    vt_session_destroy(both);
    vt_model_close(model);
}

/* `vitrine embed wide.png tall.png` prints the lines that it prints for each alone, in batches of 2
 * and of 1. */
static void test_embed_together_and_apart(void **state) {
    (void)state;
    char apart[2 * 4096];
    size_t used = 0;
    for (size_t i = 0; i < 2; i++) {
        command_run(&ran, NULL, "embed", "-m", "naflex", "--format=json", names[i], NULL);
        assert_ran(&ran, 0, NULL, "");
        used += (size_t)snprintf(apart + used, sizeof apart - used, "%s", ran.out);
        assert_true(used < sizeof apart);
    }
    assert_non_null(strstr(apart, "wide.png"));
    command_run(&ran, NULL, "embed", "-m", "naflex", "--format=json", "--batch=2", names[0],
                names[1], NULL);
    assert_ran(&ran, 0, apart, "");
    command_run(&ran, NULL, "embed", "-m", "naflex", "--format=json", "--batch=1", names[0],
                names[1], NULL);
    assert_ran(&ran, 0, apart, "");
}

/* `vitrine dump` takes a picture at the size of its aspect, without padding, and comes to what
 * embed does with padding. */
static void test_dump_of_each(void **state) {
    (void)state;
    static const size_t sizes[2][2] = {{3 * PATCH, 10 * PATCH}, {10 * PATCH, 3 * PATCH}};
    for (size_t i = 0; i < 2; i++) {
        vt_error err = {0};
        vt_tensor_file *file;
        command_run(&ran, NULL, "dump", "-m", "naflex", names[i], "-o", "out.safetensors", "-q",
                    NULL);
        assert_ran(&ran, 0, "", "");
        expect_ok(vt_tensor_file_open(&file, "out.safetensors", &err), &err);
        const vt_tensor *pixels = f32_tensor(file, "pixels");
        assert_int_equal(pixels->shape[2], sizes[i][0]);
        assert_int_equal(pixels->shape[3], sizes[i][1]);
        assert_int_equal(f32_tensor(file, "features")->shape[1], 30);
        const vt_tensor *embeds = f32_tensor(file, "image_embeds");
        command_run(&ran, NULL, "embed", "-m", "naflex", "--format=json", names[i], NULL);
        json_t *line = json_loads(ran.out, 0, NULL), *row = json_object_get(line, "embedding");
        assert_int_equal(json_array_size(row), embeds->shape[1]);
        for (size_t j = 0; j < embeds->shape[1]; j++)
            assert_float_equal(((const float *)embeds->data)[j],
                               json_number_value(json_array_get(row, j)), 2e-6);
        json_decref(line);
        vt_tensor_file_close(file);
    }
}

static int set_up(void **state) {
    if (command_workspace(state))
        return -1;
    write_png(names[0], SHORT, LONG);
    write_png(names[1], LONG, SHORT);
    return symlink(VT_TEST_DATA "/golden/hf_siglip2_naflex", "naflex");
}

static int tear_down(void **state) {
    command_free(&ran);
    return command_cleanup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_keep_the_aspect),
        cmocka_unit_test(test_batch_equals_single_pictures),
        cmocka_unit_test(test_embed_together_and_apart),
        cmocka_unit_test(test_dump_of_each),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
