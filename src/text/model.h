/* SPDX-License-Identifier: MIT
 *
 * The model of a tokenizer: from one word to the ids of its parts. Each kind has a file, and a
 * const descriptor there.
 */
#ifndef VT_TEXT_MODEL_H
#define VT_TEXT_MODEL_H

#include "text/config.h"
#include "text/vocab.h"

typedef struct vt_text_model vt_text_model;

typedef struct vt_text_model_kind {
    const char *type;
    /* Fills model->vocab and model->state. */
    vt_status (*parse)(vt_text_model *model, const json_t *config, const char *where,
                       vt_error *err);
    void (*free_state)(void *state); /* takes NULL */
    /* Appends the ids of a word, size > 0. */
    vt_status (*encode)(const vt_text_model *model, vt_ids *out, const char *word, size_t size,
                        vt_error *err);
} vt_text_model_kind;

struct vt_text_model {
    const vt_text_model_kind *kind;
    vt_vocab vocab;
    void *state; /* the kind's own */
    char where[VT_WHERE_BYTES];
};

extern const vt_text_model_kind vt_wordpiece, vt_bpe, vt_unigram;

/* Free it in any case. */
vt_status vt_text_model_parse(vt_text_model *out, const json_t *config, const char *where,
                              vt_error *err);
void vt_text_model_free(vt_text_model *model);

/* The vocabulary {"token": id, …} of config. */
vt_status vt_text_model_parse_vocab(vt_text_model *model, const json_t *config, vt_error *err);

/* The ids of "<0x00>" to "<0xFF>", VT_NO_ID where the vocabulary has none. */
void vt_text_model_byte_ids(const vt_text_model *model, int32_t ids[256]);

/* Appends the ids of the bytes, if the vocabulary has all of them. */
bool vt_text_model_append_bytes(const int32_t ids[256], vt_ids *out, const char *text, size_t size);

#endif
