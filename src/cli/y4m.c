/* SPDX-License-Identifier: MIT */
#include "y4m.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "diagnose.h"

static vt_status fail(vt_error *err, vt_status code, const char *format, ...) CLI_PRINTF(3, 4);

static vt_status fail(vt_error *err, vt_status code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    err->code = code;
    return code;
}

/* Where chroma is sampled, which is what the three differ in, is not looked at. */
static const struct {
    const char *name;
    vt_pixel_format format;
} colour_spaces[] = {
    {"420", VT_PIXEL_I420},      {"420jpeg", VT_PIXEL_I420}, {"420mpeg2", VT_PIXEL_I420},
    {"420paldv", VT_PIXEL_I420}, {"mono", VT_PIXEL_GRAY8},
};

static vt_status parse_colours(y4m_header *out, const char *name, vt_error *err) {
    for (size_t i = 0; i < sizeof colour_spaces / sizeof *colour_spaces; i++)
        if (strcasecmp(colour_spaces[i].name, name) == 0) {
            out->format = colour_spaces[i].format;
            return VT_OK;
        }
    return fail(err, VT_ERR_UNSUPPORTED,
                "Y4M: colour space %.32s; expected 420, 420jpeg, 420mpeg2, 420paldv or mono "
                "(ffmpeg: -pix_fmt yuv420p)",
                name);
}

static vt_status parse_side(size_t *out, const char *text, vt_error *err) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *out = number;
    if (*text < '0' || *text > '9' || *end || number == 0 || number > 1 << 24)
        return fail(err, VT_ERR_FORMAT, "Y4M: a width or height of '%.32s'", text);
    return VT_OK;
}

/* "30000:1001"; "0:0" where it is not known. */
static vt_status parse_rate(double *out, const char *text, vt_error *err) {
    unsigned long above, below;
    int used = 0;
    if (sscanf(text, "%9lu:%9lu%n", &above, &below, &used) != 2 || text[used])
        return fail(err, VT_ERR_FORMAT, "Y4M: a frame rate of '%.32s'", text);
    *out = below ? (double)above / (double)below : 0;
    return VT_OK;
}

/* Fields that are looked at together. */
typedef struct fields_found {
    const char *colours, *range;
} fields_found;

/* Each field is a letter and its value. Those that are left out here (interlacing, the aspect of
 * pixels, comments) change nothing. */
static vt_status parse_field(y4m_header *out, const char *field, fields_found *found,
                             vt_error *err) {
    static const char range[] = "XCOLORRANGE=", old_colours[] = "XYSCSS=";
    switch (*field) {
    case 'W':
        return parse_side(&out->width, field + 1, err);
    case 'H':
        return parse_side(&out->height, field + 1, err);
    case 'F':
        return parse_rate(&out->fps, field + 1, err);
    case 'C':
        found->colours = field + 1;
        return VT_OK;
    case 'X':
        if (strncmp(field, range, strlen(range)) == 0)
            found->range = field + strlen(range);
        else if (!found->colours && strncmp(field, old_colours, strlen(old_colours)) == 0)
            found->colours = field + strlen(old_colours);
        return VT_OK;
    default:
        return VT_OK;
    }
}

vt_status y4m_parse(y4m_header *out, const char *line, bool whole, vt_error *err) {
    char fields[Y4M_LONGEST_LINE], *rest = NULL;
    fields_found found = {.colours = NULL, .range = ""};
    vt_status status = VT_OK;
    *out = (y4m_header){0};
    snprintf(fields, sizeof fields, "%s", line);
    const char *magic = strtok_r(fields, " ", &rest), *field;
    if (!magic || strcmp(magic, Y4M_MAGIC) != 0)
        return fail(err, VT_ERR_FORMAT, "not a Y4M stream: it does not begin with " Y4M_MAGIC);
    if (!whole)
        return fail(err, VT_ERR_FORMAT, "Y4M: a header without an end");
    while (!status && (field = strtok_r(NULL, " ", &rest)))
        status = parse_field(out, field, &found, err);
    if (status)
        return status;
    if (!out->width || !out->height)
        return fail(err, VT_ERR_FORMAT, "Y4M: a header without width and height");
    out->full_range = strcasecmp(found.range, "FULL") == 0;
    status = parse_colours(out, found.colours ? found.colours : "420jpeg", err);
    if (!status && out->format == VT_PIXEL_GRAY8 && strcasecmp(found.range, "LIMITED") == 0)
        return fail(err, VT_ERR_UNSUPPORTED,
                    "Y4M: mono of limited range; expected the full one (ffmpeg: -color_range pc)");
    return status;
}
