/* SPDX-License-Identifier: MIT
 *
 * What a text is split at or replaced in: a regular expression, a string, or a class of characters.
 */
#ifndef VT_TEXT_PATTERN_H
#define VT_TEXT_PATTERN_H

#include "text/config.h"
#include "text/regex.h"

typedef bool (*vt_char_class)(int32_t character);

/* One of the three is set. */
typedef struct vt_pattern {
    vt_regex *regex;
    char *string; /* not empty */
    vt_char_class is_match;
} vt_pattern;

/* {"Regex": …} or {"String": …}. */
vt_status vt_pattern_parse(vt_pattern *out, vt_json_reader *reader, const char *key);
void vt_pattern_free(vt_pattern *pattern);

/* A stretch of text; together they cover it. */
typedef struct vt_range {
    size_t begin, end;
    bool is_match;
} vt_range;

/* Finds ranges in one text after another; zero it, or open it, and free it. */
typedef struct vt_finder {
    const vt_pattern *pattern;
    vt_matcher *matcher;
    vt_range *ranges; /* of the last text */
    size_t count, capacity;
} vt_finder;

vt_status vt_finder_open(vt_finder *finder, const vt_pattern *pattern, vt_error *err);
vt_status vt_finder_find(vt_finder *finder, const char *text, size_t size, vt_error *err);
void vt_finder_close(vt_finder *finder);

/* What becomes of a match (SplitDelimiterBehavior). */
typedef enum vt_split {
    VT_SPLIT_REMOVED,
    VT_SPLIT_ISOLATED,
    VT_SPLIT_MERGED_WITH_PREVIOUS,
    VT_SPLIT_MERGED_WITH_NEXT,
    VT_SPLIT_CONTIGUOUS
} vt_split;

vt_status vt_split_parse(vt_split *out, vt_json_reader *reader, const char *key);

/* Splits all text pieces; `invert` takes what does not match for the match. */
vt_status vt_split_pieces(vt_pieces *pieces, const vt_pattern *pattern, vt_split behavior,
                          bool invert, vt_error *err);

/* Appends `text` to `out`, each match replaced; *front_lost when it began with one and that is
 * gone. */
vt_status vt_replace(vt_bytes *out, vt_finder *finder, const char *text, size_t size,
                     const char *content, bool *front_lost, vt_error *err);

#endif
