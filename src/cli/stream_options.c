/* SPDX-License-Identifier: MIT */
#include "stream_options.h"

#include <string.h>

const char stream_format_y4m[] = "y4m";

/* ---- choices ------------------------------------------------------------------------------- */

/* What the library calls them, and what cameras do. */
static const char *format_choice(size_t index) {
    static const char *const others[] = {
        stream_format_y4m, "i420", "yuyv", "yuy2", "uyvy", "gray8"};
    if (index < VT_PIXEL_COUNT)
        return vt_pixel_format_name((vt_pixel_format)index);
    index -= VT_PIXEL_COUNT;
    return index < sizeof others / sizeof *others ? others[index] : NULL;
}

static const char *const matrices[] = {[VT_YUV_BT601] = "bt601", [VT_YUV_BT709] = "bt709"};

static const char *matrix_choice(size_t index) {
    return index < sizeof matrices / sizeof *matrices ? matrices[index] : NULL;
}

static const char *rotate_choice(size_t index) {
    static const char *const degrees[] = {"0", "90", "180", "270"};
    return index < sizeof degrees / sizeof *degrees ? degrees[index] : NULL;
}

vt_yuv_matrix stream_matrix(const settings *s) {
    bool is_bt709 = s->matrix && strcmp(s->matrix, matrices[VT_YUV_BT709]) == 0;
    return is_bt709 ? VT_YUV_BT709 : VT_YUV_BT601;
}

unsigned stream_rotation(const settings *s) {
    return 90 * s->rotate;
}

/* ---- values -------------------------------------------------------------------------------- */

/* "1280x720"; `end` is what follows. */
static bool parse_pair(size_t *pair, const char *text, const char **end) {
    return parse_digits(text, end, &pair[0]) && **end == 'x' &&
           parse_digits(*end + 1, end, &pair[1]) && pair[0] && pair[1];
}

static const char *parse_frame_size(void *field, const char *text) {
    const char *end;
    size_t size[2];
    if (!parse_pair(size, text, &end) || *end)
        return "a size in pixels such as 1280x720 (width x height)";
    memcpy(field, size, sizeof size);
    return NULL;
}

static const char *parse_crop(void *field, const char *text) {
    const char *end;
    size_t crop[4];
    if (!parse_pair(crop, text, &end) || *end != '+' || !parse_digits(end + 1, &end, &crop[2]) ||
        *end != '+' || !parse_digits(end + 1, &end, &crop[3]) || *end)
        return "a part such as 640x480+320+120 (width x height + left + top)";
    memcpy(field, crop, sizeof crop);
    return NULL;
}

/* "29.97", or "30000/1001". */
static const char *parse_rate(void *field, const char *text) {
    static const char expected[] = "frames in a second, such as 30, 29.97 or 30000/1001";
    const char *end;
    size_t above, below;
    double rate = 0;
    if (parse_digits(text, &end, &above) && *end == '/') {
        if (!parse_digits(end + 1, &end, &below) || *end || !below)
            return expected;
        rate = (double)above / (double)below;
    } else if (parse_real(&rate, text)) {
        return expected;
    }
    *(double *)field = rate;
    return rate > 0 ? NULL : expected;
}

static const char *parse_drop(void *field, const char *text) {
    static const char queue[] = "queue:";
    static const char expected[] = "none, latest, or queue:N with N from 1 to 1000";
    const char *end;
    drop_policy *drop = field;
    *drop = (drop_policy){.rule = DROP_OLDEST, .most = 1};
    if (strcmp(text, "none") == 0)
        drop->rule = DROP_NONE;
    else if (strncmp(text, queue, sizeof queue - 1) == 0)
        return parse_digits(text + sizeof queue - 1, &end, &drop->most) && !*end && drop->most &&
                       drop->most <= STREAM_MOST_WAITING
                   ? NULL
                   : expected;
    else if (strcmp(text, "latest") != 0)
        return expected;
    return NULL;
}

const char *parse_share(void *field, const char *text) {
    double share;
    if (parse_real(&share, text) || share <= 0 || share > 1)
        return "a number above 0, and 1 at most";
    *(double *)field = share;
    return NULL;
}

/* ---- tables -------------------------------------------------------------------------------- */

static const option stream_rows[] = {
    {0, "format", "FORMAT",
     "how the frames lie in the stream; without it Y4M and JPEG are told by their first bytes. "
     "One of",
     .choice = format_choice, .parse = parse_text, FIELD(pixel_format)},
    {'s', "size", "WxH", "of a raw frame in pixels, width first", .parse = parse_frame_size,
     FIELD(frame_size)},
    {0, "fps", "N",
     "frames in a second of the stream, such as 30 or 30000/1001: what pts_us goes by; without it, "
     "as a Y4M header says",
     .parse = parse_rate, FIELD(fps)},
    {0, "realtime", NULL, "read no faster than that, as a camera would", FIELD(realtime)},
    {0, "drop", "RULE",
     "what is left out when frames come faster than they are classified: latest keeps the newest "
     "one waiting, queue:N the N newest, and none drops nothing: the stream waits; without it, "
     "latest, or none for a file without --realtime",
     .parse = parse_drop, FIELD(drop)},
    {0},
};

static const option view_rows[] = {
    {0, "matrix", "NAME", "of Y, U and V; without it, bt601; one of", .choice = matrix_choice,
     .parse = parse_text, FIELD(matrix)},
    {0, "full-range", NULL, "Y, U and V go from 0 to 255, and not from 16 to 235 and 240",
     FIELD(full_range)},
    {0, "crop", "WxH+X+Y", "look at this part of the frames as they are stored",
     .parse = parse_crop, FIELD(crop)},
    {0, "rotate", "DEGREES", "then turn them clockwise, by", .choice = rotate_choice,
     FIELD(rotate)},
    {0, "mirror", NULL, "then exchange left and right", FIELD(mirror)},
    {0},
};

const option_group stream_options = {"Stream", stream_rows};
const option_group view_options = {"Frames", view_rows};
