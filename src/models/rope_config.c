/* SPDX-License-Identifier: MIT
 *
 * Source: transformers 4.57, modeling_rope_utils.py; "rope_parameters" is its successor of 5.0.
 */
#include "models/rope_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- reading -----------------------------------------------------------------------------------
 */

static void refuse(vt_json_reader *reader, const char *what) {
    if (!reader->status)
        reader->status = vt_fail(reader->err, VT_ERR_UNSUPPORTED, "%s: rotary positions: %s",
                                 reader->where, what);
}

/* The object that holds the scaling; NULL: there is none. */
static const json_t *find_section(vt_json_reader *reader, bool *is_v5) {
    const json_t *section = json_object_get(reader->object, "rope_parameters");
    *is_v5 = section && !json_is_null(section);
    if (!*is_v5)
        section = json_object_get(reader->object, "rope_scaling");
    if (!section || json_is_null(section))
        return NULL;
    if (!json_is_object(section))
        refuse(reader, "the scaling is not an object");
    return section;
}

/* A number that stands in the section in one version and at the root in the other. */
static double real_of_either(vt_json_reader *section, vt_json_reader *root, const char *key,
                             double fallback) {
    return vt_json_real(section, key, vt_json_real(root, key, fallback));
}

static void read_factors(float *out, vt_json_reader *section, const char *key, size_t pairs) {
    const json_t *list = json_object_get(section->object, key);
    if (json_array_size(list) != pairs) {
        refuse(section, "longrope needs a short_factor and a long_factor for each channel pair");
        return;
    }
    for (size_t i = 0; i < pairs; i++) {
        double value = json_number_value(json_array_get(list, i));
        if (!(value > 0 && value < 1e9))
            refuse(section, "a factor of longrope is no positive number");
        out[i] = (float)value;
    }
}

/* Version 4 looks for the trained length at the root alone, and what it finds there replaces the
 * factor. */
static void read_longrope(vt_rope_config *out, vt_json_reader *section, vt_json_reader *root,
                          bool is_v5) {
    vt_json_reader *holder = is_v5 ? section : root;
    out->original_positions = vt_json_size(holder, "original_max_position_embeddings", 0);
    bool given = json_is_number(json_object_get(section->object, "factor"));
    if (out->original_positions && !(is_v5 && given))
        out->factor = (double)out->max_positions / (double)out->original_positions;
    read_factors(out->short_factor, section, "short_factor", out->pairs);
    read_factors(out->long_factor, section, "long_factor", out->pairs);
}

static void read_scaling(vt_rope_config *out, vt_json_reader *section, vt_json_reader *root,
                         bool is_v5) {
    const char *name = vt_json_string(section, "rope_type", NULL);
    if (!name)
        name = vt_json_string(section, "type", "default");
    out->scaling = vt_rope_scaling_from_name(name);
    if (out->scaling == VT_ROPE_SCALING_COUNT)
        refuse(section, "the rule of scaling is not known");
    out->factor = vt_json_real(section, "factor", 1);
    out->original_positions = vt_json_size(section, "original_max_position_embeddings", 0);
    out->attention_factor = vt_json_real(section, "attention_factor", 0);
    out->beta_fast = vt_json_real(section, "beta_fast", 0);
    out->beta_slow = vt_json_real(section, "beta_slow", 0);
    out->mscale = vt_json_real(section, "mscale", 0);
    out->mscale_all_dim = vt_json_real(section, "mscale_all_dim", 0);
    out->no_truncate = !vt_json_bool(section, "truncate", true);
    out->low_freq_factor = vt_json_real(section, "low_freq_factor", 1);
    out->high_freq_factor = vt_json_real(section, "high_freq_factor", 4);
    if (out->scaling == VT_ROPE_SCALING_LONGROPE)
        read_longrope(out, section, root, is_v5);
}

/* What would divide by zero, or take the logarithm of nothing, further on. */
static void check(const vt_rope_config *rope, vt_json_reader *reader) {
    if (!(rope->theta > 1 && rope->theta < 1e30))
        refuse(reader, "rope_theta is not above 1");
    if (!(rope->factor >= 1 && rope->factor <= 1e6))
        refuse(reader, "the factor is not between 1 and a million");
    if (rope->max_positions < 2 || rope->original_positions == 1)
        refuse(reader, "the trained length is less than 2");
    if (!(rope->beta_fast >= 0 && rope->beta_slow >= 0 && rope->attention_factor >= 0 &&
          rope->mscale >= 0 && rope->mscale_all_dim >= 0))
        refuse(reader, "a number of the scaling is negative");
    if (!(rope->low_freq_factor > 0 && rope->high_freq_factor > rope->low_freq_factor))
        if (rope->scaling == VT_ROPE_SCALING_LLAMA3)
            refuse(reader, "high_freq_factor is not above low_freq_factor");
}

void vt_rope_config_read(vt_rope_config *out, vt_json_reader *reader, size_t head_dim,
                         const vt_rope_defaults *defaults) {
    bool is_v5;
    const json_t *object = find_section(reader, &is_v5);
    vt_json_reader section = vt_json_reader_of(object, reader->where, reader->err);
    double partial = defaults->partial_factor > 0 ? defaults->partial_factor : 1;
    *out = (vt_rope_config){.layout = VT_ROPE_HALVES, .factor = 1};
    partial = real_of_either(&section, reader, "partial_rotary_factor", partial);
    out->theta = real_of_either(&section, reader, "rope_theta", defaults->theta);
    out->max_positions = vt_json_size(reader, "max_position_embeddings",
                                      defaults->max_positions ? defaults->max_positions : 2048);
    if (!(partial > 0 && partial <= 1))
        refuse(reader, "partial_rotary_factor is not between 0 and 1");
    else
        out->pairs = (size_t)((double)head_dim * partial) / 2;
    if (out->pairs == 0 || out->pairs > VT_ROPE_MAX_PAIRS)
        refuse(reader, "a head has too few or too many channels");
    if (object && !reader->status)
        read_scaling(out, &section, reader, is_v5);
    if (!reader->status)
        reader->status = section.status;
    check(out, reader);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static bool takes_factor(vt_rope_scaling_kind kind) {
    return kind == VT_ROPE_SCALING_LINEAR || kind == VT_ROPE_SCALING_NTK ||
           kind == VT_ROPE_SCALING_DYNAMIC || kind == VT_ROPE_SCALING_YARN;
}

vt_status vt_rope_config_override(vt_rope_config *config, const char *text, vt_error *err) {
    char name[16] = "";
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    vt_rope_scaling_kind kind = VT_ROPE_SCALING_NONE;
    double factor = 1;
    if (length < sizeof name) {
        memcpy(name, text, length);
        kind = vt_rope_scaling_from_name(name);
    }
    if (colon) {
        char *end = NULL;
        factor = strtod(colon + 1, &end);
        if (end == colon + 1 || *end)
            factor = 0;
    }
    bool none = !colon && strcmp(name, "none") == 0;
    if (!none && !(colon && takes_factor(kind) && factor >= 1 && factor <= 1e6))
        return vt_fail(
            err, VT_ERR_ARGUMENT,
            "rope_scaling \"%.64s\": expected none, linear:F, ntk:F, dynamic:F or yarn:F, "
            "with a factor F of at least 1",
            text);
    /* The rest of what the configuration had was for its own rule; the trained length is the
     * model's. */
    size_t trained =
        config->original_positions ? config->original_positions : config->max_positions;
    *config = (vt_rope_config){
        .theta = config->theta,
        .pairs = config->pairs,
        .layout = config->layout,
        .max_positions = trained,
        .scaling = none ? VT_ROPE_SCALING_NONE : kind,
        .factor = factor,
    };
    return VT_OK;
}
