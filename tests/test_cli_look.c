/* SPDX-License-Identifier: MIT
 *
 * Looking and sorting: attention, similar, cluster, and embed --pca.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "colours.h"

static command_result ran;

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static bool has_gnuplot(void) {
    return exists("/usr/bin/gnuplot");
}

/* ---- attention ---------------------------------------------------------------------------------
 */

enum { MAX_BLOCKS = 8 };

/* A pass over the picture, from the library. */
typedef struct pass {
    vt_model *model;
    vt_session *session;
    vt_model_info info;
    size_t tokens, blocks;
    double *mean[MAX_BLOCKS]; /* of the heads, [tokens][tokens] */
    double *head1;            /* of the last block */
} pass;

static void on_stage(void *user, const vt_tensor *stage) {
    pass *p = user;
    if (!strstr(stage->name, ".attention"))
        return;
    size_t heads = stage->shape[1], n = stage->shape[2];
    const float *data = stage->data;
    p->tokens = n;
    p->mean[p->blocks] = calloc(n * n, sizeof(double));
    free(p->head1);
    p->head1 = calloc(n * n, sizeof(double));
    for (size_t i = 0; i < n * n; i++) {
        for (size_t h = 0; h < heads; h++)
            p->mean[p->blocks][i] += (double)data[h * n * n + i] / (double)heads;
        p->head1[i] = (double)data[n * n + i];
    }
    p->blocks++;
}

static void make_pass(pass *p, const char *model, const char *picture, bool features) {
    vt_error err = {0};
    vt_image image;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.attention = !features;
    options.features = features;
    *p = (pass){0};
    expect_ok(vt_model_open(&p->model, model, NULL, &err), &err);
    expect_ok(vt_session_create(&p->session, p->model, &options, &err), &err);
    expect_ok(vt_image_read(&image, picture, NULL, &err), &err);
    vt_model_describe(&p->info, p->model);
    float *pixels = malloc(vt_session_picture_floats(p->session) * sizeof *pixels);
    expect_ok(vt_session_preprocess(p->session, pixels, &image, &err), &err);
    vt_session_on_stage(p->session, on_stage, p);
    expect_ok(vt_session_forward(p->session, pixels, 1, &err), &err);
    free(pixels);
    vt_image_free(&image);
}

static void free_pass(pass *p) {
    for (size_t i = 0; i < p->blocks; i++)
        free(p->mean[i]);
    free(p->head1);
    vt_session_destroy(p->session);
    vt_model_close(p->model);
}

/* Abnar & Zuidema's product, whole: R = A' R of all blocks, A' = (A + I) / 2. */
static double *roll_out(const pass *p) {
    size_t n = p->tokens;
    double *product = calloc(n * n, sizeof *product), *next = calloc(n * n, sizeof *next);
    for (size_t i = 0; i < n; i++)
        product[i * n + i] = 1;
    for (size_t block = 0; block < p->blocks; block++) {
        memset(next, 0, n * n * sizeof *next);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < n; k++) {
                double a = (p->mean[block][i * n + k] + (i == k)) / 2;
                for (size_t j = 0; j < n; j++)
                    next[i * n + j] += a * product[k * n + j];
            }
        double *last = product;
        product = next;
        next = last;
    }
    free(next);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += product[i * n + j];
        assert_float_equal(sum, 1, 1e-5);
    }
    return product;
}

/* The map that the command prints, against rows [first, past) of a matrix, averaged. */
static void expect_map(const pass *p, const double *matrix, size_t first, size_t past) {
    size_t n = p->tokens, prefix = p->info.num_prefix_tokens, at = prefix, i, j;
    double total = 0;
    json_t *line = json_loads(ran.out, 0, NULL), *row, *value;
    assert_non_null(line);
    json_array_foreach(json_object_get(line, "map"), i, row) {
        json_array_foreach(row, j, value) {
            double expected = 0;
            for (size_t query = first; query < past; query++)
                expected += matrix[query * n + at] / (double)(past - first);
            assert_float_equal(json_number_value(value), expected, 1e-6);
            total += json_number_value(value);
            at++;
        }
    }
    assert_int_equal(at, n);
    assert_float_equal(total + number_at(line, "outside"), 1, 1e-5);
    json_decref(line);
}

static void test_rollout(void **state) {
    (void)state;
    pass p;
    make_pass(&p, "model", "cat.png", false);
    assert_string_equal(p.info.pooling, "class token");
    double *rollout = roll_out(&p);
    command_run(&ran, NULL, "attention", "-m", "model", "--format=json", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\"image\": \"cat.png\", \"method\": \"rollout\", \"input\": "
                                    "[48, 48], \"grid\": [6, 6]"));
    expect_map(&p, rollout, 0, 1);
    free(rollout);
    free_pass(&p);
}

static void test_last_block_and_its_heads(void **state) {
    (void)state;
    pass p;
    make_pass(&p, "model", "cat.png", false);
    command_run(&ran, NULL, "attention", "-m", "model", "--method=last", "--format=json", "cat.png",
                NULL);
    expect_map(&p, p.mean[p.blocks - 1], 0, 1);
    command_run(&ran, NULL, "attention", "-m", "model", "--method=head:1", "--format=json",
                "cat.png", NULL);
    expect_map(&p, p.head1, 0, 1);
    free_pass(&p);
}

/* Where patches are averaged, and where two tokens are. */
static void test_without_class_token(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t first; /* query; the last one is the last token's, or the second's */
        bool pair;
    } cases[] = {{"timm_vit_reg4_gap", 4, false}, {"timm_deit_distilled", 0, true}};
    for (size_t i = 0; i < 2; i++) {
        pass p;
        const char *model = data_path("golden", cases[i].name, NULL);
        make_pass(&p, model, "cat.png", false);
        double *rollout = roll_out(&p);
        command_run(&ran, NULL, "attention", "-m", model, "--format=json", "cat.png", NULL);
        assert_ran(&ran, 0, NULL, "");
        expect_map(&p, rollout, cases[i].first, cases[i].pair ? 2 : p.tokens);
        free(rollout);
        free_pass(&p);
    }
}

/* Of padded pictures the patches alone. */
static void test_attention_of_naflex(void **state) {
    (void)state;
    json_t *line;
    size_t rows, columns;
    command_run(&ran, NULL, "attention", "-m", data_path("golden", "hf_siglip2_naflex", NULL),
                "--format=json", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    line = json_loads(ran.out, 0, NULL);
    assert_non_null(line);
    const json_t *map = json_object_get(line, "map");
    rows = json_array_size(map);
    columns = json_array_size(json_array_get(map, 0));
    assert_true(columns > rows);
    double total = 0;
    for (size_t i = 0; i < rows * columns; i++)
        total += json_number_value(json_array_get(json_array_get(map, i / columns), i % columns));
    assert_float_equal(total, 1, 1e-5);
    assert_float_equal(number_at(line, "outside"), 0, 0);
    json_decref(line);
}

static void test_class_activation(void **state) {
    (void)state;
    static const char *const wanted[] = {NULL, "3"};
    pass p;
    vt_error err = {0};
    vt_prediction best;
    make_pass(&p, "model", "cat.png", true);
    size_t tokens = vt_session_num_tokens(p.session), classes = p.info.num_classes;
    float *logits = malloc(tokens * classes * sizeof *logits);
    expect_ok(vt_session_token_logits(p.session, logits, 0, &err), &err);
    vt_model_top_k(p.model, vt_session_logits(p.session), &best, 1);
    for (size_t i = 0; i < 2; i++) {
        size_t index = wanted[i] ? 3 : best.index;
        command_run(&ran, NULL, "attention", "-m", "model", "--method=cam", "--format=json",
                    "cat.png", wanted[i] ? "--class" : NULL, wanted[i], NULL);
        assert_ran(&ran, 0, NULL, "");
        json_t *line = json_loads(ran.out, 0, NULL);
        assert_int_equal(number_at(line, "index"), index);
        assert_null(json_object_get(line, "outside"));
        for (size_t t = 0; t < 36; t++) {
            const json_t *row = json_array_get(json_object_get(line, "map"), t / 6);
            assert_float_equal(json_number_value(json_array_get(row, t % 6)),
                               logits[(t + 1) * classes + index], 1e-5);
        }
        json_decref(line);
    }
    free(logits);
    free_pass(&p);
    command_run(&ran, NULL, "attention", "-m", "bundled", "--method=cam", "--class=cat face",
                "--format=json", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\"label\": \"cat face\""));
}

static void test_attention_files(void **state) {
    (void)state;
    vt_error err = {0};
    vt_image image;
    command_run(&ran, NULL, "attention", "-m", "model", "--size=48x64", "cat.png", "-o", "map.npy",
                NULL);
    assert_ran(&ran, 0, "", "");
    size_t size;
    unsigned char *bytes = read_bytes("map.npy", &size);
    assert_non_null(strstr((char *)bytes + 10, "'shape': (6, 8, )"));
    free(bytes);
    if (!has_gnuplot())
        return;
    command_run(&ran, NULL, "attention", "-m", "model", "--size=48x64", "cat.png", "-o", "map.png",
                NULL);
    assert_ran(&ran, 0, "", "");
    expect_ok(vt_image_read(&image, "map.png", NULL, &err), &err);
    /* The picture stands pixel for pixel, white around it; where the bar is, is colour. */
    assert_true(image.width > 2 * 420 && image.height > 315);
    const uint8_t *corner = image.pixels;
    assert_int_equal(corner[0] + corner[1] + corner[2], 3 * 255);
    const uint8_t *bar = image.pixels + 100 * image.stride + 3 * (36 + 2 * 420 + 7);
    assert_true(abs(bar[0] - bar[1]) + abs(bar[1] - bar[2]) > 30);
    vt_image_free(&image);
    command_run(&ran, NULL, "attention", "-m", "model", "cat.png", "-o", "map.svg", NULL);
    assert_ran(&ran, 0, "", "");
    char *text = read_text_file("map.svg");
    assert_non_null(strstr(text, "attention rollout over 3 blocks"));
    free(text);
}

/* A picture says what is seen in it, and of which method it is. */
static void test_captions(void **state) {
    static const struct {
        const char *method, *class_name, *map;
    } cases[] = {
        {"--method=last", NULL, "attention in the last block, mean of 3 heads"},
        {"--method=head:1", NULL, "attention in the last block, head 1"},
        {"--method=cam", NULL, "class activation: class 8"},
        {"--method=cam", "--class=class 3", "class activation: class 3"},
    };
    (void)state;
    if (!has_gnuplot())
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_run(&ran, NULL, "attention", "-m", "model", "cat.png", "-o", "map.svg",
                    cases[i].method, cases[i].class_name, NULL);
        assert_ran(&ran, 0, "", "");
        char *text = read_text_file("map.svg");
        assert_non_null(strstr(text, cases[i].map));
        const char *subject = cases[i].class_name ? ">cat.png<" : ">cat.png: class 8, ";
        assert_non_null(strstr(text, subject));
        free(text);
    }
}

static void test_attention_refuses(void **state) {
    (void)state;
    static const struct {
        const char *arguments[6];
        int code;
        const char *message;
    } cases[] = {
        {{"cat.png"}, 2, "no output given: --output OUT.png, or --format json"},
        {{"cat.png", "-o", "map.jpg"}, 2, "expected a name ending with .png, .svg or .npy"},
        {{"-o", "map.png"}, 2, "expected one picture"},
        {{"cat.png", "--format=json", "--method=head"}, 2, "rollout, last, head:N or cam; found"},
        {{"cat.png", "--format=json", "--method=head:x"}, 2, "found 'head:x'"},
        {{"cat.png", "--format=json", "--method=head:3"}, 2, "the model has heads 0 to 2"},
        {{"cat.png", "--format=json", "--class=1"}, 2, "--class is for --method=cam"},
        {{"cat.png", "--format=json", "--method=cam", "--class=10"}, 2, "knows no '10'"},
        {{"none.png", "--format=json"}, 1, "vitrine: none.png: "},
        {{"cat.png", "--format=json", "--method=cam", "-m", "dino"}, 3, "no classifier"},
    };
    assert_int_equal(symlink(data_path("golden", "meta_dinov2", NULL), "dino"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *a = cases[i].arguments;
        command_run(&ran, NULL, "attention", "-m", "model", a[0], a[1], a[2], a[3], a[4], NULL);
        assert_int_equal(ran.code, cases[i].code);
        assert_string_equal(ran.out, "");
        if (!strstr(ran.err, cases[i].message))
            fail_msg("'%s' is not in: %s", cases[i].message, ran.err);
    }
}

/* One line, and nothing left behind. */
static void test_no_gnuplot(void **state) {
    (void)state;
    setenv("VITRINE_GNUPLOT", "/nowhere", 1);
    command_run(&ran, NULL, "attention", "-m", "model", "cat.png", "-o", "bare.png", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: bare.png: gnuplot, which draws it, is not installed (Debian: "
               "gnuplot-nox)\n");
    setenv("VITRINE_GNUPLOT", "false", 1);
    command_run(&ran, NULL, "similar", "-m", "model", "cat.png", "rocket.jpg", "--grid", "bare.png",
                NULL);
    assert_ran(&ran, 1, NULL, "vitrine: bare.png: gnuplot could not draw it\n");
    unsetenv("VITRINE_GNUPLOT");
    assert_false(exists("bare.png"));
    assert_int_equal(system("ls | grep -q tmp"), 256);
}

/* ---- similar -----------------------------------------------------------------------------------
 */

static void test_similar(void **state) {
    (void)state;
    size_t red = 0;
    double last = 2;
    command_run(&ran, NULL, "similar", "-m", "model", "red.ppm", "colours", "-k8", "--format=json",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    for (char *at = ran.out; *at; at = strchr(at, '\n') + 1) {
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(line);
        const char *path = json_string_value(json_object_get(line, "image"));
        assert_memory_equal(path, "colours/red/", 12);
        assert_string_equal(json_string_value(json_object_get(line, "query")), "red.ppm");
        assert_int_equal(number_at(line, "rank"), ++red);
        assert_true(number_at(line, "cosine") <= last);
        last = number_at(line, "cosine");
        json_decref(line);
    }
    assert_int_equal(red, 8);
}

/* The cosine is that of what `embed` writes. */
static void test_cosine(void **state) {
    (void)state;
    double rows[2][48], dot = 0;
    static const char *const pictures[] = {"cat.png", "rocket.jpg"};
    for (size_t i = 0; i < 2; i++) {
        command_run(&ran, NULL, "embed", "-m", "model", "--normalize", "--format=json", pictures[i],
                    NULL);
        json_t *line = json_loads(ran.out, 0, NULL);
        for (size_t j = 0; j < 48; j++)
            rows[i][j] = json_number_value(json_array_get(json_object_get(line, "embedding"), j));
        json_decref(line);
    }
    for (size_t j = 0; j < 48; j++)
        dot += rows[0][j] * rows[1][j];
    char expected[128];
    snprintf(expected, sizeof expected, "query,rank,image,cosine\ncat.png,1,rocket.jpg,%.6f\n",
             dot);
    command_run(&ran, NULL, "similar", "-m", "model", "--format=csv", "cat.png", "rocket.jpg",
                NULL);
    char *comma = strrchr(expected, ','), *found = strrchr(ran.out, ',');
    assert_int_equal(found - ran.out, comma - expected);
    assert_memory_equal(ran.out, expected, (size_t)(comma - expected));
    assert_float_equal(atof(found + 1), dot, 2e-6);
}

/* However little alike they are: without --threshold nothing is left out. */
static void test_similar_shows_all(void **state) {
    (void)state;
    size_t lines = 0;
    command_run(&ran, NULL, "similar", "-m", "bundled", "-k99",
                VT_SOURCE_DIR "/images/emoji/"
                              "deer_noto-v1_384_pal.png",
                VT_SOURCE_DIR "/images", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\n-0."));
    for (char *at = ran.out; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 16);
}

static void test_similar_leaves_out(void **state) {
    (void)state;
    copy_file("cat.png", "copy.png");
    command_run(&ran, NULL, "similar", "-m", "model", "--threshold=0.999", "cat.png", ".", NULL);
    assert_ran(&ran, 0, " 1.000  ./copy.png\n", "");
    command_run(&ran, NULL, "similar", "-m", "model", "cat.png", "cat.png", "none.png", "copy.png",
                NULL);
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.out, " 1.000  copy.png\n");
    assert_non_null(strstr(ran.err, "vitrine: none.png: "));
    command_run(&ran, NULL, "similar", "-m", "model", "none.png", "cat.png", NULL);
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.out, "");
    unlink("copy.png");
}

static void test_similar_usage(void **state) {
    (void)state;
    command_run(&ran, NULL, "similar", "-m", "model", "cat.png", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "no pictures given to compare it with"));
    command_run(&ran, NULL, "similar", "-m", "model", "colours", "cat.png", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "'colours' is a directory"));
    command_run(&ran, NULL, "similar", "-m", "model", "cat.png", "colours", "--grid=x.gif", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "ending with .png or .svg; found 'x.gif'"));
}

static void test_grid(void **state) {
    (void)state;
    vt_error err = {0};
    vt_image image;
    if (!has_gnuplot())
        return;
    command_run(&ran, NULL, "similar", "-m", "model", "red.ppm", "colours", "-k3", "--grid=g.png",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    expect_ok(vt_image_read(&image, "g.png", NULL, &err), &err);
    /* The first square's middle is red, as the query is. */
    const uint8_t *middle = image.pixels + 85 * image.stride + 3 * 85;
    assert_true(middle[0] > 120 && middle[1] < 100 && middle[2] < 100);
    vt_image_free(&image);
}

/* Names are drawn as they are written: gnuplot would run what stands between backquotes. */
static void test_names_are_not_run(void **state) {
    (void)state;
    static const char *const names[] = {"`touch ran`.ppm", "it's \"\\n\".ppm"};
    if (!has_gnuplot())
        return;
    for (size_t i = 0; i < 2; i++)
        copy_file("red.ppm", names[i]);
    command_run(&ran, NULL, "similar", "-m", "model", "red.ppm", names[0], names[1],
                "--grid=names.png", NULL);
    assert_int_equal(ran.code, 0);
    assert_int_equal(access("names.png", F_OK), 0);
    assert_int_equal(access("ran", F_OK), -1);
    for (size_t i = 0; i < 2; i++)
        unlink(names[i]);
}

/* ---- cluster -----------------------------------------------------------------------------------
 */

static void test_cluster(void **state) {
    (void)state;
    static const char *const names[] = {"red", "green", "blue"};
    static const size_t sizes[] = {8, 6, 4};
    size_t found[3] = {0}, medoids[3] = {0};
    double last = 0;
    command_run(&ran, NULL, "cluster", "-m", "model", "colours", "-k3", "--format=csv", NULL);
    assert_ran(&ran, 0, NULL, "");
    char *first = strdup(ran.out), *at = first;
    assert_memory_equal(at, "image,cluster,distance,medoid,duplicate_of\n", 43);
    while (*(at = strchr(at, '\n') + 1)) {
        char name[16];
        size_t cluster, medoid;
        double distance;
        assert_int_equal(sscanf(at, "colours/%15[a-z]/%*[0-9].ppm,%zu,%lf,%zu,\n", name, &cluster,
                                &distance, &medoid),
                         4);
        assert_true(cluster < 3);
        assert_string_equal(name, names[cluster]); /* the largest is the first */
        assert_int_equal(medoid, found[cluster] == 0);
        assert_true(found[cluster] == 0 || distance >= last);
        last = distance;
        found[cluster]++;
        medoids[cluster] += medoid;
    }
    for (size_t c = 0; c < 3; c++) {
        assert_int_equal(found[c], sizes[c]);
        assert_int_equal(medoids[c], 1);
    }
    command_run(&ran, NULL, "cluster", "-m", "model", "colours", "-k3", "--format=csv", "-t2",
                "--batch=5", NULL);
    assert_ran(&ran, 0, first, "");
    command_run(&ran, NULL, "cluster", "-m", "model", "colours", "-k3", NULL);
    assert_non_null(strstr(ran.out, "cluster 0: 8 pictures\n"));
    assert_non_null(strstr(ran.out, "\ncluster 2: 4 pictures\n"));
    free(first);
}

/* As many groups as pictures, and pictures that are the same. */
static void test_cluster_extremes(void **state) {
    (void)state;
    make_folder("same");
    for (size_t i = 0; i < 3; i++)
        copy_file("cat.png", i == 0 ? "same/a.png" : i == 1 ? "same/b.png" : "same/c.png");
    copy_file("rocket.jpg", "same/d.jpg");
    command_run(&ran, NULL, "cluster", "-m", "model", "same", "-k4", "--format=csv", NULL);
    assert_ran(&ran, 0, NULL, "");
    for (char c = '0'; c < '4'; c++) {
        char field[] = {',', c, ',', '0', '\0'};
        assert_non_null(strstr(ran.out, field));
    }
    command_run(&ran, NULL, "cluster", "-m", "model", "same", "-k2", "--duplicates=0.999",
                "--format=json", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\"image\": \"same/a.png\", \"cluster\": 0"));
    size_t copies = 0;
    for (char *at = ran.out; (at = strstr(at, "\"duplicate_of\": \"same/a.png\"")) != NULL; at++)
        copies++;
    assert_int_equal(copies, 2);
    command_run(&ran, NULL, "cluster", "-m", "model", "same", "-k5", NULL);
    assert_ran(&ran, 1, "", "vitrine: cluster: 4 pictures can't be put into 5 groups: see -k\n");
    command_run(&ran, NULL, "cluster", "-m", "model", "same", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "no number of groups given: -k N"));
}

static void test_links(void **state) {
    (void)state;
    char target[256], *expected = realpath("colours/blue", NULL);
    command_run(&ran, NULL, "cluster", "-m", "model", "colours", "-k3", "--link=sorted", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(system("test $(ls sorted/0 | wc -l) = 8 && test $(ls sorted/1 | wc -l) = 6 && "
                            "test $(ls sorted/2 | wc -l) = 4"),
                     0);
    assert_int_equal(system("cat sorted/2/0000-*.ppm > /dev/null"), 0);
    assert_int_equal(system("ln -s \"$(readlink sorted/2/0003-*)\" last"), 0);
    ssize_t length = readlink("last", target, sizeof target - 1);
    assert_true(length > 0);
    target[length] = '\0';
    assert_memory_equal(target, expected, strlen(expected));
    command_run(&ran, NULL, "cluster", "-m", "model", "colours", "-k3", "--link=sorted", NULL);
    assert_ran(&ran, 1, NULL, "vitrine: sorted: there already: expected a folder to be made\n");
    free(expected);
}

/* ---- embed --pca -------------------------------------------------------------------------------
 */

static void test_pca(void **state) {
    (void)state;
    vt_error err = {0};
    vt_image image;
    if (!has_gnuplot())
        return;
    command_run(&ran, NULL, "embed", "-m", "model", "--pca=one.png", "cat.png", "rocket.jpg", NULL);
    assert_ran(&ran, 0, "", "");
    command_run(&ran, NULL, "embed", "-m", "model", "--pca=two.png", "-t2", "--batch=2", "cat.png",
                "rocket.jpg", NULL);
    assert_ran(&ran, 0, "", "");
    assert_same_file("one.png", "two.png");
    expect_ok(vt_image_read(&image, "one.png", NULL, &err), &err);
    assert_true(image.width > 2 * 220 && image.height > 220);
    vt_image_free(&image);
}

static void test_text_models(void **state) {
    static const char *const commands[][4] = {{"attention", "--format=json", NULL},
                                              {"similar", "rocket.jpg", NULL},
                                              {"cluster", "-k1", NULL},
                                              {"embed", "--pca=x.png", NULL}};
    (void)state;
    assert_int_equal(symlink(VT_SOURCE_DIR "/weights/positions/rope", "text"), 0);
    for (size_t i = 0; i < 4; i++) {
        command_run(&ran, NULL, commands[i][0], "-m", "text", commands[i][1], "cat.png", NULL);
        assert_ran(&ran, 3, "", "vitrine: text: this model takes no pictures\n");
    }
}

/* Nothing can be written there, and gnuplot is not asked. */
static void test_no_folder(void **state) {
    (void)state;
    command_run(&ran, NULL, "attention", "-m", "model", "cat.png", "-o", "none/map.png", NULL);
    assert_ran(&ran, 1, "", "vitrine: none/map.png: No such file or directory\n");
    command_run(&ran, NULL, "cluster", "-m", "model", "none", "-k1", NULL);
    assert_ran(&ran, 1, "", "vitrine: none: No such file or directory\n");
}

static void test_pca_refuses(void **state) {
    (void)state;
    command_run(&ran, NULL, "embed", "-m", "model", "--pca=x.npy", "cat.png", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "ending with .png or .svg; found 'x.npy'"));
    command_run(&ran, NULL, "embed", "-m", "model", "--pca=x.png", "-o", "x.npy", "cat.png", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "writes no vectors"));
    command_run(&ran, NULL, "embed", "-m", data_path("golden", "hf_siglip2_naflex", NULL),
                "--pca=x.png", "cat.png", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "a grid of its own"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rollout),
        cmocka_unit_test(test_last_block_and_its_heads),
        cmocka_unit_test(test_without_class_token),
        cmocka_unit_test(test_attention_of_naflex),
        cmocka_unit_test(test_class_activation),
        cmocka_unit_test(test_attention_files),
        cmocka_unit_test(test_captions),
        cmocka_unit_test(test_attention_refuses),
        cmocka_unit_test(test_no_gnuplot),
        cmocka_unit_test(test_similar),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_similar_shows_all),
        cmocka_unit_test(test_similar_leaves_out),
        cmocka_unit_test(test_similar_usage),
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_names_are_not_run),
        cmocka_unit_test(test_cluster),
        cmocka_unit_test(test_cluster_extremes),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_pca),
        cmocka_unit_test(test_text_models),
        cmocka_unit_test(test_no_folder),
        cmocka_unit_test(test_pca_refuses),
    };
    int failed = cmocka_run_group_tests_name("looking and sorting", tests, colours_workspace,
                                             command_cleanup);
    command_free(&ran);
    return failed;
}
