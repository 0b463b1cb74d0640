/* SPDX-License-Identifier: MIT */
#include "models/labels.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mapfile.h"
#include "base/memory.h"

/* Adds text[0..length) as the next label. */
static vt_status add(vt_labels *out, const char *text, size_t length, vt_error *err) {
    char *copy = vt_malloc(length + 1, 1);
    if (!copy)
        return vt_fail_memory(err, "labels", length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    out->names[out->count++] = copy;
    return VT_OK;
}

static size_t count_lines(const char *text, size_t size) {
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines + (size > 0 && text[size - 1] != '\n');
}

static vt_status parse_lines(vt_labels *out, const char *text, size_t size, vt_error *err) {
    vt_status status = VT_OK;
    for (size_t begin = 0; begin < size && !status;) {
        const char *newline = memchr(text + begin, '\n', size - begin);
        size_t end = newline ? (size_t)(newline - text) : size;
        size_t length = end - begin;
        if (length && text[end - 1] == '\r')
            length--;
        status = add(out, text + begin, length, err);
        begin = end + 1;
    }
    return status;
}

static vt_status load_file(vt_labels *out, const char *path, size_t num_classes, vt_error *err) {
    vt_mapfile file;
    vt_status status = vt_mapfile_read(&file, path, vt_limits_now()->json_bytes, err);
    if (status)
        return status;
    const char *text = (const char *)file.data;
    size_t lines = count_lines(text, file.size);
    if (lines != num_classes)
        status = vt_fail(err, VT_ERR_SHAPE, "%s: expected %zu labels, one a line, found %zu", path,
                         num_classes, lines);
    else
        status = parse_lines(out, text, file.size, err);
    vt_mapfile_close(&file);
    return status;
}

/* The configuration's name of a class, or NULL. */
static const char *configured_name(const json_t *config, size_t index) {
    const json_t *pretrained = json_object_get(config, "pretrained_cfg");
    const json_t *names = json_object_get(config, "label_names");
    const json_t *descriptions = json_object_get(config, "label_descriptions");
    if (!names)
        names = json_object_get(pretrained, "label_names");
    if (!descriptions)
        descriptions = json_object_get(pretrained, "label_descriptions");
    const char *name = json_string_value(json_array_get(names, index));
    const char *description = name ? json_string_value(json_object_get(descriptions, name)) : NULL;
    if (name)
        return description ? description : name;
    char key[32];
    snprintf(key, sizeof key, "%zu", index);
    return json_string_value(json_object_get(json_object_get(config, "id2label"), key));
}

static vt_status load_configured(vt_labels *out, const json_t *config, size_t num_classes,
                                 vt_error *err) {
    vt_status status = VT_OK;
    for (size_t i = 0; i < num_classes && !status; i++) {
        char fallback[32];
        snprintf(fallback, sizeof fallback, "class %zu", i);
        const char *name = configured_name(config, i);
        if (!name)
            name = fallback;
        status = add(out, name, strlen(name), err);
    }
    return status;
}

vt_status vt_labels_load(vt_labels *out, const char *path, const json_t *config, size_t num_classes,
                         vt_error *err) {
    *out = (vt_labels){.names = vt_calloc(num_classes, sizeof *out->names)};
    if (!out->names)
        return vt_fail_memory(err, "labels", num_classes * sizeof *out->names);
    vt_status status = path ? load_file(out, path, num_classes, err)
                            : load_configured(out, config, num_classes, err);
    if (status)
        vt_labels_free(out);
    return status;
}

void vt_labels_free(vt_labels *labels) {
    for (size_t i = 0; i < labels->count; i++)
        vt_free(labels->names[i]);
    vt_free(labels->names);
    *labels = (vt_labels){0};
}
