/* SPDX-License-Identifier: MIT
 *
 * The whole way from a file to probabilities, on a trained model and pictures of every format: what
 * PyTorch, Pillow and timm's transform answered for them (tests/data/emoji/README.md).
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_PICTURES = 120, TOP = 5 };

static const double TOLERANCE = 1e-3; /* of a probability */

typedef struct tally {
    size_t pictures, deviating;
    double worst;
    char worst_file[128];
} tally;

/* The probability of a class, whatever its rank: classes as likely as one another may swap places.
 * */
static double score_of(const vt_prediction *all, size_t count, size_t index) {
    for (size_t i = 0; i < count; i++)
        if (all[i].index == index)
            return (double)all[i].score;
    return INFINITY;
}

/* Notes what deviates rather than stop at the first: the list of files tells which step is at
 * fault. */
static void compare(tally *t, const char *file, const json_t *top, const vt_prediction *all,
                    size_t num_classes) {
    double difference = 0;
    assert_int_equal(json_array_size(top), TOP);
    for (size_t i = 0; i < TOP; i++) {
        const json_t *pair = json_array_get(top, i);
        size_t index = (size_t)json_integer_value(json_array_get(pair, 0));
        double expected = json_number_value(json_array_get(pair, 1));
        double found = fabs(score_of(all, num_classes, index) - expected);
        difference = found <= difference ? difference : found;
    }
    size_t best = (size_t)json_integer_value(json_array_get(json_array_get(top, 0), 0));
    if (all[0].index != best || !(difference <= TOLERANCE)) {
        print_message("%s: top class %zu, expected %zu; largest difference %.2g\n", file,
                      all[0].index, best, difference);
        t->deviating++;
    }
    if (difference >= t->worst) {
        t->worst = difference;
        snprintf(t->worst_file, sizeof t->worst_file, "%s", file);
    }
    t->pictures++;
}

static void classify_line(tally *t, vt_session *session, size_t num_classes, const char *line) {
    vt_error err = {0};
    vt_image image;
    json_t *entry = json_loads(line, 0, NULL);
    assert_non_null(entry);
    const char *file = json_string_value(json_object_get(entry, "file"));
    vt_prediction *all = calloc(num_classes, sizeof *all);
    assert_non_null(all);
    expect_ok(vt_image_read(&image, data_path("emoji", "pictures", file, NULL), NULL, &err), &err);
    expect_ok(vt_classify_image(session, &image, all, num_classes, &err), &err);
    compare(t, file, json_object_get(entry, "top"), all, num_classes);
    free(all);
    vt_image_free(&image);
    json_decref(entry);
}

static void test_every_picture_as_the_reference(void **state) {
    (void)state;
    tally t = {0};
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_model_info info;
    char line[1024];
    expect_ok(vt_model_open(&model, data_path("emoji", "model", NULL), NULL, &err), &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    vt_model_describe(&info, model);
    FILE *file = fopen(data_path("emoji", "pictures", "expected.jsonl", NULL), "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        classify_line(&t, session, info.num_classes, line);
    fclose(file);
    print_message("%zu pictures, largest difference %.2g (%s)\n", t.pictures, t.worst,
                  t.worst_file);
    assert_int_equal(t.pictures, NUM_PICTURES);
    assert_int_equal(t.deviating, 0);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* The names come from the configuration, and the reference's labels index them. */
static void test_labels_are_the_pictures_names(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    char line[1024];
    expect_ok(vt_model_open(&model, data_path("emoji", "model", NULL), NULL, &err), &err);
    FILE *file = fopen(data_path("emoji", "pictures", "expected.jsonl", NULL), "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        json_t *entry = json_loads(line, 0, NULL);
        assert_non_null(entry);
        size_t label = (size_t)json_integer_value(json_object_get(entry, "label"));
        assert_string_equal(vt_model_label(model, label),
                            json_string_value(json_object_get(entry, "name")));
        json_decref(entry);
    }
    fclose(file);
    vt_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_picture_as_the_reference),
        cmocka_unit_test(test_labels_are_the_pictures_names),
    };
    return cmocka_run_group_tests_name("emoji", tests, NULL, NULL);
}
