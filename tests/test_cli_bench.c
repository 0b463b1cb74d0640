/* SPDX-License-Identifier: MIT
 *
 * The command bench: what it prints, in which order, and what it refuses. Times are only held
 * against one another.
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static command_result ran;

static size_t count_lines(const char *text) {
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static double number(const json_t *line, const char *key) {
    const json_t *value = json_object_get(line, key);
    if (!json_is_number(value))
        fail_msg("%s is not a number", key);
    return json_number_value(value);
}

static const char *string(const json_t *line, const char *key) {
    const char *value = json_string_value(json_object_get(line, key));
    if (!value)
        fail_msg("%s is not a string", key);
    return value;
}

/* Line `index` of JSON lines; the caller drops it. */
static json_t *json_line(const char *text, size_t index) {
    for (; index > 0; index--)
        text = strchr(text, '\n') + 1;
    json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(line);
    return line;
}

/* What holds of every line, whatever the machine does. */
static void check_figures(const json_t *line) {
    double median = number(line, "median_ms"), gflops = number(line, "gflops");
    assert_true(number(line, "min_ms") > 0 && number(line, "min_ms") <= number(line, "p5_ms"));
    assert_true(number(line, "p5_ms") <= median && median <= number(line, "p95_ms"));
    assert_float_equal(gflops / (number(line, "flops") / median * 1e-6), 1, 1e-4);
    assert_float_equal(number(line, "peak_share") / (gflops / number(line, "peak_gflops")), 1,
                       1e-4);
    assert_true(number(line, "peak_rss_mb") > number(line, "workspace_mb"));
    assert_int_equal(number(line, "runs"), 3);
    assert_string_equal(string(line, "precision"), "f32");
    assert_true(*string(line, "kernels"));
}

/* The last varies fastest: sizes, batches, threads. */
static void test_json_lines(void **state) {
    (void)state;
    command_run(&ran, NULL, "bench", "-mmodel", "--sizes=48,64x32", "--batch", "1,3", "-t2,1",
                "--runs=3", "--format=json", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(count_lines(ran.out), 8);
    double flops = 0;
    for (size_t i = 0; i < 8; i++) {
        json_t *line = json_line(ran.out, i);
        assert_string_equal(string(line, "model"), "model");
        assert_null(json_object_get(line, "arch"));
        assert_string_equal(string(line, "size"), i < 4 ? "48x48" : "64x32");
        assert_int_equal(number(line, "tokens"), i < 4 ? 37 : 33);
        assert_int_equal(number(line, "batch"), i & 2 ? 3 : 1);
        assert_int_equal(number(line, "threads"), i & 1 ? 1 : 2);
        check_figures(line);
        if (i & 2) /* of a pass, not of a picture */
            assert_float_equal(number(line, "flops"), 3 * flops, 1);
        else
            flops = number(line, "flops");
        json_decref(line);
    }
}

static void test_architecture(void **state) {
    (void)state;
    command_run(&ran, NULL, "bench", "--arch=vit_tiny_patch16_224", "-s32", "-n3", "-t1",
                "--format=json", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *line = json_line(ran.out, 0);
    assert_string_equal(string(line, "arch"), "vit_tiny_patch16_224");
    assert_null(json_object_get(line, "model"));
    assert_true(number(line, "peak_rss_mb") > 22); /* its weights alone are 22.9 MB */
    check_figures(line);
    json_decref(line);
}

static void test_csv(void **state) {
    static const char columns[] =
        "model,size,threads,batch,precision,kernels,median_ms,p95_ms,p5_ms,min_ms,runs,gflops,"
        "peak_gflops,peak_share,peak_rss_mb,workspace_mb,tokens,flops\n";
    (void)state;
    command_run(&ran, NULL, "bench", "-mmodel", "-s48,32", "-n1", "-t1", "--format=csv", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(count_lines(ran.out), 3);
    assert_memory_equal(ran.out, columns, sizeof columns - 1);
    const char *row = ran.out + sizeof columns - 1;
    assert_memory_equal(row, "model,48x48,1,1,f32,", 20);
    size_t commas = 0;
    for (; *row != '\n'; row++)
        commas += *row == ',';
    assert_int_equal(commas, 17);
    assert_memory_equal(row + 1, "model,32x32,1,1,f32,", 20);
}

static void test_text(void **state) {
    (void)state;
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n2", "-t1,2", "--kernels=scalar", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_memory_equal(ran.out, "model: ", 7);
    assert_non_null(strstr(ran.out, " parameters, scalar kernels, f32\n\n"));
    assert_non_null(strstr(ran.out, "size  threads  batch  median ms"));
    assert_non_null(strstr(ran.out, "      48x48        1      1 "));
    assert_non_null(strstr(ran.out, "      48x48        2      1 "));
    assert_non_null(strstr(ran.out, " with 1 thread, "));
    assert_int_equal(count_lines(ran.out), 7);
    for (const char *line = ran.out, *end; (end = strchr(line, '\n')); line = end + 1)
        if (end - line > 100 && !strstr(line, "The peak"))
            fail_msg("too wide: %.*s", (int)(end - line), line);
}

/* All precisions of a combination, then the next. */
static void test_precisions(void **state) {
    (void)state;
    command_run(&ran, NULL, "bench", "-mmodel", "-s48,32", "-n1", "-t1", "--precision=f32,int8",
                "--format=json", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(count_lines(ran.out), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *line = json_line(ran.out, i);
        assert_string_equal(string(line, "size"), i < 2 ? "48x48" : "32x32");
        assert_string_equal(string(line, "precision"), i % 2 ? "int8" : "f32");
        json_decref(line);
    }
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n1", "-t1", "--precision=f32,bf16", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "precision       size  threads"));
    assert_non_null(strstr(ran.out, "\n     bf16      48x48        1"));
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n1", "-t5000", "--precision=f32,bf16",
                NULL);
    assert_non_null(strstr(ran.err, "vitrine: bf16, 48x48, threads 5000, batch 1: "));
}

static void test_rounded_size(void **state) {
    (void)state;
    command_run(&ran, NULL, "bench", "-mmodel", "-s50", "-n1", "-t1", "--format=csv", NULL);
    assert_ran(&ran, 0, NULL,
               "vitrine: note: the input size 50x50 was rounded to 48x48, whole patches of 8 "
               "(height x width)\n");
    assert_non_null(strstr(ran.out, "\nmodel,48x48,"));
    command_run(&ran, NULL, "bench", "-mmodel", "-s50", "-n1", "-t1", "--format=csv", "-q", NULL);
    assert_ran(&ran, 0, NULL, "");
}

/* One combination that can't be run does not keep the others from it. */
static void test_failed_combination(void **state) {
    (void)state;
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n1", "-t1,5000", "--format=csv", NULL);
    assert_ran(&ran, 1, NULL,
               "vitrine: 48x48, threads 5000, batch 1: 5000 threads: at most 4096\n");
    assert_int_equal(count_lines(ran.out), 2);
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n1", "-t5000", NULL);
    assert_ran(&ran, 1, "", NULL);
}

static void test_refusals(void **state) {
    static const struct {
        const char *arguments[4], *message;
        int code;
    } cases[] = {
        {{"--precision=int7"}, "no precision named \"int7\": f32, f16, bf16 or int8", 2},
        {{"--arch=vit_bas_patch16_224"}, "did you mean 'vit_base_patch16_224'?", 2},
        {{"--arch=x"}, "--arch: expected one of vit_tiny_patch16_224, ", 2},
        {{"--arch=vit_tiny_patch16_224", "-mmodel"}, "both --model and --arch given", 2},
        {{"-s48,"}, "--sizes: expected at most 256 sizes in pixels such as", 2},
        {{"-s48x"}, "--sizes: expected at most 256 sizes in pixels such as", 2},
        {{"-t1,,2"}, "--threads: expected at most 32 whole numbers of 1 or more, such as", 2},
        {{"--batch=0"}, "--batch: expected at most 32 whole numbers of 1 or more, such as", 2},
        {{"--batch=1111111111111111111111111111111111111111111"}, "--batch: expected at most", 2},
        {{"-t1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6"}, "at most 32", 2},
        {{"--precision=f32,"}, "--precision: expected at most 32 names with commas", 2},
        {{"-n0"}, "--runs: expected a whole number", 2},
        {{"--format=xml"}, "--format: expected one of text, json, csv; found 'xml'", 2},
        {{"--kernels=abacus"}, "--kernels: expected one of avx512, avx2, neon, scalar; found", 2},
        {{"model"}, "unexpected 'model': a model is named with -m, an architecture with --arch", 2},
        {{"-m", VT_SOURCE_DIR "/weights/positions/rope"}, "this model takes no pictures", 3},
        {{"-mmissing"}, "missing: no such file or directory", 3},
        {{"-mmodel", "-s2000000"}, "model: an input of 2000000 x 2000000", 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *a = cases[i].arguments;
        command_run(&ran, NULL, "bench", a[0], a[1], a[2], NULL);
        if (ran.code != cases[i].code || !strstr(ran.err, cases[i].message))
            fail_msg("%s: code %d, %s", a[0], ran.code, ran.err);
        assert_string_equal(ran.out, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_lines),   cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_csv),          cmocka_unit_test(test_text),
        cmocka_unit_test(test_rounded_size), cmocka_unit_test(test_failed_combination),
        cmocka_unit_test(test_precisions),   cmocka_unit_test(test_refusals),
    };
    int failed = cmocka_run_group_tests(tests, command_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
