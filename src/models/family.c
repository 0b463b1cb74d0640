/* SPDX-License-Identifier: MIT */
#include "models/family.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* The only list of families. The first that matches is taken. */
static const vt_family *const families[] = {
    &vt_family_hf_vit,
    &vt_family_hf_dinov2,
    &vt_family_hf_dinov3,
    &vt_family_hf_beit,
    &vt_family_clip,
    &vt_family_siglip,
    &vt_family_open_clip_timm_vit,
    &vt_family_open_clip_timm_eva,
    &vt_family_open_clip,
    &vt_family_timm_vit,
    &vt_family_timm_eva,
    &vt_family_meta_dinov2,
    &vt_family_timm_beit,
    &vt_family_bert,
    &vt_family_jina_clip,
    &vt_family_nomic_vision,
    &vt_family_jina_bert,
    &vt_family_nomic_bert,
    &vt_family_modernbert,
    &vt_family_t5,
    &vt_family_gpt2,
    &vt_family_llama,
    &vt_family_gpt_neox,
    &vt_family_bloom,
    &vt_family_mpt,
    &vt_family_byte_lm,
};
enum { NUM_FAMILIES = sizeof families / sizeof families[0] };

static const char *string_of(const json_t *config, const char *key) {
    const char *text = json_string_value(json_object_get(config, key));
    return text ? text : "(none)";
}

vt_status vt_family_find(const vt_family **out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    char supported[512] = "";
    for (size_t i = 0; i < NUM_FAMILIES; i++) {
        if (families[i]->matches(config)) {
            *out = families[i];
            return VT_OK;
        }
        size_t used = strlen(supported);
        snprintf(supported + used, sizeof supported - used, "%s%s", used ? ", " : "",
                 families[i]->name);
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED,
                   "%s: no known family has architecture %s, model_type %s; supported: %s",
                   vt_checkpoint_config_path(checkpoint), string_of(config, "architecture"),
                   string_of(config, "model_type"), supported);
}

size_t vt_checkpoint_dim(const vt_checkpoint *checkpoint, const char *name, size_t axis) {
    const vt_tensor *tensor = vt_checkpoint_find(checkpoint, name);
    return tensor && axis < tensor->ndim ? tensor->shape[axis] : 0;
}
