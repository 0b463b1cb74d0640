/* SPDX-License-Identifier: MIT
 *
 * The command sweep: its tables, going on after an interruption, accuracy against what the
 * reference said, and the map of positions that inspect draws. Nothing is timed.
 */
#include "support.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

static const char header[] =
    "model,kernels,precision,patch_size,pos_resize,threads,group,size,height,width,tokens,flops,"
    "images,preprocess_median_ms,preprocess_p95_ms,forward_median_ms,forward_p95_ms,images_per_s,"
    "peak_rss_mb,workspace_mb,top1,top5,agreement,kl,cosine,pictures\n";

static command_result ran;

/* ---- what was written --------------------------------------------------------------------------
 */

static json_t *read_json(const char *path) {
    char *text = read_text_file(path);
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    free(text);
    return value;
}

static double number(const json_t *row, const char *key) {
    const json_t *value = json_object_get(row, key);
    if (!json_is_number(value))
        fail_msg("%s is not a number", key);
    return json_number_value(value);
}

static const char *string(const json_t *row, const char *key) {
    const char *value = json_string_value(json_object_get(row, key));
    if (!value)
        fail_msg("%s is not a string", key);
    return value;
}

static bool is_null(const json_t *row, const char *key) {
    const json_t *value = json_object_get(row, key);
    assert_non_null(value);
    return json_is_null(value);
}

/* The one row of that size and group. */
static const json_t *find_row(const json_t *all, const char *size, const char *group) {
    const json_t *rows = json_object_get(all, "rows"), *found = NULL;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(string(row, "size"), size) || strcmp(string(row, "group"), group))
            continue;
        assert_null(found);
        found = row;
    }
    if (!found)
        fail_msg("no row of %s, %s", size, group);
    return found;
}

static size_t count_rows(const char *path) {
    json_t *all = read_json(path);
    size_t count = json_array_size(json_object_get(all, "rows"));
    json_decref(all);
    return count;
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static bool has_gnuplot(void) {
    return exists("/usr/bin/gnuplot");
}

/* ---- docs/sweep.schema.json: required keys, no others, types and ranges ------------------------
 */

static bool is_of_type(const json_t *value, const char *type) {
    return (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value)) ||
           (strcmp(type, "null") == 0 && json_is_null(value));
}

static bool is_of_types(const json_t *value, const json_t *types) {
    bool any = json_is_string(types) && is_of_type(value, json_string_value(types));
    for (size_t i = 0; i < json_array_size(types); i++)
        any |= is_of_type(value, json_string_value(json_array_get(types, i)));
    return any;
}

static void check_against(const json_t *value, const json_t *schema, const char *name) {
    const json_t *types = json_object_get(schema, "type");
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const json_t *minimum = json_object_get(schema, "minimum");
    const json_t *maximum = json_object_get(schema, "maximum");
    if (types && !is_of_types(value, types))
        fail_msg("%s is of another type", name);
    if (minimum && json_is_number(value) && json_number_value(value) < json_number_value(minimum))
        fail_msg("%s is too small", name);
    if (maximum && json_is_number(value) && json_number_value(value) > json_number_value(maximum))
        fail_msg("%s is too large", name);
    for (size_t i = 0; i < json_array_size(required); i++)
        if (!json_object_get(value, json_string_value(json_array_get(required, i))))
            fail_msg("%s lacks %s", name, json_string_value(json_array_get(required, i)));
    for (size_t i = 0; i < json_array_size(value); i++)
        check_against(json_array_get(value, i), json_object_get(schema, "items"), name);
    const char *key;
    json_t *part;
    if (properties)
        json_object_foreach((json_t *)value, key, part) {
            if (!json_object_get(properties, key))
                fail_msg("the schema has no %s", key);
            check_against(part, json_object_get(properties, key), key);
        }
}

static void check_schema(const char *path) {
    json_t *schema = read_json(VT_SOURCE_DIR "/docs/sweep.schema.json"), *all = read_json(path);
    check_against(all, schema, "sweep.json");
    assert_int_equal(number(all, "version"), 1);
    json_decref(all);
    json_decref(schema);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void test_tables(void **state) {
    (void)state;
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48,64x32", "-t1,2", "-oplain", "-q", "cat.png",
                "rocket.jpg", "rainbow.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "size tokens    GFLOP"));
    assert_non_null(strstr(ran.out, "2 threads     48x48     37"));
    char *csv = read_text_file("plain/sweep.csv");
    assert_memory_equal(csv, header, sizeof header - 1);
    free(csv);
    check_schema("plain/sweep.json");
    assert_int_equal(count_rows("plain/sweep.json"), 4);
    assert_int_equal(exists("plain/sweep.png") && exists("plain/sweep.svg"), has_gnuplot());
    assert_false(exists("plain/sweep.csv.tmp") || exists("plain/sweep.json.tmp"));
}

/* At the native size all is as it is there; elsewhere it is not. */
static void test_effect(void **state) {
    (void)state;
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48,16,40x80", "-t1", "-oeffect", "-q", "cat.png",
                "rocket.jpg", "rainbow.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = read_json("effect/sweep.json");
    const json_t *native = find_row(all, "48x48", "all"), *wide = find_row(all, "40x80", "all");
    assert_float_equal(number(native, "agreement"), 1, 0);
    assert_float_equal(number(native, "kl"), 0, 1e-9);
    assert_float_equal(number(native, "cosine"), 1, 1e-6);
    assert_true(number(wide, "kl") > 1e-4);
    assert_true(number(wide, "cosine") < 0.9999);
    assert_int_equal(number(wide, "height"), 40);
    assert_int_equal(number(wide, "tokens"), 51);
    assert_int_equal(number(wide, "images"), 3);
    assert_true(is_null(wide, "top1") && is_null(wide, "top5"));
    assert_true(number(wide, "forward_median_ms") <= number(wide, "forward_p95_ms"));
    assert_true(number(wide, "peak_rss_mb") > number(wide, "workspace_mb"));
    json_decref(all);
}

static void test_lists(void **state) {
    (void)state;
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48,32", "-t1", "--precision=f32,int8",
                "--pos-resize=bicubic,bicubic-offset", "--patch-sizes=8,16", "-olists", "-q",
                "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    check_schema("lists/sweep.json");
    json_t *all = read_json("lists/sweep.json");
    const json_t *rows = json_object_get(all, "rows");
    assert_int_equal(json_array_size(rows), 16);
    for (size_t i = 0; i < 16; i++) { /* the order of the curves */
        const json_t *row = json_array_get(rows, i);
        assert_int_equal(number(row, "patch_size"), i < 8 ? 8 : 16);
        assert_string_equal(string(row, "precision"), i % 8 < 4 ? "f32" : "int8");
        assert_string_equal(string(row, "pos_resize"), i % 4 < 2 ? "bicubic" : "bicubic-offset");
        assert_string_equal(string(row, "size"), i % 2 ? "48x48" : "32x32");
    }
    /* no table is resized at the native size; f32 is the reference, int8 is not */
    assert_float_equal(number(json_array_get(rows, 1), "kl"), 0, 1e-9);
    assert_float_equal(number(json_array_get(rows, 3), "kl"), 0, 1e-9);
    assert_true(number(json_array_get(rows, 5), "kl") > 1e-9);
    double bicubic = number(json_array_get(rows, 0), "kl");
    assert_true(fabs(bicubic - number(json_array_get(rows, 2), "kl")) > 1e-9);
    json_decref(all);
}

static void test_architecture(void **state) {
    (void)state;
    command_run(&ran, NULL, "sweep", "--arch=vit_tiny_patch16_224", "-s32:64:16", "-n3", "-t1",
                "-oarch", "-q", NULL);
    assert_ran(&ran, 0, NULL, "");
    check_schema("arch/sweep.json");
    json_t *all = read_json("arch/sweep.json");
    const json_t *row = find_row(all, "48x48", "all");
    assert_int_equal(count_rows("arch/sweep.json"), 3);
    assert_string_equal(string(row, "model"), "vit_tiny_patch16_224");
    assert_int_equal(number(row, "images"), 3);
    assert_true(is_null(row, "preprocess_median_ms") && is_null(row, "agreement"));
    assert_true(is_null(row, "kl") && is_null(row, "cosine") && is_null(row, "top1"));
    assert_true(number(row, "forward_median_ms") > 0 && number(row, "images_per_s") > 0);
    json_decref(all);
}

/* The 120 pictures, their labels and styles; how many the reference got right of a style (NULL: of
 * all), within its best `most`. */
static size_t expected_hits(const char *style, size_t most, FILE *labels) {
    char *lines = read_text_file(VT_TEST_DATA "/emoji/pictures/expected.jsonl"), *rest = lines;
    size_t hits = 0;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        json_t *entry = json_loads(line, 0, NULL);
        assert_non_null(entry);
        const json_t *top = json_object_get(entry, "top");
        double label = number(entry, "label");
        if (labels)
            fprintf(labels, VT_TEST_DATA "/emoji/pictures/%s,%.0f,%s\n", string(entry, "file"),
                    label, string(entry, "style"));
        for (size_t i = 0; i < most; i++)
            if (json_number_value(json_array_get(json_array_get(top, i), 0)) == label)
                hits += !style || strcmp(string(entry, "style"), style) == 0;
        json_decref(entry);
    }
    free(lines);
    return hits;
}

static void test_accuracy(void **state) {
    static const char *const groups[] = {NULL,       "noto",         "noto-v1",          "twemoji",
                                         "emojione", "fluent-emoji", "fluent-emoji-flat"};
    (void)state;
    FILE *labels = fopen("labels.csv", "w");
    assert_non_null(labels);
    fprintf(labels, "file,label,group\n");
    expected_hits(NULL, 1, labels);
    fclose(labels);
    command_run(&ran, NULL, "sweep", "-m", VT_TEST_DATA "/emoji/model", "--labels=labels.csv",
                "-t2", "-oemoji", "-q", NULL);
    assert_ran(&ran, 0, NULL, "");
    check_schema("emoji/sweep.json");
    json_t *all = read_json("emoji/sweep.json");
    double images = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const json_t *row = find_row(all, "128x128", groups[i] ? groups[i] : "all");
        double top1 = number(row, "top1") * number(row, "images");
        double top5 = number(row, "top5") * number(row, "images");
        assert_float_equal(top1, expected_hits(groups[i], 1, NULL), 1e-6);
        assert_float_equal(top5, expected_hits(groups[i], 5, NULL), 1e-6);
        assert_float_equal(number(row, "agreement"), 1, 0);
        images += groups[i] ? number(row, "images") : 0;
    }
    assert_int_equal(images, 120);
    assert_int_equal(number(find_row(all, "128x128", "all"), "images"), 120);
    json_decref(all);
}

/* Labels by name, for operands, found by the end of their path; a header is not needed. */
static void test_labels_of_operands(void **state) {
    static const char labels[] = "other/rainbow.png,3\nrainbow.png,class 7\r\n\"cat.png\",0\n";
    (void)state;
    write_file("operands.csv", labels, sizeof labels - 1);
    command_run(&ran, NULL, "sweep", "-mmodel", "--labels=operands.csv", "-t1", "-ooperands", "-q",
                "./rainbow.png", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = read_json("operands/sweep.json");
    assert_int_equal(number(find_row(all, "48x48", "all"), "images"), 2);
    json_decref(all);
    command_run(&ran, NULL, "sweep", "-mmodel", "--labels=operands.csv", "-q", "rocket.jpg", NULL);
    assert_ran(&ran, 1, "", "vitrine: rocket.jpg: no label for it in operands.csv\n");
}

/* A file for each size; one that is missing is named, and the rest counts. */
static void test_file_for_each_size(void **state) {
    static const char labels[] = "file,label\n{size}/a.png,1\n{size}/b.png,2\n";
    (void)state;
    assert_int_equal(mkdir("by-size", 0700) | mkdir("by-size/48", 0700) | mkdir("by-size/32", 0700),
                     0);
    write_file("by-size/labels.csv", labels, sizeof labels - 1);
    assert_int_equal(symlink("../../rainbow.png", "by-size/48/a.png") |
                         symlink("../../cat.png", "by-size/48/b.png") |
                         symlink("../../rainbow.png", "by-size/32/a.png"),
                     0);
    command_run(&ran, NULL, "sweep", "-mmodel", "--labels=by-size/labels.csv", "-s32,48", "-t1",
                "-oby-size/out", "-q", NULL);
    assert_ran(&ran, 1, NULL, "vitrine: by-size/32/b.png: No such file or directory\n");
    json_t *all = read_json("by-size/out/sweep.json");
    assert_int_equal(number(find_row(all, "32x32", "all"), "images"), 1);
    assert_int_equal(number(find_row(all, "48x48", "all"), "images"), 2);
    json_decref(all);
}

/* ---- going on ----------------------------------------------------------------------------------
 */

/* Replaces the latency of the first row, so that it can be told from one that was measured anew. */
static void mark_first_row(const char *path) {
    char *csv = read_text_file(path), *at = strchr(csv, '\n') + 1;
    for (int commas = 0; commas < 15; at++)
        commas += *at == ',';
    char *end = strchr(at, ','), *marked = NULL;
    assert_true(asprintf(&marked, "%.*s12345%s", (int)(at - csv), csv, end) > 0);
    write_file(path, marked, strlen(marked));
    free(marked);
    free(csv);
}

static void test_resume(void **state) {
    (void)state;
    command_run(&ran, NULL, "sweep", "-mmodel", "-s32", "-t1", "-oresume", "-q", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    mark_first_row("resume/sweep.csv");
    command_run(&ran, NULL, "sweep", "-mmodel", "-s24,32", "-t1", "-oresume", "-q", "--resume",
                "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = read_json("resume/sweep.json");
    assert_int_equal(count_rows("resume/sweep.json"), 2);
    assert_float_equal(number(find_row(all, "32x32", "all"), "forward_median_ms"), 12345, 0);
    assert_true(number(find_row(all, "24x24", "all"), "forward_median_ms") < 12345);
    json_decref(all);
    command_run(&ran, NULL, "sweep", "-mmodel", "-s32", "-oresume", "-q", "--resume", "rocket.jpg",
                NULL);
    assert_ran(&ran, 1, "",
               "vitrine: resume/sweep.csv: the table is of other pictures, labels or weights than "
               "these\n");
    command_run(&ran, NULL, "sweep", "-mbundled", "-s32", "-oresume", "-q", "--resume", "cat.png",
                NULL);
    assert_ran(&ran, 1, "", "vitrine: resume/sweep.csv: the table is of another model, model\n");
    assert_int_equal(count_rows("resume/sweep.json"), 2); /* nothing was touched */
    command_run(&ran, NULL, "sweep", "-mmodel", "-s32", "-t1", "-oresume", "-q", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(count_rows("resume/sweep.json"), 1); /* begun anew */
}

static void test_damaged_table(void **state) {
    static const struct {
        const char *rows, *message;
    } cases[] = {
        {"size,ms\n1,2\n", "not a table that sweep wrote: its first line is not the names"},
        {"", "not a table that sweep wrote"},
        {"@a,b,c\n", "line 2 is not a row of the table"},
        {"@model,k,f32,8,auto,1,all,32x32,32,32,17,1e,1,,,,,,,,,,,,,0\n", "line 2 is not a row"},
        {"@model,k,f32,8,auto,1,all,32x32,32,32,17,1,1,x,,,,,,,,,,,,0\n", "line 2 is not a row"},
        {"@model,k,f32,8,auto,1,all,32x32,32,32,17,1,1,,,,,,,,,,,,,0\n", "of other pictures"},
    };
    (void)state;
    mkdir("damaged", 0700);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        bool with_header = *cases[i].rows == '@';
        assert_true(
            asprintf(&text, "%s%s", with_header ? header : "", cases[i].rows + with_header) >= 0);
        write_file("damaged/sweep.csv", text, strlen(text));
        free(text);
        command_run(&ran, NULL, "sweep", "-mmodel", "-s32", "-odamaged", "--resume", "cat.png",
                    NULL);
        if (ran.code != 1 || !strstr(ran.err, cases[i].message))
            fail_msg("case %zu: code %d, %s", i, ran.code, ran.err);
    }
}

static bool has_first_row(void) {
    return exists("cut/sweep.csv");
}

/* The second row alone would take a minute. */
static void test_interrupt(void **state) {
    (void)state;
    for (int number = SIGINT; number <= SIGTERM; number += SIGTERM - SIGINT) {
        command_run(&ran, NULL, "help", NULL);
        unlink("cut/sweep.csv");
        command_interrupt(&ran, number, has_first_row, "sweep", "--arch=vit_tiny_patch16_224",
                          "-s16,384", "-n1000", "-t1", "-ocut", "-q", NULL);
        assert_ran(&ran, 128 + number, NULL,
                   "vitrine: note: interrupted with 1 of 2 combinations in cut/sweep.csv; --resume "
                   "runs the others\n");
        check_schema("cut/sweep.json");
        assert_int_equal(count_rows("cut/sweep.json"), 1);
        assert_false(exists("cut/sweep.csv.part"));
        assert_non_null(strstr(ran.out, "16x16"));
    }
    command_run(&ran, NULL, "sweep", "--arch=vit_tiny_patch16_224", "-s16,32", "-n1", "-t1",
                "-ocut", "-q", "--resume", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = read_json("cut/sweep.json");
    assert_int_equal(number(find_row(all, "16x16", "all"), "images"), 1000);
    assert_int_equal(number(find_row(all, "32x32", "all"), "images"), 1);
    json_decref(all);
}

/* ---- what is refused ---------------------------------------------------------------------------
 */

static void test_no_gnuplot(void **state) {
    (void)state;
    setenv("VITRINE_GNUPLOT", "/nowhere/gnuplot", 1);
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48", "-t1", "-obare", "cat.png", NULL);
    assert_ran(&ran, 0, NULL,
               "vitrine: note: no charts: gnuplot is not installed (Debian: gnuplot-nox)\n");
    assert_true(exists("bare/sweep.csv") && exists("bare/sweep.json"));
    assert_false(exists("bare/sweep.png"));
    command_run(&ran, NULL, "inspect", "-mmodel", "--pos-map=bare/map.png", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: bare/map.png: gnuplot, which draws it, is not installed (Debian: "
               "gnuplot-nox)\n");
    setenv("VITRINE_GNUPLOT", "false", 1); /* one that draws nothing */
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48", "-t1", "-obare", "cat.png", NULL);
    assert_ran(&ran, 1, NULL, "vitrine: bare/sweep.png: gnuplot could not draw it\n");
    unsetenv("VITRINE_GNUPLOT");
}

static void test_refusals(void **state) {
    static const struct {
        const char *arguments[4], *message;
        int code;
    } cases[] = {
        {{"-mmodel"}, "no picture given; --arch sweeps the cost alone", 2},
        {{"--arch=vit_tiny_patch16_224", "cat.png"}, "takes no pictures or labels", 2},
        {{"--arch=vit_tiny_patch16_224", "--labels=l.csv"}, "takes no pictures or labels", 2},
        {{"--arch=vit_tiny_patch16_224", "-mmodel"}, "both --model and --arch given", 2},
        {{"-mmodel", "-s64:32:16", "cat.png"}, "--sizes: expected at most 256 sizes", 2},
        {{"-mmodel", "-s1:1000:1", "cat.png"}, "--sizes: expected at most 256 sizes", 2},
        {{"-mmodel", "-s16:32:0", "cat.png"}, "--sizes: expected at most 256 sizes", 2},
        {{"-mmodel", "-s16:32", "cat.png"}, "--sizes: expected at most 256 sizes", 2},
        {{"-mmodel", "--pos-resize=cubic", "cat.png"}, "--pos-resize: expected rules such as", 2},
        {{"-mmodel", "--precision=int7", "cat.png"}, "no precision named \"int7\"", 2},
        {{"-mmodel", "--labels=missing.csv"}, "missing.csv: ", 1},
        {{"-mmodel", "--labels=bad.csv"},
         "record 2: expected the number or the name of a class",
         1},
        {{"-mmodel", "--labels=all.csv"}, "this is that of all groups", 1},
        {{"-mmodel", "--labels=one.csv"}, "expected file,label or file,label,group", 1},
        {{"-mmodel", "--labels=empty.csv"}, "no picture in it", 1},
        {{"-mmodel", "-ocat.png/x", "cat.png"}, "cat.png/x: Not a directory", 1},
        {{"-mmodel", "-s2000000", "cat.png"}, "model: an input of 2000000 x 2000000", 3},
        {{"-m", VT_SOURCE_DIR "/weights/positions/rope", "cat.png"}, "takes no pictures", 3},
        {{"-mmissing", "cat.png"}, "missing: no such file or directory", 3},
    };
    (void)state;
    write_file("bad.csv", "file,label\ncat.png,10\n", 22);
    write_file("all.csv", "cat.png,1,all\n", 14);
    write_file("one.csv", "cat.png\n", 8);
    write_file("empty.csv", "file,label\n", 11);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *a = cases[i].arguments;
        command_run(&ran, NULL, "sweep", a[0], a[1], a[2], NULL);
        if (ran.code != cases[i].code || !strstr(ran.err, cases[i].message))
            fail_msg("%s %s: code %d, %s", a[0], a[1], ran.code, ran.err);
        assert_string_equal(ran.out, "");
    }
}

/* One combination that can't be run does not keep the others from it. */
static void test_failed_combination(void **state) {
    (void)state;
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48", "-t1,5000", "-q", "-ofailed", "cat.png",
                NULL);
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.err, "5000 threads: at most 4096\n"));
    assert_int_equal(count_rows("failed/sweep.json"), 1);
}

/* What a size costs to plan is told even so; there is nothing to draw. */
static void test_no_picture_can_be_read(void **state) {
    (void)state;
    write_file("no.png", "text", 4);
    command_run(&ran, NULL, "sweep", "-mmodel", "-s32,48", "-t1", "-ounread", "no.png", NULL);
    assert_int_equal(ran.code, 1);
    assert_int_equal(strncmp(ran.err, "vitrine: no.png: not a PNG", 26), 0);
    assert_null(strstr(ran.err, "gnuplot"));
    assert_non_null(strstr(ran.out, "48x48     37"));
    assert_int_equal(count_rows("unread/sweep.json"), 2);
    assert_int_not_equal(access("unread/sweep.png", F_OK), 0);
}

/* ---- the map of positions ----------------------------------------------------------------------
 */

static double cosine(const float *a, const float *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

/* At the native size the table is the checkpoint's own, after the class token's row. */
static void test_pos_map_values(void **state) {
    (void)state;
    vt_error err = {0};
    vt_tensor_file *file;
    command_run(&ran, NULL, "inspect", "-mmodel", "--pos-map=map.npy", NULL);
    assert_ran(&ran, 0, NULL, "");
    expect_ok(vt_tensor_file_open(&file, "model/model.safetensors", &err), &err);
    const vt_tensor *table = vt_tensor_file_find(file, "pos_embed");
    assert_non_null(table);
    assert_int_equal(table->dtype, VT_DTYPE_F32);
    assert_int_equal(table->shape[1], 37);
    enum { PLACES = 36, WIDTH = 48 };
    const float *rows = (const float *)table->data + WIDTH;
    float found[PLACES * PLACES];
    FILE *npy = fopen("map.npy", "rb");
    assert_non_null(npy);
    assert_int_equal(fseek(npy, -(long)sizeof found, SEEK_END), 0);
    assert_int_equal(fread(found, sizeof *found, PLACES * PLACES, npy), PLACES * PLACES);
    fclose(npy);
    for (size_t i = 0; i < PLACES; i++)
        for (size_t j = 0; j < PLACES; j++)
            assert_float_equal(found[i * PLACES + j],
                               cosine(rows + i * WIDTH, rows + j * WIDTH, WIDTH), 1e-5);
    vt_tensor_file_close(file);
}

static void test_pos_map_picture(void **state) {
    (void)state;
    if (!has_gnuplot())
        skip();
    vt_error err = {0};
    vt_image image;
    command_run(&ran, NULL, "inspect", "-mmodel", "-s80x96", "--pos-map=map.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    expect_ok(vt_image_read(&image, "map.png", NULL, &err), &err);
    assert_int_equal(image.width, 1200);
    assert_int_equal(image.height, 640);
    vt_image_free(&image);
    command_run(&ran, NULL, "inspect", "-mmodel", "-s80x96", "--pos-map=map.svg", NULL);
    assert_ran(&ran, 0, NULL, "");
    char *svg = read_text_file("map.svg");
    assert_non_null(strstr(svg, "10 x 12 places, input 80x96, bicubic-antialias"));
    free(svg);
}

static void test_pos_map_refusals(void **state) {
    (void)state;
    command_run(&ran, NULL, "inspect", "-mmodel", "--pos-map=map.gif", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "expected a name ending with .png, .svg or .npy"));
    command_run(&ran, NULL, "inspect", "-m", VT_SOURCE_DIR "/weights/positions/rope",
                "--pos-map=map.npy", NULL);
    assert_int_equal(ran.code, 3);
    assert_non_null(strstr(ran.err, "this model adds no table of positions that could be shown"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_effect),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_labels_of_operands),
        cmocka_unit_test(test_file_for_each_size),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_damaged_table),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_no_gnuplot),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failed_combination),
        cmocka_unit_test(test_no_picture_can_be_read),
        cmocka_unit_test(test_pos_map_values),
        cmocka_unit_test(test_pos_map_picture),
        cmocka_unit_test(test_pos_map_refusals),
    };
    int failed = cmocka_run_group_tests(tests, command_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
