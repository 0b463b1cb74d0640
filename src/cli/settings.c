/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits only: strtoull alone would take "-1", " 7" and "7x". */
bool parse_digits(const char *text, const char **end, size_t *number) {
    char *stop = NULL;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &stop, 10);
    *end = stop;
    *number = (size_t)value;
    return errno == 0 && value <= INT_MAX;
}

const char *parse_text(void *field, const char *text) {
    *(const char **)field = text;
    return *text ? NULL : "something other than nothing";
}

const char *parse_count(void *field, const char *text) {
    const char *end;
    size_t number;
    if (!parse_digits(text, &end, &number) || *end || number == 0)
        return "a whole number from 1 to 2147483647";
    *(size_t *)field = number;
    return NULL;
}

const char *parse_number(void *field, const char *text) {
    const char *end;
    size_t number;
    if (!parse_digits(text, &end, &number) || *end)
        return "a whole number from 0 to 2147483647";
    *(size_t *)field = number;
    return NULL;
}

const char *parse_real(void *field, const char *text) {
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (end == text || *end || errno || !(number >= 0) || number > 1e9)
        return "a number from 0 to 1e9";
    *(double *)field = number;
    return NULL;
}

const char *parse_append(void *field, const char *text) {
    text_options *list = field;
    if (!*text)
        return "something other than nothing";
    if (list->count == MAX_REPEATS)
        return "at most 32 of them";
    list->items[list->count++] = text;
    return NULL;
}

const char *parse_size(void *field, const char *text) {
    static const char expected[] = "a size in pixels such as 224 or 224x320 (height x width)";
    const char *end;
    size_t *size = field, height, width;
    if (!parse_digits(text, &end, &height))
        return expected;
    if (*end == '\0')
        width = height;
    else if (*end != 'x' || !parse_digits(end + 1, &end, &width) || *end)
        return expected;
    if (!height || !width)
        return expected;
    size[0] = height;
    size[1] = width;
    return NULL;
}

/* Copies the piece before the next comma into `piece`, "" where it is too long; returns what
 * follows, NULL after the last. */
static const char *next_piece(const char *text, char piece[32]) {
    size_t length = strcspn(text, ",");
    snprintf(piece, 32, "%.*s", length < 32 ? (int)length : 0, text);
    return text[length] ? text + length + 1 : NULL;
}

const char *parse_counts(void *field, const char *text) {
    count_list list = {0};
    char piece[32];
    do {
        text = next_piece(text, piece);
        if (list.count == MAX_REPEATS || parse_count(&list.items[list.count++], piece))
            return "at most 32 whole numbers of 1 or more, such as 1,2,4";
    } while (text);
    *(count_list *)field = list;
    return NULL;
}

static bool add_size(size_list *list, const size_t *size) {
    if (list->count == MAX_SIZES)
        return false;
    memcpy(list->items[list->count++], size, 2 * sizeof *size);
    return true;
}

/* "64:320:16": squares from 64 to 320 in steps of 16. */
static bool add_range(size_list *list, const char *piece) {
    const char *at;
    size_t first, last, step;
    if (!parse_digits(piece, &at, &first) || *at != ':' || !parse_digits(at + 1, &at, &last) ||
        *at != ':' || !parse_digits(at + 1, &at, &step) || *at || !first || !step || first > last)
        return false;
    for (size_t n = first; n <= last; n += step)
        if (!add_size(list, (size_t[]){n, n}))
            return false;
    return true;
}

const char *parse_sizes(void *field, const char *text) {
    size_list list = {0};
    char piece[32];
    size_t size[2];
    do {
        text = next_piece(text, piece);
        if (strchr(piece, ':') ? !add_range(&list, piece)
                               : parse_size(size, piece) || !add_size(&list, size))
            return "at most 256 sizes in pixels such as 224,384x512 (height x width), or 64:320:16";
    } while (text);
    *(size_list *)field = list;
    return NULL;
}

const char *parse_names(void *field, const char *text) {
    name_list list = {0};
    char piece[32];
    do {
        text = next_piece(text, piece);
        if (list.count == MAX_REPEATS || !*piece)
            return "at most 32 names with commas between them";
        memcpy(list.items[list.count++], piece, sizeof piece);
    } while (text);
    *(name_list *)field = list;
    return NULL;
}

const char *parse_rules(void *field, const char *text) {
    name_list list = {0};
    const char *expected = parse_names(&list, text);
    for (size_t i = 0; i < list.count; i++)
        if (vt_pos_resize_from_name(list.items[i]) == VT_POS_RESIZE_COUNT)
            expected = "rules such as bicubic,bicubic-antialias; --help lists them";
    *(name_list *)field = list;
    return expected;
}

static const char *parse_pixels(void *field, const char *text) {
    const char *end;
    size_t number;
    if (!parse_digits(text, &end, &number) || *end || number == 0)
        return "a whole number from 1 to 2147483647";
    *(uint64_t *)field = number;
    return NULL;
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* The field is the vt_image_options: the colour and the flag that says it is set. */
static const char *parse_background(void *field, const char *text) {
    static const char expected[] = "a colour of six hexadecimal digits such as ff8000";
    vt_image_options *image = field;
    text += *text == '#';
    if (strlen(text) != 6)
        return expected;
    for (size_t i = 0; i < 3; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return expected;
        image->background[i] = (uint8_t)(high << 4 | low);
    }
    image->use_background = true;
    return NULL;
}

const char *pos_resize_choice(size_t index) {
    return index < VT_POS_RESIZE_COUNT ? vt_pos_resize_name((vt_pos_resize)index) : NULL;
}

const char *kernels_choice(size_t index) {
    static const char *const names[] = {"avx512", "avx2", "neon", "scalar"};
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

const char *backend_choice(size_t index) {
    static const char *const names[] = {"auto", "native", "blas", "onednn"};
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

static const char *precision_choice(size_t index) {
    static const char *const names[] = {"f32", "f16", "bf16", "int8"};
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

#define OPTION_PRECISION                                                                           \
    {                                                                                              \
        0, "precision", "TYPE",                                                                    \
            "what matrices are kept as, int8 being for those of the blocks; without it, as in "    \
            "the checkpoint; one of",                                                              \
            .choice = precision_choice, .parse = parse_text, FIELD(precision)                      \
    }

static const option model_rows[] = {
    OPTION_MODEL,
    {0, "labels", "FILE", "the names of the classes, one a line, instead of the model's own",
     .parse = parse_text, FIELD(labels)},
    OPTION_POS_RESIZE,
    OPTION_PATCH_SIZE,
    OPTION_KERNELS,
    OPTION_BACKEND,
    OPTION_PRECISION,
    OPTION_CHECK_FINITE,
    OPTION_FOLLOW_LINKS,
    {0},
};

static const option text_model_rows[] = {
    {'m', "model", "MODEL",
     "a directory with config.json, its weights and its tokenizer.json, or a pulled model's name",
     .parse = parse_text, FIELD(model)},
    OPTION_KERNELS,
    OPTION_BACKEND,
    OPTION_PRECISION,
    OPTION_CHECK_FINITE,
    OPTION_FOLLOW_LINKS,
    {0},
};

static const option picture_rows[] = {
    {0, "background", "RRGGBB", "the colour under transparent pixels; without it, white",
     .parse = parse_background, FIELD(image)},
    {0, "drop-alpha", NULL, "keep the colours that transparency hides", FIELD(image.drop_alpha)},
    {0, "max-pixels", "N", "refuse larger pictures; without it, 268435456 pixels",
     .parse = parse_pixels, FIELD(image.max_pixels)},
    {0},
};

static const option general_rows[] = {
    {'q', "quiet", NULL, "no progress bar, no notes", FIELD(quiet)},
    {'v', "verbose", NULL, "say how long the model took to open", FIELD(verbose)},
    {'h', "help", NULL, "show this help", FIELD(help)},
    {0},
};

const option_group model_options = {"Model", model_rows};
const option_group text_model_options = {"Model", text_model_rows};
const option_group picture_options = {"Pictures", picture_rows};

static const option many_pictures_rows[] = {
    OPTION_FILES_FROM,     OPTION_NULL,    OPTION_SIZE, OPTION_BATCH,
    OPTION_SHRINK_ON_LOAD, OPTION_THREADS, {0},
};

const option_group many_pictures_options = {"Input and speed", many_pictures_rows};
const option_group general_options = {"General", general_rows};
