/* SPDX-License-Identifier: MIT */
#include "models/open_clip.h"

#include <string.h>

#include "base/error.h"
#include "formats/json.h"

/* open_clip/transform.py's evaluation transform is torchvision's, as timm's is: only the keys
 * differ. */
vt_status vt_open_clip_preprocess(vt_preprocess *out, const json_t *cfg, size_t height,
                                  size_t width, const char *where, vt_error *err) {
    static const struct {
        const char *open_clip, *timm;
    } modes[] = {{"shortest", "center"}, {"squash", "squash"}, {"longest", "border"}};
    vt_json_reader r = vt_json_reader_of(cfg, where, err);
    const char *mode = vt_json_string(&r, "resize_mode", "shortest"), *crop_mode = NULL;
    const char *interpolation = vt_json_string(&r, "interpolation", "bicubic");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i].open_clip) == 0)
            crop_mode = modes[i].timm;
    if (!r.status && !crop_mode)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: \"resize_mode\": \"%s\" is not supported",
                       where, mode);
    if (r.status)
        return r.status;
    json_t *timm =
        json_pack("{s:[i, I, I], s:s, s:f, s:s, s:[f, f, f], s:[f, f, f]}", "input_size", 3,
                  (json_int_t)height, (json_int_t)width, "interpolation", interpolation, "crop_pct",
                  1.0, "crop_mode", crop_mode, "mean", 0.48145466, 0.4578275, 0.40821073, "std",
                  0.26862954, 0.26130258, 0.27577711);
    if (!timm)
        return vt_fail_memory(err, "a configuration", 0);
    if (json_object_get(cfg, "mean"))
        json_object_set(timm, "mean", json_object_get(cfg, "mean"));
    if (json_object_get(cfg, "std"))
        json_object_set(timm, "std", json_object_get(cfg, "std"));
    vt_status status = vt_preprocess_from_timm(out, timm, err);
    json_decref(timm);
    return status;
}
