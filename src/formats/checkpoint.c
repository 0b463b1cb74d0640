/* SPDX-License-Identifier: MIT */
#include "formats/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors.h"

struct vt_checkpoint {
    char *directory; /* NULL: in memory */
    char *config_path;
    char *weights_path;
    json_t *config;
    vt_tensor_file **shards;
    size_t num_shards;
    vt_packed_file *packed; /* in place of shards */
    /* In memory: the block, and what it holds. */
    void *memory;
    const vt_tensor *tensors;
    size_t num_tensors;
};

/* directory + "/" + name; NULL when out of memory. */
static char *join_path(const char *directory, const char *name) {
    size_t bytes = strlen(directory) + 1 + strlen(name) + 1;
    char *path = vt_malloc(bytes, 1);
    if (path)
        snprintf(path, bytes, "%s/%s", directory, name);
    return path;
}

static bool ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* *out = the path of the first of `names` (which ends with NULL) that lies in the directory; NULL,
 * and no error, when none does. Running out of memory is not taken for a file that is not there. */
static vt_status find_file(char **out, const char *directory, const char *const *names,
                           vt_error *err) {
    for (*out = NULL; *names; names++) {
        *out = join_path(directory, *names);
        if (!*out)
            return vt_fail_memory(err, "a path", strlen(directory) + strlen(*names));
        if (access(*out, F_OK) == 0)
            return VT_OK;
        vt_free(*out);
        *out = NULL;
    }
    return VT_OK;
}

/* The directory that holds the file at `path`. */
static char *directory_of(const char *path) {
    char *directory = vt_strdup(path);
    if (!directory)
        return NULL;
    char *slash = strrchr(directory, '/');
    if (!slash)
        strcpy(directory, "."); /* a file's name has at least one character */
    else if (slash == directory)
        slash[1] = '\0';
    else
        *slash = '\0';
    return directory;
}

static vt_status open_shard(vt_checkpoint *checkpoint, const char *path, vt_error *err) {
    vt_tensor_file **grown = vt_realloc(checkpoint->shards, checkpoint->num_shards,
                                        checkpoint->num_shards + 1, sizeof *grown);
    if (!grown)
        return vt_fail_memory(err, "a shard", sizeof *grown);
    checkpoint->shards = grown;
    if (access(path, F_OK) != 0)
        return vt_fail(err, VT_ERR_MISSING, "%s: no such file", path);
    vt_status status = vt_tensor_file_open_stored(&grown[checkpoint->num_shards], path, err);
    if (!status)
        checkpoint->num_shards++;
    return status;
}

/* A shard's name comes from a file that may be hostile: it names a file of this directory or
 * nothing. */
static vt_status check_shard_name(const vt_checkpoint *checkpoint, const char *tensor,
                                  const char *name, vt_error *err) {
    if (!name || !*name || strchr(name, '/') || name[0] == '.')
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s: \"%s\" is not the name of a file beside it",
                       checkpoint->weights_path, tensor, name ? name : "");
    return VT_OK;
}

/* The shards that the weight map names, each opened once; `opened` maps a name to its number. */
static vt_status open_shards(vt_checkpoint *checkpoint, const json_t *weight_map, json_t *opened,
                             vt_error *err) {
    const char *tensor;
    const json_t *value;
    json_object_foreach((json_t *)weight_map, tensor, value) {
        const char *name = json_string_value(value);
        vt_status status = check_shard_name(checkpoint, tensor, name, err);
        if (!status && !json_object_get(opened, name)) {
            json_t *number = json_integer((json_int_t)checkpoint->num_shards);
            char *path = join_path(checkpoint->directory, name);
            status = path ? open_shard(checkpoint, path, err) : vt_fail_memory(err, "a path", 0);
            vt_free(path);
            if (json_object_set_new(opened, name, number) != 0 && !status)
                status = vt_fail_memory(err, "a shard", 0);
        }
        if (status)
            return status;
    }
    return VT_OK;
}

/* Each tensor must be in the shard that the map names, so that a stale index is noticed. */
static vt_status check_weight_map(const vt_checkpoint *checkpoint, const json_t *weight_map,
                                  const json_t *opened, vt_error *err) {
    const char *tensor;
    const json_t *value;
    json_object_foreach((json_t *)weight_map, tensor, value) {
        const char *name = json_string_value(value);
        size_t shard = (size_t)json_integer_value(json_object_get(opened, name));
        if (!vt_tensor_file_find(checkpoint->shards[shard], tensor))
            return vt_fail(err, VT_ERR_MISSING, "%s: %s should be in %s, and is not",
                           checkpoint->weights_path, tensor, name);
    }
    return VT_OK;
}

static vt_status open_index(vt_checkpoint *checkpoint, vt_error *err) {
    json_t *index = NULL, *opened = NULL;
    vt_status status = vt_json_load(&index, checkpoint->weights_path, err);
    if (status)
        return status;
    const json_t *weight_map = json_object_get(index, "weight_map");
    opened = json_object();
    if (!opened)
        status = vt_fail_memory(err, "the list of shards", 0);
    else if (!json_is_object(weight_map) || json_object_size(weight_map) == 0)
        status = vt_fail(err, VT_ERR_FORMAT, "%s: no \"weight_map\" of tensors to files",
                         checkpoint->weights_path);
    if (!status)
        status = open_shards(checkpoint, weight_map, opened, err);
    if (!status)
        status = check_weight_map(checkpoint, weight_map, opened, err);
    json_decref(opened);
    json_decref(index);
    return status;
}

static vt_status fail_without_weights(const vt_checkpoint *checkpoint, vt_error *err) {
    static const char *const names[] = {"pytorch_model.bin", "open_clip_pytorch_model.bin", NULL};
    char *pickle;
    vt_status status = find_file(&pickle, checkpoint->directory, names, err);
    if (status)
        return status;
    vt_fail(err, VT_ERR_MISSING,
            "%s: neither model.safetensors nor model.safetensors.index.json is there%s%s%s",
            checkpoint->directory, pickle ? "; " : "",
            pickle ? pickle + strlen(checkpoint->directory) + 1 : "",
            pickle ? " is, but a pickle can run code: save it as safetensors first" : "");
    vt_free(pickle);
    return VT_ERR_MISSING;
}

static vt_status open_weights(vt_checkpoint *checkpoint, const char *file, vt_error *err) {
    static const char *const names[] = {VT_PACKED_FILE_NAME, "model.safetensors",
                                        "model.safetensors.index.json",
                                        "open_clip_model.safetensors", NULL};
    vt_status status = VT_OK;
    if (file) {
        checkpoint->weights_path = vt_strdup(file);
        if (!checkpoint->weights_path)
            status = vt_fail_memory(err, "a path", strlen(file));
    } else {
        status = find_file(&checkpoint->weights_path, checkpoint->directory, names, err);
        if (!status && !checkpoint->weights_path)
            status = fail_without_weights(checkpoint, err);
    }
    if (status)
        return status;
    if (ends_with(checkpoint->weights_path, ".json"))
        return open_index(checkpoint, err);
    if (ends_with(checkpoint->weights_path, VT_PACKED_FILE_NAME))
        return vt_packed_file_open(&checkpoint->packed, checkpoint->weights_path, err);
    return open_shard(checkpoint, checkpoint->weights_path, err);
}

static vt_status open_config(vt_checkpoint *checkpoint, vt_error *err) {
    static const char *const names[] = {"config.json", "open_clip_config.json", NULL};
    vt_status status = find_file(&checkpoint->config_path, checkpoint->directory, names, err);
    if (status)
        return status;
    if (!checkpoint->config_path) /* the error is about the usual one */
        checkpoint->config_path = join_path(checkpoint->directory, names[0]);
    if (!checkpoint->config_path)
        return vt_fail_memory(err, "a path", 0);
    status = vt_json_load(&checkpoint->config, checkpoint->config_path, err);
    if (!status && !json_is_object(checkpoint->config))
        status = vt_fail(err, VT_ERR_FORMAT, "%s: expected a JSON object", checkpoint->config_path);
    return status;
}

vt_status vt_checkpoint_open(vt_checkpoint **out, const char *path, vt_error *err) {
    *out = NULL;
    struct stat info;
    if (stat(path, &info) != 0)
        return vt_fail(err, VT_ERR_MISSING, "%s: no such file or directory", path);
    bool is_directory = S_ISDIR(info.st_mode);
    vt_checkpoint *checkpoint = vt_calloc(1, sizeof *checkpoint);
    if (!checkpoint)
        return vt_fail_memory(err, "a checkpoint", sizeof *checkpoint);
    checkpoint->directory = is_directory ? vt_strdup(path) : directory_of(path);
    vt_status status = VT_OK;
    if (!checkpoint->directory)
        status = vt_fail_memory(err, "a path", strlen(path));
    if (!status)
        status = open_config(checkpoint, err);
    if (!status)
        status = open_weights(checkpoint, is_directory ? NULL : path, err);
    if (status) {
        vt_checkpoint_close(checkpoint);
        return status;
    }
    *out = checkpoint;
    return VT_OK;
}

static vt_status parse_config(vt_checkpoint *checkpoint, const char *config, vt_error *err) {
    json_error_t at;
    checkpoint->config = json_loads(config, 0, &at);
    if (!checkpoint->config)
        return vt_fail(err, VT_ERR_FORMAT, "%s: line %d, column %d: %s", checkpoint->config_path,
                       at.line, at.column, at.text);
    return VT_OK;
}

vt_status vt_checkpoint_of_memory(vt_checkpoint **out, const char *name, const char *config,
                                  const vt_tensor *tensors, size_t count, void *memory,
                                  vt_error *err) {
    *out = NULL;
    vt_checkpoint *checkpoint = vt_calloc(1, sizeof *checkpoint);
    if (!checkpoint)
        return vt_fail_memory(err, "a checkpoint", sizeof *checkpoint);
    checkpoint->config_path = vt_strdup(name);
    checkpoint->weights_path = vt_strdup(name);
    vt_status status = checkpoint->config_path && checkpoint->weights_path
                           ? parse_config(checkpoint, config, err)
                           : vt_fail_memory(err, "a path", strlen(name));
    if (status) {
        vt_checkpoint_close(checkpoint);
        return status;
    }
    checkpoint->memory = memory;
    checkpoint->tensors = tensors;
    checkpoint->num_tensors = count;
    *out = checkpoint;
    return VT_OK;
}

void vt_checkpoint_close(vt_checkpoint *checkpoint) {
    if (!checkpoint)
        return;
    for (size_t i = 0; i < checkpoint->num_shards; i++)
        vt_tensor_file_close(checkpoint->shards[i]);
    vt_free(checkpoint->shards);
    vt_packed_file_close(checkpoint->packed);
    vt_free(checkpoint->memory);
    json_decref(checkpoint->config);
    vt_free(checkpoint->weights_path);
    vt_free(checkpoint->config_path);
    vt_free(checkpoint->directory);
    vt_free(checkpoint);
}

const json_t *vt_checkpoint_config(const vt_checkpoint *checkpoint) {
    return checkpoint->config;
}

const char *vt_checkpoint_config_path(const vt_checkpoint *checkpoint) {
    return checkpoint->config_path;
}

const char *vt_checkpoint_weights_path(const vt_checkpoint *checkpoint) {
    return checkpoint->weights_path;
}

vt_status vt_checkpoint_load_json(json_t **out, const vt_checkpoint *checkpoint, const char *name,
                                  vt_error *err) {
    const char *const names[] = {name, NULL};
    char *path;
    *out = NULL;
    if (!checkpoint->directory)
        return VT_OK;
    vt_status status = find_file(&path, checkpoint->directory, names, err);
    if (!status && path)
        status = vt_json_load(out, path, err);
    vt_free(path);
    return status;
}

const vt_packed_file *vt_checkpoint_packed(const vt_checkpoint *checkpoint) {
    return checkpoint->packed;
}

const vt_tensor *vt_checkpoint_at(const vt_checkpoint *checkpoint, size_t index) {
    if (checkpoint->packed)
        return vt_packed_file_at(checkpoint->packed, index);
    for (size_t i = 0; i < checkpoint->num_shards; i++) {
        size_t count = vt_tensor_file_count(checkpoint->shards[i]);
        if (index < count)
            return vt_tensor_file_at(checkpoint->shards[i], index);
        index -= count;
    }
    return index < checkpoint->num_tensors ? &checkpoint->tensors[index] : NULL;
}

const vt_tensor *vt_checkpoint_find(const vt_checkpoint *checkpoint, const char *name) {
    if (checkpoint->packed)
        return vt_packed_file_find(checkpoint->packed, name);
    for (size_t i = 0; i < checkpoint->num_shards; i++) {
        const vt_tensor *tensor = vt_tensor_file_find(checkpoint->shards[i], name);
        if (tensor)
            return tensor;
    }
    for (size_t i = 0; i < checkpoint->num_tensors; i++)
        if (strcmp(checkpoint->tensors[i].name, name) == 0)
            return &checkpoint->tensors[i];
    return NULL;
}

void vt_checkpoint_release(const vt_checkpoint *checkpoint, const vt_tensor *tensor) {
    for (size_t i = 0; i < checkpoint->num_shards; i++)
        vt_tensor_file_release(checkpoint->shards[i], tensor);
}
