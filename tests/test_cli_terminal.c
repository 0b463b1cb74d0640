/* SPDX-License-Identifier: MIT
 *
 * What people see where standard output is a terminal: bars, emphasis, what fits into its columns,
 * and no byte that the terminal would act on. Programs get none of this.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "colours.h"

static command_result ran;

/* Of the bar on this line. */
static size_t full_cells(const char *line) {
    size_t count = 0;
    for (const char *end = strchr(line, '\n'); (line = strstr(line, "█")) && line < end; line++)
        count++;
    return count;
}

/* A bar's length is the score: that of the best class is the longest. */
static void test_predictions(void **state) {
    (void)state;
    char *shown = command_show(
        (char *[]){"vitrine", "classify", "-mmodel", "-k3", "cat.png", "rocket.jpg", NULL}, 80);
    assert_memory_equal(shown, "\033[1mcat.png\033[0m  451x300\r\n", 26);
    assert_non_null(strstr(shown, "\r\n\r\n\033[1mrocket.jpg\033[0m  640x427\r\n"));
    const char *first = strstr(shown, "%  █"), *third = strstr(strstr(first + 1, "% ") + 1, "% ");
    assert_true(full_cells(first) > full_cells(third));
    free(shown);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "cat.png", NULL);
    assert_null(strstr(ran.out, "█"));
    assert_null(strchr(ran.out, '\033'));
}

/* What a model of bytes makes up without regard to what is likely has controls among it: a program
 * gets them as they are, a terminal does not. */
static void test_generated_text(void **state) {
    char model[] = VT_SOURCE_DIR "/weights/positions/rope";
    char *argv[] = {"vitrine",  "generate",          "-m",     model, "-n120", "-t1",
                    "--seed=3", "--temperature=100", "In the", NULL};
    size_t controls = 0;
    (void)state;
    char *shown = command_show(argv, 80);
    command_run_list(&ran, (const char *const *)argv);
    assert_int_equal(ran.code, 0);
    for (const char *at = ran.out; *at; at++)
        controls += (unsigned char)*at < ' ' && *at != '\n';
    assert_true(controls > 0);
    assert_memory_equal(shown, "In the", 6);
    for (const char *at = shown; *at; at++)
        if (((unsigned char)*at < ' ' && !strchr("\r\n\t", *at)) || *at == 0x7f)
            fail_msg("byte %02x on a terminal: %s", (unsigned char)*at, shown);
    free(shown);
}

/* A confusion matrix that is wider than the terminal makes way for the mistakes that it would have
 * shown. */
static void test_mistakes_in_place_of_a_matrix(void **state) {
    char *argv[] = {"vitrine", "fit", "-q",      "-m", "model", "--no-cache",
                    "-t1",     "-o",  "head.st", NULL, NULL};
    (void)state;
    draw_picture("colours/green/wrong.ppm", 200, 40, 40, 500);
    draw_picture("colours/green/false.ppm", 200, 42, 38, 501);
    draw_picture("colours/blue/wrong.ppm", 40, 200, 40, 502);
    argv[9] = "colours";
    char *narrow = command_show(argv, 24);
    assert_null(strstr(narrow, "1  2  3"));
    const char *heading = strstr(narrow, "\r\nTaken for another most often:\r\n");
    assert_non_null(heading);
    const char *first = strstr(heading, "      2  green, taken for red\r\n");
    const char *second = strstr(heading, "      1  blue, taken for green\r\n");
    assert_true(first && second && first < second);
    char *wide = command_show(argv, 80);
    assert_non_null(strstr(wide, "1  2  3"));
    assert_null(strstr(wide, "Taken for another"));
    free(wide);
    free(narrow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_generated_text),
        cmocka_unit_test(test_mistakes_in_place_of_a_matrix),
    };
    return cmocka_run_group_tests_name("on a terminal", tests, colours_workspace, command_cleanup);
}
