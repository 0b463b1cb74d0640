/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "hub_check.h"
#include "hub_server.h"

static char cache[PATH_MAX];

const char *hub_cache(void) {
    return cache;
}

int hub_workspace(void **state) {
    if (command_workspace(state) != 0 || !getcwd(cache, sizeof cache - 8))
        return -1;
    strcat(cache, "/cache");
    hub_start();
    return 0;
}

int hub_cleanup(void **state) {
    hub_stop();
    return command_cleanup(state);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

int hub_fresh(void **state) {
    static const char *const unset[] = {"HF_TOKEN",       "HF_TOKEN_PATH",           "HF_HOME",
                                        "XDG_CACHE_HOME", "HF_HUB_DOWNLOAD_TIMEOUT", "http_proxy",
                                        "HF_HUB_OFFLINE", "HF_HUB_DISABLE_SYMLINKS"};
    (void)state;
    hub_reset();
    if (is_there(cache) && nftw(cache, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return -1;
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        unsetenv(unset[i]);
    setenv("HF_ENDPOINT", hub_endpoint(), 1);
    setenv("HF_HUB_CACHE", cache, 1);
    return setenv("HOME", "/nowhere", 1); /* no token of the caller's */
}

/* ---- the cache ---------------------------------------------------------------------------------
 */

bool is_there(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

const char *cache_path(const char *model, const char *rest) {
    static char paths[3][PATH_MAX + 300];
    static size_t turn;
    char *path = paths[turn++ % 3];
    const char *slash = strchr(model, '/');
    size_t used = (size_t)snprintf(path, sizeof paths[0], "%s/models--%.*s", cache,
                                   slash ? (int)(slash - model) : (int)strlen(model), model);
    snprintf(path + used, sizeof paths[0] - used, "%s%s/%s", slash ? "--" : "",
             slash ? slash + 1 : "", rest);
    return path;
}

size_t incomplete_size(const char *model) {
    size_t size = SIZE_MAX;
    const char *path = cache_path(model, "blobs");
    DIR *blobs = opendir(path);
    const struct dirent *entry;
    while (blobs && (entry = readdir(blobs))) {
        struct stat info;
        if (!strstr(entry->d_name, ".incomplete"))
            continue;
        assert_int_equal(size, SIZE_MAX);
        assert_int_equal(stat(path_in(path, entry->d_name), &info), 0);
        size = (size_t)info.st_size;
    }
    if (blobs)
        closedir(blobs);
    return size;
}

/* Below CACHE/models--X: "blobs/NAME", "snapshots/COMMIT/FILE", "refs/…"; `part` gets the first. */
static const char *split(const char *path, char part[32]) {
    const char *repository = strstr(path, "/models--");
    const char *rest = repository ? strchr(repository + 1, '/') : NULL;
    if (!rest) {
        *part = '\0';
        return NULL;
    }
    snprintf(part, 32, "%.*s", (int)strcspn(rest + 1, "/"), rest + 1);
    return rest + 1 + strlen(part);
}

static void check_blob(const char *path) {
    char hash[65];
    size_t size;
    const char *name = strrchr(path, '/') + 1;
    if (strlen(name) > 11 && strcmp(name + strlen(name) - 11, ".incomplete") == 0)
        return;
    unsigned char *bytes = read_bytes(path, &size);
    hub_hash(hash, strlen(name) == 64, bytes, size);
    assert_string_equal(hash, name);
    free(bytes);
}

static void check_link(const char *path) {
    char target[PATH_MAX], file[PATH_MAX + 16];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        fail_msg("%s is no link", path);
    target[length] = '\0';
    assert_int_equal(strncmp(target, "../../blobs/", 12), 0);
    assert_null(strchr(target + 12, '/'));
    snprintf(file, sizeof file, "%.*s/%s", (int)(strrchr(path, '/') - path), path, target);
    if (access(file, R_OK) != 0)
        fail_msg("%s: leads nowhere", path);
}

/* The text without a newline at its end, as the official readers take it. */
static void check_reference(const char *path) {
    char snapshot[PATH_MAX];
    char *text = read_text_file(path);
    assert_int_equal(strlen(text), 40);
    assert_int_equal(strspn(text, "0123456789abcdef"), 40);
    const char *repository = strstr(path, "/models--");
    snprintf(snapshot, sizeof snapshot, "%.*s/snapshots/%s",
             (int)(strstr(repository, "/refs/") - path), path, text);
    if (access(snapshot, F_OK) != 0)
        fail_msg("%s: no snapshot %s", path, text);
    free(text);
}

static int check_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    char part[32];
    const char *rest = split(path, part);
    (void)info;
    (void)walk;
    if (strstr(path, "/.locks") || strcmp(path, cache) == 0)
        return 0;
    if (type == FTW_D) {
        char snapshots[PATH_MAX];
        snprintf(snapshots, sizeof snapshots, "%s/snapshots", path);
        if (!rest && access(snapshots, F_OK) != 0)
            fail_msg("%s has no snapshots/", path);
        return 0;
    }
    if (strcmp(part, "blobs") == 0)
        check_blob(path);
    else if (strcmp(part, "snapshots") == 0)
        check_link(path);
    else if (strcmp(part, "refs") == 0)
        check_reference(path);
    else
        fail_msg("%s: does not belong there", path);
    return 0;
}

void expect_whole_cache(void) {
    if (is_there(cache))
        assert_int_equal(nftw(cache, check_entry, 16, FTW_PHYS), 0);
}

/* ---- models ------------------------------------------------------------------------------------
 */

static void serve_beside_weights(const char *model, const char *golden_case) {
    hub_add_file(model, "config.json", case_path(golden_case, "config.json"));
    const char *preprocessor = case_path(golden_case, "preprocessor_config.json");
    if (access(preprocessor, F_OK) == 0)
        hub_add_file(model, "preprocessor_config.json", preprocessor);
}

void serve_case(const char *model, const char *golden_case) {
    serve_beside_weights(model, golden_case);
    hub_add_file(model, "model.safetensors", case_path(golden_case, "model.safetensors"));
}

void serve_case_in_shards(const char *model, const char *golden_case) {
    static const char *const names[] = {"model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    vt_error err = {0};
    test_model whole;
    json_t *map = json_object(), *index = json_pack("{s:o}", "weight_map", map);
    serve_beside_weights(model, golden_case);
    load_test_model(&whole, golden_case);
    size_t half = whole.count / 2;
    for (size_t i = 0; i < whole.count; i++)
        json_object_set_new(map, whole.tensors[i].name, json_string(names[i >= half]));
    for (size_t i = 0; i < 2; i++) {
        size_t first = i ? half : 0, count = i ? whole.count - half : half;
        expect_ok(vt_tensor_file_write("shard", whole.tensors + first, count, &err), &err);
        hub_add_file(model, names[i], "shard");
    }
    write_json("index", index);
    hub_add_file(model, "model.safetensors.index.json", "index");
    json_decref(index);
    free_test_model(&whole);
}

void expect_same_classes(const char *model, const char *golden_case) {
    command_result expected = {0}, found = {0};
    char *directory = strdup(data_path("golden", golden_case, NULL));
    command_run(&expected, NULL, "classify", "--format=csv", "-m", directory, "cat.png", NULL);
    assert_ran(&expected, 0, NULL, "");
    assert_non_null(strstr(expected.out, "cat.png,451,300,1,"));
    command_run(&found, NULL, "classify", "--format=csv", "-m", model, "cat.png", NULL);
    assert_ran(&found, 0, expected.out, "");
    command_free(&expected);
    command_free(&found);
    free(directory);
}
