/* SPDX-License-Identifier: MIT
 *
 * What an error says: one line that fits, of whole characters, with its reason; and a name for each
 * status.
 */
#include "support.h"

#include <string.h>

#include "base/error.h"

enum { LAST = VT_ERR_NOT_FINITE };

static void test_every_status_has_a_name(void **state) {
    (void)state;
    for (int a = VT_OK; a <= LAST; a++) {
        const char *name = vt_status_name((vt_status)a);
        assert_string_not_equal(name, "unknown status");
        for (int b = VT_OK; b < a; b++)
            assert_string_not_equal(name, vt_status_name((vt_status)b));
    }
    assert_string_equal(vt_status_name(VT_ERR_LIMIT), "over a limit");
    assert_string_equal(vt_status_name((vt_status)(LAST + 1)), "unknown status");
}

/* "ééé…": wherever the line has to end, it ends with a whole letter. */
static void test_whole_characters(void **state) {
    char text[2 * sizeof((vt_error *)0)->message];
    (void)state;
    for (size_t shift = 0; shift < 2; shift++) {
        vt_error err = {0};
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa9", 3);
        assert_int_equal(vt_fail(&err, VT_ERR_IO, "%s", text), VT_ERR_IO);
        size_t length = strlen(err.message);
        assert_true(length < sizeof err.message && length + 3 >= sizeof err.message);
        assert_memory_equal(err.message, text, length);
        assert_int_equal((length - shift) % 2, 0);
        assert_int_equal((unsigned char)err.message[length - 1], 0xa9);
    }
}

static void test_lines(void **state) {
    vt_error err = {0};
    (void)state;
    vt_fail(&err, VT_ERR_FORMAT, "a\nb\r\tc");
    assert_null(strpbrk(err.message, "\n\r"));
    assert_int_equal(vt_fail(NULL, VT_ERR_LIMIT, "nobody asks"), VT_ERR_LIMIT);
    vt_fail_memory(&err, "a table", 12);
    assert_int_equal(err.code, VT_ERR_MEMORY);
    assert_string_equal(err.message, "out of memory: a table needs 12 bytes");
}

/* Of a path that is too long the end is lost, of the reason nothing. */
static void test_long_prefix(void **state) {
    static const char reason[] = "no such thing";
    char path[2 * sizeof((vt_error *)0)->message];
    vt_error err = {0};
    (void)state;
    vt_fail(&err, VT_ERR_MISSING, reason);
    vt_fail_within(&err, VT_ERR_MISSING, "short");
    assert_string_equal(err.message, "short: no such thing");

    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    vt_fail(&err, VT_ERR_MISSING, reason);
    vt_fail_within(&err, VT_ERR_MISSING, path);
    size_t length = strlen(err.message);
    assert_int_equal(length, sizeof err.message - 1);
    assert_memory_equal(err.message, path, length - strlen(reason) - 2);
    assert_string_equal(err.message + length - strlen(reason) - 2, ": no such thing");
    assert_int_equal(err.code, VT_ERR_MISSING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_a_name),
        cmocka_unit_test(test_whole_characters),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_prefix),
    };
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
