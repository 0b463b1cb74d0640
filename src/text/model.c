/* SPDX-License-Identifier: MIT */
#include "text/model.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const vt_text_model_kind *const kinds[] = {&vt_wordpiece, &vt_bpe, &vt_unigram};

/* Files written before models had a type (GPT-2's, for one) are told apart by their keys
 * (huggingface/tokenizers, models/mod.rs, ModelUntagged). */
static const vt_text_model_kind *guess_kind(const json_t *config) {
    if (json_object_get(config, "merges"))
        return &vt_bpe;
    if (json_is_array(json_object_get(config, "vocab")))
        return &vt_unigram;
    if (json_object_get(config, "max_input_chars_per_word"))
        return &vt_wordpiece;
    return NULL;
}

static vt_status find_kind(const vt_text_model_kind **out, const json_t *config, const char *where,
                           vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    const char *type = vt_json_string(&reader, "type", NULL);
    *out = type ? NULL : guess_kind(config);
    for (size_t i = 0; type && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(type, kinds[i]->type) == 0)
            *out = kinds[i];
    if (reader.status || *out)
        return reader.status;
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: model \"%s\" is not known", where,
                   type ? type : "(no type)");
}

vt_status vt_text_model_parse(vt_text_model *out, const json_t *config, const char *where,
                              vt_error *err) {
    *out = (vt_text_model){0};
    snprintf(out->where, sizeof out->where, "%s", where);
    if (!json_is_object(config))
        return vt_fail(err, config ? VT_ERR_FORMAT : VT_ERR_MISSING, "%s: expected an object",
                       where);
    vt_status status = find_kind(&out->kind, config, where, err);
    return status ? status : out->kind->parse(out, config, where, err);
}

void vt_text_model_free(vt_text_model *model) {
    if (model->kind)
        model->kind->free_state(model->state);
    vt_vocab_free(&model->vocab);
    *model = (vt_text_model){0};
}

vt_status vt_text_model_parse_vocab(vt_text_model *model, const json_t *config, vt_error *err) {
    const json_t *vocab = json_object_get(config, "vocab");
    char where[VT_WHERE_BYTES + 16];
    const char *token;
    json_t *id;
    if (!json_is_object(vocab))
        return vt_fail(err, vocab ? VT_ERR_FORMAT : VT_ERR_MISSING,
                       "%s: \"vocab\": expected an object", model->where);
    snprintf(where, sizeof where, "%s.vocab", model->where);
    json_object_foreach((json_t *)vocab, token, id) {
        if (!json_is_integer(id))
            return vt_fail(err, VT_ERR_FORMAT, "%s: \"%.64s\": expected an id", where, token);
        vt_status status = vt_vocab_add(&model->vocab, token, strlen(token), json_integer_value(id),
                                        false, where, err);
        if (status)
            return status;
    }
    return VT_OK;
}

void vt_text_model_byte_ids(const vt_text_model *model, int32_t ids[256]) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char token[8];
        int size = snprintf(token, sizeof token, "<0x%02X>", byte);
        ids[byte] = vt_vocab_find(&model->vocab, token, (size_t)size);
    }
}

bool vt_text_model_append_bytes(const int32_t ids[256], vt_ids *out, const char *text,
                                size_t size) {
    for (size_t i = 0; i < size; i++)
        if (ids[(unsigned char)text[i]] == VT_NO_ID)
            return false;
    for (size_t i = 0; i < size; i++)
        vt_ids_append(out, ids[(unsigned char)text[i]]);
    return true;
}
