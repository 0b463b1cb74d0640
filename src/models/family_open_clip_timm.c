/* SPDX-License-Identifier: MIT
 *
 * OpenCLIP with one of timm's models for pictures: SigLIP and SigLIP 2 of fixed sizes (a ViT with
 * attention pooling) and EVA-CLIP (an Eva). The tower's class is the one that timm's own
 * checkpoints have, below "visual.trunk."; what OpenCLIP puts around it is in open_clip.c. Source:
 * open_clip 3.3, src/open_clip/timm_model.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/open_clip.h"
#include "models/timm.h"

static const char *timm_name(const json_t *config) {
    const json_t *name = json_object_get(vt_open_clip_vision(config), "timm_model_name");
    return json_is_string(name) ? json_string_value(name) : "";
}

static bool matches_vit(const json_t *config) {
    return vt_timm_is_vit(timm_name(config));
}

static bool matches_eva(const json_t *config) {
    return vt_timm_is_eva(timm_name(config));
}

/* timm_proj: "none" passes on what the trunk pools; null makes the trunk's classifier the
 * projection. "linear" and "mlp", which no published model of these classes has, put one behind. */
static void configure_projection(vt_config *out, vt_json_reader *r) {
    const json_t *value = json_object_get(r->object, "timm_proj");
    const char *kind = value ? vt_json_string(r, "timm_proj", "") : "linear";
    if (strcmp(kind, "") == 0)
        out->vision_projection = out->vision_projection_bias = true;
    else if (strcmp(kind, "none") != 0 && !r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: \"timm_proj\": \"%s\" is not supported", r->where, kind);
}

/* The arguments that timm_model.py gives to timm. */
static json_t *timm_args(const json_t *vision) {
    json_t *args = json_object();
    const json_t *pool = json_object_get(vision, "timm_pool"), *size;
    size = json_object_get(vision, "image_size");
    if (size)
        json_object_set(args, "img_size", (json_t *)size);
    if (!pool)
        json_object_set_new(args, "global_pool", json_string("avg"));
    else if (json_string_length(pool))
        json_object_set(args, "global_pool", (json_t *)pool);
    return args;
}

static vt_status configure_as(vt_config *out, const vt_checkpoint *checkpoint,
                              void (*configure_tower)(vt_config *, vt_timm *), vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader vision = vt_json_reader_of(vt_open_clip_vision(config), where, err);
    json_t *args = timm_args(vision.object);
    vt_timm timm = {
        .checkpoint = checkpoint,
        .prefix = "visual.trunk.",
        .architecture = timm_name(config),
        .config = vt_json_reader_of(NULL, where, err),
        .args = vt_json_reader_of(args, where, err),
        .pretrained = vt_json_reader_of(NULL, where, err),
    };
    if (!args)
        return vt_fail_memory(err, "a configuration", 0);
    configure_tower(out, &timm);
    configure_projection(out, &vision);
    json_decref(args);
    if (timm.args.status || vision.status)
        return timm.args.status ? timm.args.status : vision.status;
    vt_status status = vt_open_clip_finish(out, checkpoint, err);
    if (!status && !out->vision_projection && out->vision.encoder.width != out->embed_dim)
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "%s: embed_dim %zu, but pictures have %zu", where,
                         out->embed_dim, out->vision.encoder.width);
    return status;
}

static vt_status configure_vit(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    return configure_as(out, checkpoint, vt_timm_vit_tower, err);
}

static vt_status configure_eva(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    return configure_as(out, checkpoint, vt_timm_eva_tower, err);
}

static const char *const prefixes[] = {"visual.trunk.", "text.", "", NULL};

const vt_family vt_family_open_clip_timm_vit = {
    .name = "OpenCLIP with timm's ViT",
    .matches = matches_vit,
    .configure = configure_vit,
    .vision_names = vt_timm_vit_names,
    .text_names = vt_open_clip_text_names,
    .prefixes = prefixes,
    .ignored = vt_open_clip_ignored,
};

const vt_family vt_family_open_clip_timm_eva = {
    .name = "OpenCLIP with timm's Eva",
    .matches = matches_eva,
    .configure = configure_eva,
    .vision_names = vt_timm_eva_names,
    .text_names = vt_open_clip_text_names,
    .prefixes = prefixes,
    .ignored = vt_open_clip_ignored,
};
