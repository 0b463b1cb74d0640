/* SPDX-License-Identifier: MIT
 *
 * vitrine pull from a hub that works: what it brings, where it puts it, and that -m finds it.
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

#define SNAPSHOT "snapshots/" HUB_COMMIT "/"
#define OTHER_COMMIT "89abcdef0123456789abcdef0123456789abcdef"

static command_result ran;

/* Runs `vitrine pull` with at most three more words; it must print the snapshot and leave the cache
 * whole. */
static void expect_pulled(const char *model, const char *a, const char *b, const char *c) {
    char expected[4096];
    snprintf(expected, sizeof expected, "%s\n", cache_path(model, "snapshots/" HUB_COMMIT));
    command_run(&ran, NULL, "pull", a, b, c, NULL);
    assert_ran(&ran, 0, expected, NULL);
    expect_whole_cache();
}

static void expect_reference(const char *model, const char *reference, const char *commit) {
    char *text = read_text_file(cache_path(model, reference));
    assert_string_equal(text, commit);
    free(text);
}

/* ---- what is brought ---------------------------------------------------------------------------
 */

static void test_timm(void **state) {
    static const char *const unwanted[] = {"README.md", "pytorch_model.bin", "packed.safetensors",
                                           "onnx/model.onnx", "../evil.json"};
    const char *model = "timm/vit_tiny.test_in1k";
    (void)state;
    serve_case(model, "timm_vit_token");
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        hub_add(model, unwanted[i], "no", 2);
    expect_pulled(model, model, NULL, NULL);
    assert_string_equal(ran.err, "vitrine: note: timm/vit_tiny.test_in1k: 2 files of 381 KiB, 381 "
                                 "KiB of it downloaded; use it with -m timm/vit_tiny.test_in1k\n");
    expect_reference(model, "refs/main", HUB_COMMIT);
    assert_true(is_there(cache_path(model, SNAPSHOT "config.json")));
    assert_true(is_there(cache_path(model, SNAPSHOT "model.safetensors")));
    assert_int_equal(hub_requests("HEAD", ""), 2 + 1); /* config.json's is sent on */
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        assert_int_equal(hub_requests(NULL, unwanted[i]), 0);
    expect_same_classes(model, "timm_vit_token");
}

/* Hashes that are known from elsewhere: git's of "hello\n", which `git hash-object` prints, and
 * that text's SHA-256, which `sha256sum` prints. */
static void test_hugging_face(void **state) {
    const char *model = "google/vit-tiny";
    (void)state;
    serve_case(model, "hf_vit");
    hub_add(model, "tokenizer.json", "{}", 2);
    hub_add(model, "tokenizer_config.json", "hello\n", 6);
    hub_add("org/hello", "config.json", "{}", 2);
    hub_add("org/hello", "model.safetensors", "hello\n", 6);
    expect_pulled(model, "-q", model, NULL);
    assert_string_equal(ran.err, "");
    assert_true(is_there(cache_path(model, SNAPSHOT "preprocessor_config.json")));
    assert_true(is_there(cache_path(model, SNAPSHOT "tokenizer.json")));
    assert_true(is_there(cache_path(model, "blobs/ce013625030ba8dba906f756967f9e9ca394464a")));
    expect_same_classes(model, "hf_vit");
    command_run(&ran, NULL, "pull", "org/hello", NULL);
    assert_int_equal(ran.code, 3); /* no safetensors, in truth */
    assert_true(is_there(cache_path("org/hello", "blobs/5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163a"
                                                 "f34d08286a2e846f6be03")));
}

static void test_shards(void **state) {
    static const char *const cases[] = {"timm_vit_token", "hf_vit"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char model[64];
        snprintf(model, sizeof model, "org/%s", cases[i]);
        serve_case_in_shards(model, cases[i]);
        expect_pulled(model, model, NULL, NULL);
        assert_true(is_there(cache_path(model, SNAPSHOT "model-00001-of-00002.safetensors")));
        assert_true(is_there(cache_path(model, SNAPSHOT "model-00002-of-00002.safetensors")));
        assert_true(is_there(cache_path(model, SNAPSHOT "model.safetensors.index.json")));
        expect_same_classes(model, cases[i]);
    }
}

static void test_open_clip(void **state) {
    static const char *const names[] = {"open_clip_config.json", "open_clip_model.safetensors"};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        hub_add_file("laion/clip", names[i], case_path("open_clip_quickgelu", names[i]));
    expect_pulled("laion/clip", "laion/clip", NULL, NULL);
    command_run(&ran, NULL, "embed", "-m", "laion/clip", "--format=json", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
}

/* ---- revisions ---------------------------------------------------------------------------------
 */

static void test_revisions(void **state) {
    (void)state;
    serve_case("org/m", "timm_vit_token");
    hub_set_revision("v2.0", HUB_COMMIT);
    expect_pulled("org/m", "org/m", "--revision", "v2.0");
    assert_non_null(strstr(ran.err, "use it with -m org/m@v2.0\n"));
    expect_reference("org/m", "refs/v2.0", HUB_COMMIT);
    assert_false(is_there(cache_path("org/m", "refs/main")));
    expect_same_classes("org/m@v2.0", "timm_vit_token");
    hub_set_revision("refs%2Fpr%2F1", HUB_COMMIT);
    expect_pulled("org/m", "org/m@refs/pr/1", NULL, NULL);
    expect_reference("org/m", "refs/refs/pr/1", HUB_COMMIT);
    expect_same_classes("org/m@refs/pr/1", "timm_vit_token");
    expect_pulled("org/m", "org/m@" HUB_COMMIT, NULL, NULL);
    assert_false(is_there(cache_path("org/m", "refs/" HUB_COMMIT)));
    expect_same_classes("org/m@" HUB_COMMIT, "timm_vit_token");
    command_run(&ran, NULL, "pull", "org/m@v3", NULL);
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.err, "vitrine: org/m@v3: no revision 'v3' at http://127.0.0.1:"));
}

/* What is there is not brought again; what stayed the same in a new commit neither. */
static void test_again(void **state) {
    (void)state;
    serve_case("org/m", "timm_vit_token");
    expect_pulled("org/m", "org/m", NULL, NULL);
    size_t before = hub_requests("GET", "safetensors") + hub_requests("GET", "config.json");
    expect_pulled("org/m", "org/m", NULL, NULL);
    assert_non_null(strstr(ran.err, " 0 bytes of it downloaded"));
    assert_int_equal(hub_requests("GET", "safetensors") + hub_requests("GET", "config.json"),
                     before);
    hub_set_revision("main", OTHER_COMMIT);
    hub_add("org/m", "tokenizer.json", "{}", 2);
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.err, "3 files of 381 KiB, 2 bytes of it downloaded"));
    assert_int_equal(hub_requests("GET", "model.safetensors"), 2); /* the redirect, the bytes */
    expect_reference("org/m", "refs/main", OTHER_COMMIT);
    assert_true(is_there(cache_path("org/m", SNAPSHOT "config.json")));
    expect_whole_cache();
    expect_same_classes("org/m", "timm_vit_token");
}

/* A blob that is cut short (a disk that was full, by another program) is brought anew. */
static void test_short_blob(void **state) {
    char link[4096], target[256], blob[300];
    (void)state;
    serve_case("org/m", "timm_vit_token");
    expect_pulled("org/m", "org/m", NULL, NULL);
    snprintf(link, sizeof link, "%s", cache_path("org/m", SNAPSHOT "model.safetensors"));
    ssize_t length = readlink(link, target, sizeof target - 1);
    assert_true(length > 6);
    target[length] = '\0';
    snprintf(blob, sizeof blob, "%s", target + 6); /* behind "../../" */
    assert_int_equal(truncate(cache_path("org/m", blob), 100), 0);
    expect_pulled("org/m", "org/m", NULL, NULL);
    expect_same_classes("org/m", "timm_vit_token");
}

/* ---- tokens and hosts --------------------------------------------------------------------------
 */

static void test_token(void **state) {
    (void)state;
    serve_case("org/m", "timm_vit_token");
    setenv("HF_TOKEN", "hf_secret", 1);
    expect_pulled("org/m", "org/m", NULL, NULL);
    assert_null(strstr(ran.err, "hf_secret"));
    assert_true(hub_requests_at(false) > 4);
    assert_int_equal(hub_tokens_at(false, "hf_secret"), hub_requests_at(false));
    assert_int_equal(hub_requests_at(true), 1); /* the weights */
    assert_int_equal(hub_tokens_at(true, "hf_secret"), 0);
}

/* A hub that sends everything elsewhere gets no token there, and the file comes nevertheless. */
static void test_token_at_other_host(void **state) {
    char location[256];
    (void)state;
    serve_case("org/m", "timm_vit_token");
    char *here = strdup(hub_endpoint());
    snprintf(location, sizeof location,
             "Location: http://localhost:%s/api/models/org/m/revision/main\r\n",
             strrchr(here, ':') + 1);
    hub_befall((hub_fault){.path = "/api/models", .times = 1, .status = 307, .headers = location});
    setenv("HF_TOKEN", "hf_secret", 1);
    expect_pulled("org/m", "org/m", NULL, NULL);
    assert_int_equal(hub_tokens_at(false, "hf_secret"), hub_requests_at(false) - 1);
    free(here);
}

static void test_token_in_file(void **state) {
    (void)state;
    serve_case("org/m", "timm_vit_token");
    write_text("token", "\n hf_other \n");
    setenv("HF_TOKEN_PATH", "token", 1);
    expect_pulled("org/m", "org/m", NULL, NULL);
    assert_int_equal(hub_tokens_at(false, "hf_other"), hub_requests_at(false));
    unsetenv("HF_TOKEN_PATH");
    setenv("HF_HOME", ".", 1);
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_int_equal(ran.code, 0);
    assert_int_equal(hub_tokens_at(false, "hf_other"), hub_requests_at(false));
    setenv("HF_TOKEN", "hf_first", 1);
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_int_equal(ran.code, 0);
    assert_true(hub_tokens_at(false, "hf_first") > 0);
}

static void test_bad_token(void **state) {
    (void)state;
    setenv("HF_TOKEN", "hf_secret\r\nX: y", 1);
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: HF_TOKEN: is no token: expected letters, digits and marks alone\n");
    assert_int_equal(hub_requests_at(false), 0);
}

/* A model that got another name: the hub sends from the old one to the new one. */
static void test_renamed(void **state) {
    static const char *const paths[][2] = {
        {"/api/models/old/", "Location: /api/models/org/m/revision/main\r\n"},
        {"/old/resolve/" HUB_COMMIT "/config.json",
         "Location: /org/m/resolve/" HUB_COMMIT "/config.json\r\n"},
        {"/old/resolve/" HUB_COMMIT "/model.safetensors",
         "Location: /org/m/resolve/" HUB_COMMIT "/model.safetensors\r\n"},
    };
    (void)state;
    serve_case("org/m", "timm_vit_token");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        hub_befall((hub_fault){.path = paths[i][0], .status = 307, .headers = paths[i][1]});
    expect_pulled("old", "old", NULL, NULL);
    expect_same_classes("old", "timm_vit_token");
}

static void test_proxy(void **state) {
    char *proxy = strdup(hub_endpoint());
    (void)state;
    setenv("http_proxy", proxy, 1);
    setenv("HF_ENDPOINT", "http://hub.invalid", 1);
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_ran(&ran, 1, "", "vitrine: org/m: no such model at http://hub.invalid\n");
    assert_int_equal(hub_requests("GET", "http://hub.invalid/api/models/org/m/revision/main"), 1);
    free(proxy);
}

/* ---- other ways --------------------------------------------------------------------------------
 */

static void test_several(void **state) {
    (void)state;
    serve_case("org/a", "timm_vit_token");
    serve_case("org/b", "hf_vit");
    command_run(&ran, NULL, "pull", "-q", "org/a", "org/none", "org/b", NULL);
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.out, "models--org--a"));
    assert_non_null(strstr(ran.out, "models--org--b"));
    assert_non_null(strstr(ran.err, "vitrine: org/none: no such model at http://127.0.0.1:"));
    expect_whole_cache();
}

/* Without links the blobs move into the snapshot, as the official tools do it there. */
static void test_without_links(void **state) {
    struct stat info;
    (void)state;
    serve_case("org/m", "timm_vit_token");
    setenv("HF_HUB_DISABLE_SYMLINKS", "1", 1);
    for (size_t i = 0; i < 2; i++) {
        command_run(&ran, NULL, "pull", "org/m", NULL);
        assert_int_equal(ran.code, 0);
    }
    assert_int_equal(hub_requests("GET", "model.safetensors"), 2);
    assert_int_equal(lstat(cache_path("org/m", SNAPSHOT "model.safetensors"), &info), 0);
    assert_true(S_ISREG(info.st_mode));
    expect_same_classes("org/m", "timm_vit_token");
}

/* It tells of a model that it can't run once it is there. */
static void test_unknown_model(void **state) {
    static const char config[] = "{\"model_type\": \"detr\"}";
    (void)state;
    hub_add("org/detr", "config.json", config, strlen(config));
    hub_add_file("org/detr", "model.safetensors", case_path("hf_vit", "model.safetensors"));
    command_run(&ran, NULL, "pull", "org/detr", NULL);
    assert_int_equal(ran.code, 3);
    assert_non_null(strstr(ran.out, "/snapshots/" HUB_COMMIT "\n"));
    assert_non_null(strstr(ran.err, "vitrine: org/detr: config.json: no known family has "
                                    "architecture (none), model_type detr; supported: "));
    expect_whole_cache();
}

static void test_usage(void **state) {
    static const struct {
        const char *arguments[4], *message;
    } cases[] = {
        {{NULL}, "no model named: vitrine pull google/vit-base-patch16-224"},
        {{"../x"}, "expected a model's name such as google/vit-base-patch16-224; found '../x'"},
        {{"org/m/file"},
         "expected a model's name such as google/vit-base-patch16-224; found 'org/m/file'"},
        {{"org/a--b"},
         "expected a model's name such as google/vit-base-patch16-224; found 'org/a--b'"},
        {{"org/m@../../x"},
         "expected a model's name such as google/vit-base-patch16-224; found 'org/m@../../x'"},
        {{"org/m", "--revision", "a/../b"},
         "--revision: expected a branch, a tag or a commit; found 'a/../b'"},
        {{"org/m@v1", "--revision=v2"}, "both --revision and org/m@v1 given"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *a = cases[i].arguments;
        char expected[256];
        snprintf(expected, sizeof expected, "vitrine: %s\nTry 'vitrine pull --help'.\n",
                 cases[i].message);
        command_run(&ran, NULL, "pull", a[0], a[1], a[2], NULL);
        assert_ran(&ran, 2, "", expected);
    }
    assert_int_equal(hub_requests_at(false), 0);
    assert_false(is_there(hub_cache()));
}

static void test_offline(void **state) {
    (void)state;
    setenv("HF_HUB_OFFLINE", "1", 1);
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_ran(&ran, 1, "", "vitrine: pull: HF_HUB_OFFLINE is set, which forbids downloads\n");
    assert_int_equal(hub_requests_at(false), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_timm, hub_fresh),
        cmocka_unit_test_setup(test_hugging_face, hub_fresh),
        cmocka_unit_test_setup(test_shards, hub_fresh),
        cmocka_unit_test_setup(test_open_clip, hub_fresh),
        cmocka_unit_test_setup(test_revisions, hub_fresh),
        cmocka_unit_test_setup(test_again, hub_fresh),
        cmocka_unit_test_setup(test_short_blob, hub_fresh),
        cmocka_unit_test_setup(test_token, hub_fresh),
        cmocka_unit_test_setup(test_token_at_other_host, hub_fresh),
        cmocka_unit_test_setup(test_token_in_file, hub_fresh),
        cmocka_unit_test_setup(test_bad_token, hub_fresh),
        cmocka_unit_test_setup(test_renamed, hub_fresh),
        cmocka_unit_test_setup(test_proxy, hub_fresh),
        cmocka_unit_test_setup(test_several, hub_fresh),
        cmocka_unit_test_setup(test_without_links, hub_fresh),
        cmocka_unit_test_setup(test_unknown_model, hub_fresh),
        cmocka_unit_test_setup(test_usage, hub_fresh),
        cmocka_unit_test_setup(test_offline, hub_fresh),
    };
    int failed = cmocka_run_group_tests(tests, hub_workspace, hub_cleanup);
    command_free(&ran);
    return failed;
}
