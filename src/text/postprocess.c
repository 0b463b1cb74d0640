/* SPDX-License-Identifier: MIT */
#include "text/postprocess.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* BertProcessing and RobertaProcessing: [CLS] text [SEP]. */
static vt_status parse_bert(vt_postprocess *post, vt_json_reader *reader) {
    vt_ids_append(&post->before, vt_config_token_id(reader, "cls"));
    vt_ids_append(&post->after, vt_config_token_id(reader, "sep"));
    return reader->status;
}

/* ---- TemplateProcessing ------------------------------------------------------------------------
 */

/* The ids that a special token of the template stands for. */
static const json_t *token_ids(const vt_json_reader *reader, const json_t *piece) {
    const char *name = json_string_value(json_object_get(piece, "id"));
    const json_t *token =
        name ? json_object_get(json_object_get(reader->object, "special_tokens"), name) : NULL;
    return json_object_get(token, "ids");
}

/* A piece before the text is added to `before` at its end: ids last to first, pieces too. */
static void add_token(vt_ids *out, bool reversed, const json_t *ids, vt_json_reader *reader) {
    size_t count = json_array_size(ids);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, reversed ? count - 1 - i : i);
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            vt_config_fail(reader, VT_ERR_FORMAT, "special_tokens", "expected ids");
        vt_ids_append(out, json_integer_value(id));
    }
}

static size_t find_sequence(const json_t *pieces, vt_json_reader *reader) {
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        const json_t *sequence = json_object_get(json_array_get(pieces, i), "Sequence");
        const char *id = json_string_value(json_object_get(sequence, "id"));
        if (!sequence)
            continue;
        if (found != SIZE_MAX || !id || strcmp(id, "A") != 0)
            vt_config_fail(reader, VT_ERR_UNSUPPORTED, "single", "expected one sequence, \"A\"");
        found = i;
    }
    if (found == SIZE_MAX)
        vt_config_fail(reader, VT_ERR_UNSUPPORTED, "single", "expected one sequence, \"A\"");
    return found;
}

static vt_status parse_template(vt_postprocess *post, vt_json_reader *reader) {
    const json_t *pieces = json_object_get(reader->object, "single");
    size_t count = json_array_size(pieces), text = find_sequence(pieces, reader);
    for (size_t i = 0; i < count && !reader->status; i++) {
        /* Outwards from the text: text - 1 to 0, then text + 1 to the end. */
        size_t at = i < text ? text - 1 - i : i;
        if (i == text)
            continue;
        const json_t *piece = json_object_get(json_array_get(pieces, at), "SpecialToken");
        const json_t *ids = token_ids(reader, piece);
        if (!json_is_array(ids))
            vt_config_fail(reader, VT_ERR_MISSING, "single",
                           "a token that \"special_tokens\" lacks");
        add_token(at < text ? &post->before : &post->after, at < text, ids, reader);
    }
    return reader->status;
}

static vt_status parse_nothing(vt_postprocess *post, vt_json_reader *reader) {
    (void)post;
    return reader->status;
}

static const struct {
    const char *type;
    vt_status (*parse)(vt_postprocess *post, vt_json_reader *reader);
} kinds[] = {
    {"BertProcessing", parse_bert},
    {"ByteLevel", parse_nothing}, /* moves offsets, which vitrine does not give */
    {"RobertaProcessing", parse_bert},
    {"TemplateProcessing", parse_template},
};

static vt_status parse_step(void *context, const json_t *config, const char *type,
                            const char *where, vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].parse(context, &reader);
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: post-processor \"%s\" is not known", where, type);
}

vt_status vt_postprocess_parse(vt_postprocess *out, const json_t *config, const char *where,
                               vt_error *err) {
    *out = (vt_postprocess){0};
    vt_status status = vt_config_each_step(config, "processors", where, parse_step, out, err);
    if (!status && (out->before.failed || out->after.failed))
        status = vt_fail_memory(err, "the post-processor", out->before.size);
    for (size_t i = 0; i < out->before.size / 2; i++) {
        int64_t held = out->before.data[i];
        out->before.data[i] = out->before.data[out->before.size - 1 - i];
        out->before.data[out->before.size - 1 - i] = held;
    }
    return status;
}

void vt_postprocess_free(vt_postprocess *post) {
    vt_free(post->before.data);
    vt_free(post->after.data);
    *post = (vt_postprocess){0};
}
