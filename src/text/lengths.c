/* SPDX-License-Identifier: MIT */
#include "text/lengths.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"

static bool is_left(vt_json_reader *reader) {
    static const char *const names[] = {"Right", "Left", NULL};
    const char *name = vt_json_string(reader, "direction", "Right");
    size_t index = 0;
    if (!reader->status)
        reader->status = vt_config_choice(&index, name, names, reader->where, reader->err);
    return index == 1;
}

static vt_status parse_truncation(vt_token_lengths *out, const json_t *config, const char *where,
                                  vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    const char *strategy = vt_json_string(&reader, "strategy", "LongestFirst");
    out->max_length = vt_json_size(&reader, "max_length", 512);
    out->truncate_left = is_left(&reader);
    if (reader.status)
        return reader.status;
    if (out->max_length == 0)
        vt_config_fail(&reader, VT_ERR_FORMAT, "max_length", "is 0");
    if (strcmp(strategy, "OnlySecond") == 0) /* there is no second text */
        out->max_length = 0;
    return reader.status;
}

static size_t parse_strategy(vt_json_reader *reader) {
    const json_t *strategy = json_object_get(reader->object, "strategy");
    if (json_is_object(strategy)) {
        vt_json_reader inner = vt_json_reader_of(strategy, reader->where, reader->err);
        size_t fixed = vt_json_size(&inner, "Fixed", 0);
        if (!reader->status)
            reader->status = inner.status;
        return fixed;
    }
    const char *name = json_string_value(strategy);
    if (strategy && (!name || strcmp(name, "BatchLongest") != 0))
        vt_config_fail(reader, VT_ERR_UNSUPPORTED, "strategy",
                       "expected \"BatchLongest\" or {\"Fixed\": length}");
    return 0;
}

static vt_status parse_padding(vt_token_lengths *out, const json_t *config, const char *where,
                               vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    out->pad_length = parse_strategy(&reader);
    out->pad_multiple = vt_json_size(&reader, "pad_to_multiple_of", 0);
    out->pad_id = (int64_t)vt_json_size(&reader, "pad_id", 0);
    out->pad_left = is_left(&reader);
    const size_t most = vt_limits_now()->tokens;
    if (!reader.status && (out->pad_length > most || out->pad_multiple > most))
        return vt_fail(err, VT_ERR_LIMIT, "%s: pads to more than %zu tokens", where, most);
    return reader.status;
}

static const json_t *section(const json_t *tokenizer, const char *key, const char *where,
                             vt_status *status, vt_error *err) {
    const json_t *config = json_object_get(tokenizer, key);
    if (!config || json_is_null(config))
        return NULL;
    if (!json_is_object(config) && !*status)
        *status = vt_fail(err, VT_ERR_FORMAT, "%s: expected an object", where);
    return config;
}

vt_status vt_lengths_parse(vt_token_lengths *out, const json_t *tokenizer, const char *where,
                           vt_error *err) {
    char truncation[VT_WHERE_BYTES + 16] = "", padding[VT_WHERE_BYTES + 16] = "";
    vt_status status = VT_OK;
    *out = (vt_token_lengths){0};
    strncat(strncat(truncation, where, VT_WHERE_BYTES - 1), ": truncation", 15);
    strncat(strncat(padding, where, VT_WHERE_BYTES - 1), ": padding", 15);
    const json_t *config = section(tokenizer, "truncation", truncation, &status, err);
    if (config && !status)
        status = parse_truncation(out, config, truncation, err);
    config = section(tokenizer, "padding", padding, &status, err);
    if (config && !status)
        status = parse_padding(out, config, padding, err);
    return status;
}

void vt_lengths_truncate(const vt_token_lengths *lengths, vt_ids *ids, size_t added) {
    if (lengths->max_length == 0)
        return;
    size_t room = lengths->max_length > added ? lengths->max_length - added : 0;
    if (ids->size <= room)
        return;
    if (lengths->truncate_left)
        memmove(ids->data, ids->data + ids->size - room, room * sizeof *ids->data);
    ids->size = room;
}

void vt_lengths_pad(const vt_token_lengths *lengths, vt_ids *ids) {
    size_t length = ids->size, used = ids->size, multiple = lengths->pad_multiple;
    /* The multiple is of the length that is asked for, not of a longer text's (utils/padding.rs).
     */
    if (lengths->pad_length)
        length = lengths->pad_length;
    if (multiple && length % multiple)
        length += multiple - length % multiple;
    if (length <= used)
        return;
    while (ids->size < length && !ids->failed)
        vt_ids_append(ids, lengths->pad_id);
    if (lengths->pad_left && !ids->failed) {
        memmove(ids->data + length - used, ids->data, used * sizeof *ids->data);
        for (size_t i = 0; i < length - used; i++)
            ids->data[i] = lengths->pad_id;
    }
}
