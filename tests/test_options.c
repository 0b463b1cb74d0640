/* SPDX-License-Identifier: MIT
 *
 * Options of programs that were compiled with an older or a newer vitrine.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/options.h"

/* One struct as three versions of a header would have it. */
typedef struct older {
    size_t struct_size;
    size_t width;
} older;
typedef struct ours {
    size_t struct_size;
    size_t width;
    size_t height;
} ours;
typedef struct newer {
    size_t struct_size;
    size_t width;
    size_t height;
    bool tilted;
} newer;

static vt_status take(ours *full, const void *options, vt_error *err) {
    memset(full, 0xff, sizeof *full);
    return vt_options_take(full, sizeof *full, options, "vt_picture_options", err);
}

static void test_none(void **state) {
    (void)state;
    ours full;
    assert_int_equal(take(&full, NULL, NULL), VT_OK);
    assert_int_equal(full.struct_size, sizeof full);
    assert_int_equal(full.width, 0);
    assert_int_equal(full.height, 0);
}

static void test_same(void **state) {
    (void)state;
    const ours options = {sizeof options, 3, 4};
    ours full;
    assert_int_equal(take(&full, &options, NULL), VT_OK);
    assert_memory_equal(&full, &options, sizeof full);
}

/* What comes behind the older struct is not looked at. */
static void test_older(void **state) {
    (void)state;
    const ours options = {sizeof(older), 3, 4};
    ours full;
    assert_int_equal(take(&full, &options, NULL), VT_OK);
    assert_int_equal(full.struct_size, sizeof full);
    assert_int_equal(full.width, 3);
    assert_int_equal(full.height, 0);
}

static void test_newer(void **state) {
    (void)state;
    newer options;
    ours full;
    vt_error err = {0};
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.height = 4;
    assert_int_equal(take(&full, &options, &err), VT_OK);
    assert_int_equal(full.struct_size, sizeof full);
    assert_int_equal(full.height, 4);
    options.tilted = true;
    assert_int_equal(take(&full, &options, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message,
                        "vt_picture_options have a field set that this libvitrine does not know: "
                        "it is older than the vitrine.h that the program was compiled with");
}

static void test_not_initialised(void **state) {
    (void)state;
    const ours options = {0, 3, 4};
    ours full;
    vt_error err = {0};
    assert_int_equal(take(&full, &options, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "vt_picture_options are not initialised: struct_size is 0");
}

/* Each public function takes its options so: without a size they are refused, and shorter ones
 * count. */
static void test_public_functions(void **state) {
    (void)state;
    vt_model_options model_options = {.precision = "f16"};
    vt_session_options session_options = {.batch = 2};
    vt_image_options image_options = {.max_pixels = 1};
    vt_model *model = NULL;
    vt_session *session = NULL;
    vt_model_plan plan;
    vt_image image;
    assert_int_equal(vt_model_create_random(&model, "vit_tiny_patch16_224", &model_options, NULL),
                     VT_ERR_ARGUMENT);
    assert_null(model);
    assert_int_equal(vt_image_decode(&image, "", 0, &image_options, NULL), VT_ERR_ARGUMENT);
    assert_int_equal(vt_image_read(&image, "nowhere", &image_options, NULL), VT_ERR_ARGUMENT);

    model_options.struct_size = offsetof(vt_model_options, num_threads);
    model_options.num_threads = SIZE_MAX; /* is not of these options */
    assert_int_equal(vt_model_create_random(&model, "vit_tiny_patch16_224", &model_options, NULL),
                     VT_OK);
    assert_int_equal(vt_session_create(&session, model, &session_options, NULL), VT_ERR_ARGUMENT);
    assert_int_equal(vt_model_plan_session(&plan, model, &session_options, NULL), VT_ERR_ARGUMENT);

    session_options.struct_size = offsetof(vt_session_options, num_threads);
    session_options.num_threads = SIZE_MAX;
    assert_int_equal(vt_model_plan_session(&plan, model, &session_options, NULL), VT_OK);
    assert_int_equal(vt_session_create(&session, model, &session_options, NULL), VT_OK);
    vt_session_destroy(session);
    vt_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_older),
        cmocka_unit_test(test_newer),
        cmocka_unit_test(test_not_initialised),
        cmocka_unit_test(test_public_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
