/* SPDX-License-Identifier: MIT
 *
 * The command's measuring: turns, processes of their own, and statistics. Nothing is timed.
 */
#include "support.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/measure.h"

/* Counts its own runs; a file that all append to says who came when. */
typedef struct player {
    char letter;
    int runs, fail_at, die_at; /* -1: never */
    size_t bytes;              /* taken in the first run */
    int journal;
} player;

static vt_status begin(void *context, vt_error *err) {
    player *p = context;
    if (p->fail_at == 0)
        snprintf(err->message, sizeof err->message, "no room");
    return p->fail_at == 0 ? VT_ERR_MEMORY : VT_OK;
}

/* Memory that lasts as long as the process. */
static void touch(size_t bytes) {
    static volatile char *memory;
    memory = malloc(bytes);
    assert_non_null(memory);
    for (size_t i = 0; i < bytes; i += 1024)
        memory[i] = 1;
}

static vt_status run(void *context, double *figures, vt_error *err) {
    player *p = context;
    p->runs++;
    assert_int_equal(write(p->journal, &p->letter, 1), 1);
    if (p->runs == p->die_at)
        raise(SIGKILL);
    if (p->runs == p->fail_at) {
        snprintf(err->message, sizeof err->message, "run %d", p->runs);
        return VT_ERR_INTERNAL;
    }
    if (p->bytes && p->runs == 1)
        touch(p->bytes);
    figures[0] = 10 - p->runs;
    figures[1] = p->runs * p->runs;
    return VT_OK;
}

static const measured two_figures = {begin, run, 2};

/* Measures them with one warm-up and four runs; `order` gets the letters in the order of the runs.
 */
static void play(contender *contenders, player *players, size_t count, char order[64]) {
    FILE *journal = tmpfile();
    assert_non_null(journal);
    for (size_t i = 0; i < count; i++) {
        players[i].journal = fileno(journal);
        contenders[i] = (contender){.what = &two_figures, .context = &players[i]};
    }
    measure(contenders, count, 1, 4, true);
    rewind(journal);
    order[fread(order, 1, 63, journal)] = '\0';
    fclose(journal);
}

static void release(contender *contenders, size_t count) {
    for (size_t i = 0; i < count; i++)
        contender_free(&contenders[i]);
}

static void test_turns(void **state) {
    (void)state;
    player players[] = {{'a', 0, -1, -1, 0, 0}, {'b', 0, -1, -1, 0, 0}};
    contender contenders[2];
    char order[64];
    play(contenders, players, 2, order);
    assert_string_equal(
        order, "abaabbaabbaabbaabb"); /* short runs: each turn begins with one for nothing */
    for (size_t i = 0; i < 2; i++) {
        static const double falling[] = {1, 3, 5, 7}, rising[] = {9, 25, 49, 81}; /* ascending */
        assert_int_equal(contenders[i].err.code, VT_OK);
        assert_int_equal(contenders[i].num_runs, 4);
        assert_memory_equal(contenders[i].figures[0], falling, sizeof falling);
        assert_memory_equal(contenders[i].figures[1], rising, sizeof rising);
        assert_int_equal(players[i].runs, 0); /* what changed, changed elsewhere */
    }
    release(contenders, 2);
}

static void test_peak_memory(void **state) {
    (void)state;
    const size_t large = 64 << 20;
    player players[] = {{'a', 0, -1, -1, 0, 0}, {'b', 0, -1, -1, large, 0}, {'c', 0, -1, -1, 0, 0}};
    contender contenders[3];
    char order[64];
    play(contenders, players, 3, order);
    assert_true(contenders[1].peak_rss > large);
    for (size_t i = 0; i < 3; i += 2) {
        assert_true(contenders[i].peak_rss > 0);
        assert_true(contenders[i].peak_rss + large / 2 < contenders[1].peak_rss);
    }
    release(contenders, 3);
}

/* Who fails drops out and says why; the others go on. */
static void test_failures(void **state) {
    (void)state;
    player players[] = {{'a', 0, 0, -1, 0, 0},
                        {'b', 0, 3, -1, 0, 0},
                        {'c', 0, -1, 2, 0, 0},
                        {'d', 0, -1, -1, 0, 0}};
    contender contenders[4];
    char order[64];
    play(contenders, players, 4, order);
    assert_string_equal(order, "bcdbbcdddddddd");
    assert_int_equal(contenders[0].err.code, VT_ERR_MEMORY);
    assert_string_equal(contenders[0].err.message, "no room");
    assert_int_equal(contenders[1].err.code, VT_ERR_INTERNAL);
    assert_string_equal(contenders[1].err.message, "run 3");
    assert_int_equal(contenders[2].err.code, VT_ERR_INTERNAL);
    assert_string_equal(contenders[2].err.message,
                        "the measuring process ended: signal 9, as when memory runs out");
    assert_int_equal(contenders[3].num_runs, 4);
    release(contenders, 4);
}

static void test_percentiles(void **state) {
    (void)state;
    static const double values[] = {1, 2, 4, 8, 16};
    assert_float_equal(percentile(values, 5, 0), 1, 0);
    assert_float_equal(percentile(values, 5, 50), 4, 0);
    assert_float_equal(percentile(values, 5, 100), 16, 0);
    assert_float_equal(percentile(values, 4, 50), 3, 0); /* half way from 2 to 4 */
    assert_float_equal(percentile(values, 5, 95), 14.4, 1e-12);
    assert_float_equal(percentile(values, 1, 95), 1, 0);
    assert_true(isnan(percentile(values, 0, 50)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_peak_memory),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
