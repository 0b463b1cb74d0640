/* SPDX-License-Identifier: MIT
 *
 * No memory is both writable and executable while pictures and texts are run: what overwrote some
 * of it could be executed.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vitrine.h"

/* The first such mapping of this process, as the kernel has it; "" when there is none. */
static const char *writable_code(void) {
    static char line[4352];
    char permissions[8];
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    bool found = false;
    while (!found && fgets(line, sizeof line, maps))
        found = sscanf(line, "%*s %7s", permissions) == 1 && strncmp(permissions + 1, "wx", 2) == 0;
    fclose(maps);
    return found ? line : "";
}

static void test_such_memory_would_be_seen(void **state) {
    (void)state;
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        skip(); /* the system allows none */
    assert_string_not_equal(writable_code(), "");
    munmap(page, 4096);
    assert_string_equal(writable_code(), "");
}

/* The native kernels: oneDNN's are made as they are met. */
static void test_a_picture(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.backend = "native";
    expect_ok(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), &options, &err),
              &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    vt_image image;
    expect_ok(vt_image_read(&image, data_path("images", "rgb8.png", NULL), NULL, &err), &err);
    vt_prediction best;
    expect_ok(vt_classify_image(session, &image, &best, 1, &err), &err);
    assert_string_equal(writable_code(), "");
    vt_image_free(&image);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* gpt2's pipeline splits by a regular expression. */
static void test_a_text(void **state) {
    (void)state;
    vt_error err = {0};
    vt_tokenizer *tokenizer;
    int64_t *ids;
    size_t count;
    expect_ok(vt_tokenizer_open(&tokenizer, data_path("tokenizers", "gpt2.json", NULL), &err),
              &err);
    expect_ok(vt_tokenizer_encode(tokenizer, "It's 3 o'clock.", 15, true, &ids, &count, &err),
              &err);
    assert_string_equal(writable_code(), "");
    vt_ids_free(ids);
    vt_tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_such_memory_would_be_seen),
        cmocka_unit_test(test_a_picture),
        cmocka_unit_test(test_a_text),
    };
    return cmocka_run_group_tests_name("memory maps", tests, NULL, NULL);
}
