/* SPDX-License-Identifier: MIT
 *
 * A checkpoint as it lies on disk: one safetensors file, or the shards that
 * model.safetensors.index.json lists, with the JSON files beside them. Or a packed file, or one
 * made in memory.
 */
#ifndef VT_FORMATS_CHECKPOINT_H
#define VT_FORMATS_CHECKPOINT_H

#include <jansson.h>

#include "formats/packed_file.h"

typedef struct vt_checkpoint vt_checkpoint;

/* `path` is a directory or a .safetensors file. config.json must lie there (beside the file), or
 * open_clip_config.json, whose weights are open_clip_model.safetensors. */
vt_status vt_checkpoint_open(vt_checkpoint **out, const char *path, vt_error *err);
void vt_checkpoint_close(vt_checkpoint *checkpoint);

/* A checkpoint without files: `config` is its JSON, and `name` stands for its paths in error lines.
 * On success it owns `memory`, a block of vt_malloc's that holds the tensors, their names and their
 * data; on failure the caller still does. */
vt_status vt_checkpoint_of_memory(vt_checkpoint **out, const char *name, const char *config,
                                  const vt_tensor *tensors, size_t count, void *memory,
                                  vt_error *err);

/* config.json and its path, for error lines. */
const json_t *vt_checkpoint_config(const vt_checkpoint *checkpoint);
const char *vt_checkpoint_config_path(const vt_checkpoint *checkpoint);

/* The path of the weights, or of their index: what an error about a tensor names. */
const char *vt_checkpoint_weights_path(const vt_checkpoint *checkpoint);

/* Loads another JSON file of the directory; *out is NULL, and no error, when there is none. The
 * caller drops the reference. */
vt_status vt_checkpoint_load_json(json_t **out, const vt_checkpoint *checkpoint, const char *name,
                                  vt_error *err);

/* The packed file that it is, or NULL. */
const vt_packed_file *vt_checkpoint_packed(const vt_checkpoint *checkpoint);

/* All tensors of all shards; NULL past the end, or when there is none of that name. */
const vt_tensor *vt_checkpoint_at(const vt_checkpoint *checkpoint, size_t index);
const vt_tensor *vt_checkpoint_find(const vt_checkpoint *checkpoint, const char *name);

/* A tensor's data will not be needed soon: gives its memory back, which reading it would fill
 * again. */
void vt_checkpoint_release(const vt_checkpoint *checkpoint, const vt_tensor *tensor);

#endif
