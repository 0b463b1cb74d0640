/* SPDX-License-Identifier: MIT
 *
 * `fit`: classifiers of one's own classes, on pictures of colours.
 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "colours.h"

static command_result ran;

/* ---- what it says and writes --------------------------------------------------------------------
 */

static void test_text(void **state) {
    (void)state;
    command_run(&ran, NULL, "fit", "-m", "model", "colours", "-o", "head.safetensors", "--unsure=1",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "colours: 3 classes, 18 pictures; vectors of 48 at "));
    assert_non_null(strstr(ran.out, "  100.0%  right, each left out"));
    assert_non_null(strstr(ran.out, "  100.0%  right, in 5-fold cross-validation\n"));
    assert_non_null(strstr(ran.out, "     1  2  3\n"
                                    "  1  4  .  .   blue\n"
                                    "  2  .  6  .   green\n"
                                    "  3  .  .  8   red\n"));
    assert_non_null(strstr(ran.out, "Least sure of"));
    command_run(&ran, NULL, "fit", "-m", "model", "colours", "-o", "head.safetensors", "--unsure=0",
                "--folds=0", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_null(strstr(ran.out, "Least sure of"));
    assert_null(strstr(ran.out, "cross-validation"));
}

static void test_json(void **state) {
    static const char *const labels[] = {"blue", "green", "red"};
    static const int sizes[] = {4, 6, 8};
    (void)state;
    json_t *found = fit_json(&ran, "colours", "head.safetensors");
    assert_int_equal(ran.code, 0);
    assert_int_equal(number_at(found, "pictures"), 18);
    assert_int_equal(number_at(found, "width"), 48);
    assert_float_equal(number_at(found, "left_out_accuracy"), 1, 0);
    assert_float_equal(number_at(found, "class_accuracy"), 1, 1e-12);
    assert_int_equal(number_at(json_object_get(found, "cross_validation"), "parts"), 5);
    assert_int_equal(json_array_size(json_object_get(found, "unsure")), 10);
    for (size_t k = 0; k < 3; k++) {
        const json_t *class = json_array_get(json_object_get(found, "classes"), k);
        const json_t *row = json_array_get(json_object_get(found, "confusion"), k);
        assert_string_equal(json_string_value(json_object_get(class, "label")), labels[k]);
        assert_int_equal(number_at(class, "pictures"), sizes[k]);
        for (size_t j = 0; j < 3; j++)
            assert_int_equal(json_integer_value(json_array_get(row, j)), j == k ? sizes[k] : 0);
    }
    json_decref(found);
}

/* A picture in the wrong folder is what it is least sure of. */
static void test_mislabelled_picture(void **state) {
    (void)state;
    draw_picture("colours/green/wrong.ppm", 200, 40, 40, 500);
    json_t *found = fit_json(&ran, "colours", "other.safetensors");
    const json_t *first = json_array_get(json_object_get(found, "unsure"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "image")),
                        "colours/green/wrong.ppm");
    assert_string_equal(json_string_value(json_object_get(first, "label")), "green");
    assert_string_equal(json_string_value(json_object_get(first, "other")), "red");
    assert_true(number_at(first, "score") < number_at(first, "other_score"));
    assert_int_equal(json_integer_value(
                         json_array_get(json_array_get(json_object_get(found, "confusion"), 1), 2)),
                     1);
    assert_float_equal(number_at(found, "left_out_accuracy"), 18.0 / 19, 1e-6);
    json_decref(found);
    assert_int_equal(unlink("colours/green/wrong.ppm"), 0);
}

static void test_same_bytes(void **state) {
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    command_run(&ran, NULL, "fit", "-m", "model", "-t1", "-o", "again.safetensors", "colours",
                NULL);
    assert_same_file("head.safetensors", "again.safetensors");
    command_run(&ran, NULL, "fit", "-m", "model", "-t4", "--batch=5", "-o", "again.safetensors",
                "./colours/", NULL);
    assert_same_file("head.safetensors", "again.safetensors");
}

static void test_confusion_picture(void **state) {
    size_t size;
    (void)state;
    command_run(&ran, NULL, "fit", "-m", "model", "-o", "head.safetensors", "colours",
                "--confusion=confusion.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    unsigned char *bytes = read_bytes("confusion.png", &size);
    assert_memory_equal(bytes, "\x89PNG", 4);
    free(bytes);
    command_run(&ran, NULL, "fit", "-m", "model", "-o", "head.safetensors", "colours",
                "--confusion=confusion.svg", NULL);
    char *text = read_text_file("confusion.svg");
    assert_non_null(strstr(text, "100.0% of 18 pictures right"));
    free(text);
    setenv("VITRINE_GNUPLOT", "/nowhere", 1);
    command_run(&ran, NULL, "fit", "-m", "model", "-o", "head.safetensors", "colours",
                "--confusion=confusion.png", NULL);
    unsetenv("VITRINE_GNUPLOT");
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.err, "vitrine: confusion.png: gnuplot, which draws it, is not"));
}

/* ---- vectors that are kept ----------------------------------------------------------------------
 */

/* Calls `fn` with the path of each vector that is kept; returns how many there are. */
static size_t each_kept(void (*fn)(const char *path)) {
    char path[1024], entry[2048];
    size_t count = 0;
    DIR *features = opendir("cache/vitrine/features");
    assert_non_null(features);
    for (struct dirent *way; (way = readdir(features));) {
        if (way->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "cache/vitrine/features/%s", way->d_name);
        DIR *folder = opendir(path);
        for (struct dirent *kept; (kept = readdir(folder));)
            if (strcmp(kept->d_name, ".") != 0 && strcmp(kept->d_name, "..") != 0) {
                snprintf(entry, sizeof entry, "%s/%s", path, kept->d_name);
                if (fn)
                    fn(entry);
                count++;
            }
        closedir(folder);
    }
    closedir(features);
    return count;
}

static void flip_a_bit(const char *path) {
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    bytes[size / 2] ^= 4;
    write_bytes(path, bytes, size);
    free(bytes);
}

static void cut_off(const char *path) {
    assert_int_equal(truncate(path, 100), 0);
}

static void lengthen(const char *path) {
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    bytes = realloc(bytes, size + 1);
    assert_non_null(bytes);
    bytes[size] = 0;
    write_bytes(path, bytes, size + 1);
    free(bytes);
}

/* A whole entry of another picture, or of another way of computing. */
static void exchange(const char *path) {
    static char first[2048];
    if (!*first)
        snprintf(first, sizeof first, "%s", path);
    else
        copy_file(first, path);
}

static void test_cache(void **state) {
    static void (*const damages[])(const char *path) = {flip_a_bit, cut_off, lengthen, exchange};
    char cache[1024], here[900];
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    assert_non_null(getcwd(here, sizeof here));
    snprintf(cache, sizeof cache, "%s/cache", here);
    setenv("XDG_CACHE_HOME", cache, 1);
    json_t *found = fit_json(&ran, "colours", "first.safetensors");
    assert_int_equal(number_at(found, "cached"), 0);
    json_decref(found);
    found = fit_json(&ran, "colours", "second.safetensors");
    assert_int_equal(number_at(found, "cached"), 18);
    json_decref(found);
    assert_int_equal(each_kept(NULL), 18);
    assert_same_file("head.safetensors", "first.safetensors");
    assert_same_file("head.safetensors", "second.safetensors");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        each_kept(damages[i]);
        found = fit_json(&ran, "colours", "second.safetensors");
        assert_int_equal(number_at(found, "cached"), damages[i] == exchange ? 1 : 0);
        json_decref(found);
        assert_same_file("head.safetensors", "second.safetensors");
    }
    assert_int_equal(rename("colours/red", "colours/crimson"), 0); /* content is what counts */
    found = fit_json(&ran, "colours", "second.safetensors");
    assert_int_equal(number_at(found, "cached"), 18);
    json_decref(found);
    assert_int_equal(rename("colours/crimson", "colours/red"), 0);
    command_run(&ran, NULL, "fit", "-m", "model", "-s96", "-o", "second.safetensors", "colours",
                NULL);
    assert_non_null(strstr(ran.out, "18 of them computed now"));
    command_run(&ran, NULL, "fit", "-m", "model", "--background=000000", "-o", "second.safetensors",
                "colours", NULL);
    assert_non_null(strstr(ran.out, "18 of them computed now"));
    assert_int_equal(each_kept(NULL), 54);
    command_run(&ran, NULL, "fit", "-m", "model", "--no-cache", "-o", "second.safetensors",
                "colours", NULL);
    assert_non_null(strstr(ran.out, "18 of them computed now"));
    unsetenv("XDG_CACHE_HOME");
}

/* Where nothing can be kept, all is computed. */
static void test_no_room_for_a_cache(void **state) {
    (void)state;
    setenv("XDG_CACHE_HOME", "/dev/null/cache", 1);
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.err, "");
    unsetenv("XDG_CACHE_HOME");
}

/* ---- folders ------------------------------------------------------------------------------------
 */

static void test_no_classes(void **state) {
    (void)state;
    make_folder("bare");
    command_run(&ran, NULL, "fit", "-m", "model", "bare", "-o", "no.safetensors", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: bare: expected a folder of pictures for each class, two at least; found "
               "none\n");
    draw_class("bare/one", 2, 1, 2, 3);
    command_run(&ran, NULL, "fit", "-m", "model", "bare", "-o", "no.safetensors", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: bare: expected a folder of pictures for each class, two at least; found "
               "only 'one'\n");
    command_run(&ran, NULL, "fit", "-m", "model", "missing", "-o", "no.safetensors", NULL);
    assert_ran(&ran, 1, "", "vitrine: missing: No such file or directory\n");
    command_run(&ran, NULL, "fit", "-m", "model", "cat.png", "-o", "no.safetensors", NULL);
    assert_ran(&ran, 1, "", "vitrine: cat.png: Not a directory\n");
    assert_int_not_equal(access("no.safetensors", F_OK), 0);
}

/* What can't be used is named and left out; the head is made of the rest. */
static void test_odd_folders(void **state) {
    (void)state;
    make_folder("odd");
    draw_class("odd/red", 3, 200, 40, 40);
    draw_class("odd/green", 3, 40, 200, 40);
    make_folder("odd/empty");
    draw_class("odd/.hidden", 2, 40, 40, 200);
    write_text("odd/red/broken.png", "no picture");
    write_text("odd/red/.hidden.png", "no picture");
    write_text("odd/notes.txt", "no folder");
    make_folder("odd/lost");
    write_text("odd/lost/a.png", "no picture");
    assert_int_equal(symlink("../colours/blue", "odd/linked"), 0);
    assert_int_equal(symlink("nowhere.png", "odd/green/dangling.png"), 0);
    json_t *found = fit_json(&ran, "odd", "odd.safetensors");
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.err, "vitrine: odd/empty: no picture in this directory\n"));
    assert_non_null(strstr(ran.err, "vitrine: odd/red/broken.png: "));
    assert_non_null(strstr(ran.err, "vitrine: odd/lost/a.png: "));
    assert_non_null(strstr(ran.err, "vitrine: odd/green/dangling.png: No such file"));
    assert_non_null(
        strstr(ran.err, "vitrine: note: odd: 1 file beside the classes' folders, left out\n"));
    assert_null(strstr(ran.err, "hidden"));
    const json_t *classes = json_object_get(found, "classes");
    assert_int_equal(json_array_size(classes), 3);
    assert_int_equal(number_at(found, "pictures"), 10);
    assert_string_equal(json_string_value(json_object_get(json_array_get(classes, 1), "label")),
                        "linked");
    json_decref(found);
    assert_best(&ran, "odd.safetensors", "blue.ppm", "linked");
}

static void test_only_unreadable_pictures(void **state) {
    (void)state;
    make_folder("damaged");
    draw_class("damaged/red", 2, 200, 40, 40);
    make_folder("damaged/green");
    write_text("damaged/green/a.png", "no picture");
    command_run(&ran, NULL, "fit", "-m", "model", "damaged", "-o", "no.safetensors", NULL);
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.out, "");
    assert_non_null(strstr(
        ran.err, "vitrine: damaged: fewer than two classes have a picture that can be read\n"));
    assert_int_not_equal(access("no.safetensors", F_OK), 0);
}

/* A class may have any name that a folder may have. */
static void test_odd_names(void **state) {
    (void)state;
    make_folder("names");
    draw_class("names/with \"quotes\" and\ttab", 3, 200, 40, 40);
    draw_class("names/größer 猫", 3, 40, 200, 40);
    draw_class("names/byte \xff", 3, 40, 40, 200);
    command_run(&ran, NULL, "fit", "-m", "model", "names", "-o", "names.safetensors",
                "--confusion=names.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "   with \"quotes\" and?tab\n"));
    assert_best(&ran, "names.safetensors", "green.ppm", "größer 猫");
    assert_best(&ran, "names.safetensors", "red.ppm", "with \\\"quotes\\\" and\\ttab");
    assert_best(&ran, "names.safetensors", "blue.ppm", "byte \xEF\xBF\xBD");
}

static void test_copies(void **state) {
    (void)state;
    make_folder("copies");
    draw_class("copies/red", 3, 200, 40, 40);
    draw_class("copies/green", 3, 40, 200, 40);
    copy_file("copies/red/00.ppm", "copies/red/copy.ppm");
    assert_int_equal(symlink("00.ppm", "copies/red/link.ppm"), 0);
    copy_file("copies/green/01.ppm", "copies/red/wrong.ppm");
    json_t *found = fit_json(&ran, "copies", "copies.safetensors");
    assert_ran(&ran, 0, NULL,
               "vitrine: note: the same picture in two classes: copies/green/01.ppm, "
               "copies/red/wrong.ppm\n"
               "vitrine: note: 2 pictures were left out, being the same as another of the class\n");
    assert_int_equal(number_at(found, "copies"), 2);
    assert_int_equal(number_at(found, "pictures"), 7);
    json_decref(found);
    command_run(&ran, NULL, "fit", "-q", "-m", "model", "copies", "-o", "copies.safetensors", NULL);
    assert_ran(&ran, 0, NULL, "");
}

/* Each class one picture: nothing is known of how good it is, and it still tells them apart. */
static void test_single_pictures(void **state) {
    (void)state;
    make_folder("single");
    draw_class("single/red", 1, 200, 40, 40);
    draw_class("single/green", 1, 40, 200, 40);
    json_t *found = fit_json(&ran, "single", "single.safetensors");
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.err, "vitrine: note: 2 classes have one picture: "));
    assert_float_equal(number_at(found, "left_out_accuracy"), 0, 0);
    json_decref(found);
    assert_best(&ran, "single.safetensors", "green.ppm", "green");
    draw_picture("single/red/more.ppm", 200, 40, 40, 600);
    json_decref(fit_json(&ran, "single", "single.safetensors"));
    assert_non_null(strstr(ran.err, "vitrine: note: 'green' has one picture: "));
}

static void test_usage(void **state) {
    (void)state;
    command_run(&ran, NULL, "fit", "-m", "model", "-o", "x.safetensors", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "expected one folder"));
    command_run(&ran, NULL, "fit", "-m", "model", "colours", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "no output given"));
    command_run(&ran, NULL, "fit", "-m", "model", "colours", "-o", "x.safetensors", "--folds=1",
                NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "--folds: expected 2 or more, or 0 for none"));
    command_run(&ran, NULL, "fit", "-m", "model", "colours", "-o", "x.safetensors",
                "--confusion=x.jpg", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "--confusion: expected a name ending with .png or .svg"));
    command_run(&ran, NULL, "fit", "-m", "model", "colours", "-o", "nowhere/x.safetensors", NULL);
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.out, "");
    assert_non_null(strstr(ran.err, "nowhere/x.safetensors"));
    command_run(&ran, NULL, "fit", "-m", "missing", "colours", "-o", "x.safetensors", NULL);
    assert_int_equal(ran.code, 3);
    command_run(&ran, NULL, "fit", "-m", VT_SOURCE_DIR "/weights/positions/alibi", "colours", "-o",
                "x.safetensors", NULL);
    assert_ran(&ran, 3, "",
               "vitrine: " VT_SOURCE_DIR
               "/weights/positions/alibi: this model takes no pictures\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_mislabelled_picture),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_confusion_picture),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_no_room_for_a_cache),
        cmocka_unit_test(test_no_classes),
        cmocka_unit_test(test_odd_folders),
        cmocka_unit_test(test_only_unreadable_pictures),
        cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_single_pictures),
        cmocka_unit_test(test_usage),
    };
    int failed = cmocka_run_group_tests(tests, colours_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
