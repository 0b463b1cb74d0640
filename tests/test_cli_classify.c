/* SPDX-License-Identifier: MIT
 *
 * vitrine classify: its three formats, exactly; inputs that fail; folders, lists and batches. What
 * the numbers must be comes from the library, whose own tests check them against the references.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <vitrine.h>

#include "command.h"
#include "support.h"

enum { TOP = 3 };

static command_result ran;

/* What the library says of one picture. */
static void classify(const char *path, const vt_session_options *session_options,
                     const vt_image_options *image_options, vt_prediction best[TOP]) {
    vt_model *model = NULL;
    vt_session *session = NULL;
    vt_image image = {0};
    assert_int_equal(vt_model_open(&model, "model", NULL, NULL), VT_OK);
    assert_int_equal(vt_session_create(&session, model, session_options, NULL), VT_OK);
    assert_int_equal(vt_image_read(&image, path, image_options, NULL), VT_OK);
    assert_int_equal(vt_classify_image(session, &image, best, TOP, NULL), VT_OK);
    vt_image_free(&image);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* Appends a block of the text format. */
static void append_text(char *text, size_t size, const char *name, const char *dimensions,
                        const vt_prediction best[TOP]) {
    size_t used = strlen(text);
    used += (size_t)snprintf(text + used, size - used, "%s%s  %s\n", used ? "\n" : "", name,
                             dimensions);
    for (size_t i = 0; i < TOP; i++)
        used += (size_t)snprintf(text + used, size - used, "  %5.1f%%  class %zu\n",
                                 100.0 * best[i].score, best[i].index);
}

static void append_csv(char *text, size_t size, const char *name, const char *dimensions,
                       const vt_prediction best[TOP]) {
    size_t used = strlen(text);
    for (size_t i = 0; i < TOP; i++)
        used += (size_t)snprintf(text + used, size - used, "%s,%s,%zu,%zu,class %zu,%.6g\n", name,
                                 dimensions, i + 1, best[i].index, best[i].index,
                                 (double)best[i].score);
}

static void test_text(void **state) {
    vt_prediction best[TOP];
    char expected[2048] = "";
    (void)state;
    classify("cat.png", NULL, NULL, best);
    append_text(expected, sizeof expected, "cat.png", "451x300", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "cat.png", NULL);
    assert_ran(&ran, 0, expected, "");
    classify("rocket.jpg", NULL, NULL, best);
    append_text(expected, sizeof expected, "rocket.jpg", "640x427", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "cat.png", "rocket.jpg", NULL);
    assert_ran(&ran, 0, expected, "");
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "-t1", "cat.png", "rocket.jpg", NULL);
    assert_ran(&ran, 0, expected, "");
}

static void test_csv(void **state) {
    vt_prediction best[TOP];
    char expected[2048] = "image,width,height,rank,index,label,score\n";
    (void)state;
    assert_int_equal(symlink("cat.png", "a \"cat\", sleeping.png"), 0);
    classify("cat.png", NULL, NULL, best);
    append_csv(expected, sizeof expected, "cat.png", "451,300", best);
    append_csv(expected, sizeof expected, "\"a \"\"cat\"\", sleeping.png\"", "451,300", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "--format=csv", "cat.png",
                "a \"cat\", sleeping.png", NULL);
    assert_ran(&ran, 0, expected, "");
    unlink("a \"cat\", sleeping.png");
}

/* One line of JSON, checked whole: keys, their order, and values. */
static void check_json(const char *line, const char *name, int width, int height,
                       const vt_prediction best[TOP]) {
    json_error_t error;
    json_t *found = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
    const char *image;
    int found_width, found_height, rows, columns;
    json_t *predictions;
    double decode, preprocess, forward;
    if (!found)
        fail_msg("not JSON: %s: %s", error.text, line);
    if (json_unpack_ex(found, &error, JSON_STRICT,
                       "{s:s, s:i, s:i, s:[i,i!], s:o, s:{s:F, s:F, s:F!}!}", "image", &image,
                       "width", &found_width, "height", &found_height, "input", &rows, &columns,
                       "predictions", &predictions, "ms", "decode", &decode, "preprocess",
                       &preprocess, "forward", &forward))
        fail_msg("unexpected JSON: %s: %s", error.text, line);
    assert_string_equal(image, name);
    assert_int_equal(found_width, width);
    assert_int_equal(found_height, height);
    assert_true(rows == 48 && columns == 48);
    assert_true(decode > 0 && preprocess > 0 && forward > 0);
    assert_int_equal(json_array_size(predictions), TOP);
    for (size_t i = 0; i < TOP; i++) {
        int index;
        const char *label;
        double score;
        char expected_label[32];
        assert_int_equal(json_unpack(json_array_get(predictions, i), "{s:i, s:s, s:F!}", "index",
                                     &index, "label", &label, "score", &score),
                         0);
        snprintf(expected_label, sizeof expected_label, "class %d", index);
        assert_int_equal(index, best[i].index);
        assert_string_equal(label, expected_label);
        assert_true(score > best[i].score * 0.99999 && score < best[i].score * 1.00001);
    }
    json_decref(found);
}

static void test_json(void **state) {
    vt_prediction best[TOP];
    (void)state;
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "--format=json", "cat.png", "none.png",
                "rocket.jpg", NULL);
    assert_ran(&ran, 1, NULL, "vitrine: none.png: No such file or directory\n");
    char *second = strchr(ran.out, '\n') + 1, *third = strchr(second, '\n') + 1;
    assert_string_equal(strchr(third, '\n'), "\n");
    classify("cat.png", NULL, NULL, best);
    assert_int_equal(strncmp(ran.out, "{\"image\": \"cat.png\", \"width\": 451, ", 35), 0);
    check_json(ran.out, "cat.png", 451, 300, best);
    classify("rocket.jpg", NULL, NULL, best);
    check_json(third, "rocket.jpg", 640, 427, best);
    third[-1] = '\0';
    assert_string_equal(second,
                        "{\"image\": \"none.png\", \"error\": \"No such file or directory\"}");
}

/* The name of a file is any bytes; JSON and terminals are particular. */
static void test_odd_names(void **state) {
    static const char name[] = "bad\xff\x1b[31m\xc3\xa9.png";
    (void)state;
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", name, NULL);
    assert_ran(&ran, 1,
               "{\"image\": \"bad\xef\xbf\xbd\\u001B[31m\xc3\xa9.png\", "
               "\"image_base64\": \"YmFk/xtbMzFtw6kucG5n\", "
               "\"error\": \"No such file or directory\"}\n",
               "vitrine: bad\xef\xbf\xbd?[31m\xc3\xa9.png: No such file or directory\n");
    /* overlong, a surrogate, past the last code point: not UTF-8 either */
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json",
                "\xe0\x80\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xf0\x9f\xa6\x81", NULL);
#define BAD "\xef\xbf\xbd"
    assert_ran(&ran, 1,
               "{\"image\": \"" BAD BAD BAD " " BAD BAD BAD " " BAD BAD BAD BAD
               " \xf0\x9f\xa6\x81\", \"image_base64\": \"4ICvIO2ggCD0kICAIPCfpoE=\", "
               "\"error\": \"No such file or directory\"}\n",
               NULL);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "two\nlines.png", NULL);
    assert_ran(&ran, 1,
               "{\"image\": \"two\\nlines.png\", \"error\": \"No such file or directory\"}\n",
               "vitrine: two?lines.png: No such file or directory\n");
    assert_int_equal(symlink("cat.png", name), 0);
    command_run(&ran, NULL, "classify", "-mmodel", name, NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(strncmp(ran.out, "bad\xef\xbf\xbd?[31m\xc3\xa9.png  451x300\n", 25), 0);
    unlink(name);
}

/* What can't be read is named, and the others are still processed. */
static void test_failures(void **state) {
    vt_prediction best[TOP];
    char expected[2048] = "";
    (void)state;
    write_file("empty.png", "", 0);
    write_file("text.png", "hello, world, not a picture", 27);
    classify("cat.png", NULL, NULL, best);
    append_text(expected, sizeof expected, "cat.png", "451x300", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "none.png", "empty.png", "cat.png",
                "text.png", NULL);
    assert_ran(&ran, 1, expected, NULL);
    const char *line = ran.err;
    static const char *const named[] = {
        "vitrine: none.png: ", "vitrine: empty.png: ", "vitrine: text.png: "};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(strncmp(line, named[i], strlen(named[i])), 0);
        assert_null(strstr(line + 9, "png: empty.png")); /* named once */
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
    unlink("empty.png");
    unlink("text.png");
}

/* The same results in the same order whatever the batch and the threads, failures included. */
static void test_batches(void **state) {
    static const char *const sizes[] = {"--batch=2", "--batch=3", "--batch=64", "-t8", "-t1"};
    (void)state;
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "cat.png", "none.png", "rocket.jpg",
                "rainbow.png", "cat.png", "none2.png", "rocket.jpg", NULL);
    assert_int_equal(ran.code, 1);
    char *out = strdup(ran.out), *err = strdup(ran.err);
    assert_non_null(strstr(out, "rainbow.png  224x224\n"));
    for (size_t i = 0; i < 5; i++) {
        command_run(&ran, NULL, "classify", "-mmodel", "-k3", sizes[i], "cat.png", "none.png",
                    "rocket.jpg", "rainbow.png", "cat.png", "none2.png", "rocket.jpg", NULL);
        assert_ran(&ran, 1, out, err);
    }
    free(out);
    free(err);
}

static void make_album(void) {
    assert_int_equal(mkdir("album", 0700), 0);
    assert_int_equal(mkdir("album/b", 0700), 0);
    assert_int_equal(mkdir("album/.hidden", 0700), 0);
    assert_int_equal(symlink("../cat.png", "album/z.png"), 0);
    assert_int_equal(symlink("../cat.png", "album/a.JPG"), 0);
    assert_int_equal(symlink("../cat.png", "album/.secret.png"), 0);
    assert_int_equal(symlink("../../cat.png", "album/b/c.webp"), 0);
    assert_int_equal(symlink("../../cat.png", "album/.hidden/d.png"), 0);
    assert_int_equal(symlink("..", "album/b/up"), 0);
    write_file("album/notes.txt", "x", 1);
}

/* The first line of each block. */
static void keep_headings(char *text) {
    char *out = text;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
        if (*line != ' ' && *line != '\n') {
            memmove(out, line, (size_t)(end + 1 - line));
            out += end + 1 - line;
        }
    *out = '\0';
}

static void test_folders(void **state) {
    (void)state;
    make_album();
    command_run(&ran, NULL, "classify", "-mmodel", "-k1", "album", "rocket.jpg", "album/", NULL);
    keep_headings(ran.out);
    assert_ran(&ran, 0,
               "album/a.JPG  451x300\nalbum/b/c.webp  451x300\nalbum/z.png  451x300\n"
               "rocket.jpg  640x427\n"
               "album/a.JPG  451x300\nalbum/b/c.webp  451x300\nalbum/z.png  451x300\n",
               "");
    assert_int_equal(mkdir("bare", 0700), 0);
    command_run(&ran, NULL, "classify", "-mmodel", "bare", NULL);
    assert_ran(&ran, 1, "", "vitrine: bare: no picture in this directory\n");
}

static void test_lists(void **state) {
    static const char headings[] = "rocket.jpg  640x427\ncat.png  451x300\n";
    (void)state;
    command_run(&ran, "cat.png\r\n\n", "classify", "-mmodel", "rocket.jpg", "--files-from=-", NULL);
    keep_headings(ran.out);
    assert_ran(&ran, 0, headings, "");
    write_file("list", "rocket.jpg\ncat.png", 18); /* no newline at the end */
    command_run(&ran, NULL, "classify", "-mmodel", "--files-from", "list", NULL);
    keep_headings(ran.out);
    assert_ran(&ran, 0, headings, "");
    command_run(&ran, NULL, "classify", "-mmodel", "--files-from", "nolist", "rocket.jpg", NULL);
    keep_headings(ran.out);
    assert_ran(&ran, 1, "rocket.jpg  640x427\n", "vitrine: nolist: No such file or directory\n");
    command_run(&ran, "", "classify", "-mmodel", "--files-from=-", NULL);
    assert_ran(&ran, 0, "", "");
}

static void test_standard_input(void **state) {
    (void)state;
    command_run(&ran, "P6 2 1 255 ABCdef", "classify", "-mmodel", "-k1", "-", NULL);
    keep_headings(ran.out);
    assert_ran(&ran, 0, "-  2x1\n", "");
    command_run(&ran, "", "classify", "-mmodel", "-", NULL);
    assert_ran(&ran, 1, "", NULL);
    assert_int_equal(strncmp(ran.err, "vitrine: standard input: ", 25), 0);
}

/* The model resizes to 53 or so: a quarter of the photograph is enough. Its own size is what is
 * printed. */
static void test_shrink_on_load(void **state) {
    vt_prediction best[TOP], exact[TOP];
    vt_image_options quarter = VT_IMAGE_OPTIONS_INIT;
    char expected[1024] = "";
    (void)state;
    quarter.min_width = quarter.min_height = 107;
    classify("rocket.jpg", NULL, NULL, exact);
    classify("rocket.jpg", NULL, &quarter, best);
    assert_true(best[0].score != exact[0].score);
    snprintf(expected, sizeof expected, "image,width,height,rank,index,label,score\n");
    append_csv(expected, sizeof expected, "rocket.jpg", "640,427", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "--shrink-on-load", "--format=csv",
                "rocket.jpg", NULL);
    assert_ran(&ran, 0, expected, "");
    command_run(&ran, NULL, "embed", "-mmodel", "--shrink-on-load", "--format=json", "rocket.jpg",
                NULL);
    assert_int_equal(ran.code, 0);
    char *shrunk = strdup(ran.out);
    command_run(&ran, NULL, "embed", "-mmodel", "--format=json", "rocket.jpg", NULL);
    assert_string_not_equal(ran.out, shrunk);
    free(shrunk);
}

static void test_options_reach_the_library(void **state) {
    vt_prediction best[TOP];
    vt_session_options wide = VT_SESSION_OPTIONS_INIT;
    vt_image_options red = VT_IMAGE_OPTIONS_INIT, dropped = VT_IMAGE_OPTIONS_INIT;
    char expected[1024] = "";
    (void)state;
    wide.height = 32;
    wide.width = 64;
    classify("cat.png", &wide, NULL, best);
    append_text(expected, sizeof expected, "cat.png", "451x300", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "-s32x64", "cat.png", NULL);
    assert_ran(&ran, 0, expected, "");
    command_run(&ran, NULL, "classify", "-mmodel", "-s32x64", "--format=json", "cat.png", NULL);
    assert_non_null(strstr(ran.out, "\"input\": [32, 64]"));

    memcpy(red.background, "\xff\x00\x10", 3);
    red.use_background = true;
    classify("rainbow.png", NULL, &red, best);
    snprintf(expected, sizeof expected, "image,width,height,rank,index,label,score\n");
    append_csv(expected, sizeof expected, "rainbow.png", "224,224", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "--background=fF0010", "--format=csv",
                "rainbow.png", NULL);
    assert_ran(&ran, 0, expected, "");
    char *on_red = strdup(ran.out);

    dropped.drop_alpha = true;
    classify("rainbow.png", NULL, &dropped, best);
    snprintf(expected, sizeof expected, "image,width,height,rank,index,label,score\n");
    append_csv(expected, sizeof expected, "rainbow.png", "224,224", best);
    command_run(&ran, NULL, "classify", "-mmodel", "-k3", "--drop-alpha", "--format=csv",
                "rainbow.png", NULL);
    assert_ran(&ran, 0, expected, "");
    assert_string_not_equal(ran.out, on_red); /* the picture has transparent pixels */
    free(on_red);

    command_run(&ran, NULL, "classify", "-mmodel", "--max-pixels=1000", "cat.png", NULL);
    assert_ran(&ran, 1, "", NULL);
    assert_int_equal(strncmp(ran.err, "vitrine: cat.png: ", 18), 0);
    assert_non_null(strstr(ran.err, "1000"));
}

static void test_labels(void **state) {
    (void)state;
    write_file("names", "n0\nn1\nn2\nn3\nn4\nn5\nn6\nn7\nn8\nn9\n", 30);
    command_run(&ran, NULL, "classify", "-mmodel", "--labels=names", "-k99", "--format=csv",
                "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    const char *line = strchr(ran.out, '\n') + 1;
    for (int i = 0; i < 10; i++, line = strchr(line, '\n') + 1) {
        int rank, index, named;
        assert_int_equal(sscanf(line, "cat.png,451,300,%d,%d,n%d,", &rank, &index, &named), 3);
        assert_int_equal(rank, i + 1);
        assert_int_equal(index, named);
    }
    assert_string_equal(line, "");
}

static void test_merge(void **state) {
    vt_prediction best[TOP];
    vt_session_options merged = VT_SESSION_OPTIONS_INIT;
    (void)state;
    for (merged.merge = 0; merged.merge <= 6; merged.merge += 3) {
        char expected[1024] = "", option[32];
        classify("cat.png", &merged, NULL, best);
        append_text(expected, sizeof expected, "cat.png", "451x300", best);
        snprintf(option, sizeof option, "--merge=%zu", merged.merge);
        command_run(&ran, NULL, "classify", "-mmodel", "-k3", option, "cat.png", NULL);
        assert_ran(&ran, 0, expected, "");
    }
    command_run(&ran, NULL, "classify", "-mmodel", "--merge=-1", "cat.png", NULL);
    assert_ran(&ran, 2, "", NULL);
    assert_non_null(strstr(ran.err, "--merge"));
    command_run(&ran, NULL, "classify", "-m" VT_TEST_DATA "/golden/timm_eva02_tiny", "--merge=2",
                "cat.png", NULL);
    assert_ran(&ran, 3, "", NULL);
    assert_non_null(strstr(ran.err, "can't be merged: its positions are rotary\n"));
}

static void test_model_errors(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "-mnowhere", "cat.png", NULL);
    assert_ran(&ran, 3, "", "vitrine: nowhere: no such file or directory\n");
    mkdir("broken", 0700);
    copy_file("model/config.json", "broken/config.json");
    write_file("broken/model.safetensors", "\x10\0\0\0\0\0\0\0not JSON at all!", 24);
    command_run(&ran, NULL, "classify", "-mbroken", "cat.png", NULL);
    assert_ran(&ran, 3, "", NULL);
    assert_int_equal(strncmp(ran.err, "vitrine: broken/model.safetensors: ", 35), 0);
    assert_string_equal(strchr(ran.err, '\n'), "\n");
    remove("broken/model.safetensors");
    assert_int_equal(symlink("../model/model.safetensors", "broken/model.safetensors"), 0);
    command_run(&ran, NULL, "classify", "-mbroken", "cat.png", NULL);
    assert_ran(&ran, 3, "", NULL);
    assert_non_null(strstr(ran.err, "leads out of the model's directory"));
    command_run(&ran, NULL, "classify", "-mbroken", "--follow-links", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    command_run(&ran, NULL, "classify", "-mmodel", "--labels=nolabels", "cat.png", NULL);
    assert_ran(&ran, 3, "", NULL);
    assert_non_null(strstr(ran.err, "nolabels"));
    command_run(&ran, NULL, "classify", "-mmodel", "--kernels=abacus", "cat.png", NULL);
    assert_ran(&ran, 2, "", NULL);
    assert_non_null(strstr(ran.err, "abacus"));
    command_run(&ran, NULL, "classify", "-mmodel", "--backend=slide-rule", "cat.png", NULL);
    assert_ran(&ran, 2, "", NULL);
    assert_non_null(strstr(ran.err, "slide-rule"));
}

/* Without -m. */
static void test_bundled_model(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "-k1", "--format=csv", "rainbow.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, ",rainbow,0."));
    setenv("VITRINE_MODEL", "model", 1);
    command_run(&ran, NULL, "classify", "-k1", "--format=csv", "rainbow.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, ",class "));
    setenv("VITRINE_MODEL", "nowhere", 1);
    command_run(&ran, NULL, "classify", "rainbow.png", NULL);
    assert_ran(&ran, 3, "",
               "vitrine: nowhere: the default model is not there: name one with -m MODEL, or in "
               "$VITRINE_MODEL\n");
    unsetenv("VITRINE_MODEL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_csv),
        cmocka_unit_test(test_json),           cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_failures),       cmocka_unit_test(test_batches),
        cmocka_unit_test(test_folders),        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_standard_input), cmocka_unit_test(test_options_reach_the_library),
        cmocka_unit_test(test_labels),         cmocka_unit_test(test_model_errors),
        cmocka_unit_test(test_bundled_model),  cmocka_unit_test(test_shrink_on_load),
        cmocka_unit_test(test_bundled_model),  cmocka_unit_test(test_merge),
    };
    int failed = cmocka_run_group_tests(tests, command_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
