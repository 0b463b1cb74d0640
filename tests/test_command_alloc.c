/* SPDX-License-Identifier: MIT
 *
 * The command when memory runs out, at each place where it, or a library for it, asks for some: it
 * says so in whole lines and ends with code 1 or 3, or does without and prints what it always
 * prints. Nothing is left behind but what was there before.
 *
 * All allocations of all commands take minutes: VT_ALLOCATION_STEP=1 has them all (scripts/check),
 * and without it every 29th is failed, from another one on in each scenario.
 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "scenarios.h"

#if defined VT_FAIL_ALLOC || defined VT_FAILING_COMMAND

static size_t step_of_test(void) {
    const char *named = getenv("VT_ALLOCATION_STEP");
    size_t step = named ? strtoul(named, NULL, 10) : 29;
    return step ? step : 1;
}

static size_t num_wrong;

/* All of them are told, not the first alone. */
static void wrong(const scenario *s, size_t n, const char *format, ...) {
    char what[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    print_error("%s: allocation %zu: %s\n", s->name, n, what);
    num_wrong++;
}

static void run_failing(command_result *ran, const scenario *s, size_t n) {
    char number[24];
    snprintf(number, sizeof number, "%zu", n);
    setenv("VT_FAIL_ALLOCATION", number, 1);
    setenv("VT_COUNT_TO", ".count", 1);
#ifdef VT_FAIL_ALLOC
    setenv("LD_PRELOAD", VT_FAIL_ALLOC, 1);
    command_run_list(ran, s->argv);
    unsetenv("LD_PRELOAD");
#else
    command_path = VT_FAILING_COMMAND;
    command_run_list(ran, s->argv);
    command_path = VT_COMMAND;
#endif
}

static size_t count_of_run(void) {
    char *text = read_text_file(".count");
    size_t count = strtoul(text, NULL, 10);
    free(text);
    return count;
}

/* Temporary files: whatever has a name that is made of another's. */
static void check_leftovers(const scenario *s, size_t n, const char *folder) {
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    for (const struct dirent *e; (e = readdir(directory));)
        if (strstr(e->d_name, ".part") || strstr(e->d_name, ".tmp"))
            wrong(s, n, "%s is left behind", e->d_name);
    closedir(directory);
}

/* Whole lines of the command's own. */
static void check_lines(const scenario *s, size_t n, const char *text) {
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        bool ours = strncmp(line, "vitrine: ", 9) == 0;
        if (!end || !ours) {
            wrong(s, n, "not a line of the command's: %s", line);
            return;
        }
        line = end + 1;
    }
}

static void check_failure(const scenario *s, size_t n, const command_result *ran,
                          const char *expected) {
    if (ran->code == 0 && s->prints && !s->varies && strcmp(ran->out, expected) != 0)
        wrong(s, n, "code 0, and another output:\n%.400s\nexpected:\n%.400s", ran->out, expected);
    if (ran->code != 0 && ran->code != 1 && ran->code != 3)
        wrong(s, n, "code %d: %s", ran->code, ran->err);
    if (ran->code != 0 && !*ran->err)
        wrong(s, n, "code %d without a word", ran->code);
    if (ran->code == 0 && s->output && access(s->output, F_OK) != 0)
        wrong(s, n, "code 0 without %s", s->output);
    check_lines(s, n, ran->err);
    check_leftovers(s, n, ".");
    check_leftovers(s, n, "out.packed");
    check_leftovers(s, n, "swept");
}

/* What differs from run to run. */
static void forget_times(char *text) {
    for (char *at; (at = strstr(text, "\"ms\""));)
        memset(at, ' ', strcspn(at, "\n"));
}

/* The sanitizers' build does not see the C library's own allocations: a help has none there. */
#ifdef VT_FAIL_ALLOC
static const size_t fewest = 6;
#else
static const size_t fewest = 0;
#endif

/* How many allocations there are. */
static size_t fail_scenario(const scenario *s, size_t first, size_t step) {
    command_result ran = {0};
    size_t failed = 0;
    run_failing(&ran, s, 0);
    if (ran.code != 0)
        fail_msg("%s: %s", s->name, ran.err);
    size_t count = count_of_run();
    char *expected = strdup(ran.out);
    assert_non_null(expected);
    forget_times(expected);
    for (size_t n = first; n <= count; n += step) {
        if (s->output)
            remove(s->output);
        run_failing(&ran, s, n);
        forget_times(ran.out);
        check_failure(s, n, &ran, expected);
        failed += ran.code != 0;
    }
    print_message("%s: %zu allocations; %zu looked at failed the command\n", s->name, count,
                  failed);
    /* A help asks for some twenty, of the C library's, which all do without. */
    assert_true(count >= fewest && (failed > 0 || step > 1 || count < 50));
    free(expected);
    command_free(&ran);
    return count;
}

static void test_out_of_memory(void **state) {
    (void)state;
    const char *only = getenv("VT_SCENARIO");
    size_t step = step_of_test();
    setenv("HOME", "/nonexistent",
           1); /* else the C library looks it up, and trips over its own feet */
    setenv("XDG_CACHE_HOME", "cache", 1);
    scenarios_prepare();
    size_t total = 0;
    for (size_t i = 0; scenario_at(i); i++)
        if (!only || strcmp(only, scenario_at(i)->name) == 0)
            total += fail_scenario(scenario_at(i), 1 + i * 7 % step, step);
    assert_true(only || total > 10000); /* else what counts them isn't in the command */
    assert_int_equal(num_wrong, 0);
}

#else

static void test_out_of_memory(void **state) {
    (void)state;
    skip(); /* the sanitizer's allocator can't be replaced */
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests_name("the command out of memory", tests, command_workspace,
                                       command_cleanup);
}
