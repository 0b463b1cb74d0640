/* SPDX-License-Identifier: MIT
 *
 * What the command line says, in one struct for all commands, and the options that several share.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <vitrine.h>

#include "options.h"

typedef struct settings {
    /* model */
    const char *model; /* NULL: the bundled one */
    const char *labels, *kernels;
    unsigned pos_resize; /* a vt_pos_resize */
    size_t patch_size;
    size_t height, width; /* --size; 0: the model's own */
    size_t threads, batch;
    /* pictures */
    vt_image_options image;
    const char *files_from;
    /* results */
    size_t top;
    unsigned format; /* an index of the command's own --format */
    bool tensors, blocks;
    const char *input, *output;
    /* general */
    bool quiet, help;

    char **operands;
    size_t num_operands;
} settings;

/* The tables that commands list in their `groups`. */
extern const option_group model_options, picture_options, general_options;

/* Values: each writes the field of that type and returns NULL, or says what was expected. */
const char *parse_text(void *field, const char *text);  /* const char * */
const char *parse_count(void *field, const char *text); /* size_t, at least 1 */
const char *parse_size(void *field, const char *text);  /* size_t[2]: height, width */

/* Where an option's value goes, in a row of a table. */
#define FIELD(name) .offset = offsetof(settings, name)

/* The rows of options that several commands have, each in its own group. */
#define SIZE_HELP "input size in pixels, rounded to whole patches; the positions are resized to it"
#define OPTION_SIZE                                                                                \
    { 's', "size", "N|HxW", SIZE_HELP, .parse = parse_size, FIELD(height) }
#define THREADS_HELP "threads to use; without it, one for each core"
#define OPTION_THREADS                                                                             \
    { 't', "threads", "N", THREADS_HELP, .parse = parse_count, FIELD(threads) }
#define BATCH_HELP "pictures in one forward pass"
#define OPTION_BATCH                                                                               \
    { 0, "batch", "N", BATCH_HELP, .initial = "1", .parse = parse_count, FIELD(batch) }

#endif
