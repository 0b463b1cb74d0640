/* SPDX-License-Identifier: MIT */
#include "text/config.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/unicode.h"

enum { MAX_NESTING = 8 };

typedef struct walk {
    const char *list_key;
    vt_step_fn fn;
    void *context;
    size_t count;
    vt_error *err;
} walk;

static vt_status visit(walk *w, const json_t *config, const char *where, size_t depth);

static vt_status visit_list(walk *w, const json_t *list, const char *where, size_t depth) {
    if (!json_is_array(list))
        return vt_fail(w->err, VT_ERR_FORMAT, "%s: \"%s\": expected an array", where, w->list_key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char inner[VT_WHERE_BYTES];
        snprintf(inner, sizeof inner, "%s.%s[%zu]", where, w->list_key, i);
        vt_status status = visit(w, json_array_get(list, i), inner, depth + 1);
        if (status)
            return status;
    }
    return VT_OK;
}

static vt_status visit(walk *w, const json_t *config, const char *where, size_t depth) {
    if (!json_is_object(config))
        return vt_fail(w->err, VT_ERR_FORMAT, "%s: expected an object", where);
    if (depth > MAX_NESTING)
        return vt_fail(w->err, VT_ERR_LIMIT, "%s: nested too deep", where);
    vt_json_reader reader = vt_json_reader_of(config, where, w->err);
    const char *type = vt_config_string(&reader, "type");
    if (!type)
        return reader.status;
    if (strcmp(type, "Sequence") == 0)
        return visit_list(w, json_object_get(config, w->list_key), where, depth);
    if (w->count++ == VT_MAX_STEPS)
        return vt_fail(w->err, VT_ERR_LIMIT, "%s: more than %d steps", where, VT_MAX_STEPS);
    return w->fn(w->context, config, type, where, w->err);
}

vt_status vt_config_each_step(const json_t *config, const char *list_key, const char *where,
                              vt_step_fn fn, void *context, vt_error *err) {
    walk w = {.list_key = list_key, .fn = fn, .context = context, .err = err};
    if (!config || json_is_null(config))
        return VT_OK;
    return visit(&w, config, where, 0);
}

void vt_config_fail(vt_json_reader *reader, vt_status code, const char *key, const char *what) {
    if (!reader->status)
        reader->status = vt_fail(reader->err, code, "%s: \"%s\": %s", reader->where, key, what);
}

const char *vt_config_string(vt_json_reader *reader, const char *key) {
    const char *text = vt_json_string(reader, key, NULL);
    if (!text)
        vt_config_fail(reader, VT_ERR_MISSING, key, "is missing");
    return reader->status ? NULL : text;
}

int32_t vt_config_char(vt_json_reader *reader, const char *key) {
    const char *text = vt_config_string(reader, key);
    if (!text)
        return 0;
    size_t size = strlen(text), length = 0;
    int32_t character = size ? vt_utf8_decode(text, size, &length) : 0;
    if (size == 0 || length != size)
        vt_config_fail(reader, VT_ERR_FORMAT, key, "expected one character");
    return character;
}

int64_t vt_config_token_id(vt_json_reader *reader, const char *key) {
    const json_t *pair = json_object_get(reader->object, key), *id = json_array_get(pair, 1);
    if (json_array_size(pair) == 2 && json_is_integer(id) && json_integer_value(id) >= 0)
        return json_integer_value(id);
    vt_config_fail(reader, VT_ERR_FORMAT, key, "expected [\"token\", id]");
    return 0;
}

char *vt_config_string_copy(vt_json_reader *reader, const char *key, const char *fallback) {
    const char *text = vt_json_string(reader, key, fallback);
    if (!text || reader->status)
        return NULL;
    char *copy = vt_strdup(text);
    if (!copy)
        reader->status = vt_fail_memory(reader->err, key, strlen(text));
    return copy;
}

vt_status vt_config_choice(size_t *out, const char *name, const char *const *names,
                           const char *where, vt_error *err) {
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = i;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: \"%s\" is not known", where, name);
}
