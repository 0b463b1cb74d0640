/* SPDX-License-Identifier: MIT
 *
 * Names from outside, of files, folders, classes and models, on their way out: nothing in them is
 * acted on by a terminal, a spreadsheet, gnuplot, or whatever reads JSON.
 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

static command_result ran;

/* What names may not do: move the cursor, as 7-bit or 8-bit controls, end the line, turn its
 * direction, or be no UTF-8; and be a formula. */
static const char *const names[] = {
    "esc \x1b[31m\x07 bell",
    "c1 \xc2\x9b"
    "31m",
    "raw c1 \x9b"
    "31m",
    "delete \x7f",
    "bidi \xe2\x80\xae"
    "gpj",
    "separator \xe2\x80\xa8 line",
    "cut \xe2\x82",
    "=HYPERLINK(\"http://x\",\"y\")",
    "+1-1",
    "-2+3",
    "@SUM(1)",
    "\tquoted \"tab\"",
    "plain, with a comma",
};
enum { COUNT = sizeof names / sizeof *names };

/* As many classes as the model has, the names above among them. */
static void write_labels(void) {
    FILE *file = fopen("labels.txt", "wb");
    assert_non_null(file);
    for (size_t i = 0; i < 10; i++)
        fprintf(file, "%s\n", names[i]);
    fclose(file);
    file = fopen("more.txt", "wb");
    for (size_t i = COUNT - 10; i < COUNT; i++)
        fprintf(file, "%s\n", names[i]);
    fclose(file);
}

/* Valid UTF-8 without controls, but for the ends of lines and, where CSV has them, tabs. */
static void check_bytes(const char *what, const char *text, bool tabs) {
    json_error_t where;
    char *copy = strdup(text);
    for (char *at = copy; *at; at++) {
        const unsigned char *u = (const unsigned char *)at;
        if ((*u < 0x20 && *u != '\n' && !(tabs && *u == '\t')) || *u == 0x7F)
            fail_msg("%s: byte %02x in: %s", what, *u, text);
        if (u[0] == 0xC2 && u[1] < 0xA0)
            fail_msg("%s: U+%04x in: %s", what, u[1], text);
        if (*u < 0x20 || *at == '"' || *at == '\\')
            *at = ' '; /* for the parser below, which is asked about UTF-8 alone */
    }
    char *quoted = malloc(strlen(copy) + 3);
    sprintf(quoted, "\"%s\"", copy);
    json_t *string = json_loads(quoted, JSON_DECODE_ANY, &where);
    if (!string)
        fail_msg("%s: not UTF-8: %s", what, where.text);
    json_decref(string);
    free(quoted);
    free(copy);
}

static void check_text(const char *what, const char *text) {
    check_bytes(what, text, false);
    assert_null(strstr(text, "\xe2\x80\xae"));
    assert_null(strstr(text, "\xe2\x80\xa8"));
}

static void test_labels_as_text(void **state) {
    static const char *const files[] = {"--labels=labels.txt", "--labels=more.txt"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        command_run(&ran, NULL, "classify", "-k10", "-m", "model", files[i], "cat.png", NULL);
        assert_ran(&ran, 0, NULL, "");
        check_text("classify", ran.out);
    }
    assert_non_null(strstr(ran.out, "=HYPERLINK(\"http://x\",\"y\")"));
}

static void test_labels_as_json(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "-k10", "-m", "model", "--labels=labels.txt",
                "--format=json", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    check_bytes("JSON", ran.out, false);
    assert_non_null(strstr(ran.out, "c1 \\u009b31m"));
    assert_non_null(strstr(ran.out, "delete \\u007f"));
    json_t *line = json_loads(ran.out, 0, NULL);
    size_t index, found = 0;
    json_t *prediction;
    json_array_foreach(json_object_get(line, "predictions"), index, prediction) {
        const char *label = json_string_value(json_object_get(prediction, "label"));
        size_t of = (size_t)json_integer_value(json_object_get(prediction, "index"));
        bool utf8 = of != 2 && of != 6;
        found += utf8 && strcmp(label, names[of]) == 0; /* what was UTF-8 comes back as it was */
    }
    assert_int_equal(found, 8);
    json_decref(line);
}

static void test_labels_as_csv(void **state) {
    static const char *const rows[] = {
        ",\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",",
        ",'+1-1,",
        ",'-2+3,",
        ",'@SUM(1),",
        ",\"'\tquoted \"\"tab\"\"\",",
        ",\"plain, with a comma\",",
    };
    (void)state;
    command_run(&ran, NULL, "classify", "-k10", "-m", "model", "--labels=more.txt", "--format=csv",
                "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    check_bytes("CSV", ran.out, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strstr(ran.out, rows[i]))
            fail_msg("no %s in %s", rows[i], ran.out);
}

/* Names of files, where they are read and where they can't be. */
static void test_file_names(void **state) {
    static const char *const formats[] = {"--format=text", "--format=json", "--format=csv"};
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        char name[128], missing[128];
        snprintf(name, sizeof name, "%.100s.png", names[i]);
        snprintf(missing, sizeof missing, "%.100s missing", names[i]);
        for (char *at = name; *at; at++)
            *at = *at == '/' ? '|' : *at;
        assert_int_equal(symlink("cat.png", name), 0);
        for (size_t f = 0; f < 3; f++) {
            command_run(&ran, NULL, "classify", "-m", "model", formats[f], "--", name, missing,
                        NULL);
            assert_int_equal(ran.code, 1);
            check_bytes(formats[f], ran.out, f == 2);
            check_text("stderr", ran.err);
            assert_int_equal(strncmp(ran.err, "vitrine: ", 9), 0);
            assert_string_equal(strchr(ran.err, '\n'), "\n");
        }
        remove(name);
    }
}

/* gnuplot would run what stands between backquotes. */
static void test_charts(void **state) {
    (void)state;
    if (access("/usr/bin/gnuplot", X_OK) != 0)
        skip();
    assert_int_equal(mkdir("odd", 0700), 0);
    assert_int_equal(mkdir("odd/`touch ran`", 0700), 0);
    assert_int_equal(mkdir("odd/it's \"$(touch ran)\" \\", 0700), 0);
    copy_file("cat.png", "odd/`touch ran`/1.png");
    copy_file("rocket.jpg", "odd/`touch ran`/2.jpg");
    copy_file("rainbow.png", "odd/it's \"$(touch ran)\" \\/1.png");
    command_run(&ran, NULL, "fit", "-q", "--no-cache", "-m", "model", "odd", "-o", "h.safetensors",
                "--confusion=`touch ran`.svg", NULL);
    assert_ran(&ran, 0, NULL, "");
    char *picture = read_text_file("`touch ran`.svg");
    assert_non_null(strstr(picture, "`touch ran`"));
    assert_non_null(strstr(picture, "it's"));
    free(picture);
    assert_int_equal(symlink("model", "`touch ran`"), 0);
    command_run(&ran, NULL, "sweep", "-q", "-t1", "--sizes=32", "-m", "`touch ran`", "-o", "swept",
                "cat.png", NULL);
    assert_int_equal(ran.code, 0);
    assert_int_equal(access("swept/sweep.svg", F_OK), 0);
    assert_int_not_equal(access("ran", F_OK), 0);
}

/* A table that was escaped is read again as what it was. */
static void test_resuming_a_table_of_a_formula(void **state) {
    (void)state;
    assert_int_equal(symlink("model", "=1+2"), 0);
    for (size_t i = 0; i < 2; i++) {
        command_run(&ran, NULL, "sweep", "-q", "-t1", "--resume", "--sizes=32", "-m", "=1+2", "-o",
                    "resumed", "cat.png", NULL);
        assert_ran(&ran, 0, NULL, "");
    }
    char *table = read_text_file("resumed/sweep.csv");
    assert_non_null(strstr(table, "\n'=1+2,"));
    assert_null(strstr(strstr(table, "\n'=1+2,") + 1, "\n'")); /* one row */
    free(table);
}

static int set_up(void **state) {
    if (command_workspace(state) != 0)
        return -1;
    write_labels();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_as_text), cmocka_unit_test(test_labels_as_json),
        cmocka_unit_test(test_labels_as_csv),  cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_charts),         cmocka_unit_test(test_resuming_a_table_of_a_formula),
    };
    return cmocka_run_group_tests_name("names from outside", tests, set_up, command_cleanup);
}
