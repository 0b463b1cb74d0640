/* SPDX-License-Identifier: MIT
 *
 * Where the files of a model may lie: what an index names is a file beside it; what is no file is
 * neither waited for nor read without end; and links that lead out are refused where that is asked
 * for, the Hugging Face cache's own apart.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char INDEX[] = "model.safetensors.index.json";

/* root/model and what lies around it: each test has these to itself. */
typedef struct tree {
    char root[256], model[300];
} tree;

static void write_tensor(const char *directory, const char *file, const char *name) {
    static const float value = 1;
    const vt_tensor tensor = {name, VT_DTYPE_F32, 0, {0}, &value, sizeof value};
    vt_error err = {0};
    expect_ok(vt_tensor_file_write(path_in(directory, file), &tensor, 1, &err), &err);
}

/* A golden model's configuration, and no weights yet. */
static tree make_tree(void) {
    tree t;
    snprintf(t.root, sizeof t.root, "/tmp/vitrine-paths-XXXXXX");
    assert_non_null(mkdtemp(t.root));
    snprintf(t.model, sizeof t.model, "%s/model", t.root);
    assert_int_equal(mkdir(t.model, 0700), 0);
    copy_file(case_path("timm_vit_token", "config.json"), path_in(t.model, "config.json"));
    return t;
}

static void remove_tree(const tree *t) {
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", t->root);
    assert_int_equal(system(command), 0);
}

static void link_to(const char *target, const char *path) {
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static void expect_refused(const char *model, vt_status expected, const char *part) {
    vt_error err = {0};
    vt_status status = vt_model_check(model, &err);
    if (status != expected || !strstr(err.message, part))
        fail_msg("expected %s (%s), found %s: %s", vt_status_name(expected), part,
                 vt_status_name(status), err.message);
    vt_model *opened;
    assert_int_equal(vt_model_open(&opened, model, NULL, &err), expected);
}

static void follow_links(bool follow) {
    vt_limits limits = VT_LIMITS_INIT;
    vt_error err = {0};
    limits.follow_links = follow;
    expect_ok(vt_set_limits(&limits, &err), &err);
}

static int reset(void **state) {
    (void)state;
    return vt_set_limits(NULL, NULL) == VT_OK ? 0 : -1;
}

static const char OUT[] = "leads out of the model's directory";

/* ---- what an index names --------------------------------------------------------------------- */

static void test_names_in_an_index(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\"../out.safetensors\"",
        "\"./in.safetensors\"",
        "\"..\"",
        "\".\"",
        "\"\"",
        "\".hidden\"",
        "\"/etc/passwd\"",
        "\"a/../in.safetensors\"",
        "\"sub/in.safetensors\"",
        "7",
        "null",
        "[\"in.safetensors\"]",
    };
    tree t = make_tree();
    char absolute[400], json[512];
    write_tensor(t.root, "out.safetensors", "t");
    write_tensor(t.model, "in.safetensors", "t");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(json, sizeof json, "{\"weight_map\":{\"t\":%s}}", bad[i]);
        write_text(path_in(t.model, INDEX), json);
        expect_refused(t.model, VT_ERR_FORMAT, "is not the name of a file beside it");
    }
    snprintf(absolute, sizeof absolute, "{\"weight_map\":{\"t\":\"%s/in.safetensors\"}}", t.model);
    write_text(path_in(t.model, INDEX), absolute);
    expect_refused(t.model, VT_ERR_FORMAT, "is not the name of a file beside it");
    /* A NUL would end the name early. */
    write_text(path_in(t.model, INDEX), "{\"weight_map\":{\"t\":\"in.safetensors\\u0000.x\"}}");
    expect_refused(t.model, VT_ERR_FORMAT, "line 1");
    /* The file beside it is read: the model's tensors are missing, but not this one. */
    vt_error err = {0};
    write_text(path_in(t.model, INDEX), "{\"weight_map\":{\"t\":\"in.safetensors\"}}");
    expect_ok(vt_model_check(t.model, &err), &err);
    remove_tree(&t);
}

/* ---- what is no file ------------------------------------------------------------------------- */

static void test_pipes_and_devices(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "packed.safetensors",
                                        "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tree t = make_tree();
        const char *path = path_in(t.model, files[i]);
        unlink(path);
        assert_int_equal(mkfifo(path, 0600), 0);
        expect_refused(t.model, VT_ERR_IO, "not a regular file");
        link_to("/dev/zero", path);
        expect_refused(t.model, VT_ERR_LIMIT, OUT);
        follow_links(true);
        expect_refused(t.model, VT_ERR_IO, "not a regular file");
        follow_links(false);
        unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
        expect_refused(t.model, VT_ERR_IO, "Is a directory");
        remove_tree(&t);
    }
}

static void test_a_tokenizer_that_is_a_pipe(void **state) {
    (void)state;
    tree t = make_tree();
    vt_tokenizer *tokenizer;
    vt_error err = {0};
    assert_int_equal(mkfifo(path_in(t.model, "tokenizer.json"), 0600), 0);
    assert_int_equal(vt_tokenizer_open(&tokenizer, t.model, &err), VT_ERR_IO);
    assert_non_null(strstr(err.message, "not a regular file"));
    remove_tree(&t);
}

/* ---- links ----------------------------------------------------------------------------------- */

static void test_links_out(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors"};
    vt_error err = {0};
    for (size_t i = 0; i < 2; i++) {
        tree t = make_tree();
        write_tensor(t.model, "model.safetensors", "t");
        assert_int_equal(rename(path_in(t.model, files[i]), path_in(t.root, files[i])), 0);
        link_to(path_in("..", files[i]), path_in(t.model, files[i]));
        expect_refused(t.model, VT_ERR_LIMIT, OUT);
        follow_links(true);
        expect_ok(vt_model_check(t.model, &err), &err); /* as open(2) */
        follow_links(false);
        expect_refused(t.model, VT_ERR_LIMIT, OUT);
        remove_tree(&t);
    }
}

static void test_a_shard_that_leads_out(void **state) {
    (void)state;
    tree t = make_tree();
    vt_error err = {0};
    write_tensor(t.root, "model-elsewhere", "t"); /* begins as the folder's name does */
    link_to("../model-elsewhere", path_in(t.model, "1.safetensors"));
    write_text(path_in(t.model, INDEX), "{\"weight_map\":{\"t\":\"1.safetensors\"}}");
    expect_refused(t.model, VT_ERR_LIMIT, OUT);
    follow_links(true);
    expect_ok(vt_model_check(t.model, &err), &err);
    follow_links(false);
    write_tensor(t.model, "2.safetensors", "t");
    link_to("2.safetensors", path_in(t.model, "1.safetensors")); /* within */
    expect_ok(vt_model_check(t.model, &err), &err);
    remove_tree(&t);
}

/* The folder itself may be anywhere: its name is the caller's. */
static void test_a_folder_that_is_a_link(void **state) {
    (void)state;
    tree t = make_tree();
    vt_error err = {0};
    write_tensor(t.model, "model.safetensors", "t");
    link_to("model", path_in(t.root, "link"));
    expect_ok(vt_model_check(path_in(t.root, "link"), &err), &err);
    expect_ok(vt_model_check(path_in(t.root, "link/model.safetensors"), &err), &err);
    remove_tree(&t);
}

/* models--a--b/{blobs/HASH, snapshots/REVISION/FILE -> ../../blobs/HASH} */
static void test_the_cache_of_the_hub(void **state) {
    (void)state;
    static const char *const folders[] = {"repo", "repo/blobs", "repo/snapshots",
                                          "repo/snapshots/abc"};
    tree t = make_tree();
    vt_error err = {0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(mkdir(path_in(t.root, folders[i]), 0700), 0);
    write_tensor(t.root, "repo/blobs/1", "t");
    copy_file(path_in(t.model, "config.json"), path_in(t.root, "repo/blobs/2"));
    link_to("../../blobs/1", path_in(t.root, "repo/snapshots/abc/model.safetensors"));
    link_to("../../blobs/2", path_in(t.root, "repo/snapshots/abc/config.json"));
    expect_ok(vt_model_check(path_in(t.root, "repo/snapshots/abc"), &err), &err);
    /* But nothing else there, */
    write_tensor(t.root, "repo/other", "t");
    link_to("../../other", path_in(t.root, "repo/snapshots/abc/model.safetensors"));
    expect_refused(path_in(t.root, "repo/snapshots/abc"), VT_ERR_LIMIT, OUT);
    /* and no blobs of others. */
    write_tensor(t.root, "blobs", "t");
    link_to("../blobs", path_in(t.model, "model.safetensors"));
    expect_refused(t.model, VT_ERR_LIMIT, OUT);
    remove_tree(&t);
}

static void test_a_tokenizer_that_leads_out(void **state) {
    (void)state;
    tree t = make_tree();
    vt_tokenizer *tokenizer;
    vt_error err = {0};
    copy_file(data_path("tokenizers", "gpt2.json", NULL), path_in(t.root, "gpt2.json"));
    link_to("../gpt2.json", path_in(t.model, "tokenizer.json"));
    assert_int_equal(vt_tokenizer_open(&tokenizer, t.model, &err), VT_ERR_LIMIT);
    assert_non_null(strstr(err.message, OUT));
    follow_links(true);
    expect_ok(vt_tokenizer_open(&tokenizer, t.model, &err), &err);
    vt_tokenizer_close(tokenizer);
    remove_tree(&t);
}

int main(void) {
#define APART(test) cmocka_unit_test_teardown(test, reset)
    const struct CMUnitTest tests[] = {
        APART(test_names_in_an_index),          APART(test_pipes_and_devices),
        APART(test_a_tokenizer_that_is_a_pipe), APART(test_links_out),
        APART(test_a_shard_that_leads_out),     APART(test_a_folder_that_is_a_link),
        APART(test_the_cache_of_the_hub),       APART(test_a_tokenizer_that_leads_out),
    };
    return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
