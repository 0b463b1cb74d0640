/* SPDX-License-Identifier: MIT
 *
 * Reading the parts of a tokenizer.json: what formats/json.h lacks. `where` names file and part, as
 * in "clip/tokenizer.json: normalizer.normalizers[1]", and begins each error line.
 */
#ifndef VT_TEXT_CONFIG_H
#define VT_TEXT_CONFIG_H

#include "formats/json.h"

/* Steps of one stage, Sequences flattened. Published ones have up to ten. */
enum { VT_MAX_STEPS = 32, VT_WHERE_BYTES = 384 };

typedef vt_status (*vt_step_fn)(void *context, const json_t *step, const char *type,
                                const char *where, vt_error *err);

/* Calls `fn` for each step of a stage: for `config` itself, or, when it is a Sequence, for what is
 * in its list `list_key`, in order. NULL and null are no steps. */
vt_status vt_config_each_step(const json_t *config, const char *list_key, const char *where,
                              vt_step_fn fn, void *context, vt_error *err);

/* A string that must be there; NULL, the reader failed, when it is not. */
const char *vt_config_string(vt_json_reader *reader, const char *key);

/* A string of one character that must be there. */
int32_t vt_config_char(vt_json_reader *reader, const char *key);

/* The id in ["token", id], which must be there. */
int64_t vt_config_token_id(vt_json_reader *reader, const char *key);

/* A copy that the caller frees; `fallback` may be NULL, which gives NULL when the key is absent. */
char *vt_config_string_copy(vt_json_reader *reader, const char *key, const char *fallback);

/* Fails the reader, unless it has failed: "where: "key": what". */
void vt_config_fail(vt_json_reader *reader, vt_status code, const char *key, const char *what);

/* The index of `name` in a NULL-terminated list; VT_ERR_UNSUPPORTED, naming it, when it is not
 * there. */
vt_status vt_config_choice(size_t *out, const char *name, const char *const *names,
                           const char *where, vt_error *err);

#endif
