/* SPDX-License-Identifier: MIT
 *
 * vt_set_allocator: all of the library's memory comes from there, aligned as it was asked for, and
 * goes back.
 */
#include "support.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct ledger {
    atomic_size_t given, taken, largest;
} ledger;

static void *give(void *user, size_t bytes, size_t alignment) {
    ledger *l = user;
    assert_true(bytes > 0 && alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0);
    atomic_fetch_add(&l->given, 1);
    if (bytes > atomic_load(&l->largest))
        atomic_store(&l->largest, bytes);
    void *memory = NULL;
    return posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}

static void take(void *user, void *memory) {
    ledger *l = user;
    assert_non_null(memory);
    atomic_fetch_add(&l->taken, 1);
    free(memory);
}

static void *give_nothing(void *user, size_t bytes, size_t alignment) {
    (void)user;
    (void)bytes;
    (void)alignment;
    return NULL;
}

static void classify_once(void) {
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_image image;
    vt_prediction best;
    expect_ok(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), NULL, &err), &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    expect_ok(vt_image_read(&image, data_path("images", "baseline420.jpg", NULL), NULL, &err),
              &err);
    expect_ok(vt_classify_image(session, &image, &best, 1, &err), &err);
    vt_image_free(&image);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_all_memory_comes_from_there(void **state) {
    (void)state;
    ledger l = {0};
    const vt_allocator own = {give, take, &l};
    vt_set_allocator(&own);
    classify_once();
    vt_set_allocator(NULL);
    assert_true(atomic_load(&l.given) > 20);
    assert_true(atomic_load(&l.largest) > 16384);
    assert_int_equal(atomic_load(&l.given), atomic_load(&l.taken));
    classify_once();
    assert_int_equal(atomic_load(&l.given), atomic_load(&l.taken));
}

static void test_none_is_an_error(void **state) {
    (void)state;
    const vt_allocator own = {give_nothing, take, NULL};
    vt_error err = {0};
    vt_model *model;
    vt_set_allocator(&own);
    const vt_status status =
        vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), NULL, &err);
    vt_set_allocator(NULL);
    assert_int_equal(status, VT_ERR_MEMORY);
    assert_null(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_memory_comes_from_there),
        cmocka_unit_test(test_none_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
