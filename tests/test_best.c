/* SPDX-License-Identifier: MIT
 *
 * The best of many scores, against all of them sorted.
 */
#include "support.h"

#include "cli/predictions.h"

enum { MOST = 40 };

static void test_best(void **state) {
    test_random random = {9};
    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        double scores[MOST];
        vt_prediction all[MOST], best[MOST];
        size_t count = random_below(&random, MOST + 1), most = random_below(&random, MOST + 1);
        for (size_t i = 0; i < count; i++) {
            scores[i] = (double)random_below(&random, 12) / 16; /* some are equal */
            all[i] = (vt_prediction){i, (float)scores[i]};
        }
        predictions_sort(all, count);
        size_t found = predictions_best(best, most, scores, count);
        assert_int_equal(found, most < count ? most : count);
        for (size_t i = 0; i < found; i++)
            assert_true(best[i].index == all[i].index && best[i].score == all[i].score);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_best)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
