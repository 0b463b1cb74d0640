/* SPDX-License-Identifier: MIT */
#include "text/pattern.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/unicode.h"

static vt_status parse_object(vt_pattern *out, const json_t *object, const char *where,
                              vt_error *err) {
    vt_json_reader reader = vt_json_reader_of(object, where, err);
    const char *regex = vt_json_string(&reader, "Regex", NULL);
    const char *string = vt_json_string(&reader, "String", NULL);
    if (reader.status)
        return reader.status;
    if (!regex == !string)
        return vt_fail(err, VT_ERR_FORMAT, "%s: \"pattern\": expected Regex or String", where);
    if (regex || !string[0]) /* an empty string matches between all characters, as "" does */
        return vt_regex_create(&out->regex, regex ? regex : "", where, err);
    out->string = vt_strdup(string);
    return out->string ? VT_OK : vt_fail_memory(err, "a pattern", strlen(string));
}

vt_status vt_pattern_parse(vt_pattern *out, vt_json_reader *reader, const char *key) {
    *out = (vt_pattern){0};
    const json_t *object = json_object_get(reader->object, key);
    if (!json_is_object(object))
        vt_config_fail(reader, VT_ERR_FORMAT, key, "expected {\"Regex\"} or {\"String\"}");
    if (!reader->status)
        reader->status = parse_object(out, object, reader->where, reader->err);
    return reader->status;
}

void vt_pattern_free(vt_pattern *pattern) {
    vt_regex_destroy(pattern->regex);
    vt_free(pattern->string);
    *pattern = (vt_pattern){0};
}

/* ---- finding -----------------------------------------------------------------------------------
 */

vt_status vt_finder_open(vt_finder *finder, const vt_pattern *pattern, vt_error *err) {
    *finder = (vt_finder){.pattern = pattern};
    return pattern->regex ? vt_matcher_create(&finder->matcher, pattern->regex, err) : VT_OK;
}

void vt_finder_close(vt_finder *finder) {
    vt_matcher_destroy(finder->matcher);
    vt_free(finder->ranges);
    *finder = (vt_finder){0};
}

static vt_status add_range(vt_finder *finder, vt_range range, vt_error *err) {
    if (finder->count == finder->capacity) {
        size_t capacity = finder->capacity ? 2 * finder->capacity : 64;
        vt_range *grown = vt_realloc(finder->ranges, finder->count, capacity, sizeof *grown);
        if (!grown)
            return vt_fail_memory(err, "the pieces of a text", capacity * sizeof *grown);
        finder->ranges = grown;
        finder->capacity = capacity;
    }
    finder->ranges[finder->count++] = range;
    return VT_OK;
}

/* The text before a match, if there is any, and the match. */
static vt_status add_match(vt_finder *finder, size_t *last, size_t begin, size_t end,
                           vt_error *err) {
    vt_status status = VT_OK;
    if (*last < begin)
        status = add_range(finder, (vt_range){*last, begin, false}, err);
    *last = end;
    return status ? status : add_range(finder, (vt_range){begin, end, true}, err);
}

static vt_status find_regex(vt_finder *finder, size_t *last, const char *text, size_t size,
                            vt_error *err) {
    vt_matcher_start(finder->matcher, text, size);
    for (;;) {
        size_t begin, end;
        bool found;
        vt_status status = vt_matcher_next(finder->matcher, &found, &begin, &end, err);
        if (status || !found)
            return status;
        status = add_match(finder, last, begin, end, err);
        if (status)
            return status;
    }
}

static vt_status find_string(vt_finder *finder, size_t *last, const char *text, size_t size,
                             vt_error *err) {
    const char *string = finder->pattern->string;
    size_t length = strlen(string);
    for (;;) {
        const char *found = memmem(text + *last, size - *last, string, length);
        if (!found)
            return VT_OK;
        size_t begin = (size_t)(found - text);
        vt_status status = add_match(finder, last, begin, begin + length, err);
        if (status)
            return status;
    }
}

static vt_status find_class(vt_finder *finder, size_t *last, const char *text, size_t size,
                            vt_error *err) {
    size_t length;
    for (size_t i = 0; i < size; i += length) {
        int32_t c = vt_utf8_decode(text + i, size - i, &length);
        vt_status status = VT_OK;
        if (finder->pattern->is_match(c))
            status = add_match(finder, last, i, i + length, err);
        if (status)
            return status;
    }
    return VT_OK;
}

vt_status vt_finder_find(vt_finder *finder, const char *text, size_t size, vt_error *err) {
    size_t last = 0;
    vt_status status;
    finder->count = 0;
    if (size == 0)
        return VT_OK;
    if (finder->matcher)
        status = find_regex(finder, &last, text, size, err);
    else if (finder->pattern->string)
        status = find_string(finder, &last, text, size, err);
    else
        status = find_class(finder, &last, text, size, err);
    if (!status && last < size)
        status = add_range(finder, (vt_range){last, size, false}, err);
    return status;
}

/* ---- splitting ---------------------------------------------------------------------------------
 */

vt_status vt_split_parse(vt_split *out, vt_json_reader *reader, const char *key) {
    static const char *const names[] = {"Removed",        "Isolated",   "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous", NULL};
    const char *name = vt_config_string(reader, key);
    size_t index = 0;
    if (name)
        reader->status = vt_config_choice(&index, name, names, reader->where, reader->err);
    *out = (vt_split)index;
    return reader->status;
}

/* Whether range i goes into one piece with range i - 1 (NormalizedString::split). Of several
 * matches in a row, only the one that touches other text is merged with it. */
static bool joins_previous(const vt_range *ranges, size_t i, vt_split behavior) {
    bool match = ranges[i].is_match, before = ranges[i - 1].is_match;
    switch (behavior) {
    case VT_SPLIT_CONTIGUOUS:
        return match == before;
    case VT_SPLIT_MERGED_WITH_PREVIOUS:
        return match && !before;
    case VT_SPLIT_MERGED_WITH_NEXT:
        return before && !match;
    case VT_SPLIT_REMOVED:
    case VT_SPLIT_ISOLATED:
        break;
    }
    return false;
}

static void emit_ranges(vt_pieces *out, vt_finder *finder, vt_piece whole, vt_split behavior,
                        bool invert) {
    vt_range *ranges = finder->ranges;
    for (size_t i = 0; invert && i < finder->count; i++)
        ranges[i].is_match = !ranges[i].is_match;
    for (size_t i = 0; i < finder->count;) {
        vt_piece piece = {.begin = whole.begin + ranges[i].begin, .id = VT_NO_ID};
        bool removed = behavior == VT_SPLIT_REMOVED && ranges[i].is_match;
        piece.at_start = whole.at_start && ranges[i].begin == 0;
        do {
            piece.end = whole.begin + ranges[i++].end;
        } while (i < finder->count && joins_previous(ranges, i, behavior));
        if (!removed)
            vt_pieces_append(out, piece);
    }
}

vt_status vt_split_pieces(vt_pieces *pieces, const vt_pattern *pattern, vt_split behavior,
                          bool invert, vt_error *err) {
    vt_finder finder;
    vt_pieces split = {0};
    vt_status status = vt_finder_open(&finder, pattern, err);
    for (size_t i = 0; !status && i < pieces->count; i++) {
        vt_piece piece = pieces->items[i];
        if (piece.id != VT_NO_ID) {
            vt_pieces_append(&split, piece);
            continue;
        }
        status =
            vt_finder_find(&finder, pieces->text.data + piece.begin, piece.end - piece.begin, err);
        if (!status)
            emit_ranges(&split, &finder, piece, behavior, invert);
    }
    vt_bytes_swap(&pieces->text, &split.text); /* the text stays, the pieces are new */
    vt_pieces_swap(pieces, &split);
    vt_pieces_free(&split);
    vt_finder_close(&finder);
    if (!status && vt_pieces_failed(pieces))
        status = vt_fail_memory(err, "the pieces of a text", pieces->text.size);
    return status;
}

vt_status vt_replace(vt_bytes *out, vt_finder *finder, const char *text, size_t size,
                     const char *content, bool *front_lost, vt_error *err) {
    vt_status status = vt_finder_find(finder, text, size, err);
    for (size_t i = 0; !status && i < finder->count; i++) {
        vt_range range = finder->ranges[i];
        if (range.is_match)
            vt_bytes_append(out, content, strlen(content));
        else
            vt_bytes_append(out, text + range.begin, range.end - range.begin);
        if (range.is_match && range.begin == 0 && range.end > 0 && !content[0])
            *front_lost = true;
    }
    return status;
}
