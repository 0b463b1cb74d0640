/* SPDX-License-Identifier: MIT */
#include "formats/json.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mapfile.h"

vt_status vt_json_check_depth(const void *text, size_t size, const char *path, vt_error *err) {
    const size_t most = vt_limits_now()->json_depth;
    size_t depth = 0;
    bool in_string = false;
    for (const char *c = text, *end = c + size; c < end; c++) {
        if (*c == '"')
            in_string = !in_string;
        else if (in_string)
            c += *c == '\\'; /* and what it escapes */
        else if ((*c == '[' || *c == '{') && ++depth > most)
            return vt_fail(err, VT_ERR_LIMIT, "%s: nested deeper than the limit of %zu", path,
                           most);
        else if ((*c == ']' || *c == '}') && depth > 0)
            depth--;
    }
    return VT_OK;
}

vt_status vt_json_load(json_t **out, const char *path, vt_error *err) {
    vt_mapfile file;
    *out = NULL;
    if (access(path, F_OK) != 0)
        return vt_fail(err, VT_ERR_MISSING, "%s: no such file", path);
    vt_status status = vt_mapfile_read_stored(&file, path, vt_limits_now()->json_bytes, err);
    if (!status)
        status = vt_json_check_depth(file.data, file.size, path, err);
    if (status) {
        vt_mapfile_close(&file);
        return status;
    }
    json_error_t where;
    *out = json_loadb((const char *)file.data, file.size, JSON_REJECT_DUPLICATES, &where);
    vt_mapfile_close(&file);
    if (!*out && where.text[0] == '\0') /* Jansson says why, but when it ran out of memory */
        return vt_fail_memory(err, path, 0);
    if (!*out)
        return vt_fail(err, VT_ERR_FORMAT, "%s: line %d, column %d: %s", path, where.line,
                       where.column, where.text);
    return VT_OK;
}

vt_json_reader vt_json_reader_of(const json_t *object, const char *where, vt_error *err) {
    return (vt_json_reader){.object = object, .where = where, .err = err};
}

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* The value to read, NULL when it is absent, null or an earlier one has failed. */
static const json_t *lookup(const vt_json_reader *reader, const char *key) {
    if (reader->status || !reader->object)
        return NULL;
    const json_t *value = json_object_get(reader->object, key);
    return json_is_null(value) ? NULL : value;
}

static void mismatch(vt_json_reader *reader, const char *key, const char *expected,
                     const json_t *found) {
    if (json_is_integer(found))
        reader->status =
            vt_fail(reader->err, VT_ERR_FORMAT, "%s: \"%s\": expected %s, found %lld",
                    reader->where, key, expected, (long long)json_integer_value(found));
    else
        reader->status = vt_fail(reader->err, VT_ERR_FORMAT, "%s: \"%s\": expected %s, found %s",
                                 reader->where, key, expected, type_name(found));
}

static bool as_size(const json_t *value, size_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

size_t vt_json_size(vt_json_reader *reader, const char *key, size_t fallback) {
    const json_t *value = lookup(reader, key);
    size_t size = fallback;
    if (value && !as_size(value, &size))
        mismatch(reader, key, "a size", value);
    return size;
}

double vt_json_real(vt_json_reader *reader, const char *key, double fallback) {
    const json_t *value = lookup(reader, key);
    if (!value)
        return fallback;
    if (!json_is_number(value)) {
        mismatch(reader, key, "a number", value);
        return fallback;
    }
    return json_number_value(value);
}

bool vt_json_bool(vt_json_reader *reader, const char *key, bool fallback) {
    const json_t *value = lookup(reader, key);
    if (!value)
        return fallback;
    if (!json_is_boolean(value)) {
        mismatch(reader, key, "true or false", value);
        return fallback;
    }
    return json_is_true(value);
}

const char *vt_json_string(vt_json_reader *reader, const char *key, const char *fallback) {
    const json_t *value = lookup(reader, key);
    if (!value)
        return fallback;
    if (!json_is_string(value)) {
        mismatch(reader, key, "a string", value);
        return fallback;
    }
    return json_string_value(value);
}

void vt_json_size_pair(vt_json_reader *reader, const char *key, size_t *height, size_t *width) {
    const json_t *value = lookup(reader, key);
    if (!value)
        return;
    size_t h, w;
    if (as_size(value, &h)) {
        *height = *width = h;
    } else if (json_is_array(value) && json_array_size(value) == 2 &&
               as_size(json_array_get(value, 0), &h) && as_size(json_array_get(value, 1), &w)) {
        *height = h;
        *width = w;
    } else {
        mismatch(reader, key, "a size or [height, width]", value);
    }
}
