/* SPDX-License-Identifier: MIT
 *
 * Percentiles of durations that are only counted, against the sorted durations.
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "cli/latency.h"

enum { COUNT = 10000 };

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_percentiles(void **state) {
    static const double percents[] = {0, 1, 50, 90, 95, 99, 99.9, 100};
    static double durations[COUNT];
    static latency l;
    test_random random = {5};
    (void)state;
    for (size_t i = 0; i < COUNT;
         i++) { /* from 2 us to 2 minutes, any order of magnitude as likely */
        durations[i] = 2e-3 * pow(6e7, (double)random_below(&random, 1 << 30) / (1 << 30));
        latency_add(&l, durations[i]);
    }
    qsort(durations, COUNT, sizeof *durations, compare);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double rank = ceil(percents[i] / 100 * COUNT);
        double expected = durations[rank > 0 ? (size_t)rank - 1 : 0];
        double found = latency_percentile(&l, percents[i]);
        if (fabs(found - expected) > 0.01 * expected)
            fail_msg("%g %%: %g ms, not %g", percents[i], found, expected);
    }
}

static void test_edges(void **state) {
    static latency none, few;
    (void)state;
    assert_true(isnan(latency_percentile(&none, 50)));
    latency_add(&few, 0);
    latency_add(&few, -1);
    latency_add(&few, 1e12);
    assert_true(latency_percentile(&few, 50) < 2e-3);
    assert_true(latency_percentile(&few, 100) > 1.9e6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
