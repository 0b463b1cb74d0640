/* SPDX-License-Identifier: MIT
 *
 * From the two configuration dialects to a vt_preprocess.
 */
#include "vision/preprocess.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "formats/json.h"

static const float IMAGENET_MEAN[3] = {0.485f, 0.456f, 0.406f};
static const float IMAGENET_STD[3] = {0.229f, 0.224f, 0.225f};
static const float HALF[3] = {0.5f, 0.5f, 0.5f};
static const float CLIP_MEAN[3] = {0.48145466f, 0.4578275f, 0.40821073f};
static const float CLIP_STD[3] = {0.26862954f, 0.26130258f, 0.27577711f};

static const json_t *get(const vt_json_reader *reader, const char *key) {
    const json_t *value = reader->object ? json_object_get(reader->object, key) : NULL;
    return json_is_null(value) ? NULL : value;
}

static void fail(vt_json_reader *reader, vt_status code, const char *key, const char *what) {
    if (!reader->status)
        reader->status = vt_fail(reader->err, code, "%s: \"%s\": %s", reader->where, key, what);
}

/* Three numbers, or one for all three channels; the fallback when absent. */
static void read_channels(vt_json_reader *reader, const char *key, float out[3],
                          const float fallback[3]) {
    memcpy(out, fallback, 3 * sizeof *out);
    const json_t *value = get(reader, key);
    if (!value)
        return;
    const bool is_list = json_is_array(value) && json_array_size(value) != 1;
    if (is_list && json_array_size(value) != 3) {
        fail(reader, VT_ERR_UNSUPPORTED, key, "not of three channels");
        return;
    }
    for (size_t c = 0; c < 3; c++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, is_list ? c : 0) : value;
        if (!json_is_number(item)) {
            fail(reader, VT_ERR_FORMAT, key, "expected numbers");
            return;
        }
        out[c] = (float)json_number_value(item);
    }
}

static void read_mean_std(vt_json_reader *reader, vt_preprocess *out, const char *mean_key,
                          const char *std_key, const float mean[3], const float std[3]) {
    read_channels(reader, mean_key, out->mean, mean);
    read_channels(reader, std_key, out->std, std);
    for (size_t c = 0; c < 3; c++)
        if (!(out->std[c] > 0))
            fail(reader, VT_ERR_FORMAT, std_key, "expected positive numbers");
}

/* ---- timm --------------------------------------------------------------------------------- */
/* timm 1.0.28, data/config.py: resolve_data_config; data/transforms_factory.py:
 * transforms_imagenet_eval. */

/* Of an input's side, and of a picture's that is resized: what vt_session takes. */
enum { MOST_SIDE = 1 << 20 };

static void read_input_size(vt_json_reader *reader, vt_preprocess *out) {
    const json_t *value = get(reader, "input_size");
    out->height = out->width = 224;
    if (!value)
        return;
    json_int_t sizes[3] = {0};
    for (size_t i = 0; i < 3; i++)
        sizes[i] = json_integer_value(json_array_get(value, i));
    if (json_array_size(value) != 3 || sizes[0] != 3 || sizes[1] <= 0 || sizes[2] <= 0) {
        fail(reader, VT_ERR_UNSUPPORTED, "input_size", "expected [3, height, width]");
        return;
    }
    out->height = (size_t)sizes[1];
    out->width = (size_t)sizes[2];
}

static void read_crop_mode(vt_json_reader *reader, vt_preprocess *out) {
    const char *mode = vt_json_string(reader, "crop_mode", "center");
    out->fit = VT_FIT_SHORT_EDGE; /* any other word means "center" to timm */
    if (strcmp(mode, "squash") == 0)
        out->fit = VT_FIT_STRETCH;
    if (strcmp(mode, "border") != 0)
        return;
    out->fit = VT_FIT_CONTAIN;
    for (size_t c = 0; c < 3; c++)
        out->fill[c] = (uint8_t)fmin(fmax(rint(255 * (double)out->mean[c]), 0), 255);
}

/* What the picture is resized to before the crop. */
static void set_resized_size(vt_json_reader *reader, vt_preprocess *out) {
    const double height = floor((double)out->height / out->crop_pct);
    const double width = floor((double)out->width / out->crop_pct);
    if (height > MOST_SIDE || width > MOST_SIDE) {
        fail(reader, VT_ERR_LIMIT, "crop_pct", "input_size over it is more than 2^20 pixels");
        return;
    }
    out->resize_height = (size_t)height;
    out->resize_width = (size_t)width;
}

vt_status vt_preprocess_from_timm(vt_preprocess *out, const json_t *pretrained_cfg, vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(pretrained_cfg, "config.json: pretrained_cfg", err);
    *out = (vt_preprocess){.center_crop = true,
                           .crop_rule = VT_CROP_TORCHVISION,
                           .rescale = VT_RESCALE_TORCH,
                           .rescale_factor = 1.0 / 255,
                           .normalize = true};
    read_input_size(&reader, out);
    const char *interpolation = vt_json_string(&reader, "interpolation", "bicubic");
    out->filter = vt_filter_from_name(interpolation);
    if (out->filter == VT_FILTER_COUNT)
        fail(&reader, VT_ERR_UNSUPPORTED, "interpolation", interpolation);
    read_mean_std(&reader, out, "mean", "std", IMAGENET_MEAN, IMAGENET_STD);
    out->crop_pct = vt_json_real(&reader, "crop_pct", 0);
    if (out->crop_pct == 0)
        out->crop_pct = 0.875;
    if (!(out->crop_pct > 0 && out->crop_pct <= 8))
        fail(&reader, VT_ERR_FORMAT, "crop_pct", "expected a fraction");
    read_crop_mode(&reader, out);
    if (!reader.status)
        set_resized_size(&reader, out);
    return reader.status;
}

/* ---- Hugging Face ------------------------------------------------------------------------- */

/* What a class's constructor defaults to.
 * transformers 4.57, models/NAME/image_processing_NAME.py. */
typedef struct hf_class {
    const char *name; /* before "ImageProcessor" or "FeatureExtractor" */
    vt_filter filter;
    vt_fit fit;
    size_t size;
    bool number_is_short_edge; /* an old configuration's `size` is one number */
    bool knows_crop, center_crop;
    const float *mean, *std;
    bool resizes_floats;
} hf_class;

static const hf_class HF_CLASSES[] = {
    {"ViT", VT_FILTER_BILINEAR, VT_FIT_STRETCH, 224, false, false, false, HALF, HALF, false},
    {"DeiT", VT_FILTER_BICUBIC, VT_FIT_STRETCH, 256, false, true, true, HALF, HALF, false},
    {"Beit", VT_FILTER_BICUBIC, VT_FIT_STRETCH, 256, false, true, true, HALF, HALF, false},
    {"CLIP", VT_FILTER_BICUBIC, VT_FIT_SHORT_EDGE, 224, true, true, true, CLIP_MEAN, CLIP_STD,
     false},
    {"Bit", VT_FILTER_BICUBIC, VT_FIT_SHORT_EDGE, 224, true, true, true, CLIP_MEAN, CLIP_STD,
     false},
    {"Siglip", VT_FILTER_BICUBIC, VT_FIT_STRETCH, 224, false, false, false, HALF, HALF, false},
    {"Siglip2", VT_FILTER_BILINEAR, VT_FIT_NAFLEX, 0, false, false, false, HALF, HALF, false},
    {"DINOv3ViT", VT_FILTER_BILINEAR, VT_FIT_STRETCH, 224, false, true, false, IMAGENET_MEAN,
     IMAGENET_STD, true},
};

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* "ViTImageProcessor", "ViTImageProcessorFast" and the older "ViTFeatureExtractor" are one class.
 */
static const hf_class *find_class(const char *type) {
    for (size_t i = 0; i < sizeof HF_CLASSES / sizeof HF_CLASSES[0]; i++) {
        const size_t length = strlen(HF_CLASSES[i].name);
        const char *rest = type + length;
        if (strncmp(type, HF_CLASSES[i].name, length) == 0 &&
            (strcmp(rest, "ImageProcessor") == 0 || strcmp(rest, "ImageProcessorFast") == 0 ||
             strcmp(rest, "FeatureExtractor") == 0))
            return &HF_CLASSES[i];
    }
    return NULL;
}

/* One member of a size that is an object; 0 when it isn't there. */
static void read_edge(vt_json_reader *reader, const json_t *size, const char *key, size_t *out) {
    vt_json_reader edges = vt_json_reader_of(size, reader->where, reader->err);
    *out = vt_json_size(&edges, key, 0);
    if (!reader->status)
        reader->status = edges.status;
}

/* transformers: image_processing_utils.get_size_dict. A number is a square, or the short edge. */
static void read_size(vt_json_reader *reader, vt_preprocess *out, bool number_is_short_edge) {
    const json_t *value = get(reader, "size");
    if (!value)
        return;
    out->fit = json_is_integer(value) && number_is_short_edge ? VT_FIT_SHORT_EDGE : VT_FIT_STRETCH;
    if (!json_is_object(value)) {
        vt_json_size_pair(reader, "size", &out->resize_height, &out->resize_width);
    } else if (json_object_get(value, "shortest_edge")) {
        out->fit = VT_FIT_SHORT_EDGE;
        read_edge(reader, value, "shortest_edge", &out->resize_height);
        out->resize_width = out->resize_height;
    } else {
        read_edge(reader, value, "height", &out->resize_height);
        read_edge(reader, value, "width", &out->resize_width);
    }
    if (out->resize_height == 0 || out->resize_width == 0)
        fail(reader, VT_ERR_UNSUPPORTED, "size", "neither shortest_edge nor height and width");
}

static void read_crop(vt_json_reader *reader, vt_preprocess *out) {
    const json_t *value = get(reader, "crop_size");
    out->height = out->width = 224;
    if (json_is_object(value)) {
        read_edge(reader, value, "height", &out->height);
        read_edge(reader, value, "width", &out->width);
    } else {
        vt_json_size_pair(reader, "crop_size", &out->height, &out->width);
    }
    if (out->height == 0 || out->width == 0)
        fail(reader, VT_ERR_UNSUPPORTED, "crop_size", "no height and width");
}

/* Which input size the configuration is for, and whether a crop makes it. */
static void read_geometry(vt_json_reader *reader, vt_preprocess *out, const hf_class *class) {
    out->fit = class->fit;
    out->resize_height = out->resize_width = class->size;
    if (class->fit == VT_FIT_NAFLEX) {
        out->patch_size = vt_json_size(reader, "patch_size", 16);
        out->max_num_patches = vt_json_size(reader, "max_num_patches", 256);
        if (out->patch_size == 0 || out->max_num_patches == 0)
            fail(reader, VT_ERR_FORMAT, "max_num_patches", "no patches");
        return;
    }
    read_size(reader, out, class->number_is_short_edge);
    if (!vt_json_bool(reader, "do_resize", true))
        out->fit = VT_FIT_NONE;
    out->center_crop =
        class->knows_crop && vt_json_bool(reader, "do_center_crop", class->center_crop);
    if (out->center_crop) {
        read_crop(reader, out);
    } else if (out->fit != VT_FIT_NONE) {
        out->height = out->resize_height;
        out->width = out->resize_width;
        /* Left with its aspect, a picture would have no one size: the input takes its middle. */
        out->center_crop = out->fit == VT_FIT_SHORT_EDGE;
    }
}

static void read_filter(vt_json_reader *reader, vt_preprocess *out, const hf_class *class) {
    const size_t filter = vt_json_size(reader, "resample", class->filter);
    if (filter >= VT_FILTER_COUNT)
        fail(reader, VT_ERR_UNSUPPORTED, "resample", "not one of Pillow's filters");
    else
        out->filter = (vt_filter)filter;
    if (out->rescale == VT_RESCALE_FLOAT && out->filter != VT_FILTER_BILINEAR &&
        out->filter != VT_FILTER_BICUBIC)
        fail(reader, VT_ERR_UNSUPPORTED, "resample", "floats are resized bilinear or bicubic");
}

vt_status vt_preprocess_from_hf(vt_preprocess *out, const json_t *preprocessor_config,
                                vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(preprocessor_config, "preprocessor_config.json", err);
    const char *old_type = vt_json_string(&reader, "feature_extractor_type", "ViTFeatureExtractor");
    const char *type = vt_json_string(&reader, "image_processor_type", old_type);
    *out = (vt_preprocess){0};
    if (reader.status)
        return reader.status;
    const hf_class *class = find_class(type);
    if (!class) {
        fail(&reader, VT_ERR_UNSUPPORTED, "image_processor_type", type);
        return reader.status;
    }
    out->crop_rule = ends_with(type, "Fast") ? VT_CROP_TORCHVISION : VT_CROP_HF;
    out->rescale_factor = vt_json_real(&reader, "rescale_factor", 1.0 / 255);
    if (vt_json_bool(&reader, "do_rescale", true))
        out->rescale = class->resizes_floats ? VT_RESCALE_FLOAT : VT_RESCALE_NUMPY;
    out->normalize = vt_json_bool(&reader, "do_normalize", true);
    read_mean_std(&reader, out, "image_mean", "image_std", class->mean, class->std);
    read_geometry(&reader, out, class);
    if (out->height > MOST_SIDE || out->width > MOST_SIDE || out->resize_height > MOST_SIDE ||
        out->resize_width > MOST_SIDE)
        fail(&reader, VT_ERR_LIMIT, "size", "a side of more than 2^20 pixels");
    read_filter(&reader, out, class);
    return reader.status;
}
