/* SPDX-License-Identifier: MIT
 *
 * Models by name, out of a Hugging Face cache that other programs filled: where it is, what -m and
 * $VITRINE_MODEL find in it, and how `vitrine models` lists it.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "hub_check.h"
#include "hub_server.h"

#define OTHER_COMMIT "89abcdef0123456789abcdef0123456789abcdef"
#define BUNDLED VT_SOURCE_DIR "/weights/emoji-vit"

static command_result ran;

/* The directories of a path's last part, below the workspace. */
static void make_parents(const char *path) {
    char part[4096];
    for (const char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0700);
    }
}

static void put(const char *model, const char *rest, const char *text) {
    const char *path = cache_path(model, rest);
    make_parents(path);
    write_text(path, text);
}

/* A file in a snapshot, with its blob. */
static void put_file(const char *model, const char *commit, const char *name, const char *from) {
    char rest[256], target[300];
    snprintf(rest, sizeof rest, "blobs/%s-of-%s", name, commit);
    make_parents(cache_path(model, rest));
    copy_file(from, cache_path(model, rest));
    snprintf(target, sizeof target, "../../%s", rest);
    snprintf(rest, sizeof rest, "snapshots/%s/%s", commit, name);
    make_parents(cache_path(model, rest));
    assert_int_equal(symlink(target, cache_path(model, rest)), 0);
}

static void put_case(const char *model, const char *commit, const char *golden_case) {
    put_file(model, commit, "config.json", case_path(golden_case, "config.json"));
    put_file(model, commit, "model.safetensors", case_path(golden_case, "model.safetensors"));
}

/* ---- by name -----------------------------------------------------------------------------------
 */

static void test_revisions(void **state) {
    (void)state;
    put_case("org/m", HUB_COMMIT, "timm_vit_token");
    put("org/m", "refs/main", HUB_COMMIT "\n"); /* an editor's newline */
    put("org/m", "refs/refs/pr/1", HUB_COMMIT);
    expect_same_classes("org/m", "timm_vit_token");
    expect_same_classes("org/m@refs/pr/1", "timm_vit_token");
    expect_same_classes("org/m@" HUB_COMMIT, "timm_vit_token");
    put_case("gpt2", HUB_COMMIT, "timm_vit_token");
    put("gpt2", "refs/main", HUB_COMMIT);
    expect_same_classes("gpt2", "timm_vit_token");
}

static void expect_missing(const char *model, const char *message) {
    char expected[8192];
    snprintf(expected, sizeof expected, "vitrine: %s: %s\n", model, message);
    command_run(&ran, NULL, "classify", "-m", model, "cat.png", NULL);
    assert_ran(&ran, 3, "", expected);
}

static void expect_not_cached(const char *model) {
    char message[4096 + 128];
    snprintf(message, sizeof message, "no such file, and not in %s: 'vitrine pull %s' downloads it",
             hub_cache(), model);
    expect_missing(model, message);
}

static void test_missing(void **state) {
    (void)state;
    expect_not_cached("google/vit-base-patch16-224");
    put_case("org/m", HUB_COMMIT, "timm_vit_token");
    expect_not_cached("org/m"); /* no main */
    put("org/m", "refs/main", OTHER_COMMIT);
    expect_not_cached("org/m"); /* of which nothing is there */
    put("org/m", "refs/main", "../../../../../../../../etc");
    expect_not_cached("org/m");
    expect_not_cached("org/m@v2");
    expect_missing("model2", "no such file or directory"); /* rather a path */
    expect_missing("org/m/config", "no such file or directory");
    expect_missing("./org", "no such file or directory");
    expect_missing("org/model.safetensors", "no such file or directory");
}

/* Other programs download a configuration alone, or weights that are pickles. */
static void test_without_weights(void **state) {
    static const char message[] =
        "in the cache without its weights: 'vitrine pull org/m' downloads them";
    (void)state;
    put_file("org/m", HUB_COMMIT, "config.json", case_path("hf_vit", "config.json"));
    put("org/m", "refs/main", HUB_COMMIT);
    expect_missing("org/m", message);
    assert_int_equal(symlink("../../blobs/gone",
                             cache_path("org/m", "snapshots/" HUB_COMMIT "/model.safetensors")),
                     0);
    expect_missing("org/m", message);
}

static void test_paths_win(void **state) {
    (void)state;
    assert_int_equal(mkdir("org", 0700), 0);
    assert_int_equal(symlink(VT_TEST_DATA "/golden/timm_vit_token", "org/m"), 0);
    put_case("org/m", HUB_COMMIT, "hf_vit");
    put("org/m", "refs/main", HUB_COMMIT);
    expect_same_classes("org/m", "timm_vit_token");
    assert_int_equal(unlink("org/m"), 0);
    assert_int_equal(rmdir("org"), 0);
    command_run(&ran, NULL, "inspect", "-m", "org/m", NULL);
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.out, "ViTForImageClassification"));
}

/* All commands that take a model take its name. */
static void test_commands(void **state) {
    static const char *const lines[][8] = {
        {"inspect", "-morg/m"},
        {"classify", "-morg/m", "cat.png"},
        {"embed", "-morg/m", "--format=json", "cat.png"},
        {"dump", "-morg/m", "-oout.safetensors", "cat.png"},
        {"bench", "-morg/m", "-n1", "-t1"},
        {"sweep", "-morg/m", "-s48", "-t1", "-osweep", "cat.png"},
        {"pack", "-morg/m", "-opacked"},
        {"zeroshot", "-morg/clip", "--load-labels=none.safetensors", "cat.png"},
        {"generate", "-morg/lm", "-n1", "In"},
        {"perplexity", "-morg/lm", "--context=32", "text"},
    };
    (void)state;
    put_case("org/m", HUB_COMMIT, "timm_vit_token");
    put("org/m", "refs/main", HUB_COMMIT);
    put_case("org/clip", HUB_COMMIT, "hf_clip");
    put("org/clip", "refs/main", HUB_COMMIT);
    for (size_t i = 0; i < 2; i++) {
        const char *name = i ? "config.json" : "model.safetensors";
        put_file("org/lm", HUB_COMMIT, name,
                 path_in(VT_SOURCE_DIR "/weights/positions/alibi", name));
    }
    put("org/lm", "refs/main", HUB_COMMIT);
    write_text("text", "In the beginning God created the heaven and the earth.");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *const *l = lines[i];
        command_run(&ran, NULL, l[0], l[1], l[2], l[3], l[4], l[5], l[6], NULL);
        if (strcmp(l[0], "zeroshot") == 0) /* the model opened, the labels are not there */
            assert_non_null(strstr(ran.err, "vitrine: none.safetensors: "));
        else if (ran.code != 0)
            fail_msg("%s: %s", l[0], ran.err);
    }
}

static void test_variable(void **state) {
    (void)state;
    put_case("org/m", HUB_COMMIT, "timm_vit_token");
    put("org/m", "refs/main", HUB_COMMIT);
    command_run(&ran, NULL, "classify", "-m", "model", "cat.png", NULL);
    char *expected = strdup(ran.out);
    setenv("VITRINE_MODEL", "org/m", 1);
    command_run(&ran, NULL, "classify", "cat.png", NULL);
    assert_ran(&ran, 0, expected, "");
    free(expected);
    setenv("VITRINE_MODEL", "org/other", 1);
    command_run(&ran, NULL, "classify", "cat.png", NULL);
    unsetenv("VITRINE_MODEL");
    assert_int_equal(ran.code, 3);
    assert_non_null(strstr(ran.err, "'vitrine pull org/other' downloads it\n"));
}

/* ---- where the cache is ------------------------------------------------------------------------
 */

static void expect_place(const char *variable, const char *value, const char *cache) {
    char expected[4096];
    setenv(variable, value, 1);
    snprintf(expected, sizeof expected,
             "vitrine: org/m: no such file, and not in %s: 'vitrine pull org/m' downloads it\n",
             cache);
    command_run(&ran, NULL, "inspect", "-m", "org/m", NULL);
    assert_ran(&ran, 3, "", expected);
}

/* From the weakest to the strongest. */
static void test_places(void **state) {
    (void)state;
    unsetenv("HF_HUB_CACHE");
    expect_place("HOME", "/home/me", "/home/me/.cache/huggingface/hub");
    expect_place("XDG_CACHE_HOME", "/xdg", "/xdg/huggingface/hub");
    expect_place("HF_HOME", "/hf", "/hf/hub");
    expect_place("HF_HOME", "~/hf", "/home/me/hf/hub");
    expect_place("HF_HUB_CACHE", "/cache", "/cache");
    expect_place("HF_HUB_CACHE", "~", "/home/me");
    expect_place("HF_HUB_CACHE", "", "/home/me/hf/hub");
}

/* ---- the list ----------------------------------------------------------------------------------
 */

static void test_list(void **state) {
    (void)state;
    put_case("timm/vit", HUB_COMMIT, "timm_vit_token");
    put("timm/vit", "refs/main", HUB_COMMIT);
    put("timm/vit", "refs/v1", HUB_COMMIT);
    put_case("org/m", HUB_COMMIT, "hf_vit");
    put("org/m", "refs/v2", HUB_COMMIT);
    put_case("org/m", OTHER_COMMIT, "hf_vit");
    put("org/m", "snapshots/" OTHER_COMMIT "/1_Pooling/config.json", "{}");
    put_file("gpt2", HUB_COMMIT, "config.json", case_path("hf_vit", "config.json"));
    put("gpt2", "refs/main", HUB_COMMIT);
    put("org/detr", "snapshots/" HUB_COMMIT "/config.json", "{\"model_type\": \"detr\"}");
    put_file("org/detr", HUB_COMMIT, "model.safetensors", case_path("hf_vit", "model.safetensors"));
    command_run(&ran, NULL, "models", NULL);
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.err, "");
    const char *bundled = strstr(ran.out, BUNDLED "  ");
    assert_non_null(bundled);
    static const struct {
        const char *model, *rest;
    } lines[] = {
        {"gpt2", "975 bytes  does not run: neither model.safetensors nor "
                 "model.safetensors.index.json is there\n"},
        {"org/detr@" HUB_COMMIT, "274 KiB  does not run: config.json: no known family has "
                                 "architecture (none), model_type detr; supported: "},
        {"org/m@v2", "275 KiB  runs\n"},
        {"org/m@" OTHER_COMMIT, "275 KiB  runs\n"},
        {"timm/vit", "381 KiB  runs\n"},
    };
    const char *line = ran.out;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t length = strlen(lines[i].model);
        assert_int_equal(strncmp(line, lines[i].model, length), 0);
        const char *rest = line + length + strspn(line + length, " ");
        assert_int_equal(strncmp(rest, lines[i].rest, strlen(lines[i].rest)), 0);
        line = strchr(line, '\n') + 1;
    }
    assert_ptr_equal(line, bundled);
    assert_non_null(strstr(bundled, "  runs\n"));
}

static void test_json(void **state) {
    char path[4200];
    (void)state;
    put_case("timm/vit", HUB_COMMIT, "timm_vit_token");
    put("timm/vit", "refs/v1", HUB_COMMIT);
    put("org/m", "snapshots/" HUB_COMMIT "/README.md", "no model");
    command_run(&ran, NULL, "models", "--format=json", NULL);
    assert_int_equal(ran.code, 0);
    char *second = strchr(ran.out, '\n') + 1, *third = strchr(second, '\n') + 1;
    json_t *found = json_loads(ran.out, JSON_DISABLE_EOF_CHECK, NULL);
    snprintf(path, sizeof path, "%s", cache_path("org/m", "snapshots/" HUB_COMMIT));
    json_t *expected = json_pack("{s:s,s:s,s:n,s:s,s:s,s:i,s:b,s:s}", "model", "org/m@" HUB_COMMIT,
                                 "name", "org/m", "revision", "commit", HUB_COMMIT, "path", path,
                                 "bytes", 8, "runs", 0, "reason", "config.json: no such file");
    assert_true(json_equal(found, expected));
    json_decref(found);
    json_decref(expected);
    found = json_loads(second, JSON_DISABLE_EOF_CHECK, NULL);
    snprintf(path, sizeof path, "%s", cache_path("timm/vit", "snapshots/" HUB_COMMIT));
    expected = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:b,s:n}", "model", "timm/vit@v1", "name",
                         "timm/vit", "revision", "v1", "commit", HUB_COMMIT, "path", path, "bytes",
                         390454, "runs", 1, "reason");
    assert_true(json_equal(found, expected));
    json_decref(found);
    json_decref(expected);
    found = json_loads(third, JSON_DISABLE_EOF_CHECK, NULL);
    assert_string_equal(json_string_value(json_object_get(found, "model")), BUNDLED);
    assert_true(json_is_null(json_object_get(found, "name")));
    assert_true(json_is_true(json_object_get(found, "runs")));
    json_decref(found);
}

/* What is no model's is not listed, and what is broken does no harm. */
static void test_odd_cache(void **state) {
    (void)state;
    put("org/empty", "blobs/x", "");
    put("org/m", "snapshots/file", "");
    put("org/m", "snapshots/not-a-commit/config.json", "{}");
    put("org/m", "refs/main", "nonsense");
    put("-bad-/name", "snapshots/" HUB_COMMIT "/config.json", "{}");
    make_parents(path_in(hub_cache(), "datasets--org--d/snapshots/" HUB_COMMIT "/"));
    write_text(path_in(hub_cache(), "models--file"), "");
    write_text(path_in(hub_cache(), "version.txt"), "1");
    assert_int_equal(symlink("gone", path_in(hub_cache(), "models--link")), 0);
    command_run(&ran, NULL, "models", NULL);
    assert_int_equal(ran.code, 0);
    assert_int_equal(strncmp(ran.out, BUNDLED, strlen(BUNDLED)), 0); /* the one line */
    assert_null(strchr(strchr(ran.out, '\n') + 1, '\n'));
    setenv("HF_HUB_CACHE", "cat.png", 1);
    command_run(&ran, NULL, "models", NULL);
    assert_ran(&ran, 1, NULL, "vitrine: cat.png: Not a directory\n");
    setenv("HF_HUB_CACHE", "/nowhere", 1);
    command_run(&ran, NULL, "models", NULL);
    assert_ran(&ran, 0, NULL, "");
    command_run(&ran, NULL, "models", "x", NULL);
    assert_ran(&ran, 2, "", "vitrine: unexpected 'x'\nTry 'vitrine models --help'.\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_revisions, hub_fresh),
        cmocka_unit_test_setup(test_missing, hub_fresh),
        cmocka_unit_test_setup(test_without_weights, hub_fresh),
        cmocka_unit_test_setup(test_paths_win, hub_fresh),
        cmocka_unit_test_setup(test_commands, hub_fresh),
        cmocka_unit_test_setup(test_variable, hub_fresh),
        cmocka_unit_test_setup(test_places, hub_fresh),
        cmocka_unit_test_setup(test_list, hub_fresh),
        cmocka_unit_test_setup(test_json, hub_fresh),
        cmocka_unit_test_setup(test_odd_cache, hub_fresh),
    };
    int failed = cmocka_run_group_tests(tests, hub_workspace, hub_cleanup);
    command_free(&ran);
    return failed;
}
