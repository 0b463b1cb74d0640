/* SPDX-License-Identifier: MIT
 *
 * Reading JSON configurations. A reader remembers the first error, so that a struct can be filled
 * line by line and checked once:
 *
 *     vt_json_reader r = vt_json_reader_of(config, "config.json", err);
 *     size_t width = vt_json_size(&r, "hidden_size", 768);
 *     size_t depth = vt_json_size(&r, "num_hidden_layers", 12);
 *     if (r.status)
 *         return r.status;
 */
#ifndef VT_FORMATS_JSON_H
#define VT_FORMATS_JSON_H

#include <jansson.h>

#include "vitrine.h"

/* Parses a file of a model's directory (vt_mapfile_read_stored). The error line names the file,
 * line and column. The caller drops the reference with json_decref. VT_ERR_MISSING when there is no
 * such file. */
vt_status vt_json_load(json_t **out, const char *path, vt_error *err);

/* VT_ERR_LIMIT when arrays and objects lie deeper in one another than vt_limits.json_depth; to be
 * asked before Jansson, which recurses. */
vt_status vt_json_check_depth(const void *text, size_t size, const char *path, vt_error *err);

typedef struct vt_json_reader {
    const json_t *object; /* NULL reads as an empty object */
    const char *where;    /* for the error line: "config.json" or "config.json: model_args" */
    vt_error *err;
    vt_status status; /* the first error, VT_OK so far */
} vt_json_reader;

vt_json_reader vt_json_reader_of(const json_t *object, const char *where, vt_error *err);

/* The value of a key, or `fallback` when the key is absent or null. A value of another type, or a
 * negative or fractional size, is an error that names the key and what was found. */
size_t vt_json_size(vt_json_reader *reader, const char *key, size_t fallback);
double vt_json_real(vt_json_reader *reader, const char *key, double fallback);
bool vt_json_bool(vt_json_reader *reader, const char *key, bool fallback);
const char *vt_json_string(vt_json_reader *reader, const char *key, const char *fallback);

/* A size given as one number (both sides) or as [height, width]; untouched when absent. */
void vt_json_size_pair(vt_json_reader *reader, const char *key, size_t *height, size_t *width);

#endif
