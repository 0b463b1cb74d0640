/* SPDX-License-Identifier: MIT
 *
 * What the command line says, in one struct for all commands, and the options that several share.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <vitrine.h>

#include "options.h"

/* The values of an option that may be given several times. */
enum { MAX_REPEATS = 32 };
typedef struct text_options {
    const char *items[MAX_REPEATS];
    size_t count;
} text_options;

/* Values with commas between them, in one option. */
typedef struct count_list {
    size_t items[MAX_REPEATS];
    size_t count;
} count_list;

enum { MAX_SIZES = 256 };
typedef struct size_list {
    size_t items[MAX_SIZES][2]; /* height, width */
    size_t count;
} size_list;

typedef struct name_list {
    char items[MAX_REPEATS][32];
    size_t count;
} name_list;

/* Which frames of a stream are left out when they come faster than they are classified. */
typedef enum drop_rule {
    DROP_AUTO = 0, /* by what the stream comes from */
    DROP_NONE,     /* none: the stream waits */
    DROP_OLDEST    /* the oldest of those that wait, when more wait than `most` */
} drop_rule;

typedef struct drop_policy {
    drop_rule rule;
    size_t most;
} drop_policy;

typedef struct settings {
    /* model */
    const char *model; /* a path, or a name in the cache; NULL: the bundled one */
    const char *arch;  /* random weights instead */
    const char *labels, *kernels, *precision, *backend;
    unsigned pos_resize; /* a vt_pos_resize */
    size_t patch_size;
    size_t height, width; /* --size; 0: the model's own */
    size_t threads, batch;
    /* measuring */
    size_list sizes;
    count_list thread_counts, batches;
    name_list precisions, pos_resizes;
    count_list patch_sizes;
    const char *picture_labels;
    bool resume;
    size_t runs, warmups;
    size_t merge; /* pairs of tokens a block; 0: none */
    /* pictures */
    vt_image_options image;
    bool shrink_on_load;
    const char *files_from, *skip_done;
    bool null; /* names in files_from end with NUL */
    /* a stream of frames */
    const char *pixel_format; /* NULL: told by its first bytes */
    size_t frame_size[2];     /* width, height; 0: not given */
    double fps;               /* 0: not given */
    const char *matrix;       /* NULL: not given */
    bool full_range, mirror, realtime;
    unsigned rotate; /* quarters of a turn */
    size_t crop[4];  /* width, height, left, top; all 0: the whole frame */
    drop_policy drop;
    double smooth; /* 0: not given */
    /* text */
    const char *text, *text_from;
    const char *contexts, *by_position, *rope_scaling;
    text_options rope_scalings, templates;
    size_t context, max_bytes, max_tokens, seed;
    double temperature;
    const char *candidates, *save_labels, *load_labels;
    /* downloading */
    const char *revision;
    size_t retries;
    /* results */
    unsigned pool;
    bool normalize;
    size_t top;
    unsigned format; /* an index of the command's own --format */
    bool tensors, blocks;
    /* own classes */
    const char *head, *confusion;
    size_t folds, unsure;
    bool no_cache;
    /* looking and sorting */
    const char *method, *class_name, *grid, *pca, *link;
    double threshold, duplicates;
    size_t clusters;
    const char *input, *output, *pos_map;
    /* general */
    bool quiet, verbose, help;
    bool man; /* help as a man page */
    bool check_finite, follow_links;

    char **operands;
    size_t num_operands;
} settings;

/* The tables that commands list in their `groups`. */
extern const option_group model_options, text_model_options, picture_options, many_pictures_options,
    general_options;

/* A number, and where it ends: false unless digits alone, and no more than INT_MAX. */
bool parse_digits(const char *text, const char **end, size_t *number);

/* Values: each writes the field of that type and returns NULL, or says what was expected. */
const char *parse_text(void *field, const char *text);   /* const char * */
const char *parse_count(void *field, const char *text);  /* size_t, at least 1 */
const char *parse_number(void *field, const char *text); /* size_t, at least 0 */
const char *parse_size(void *field, const char *text);   /* size_t[2]: height, width */
const char *parse_real(void *field, const char *text);   /* double, at least 0 */
const char *parse_counts(void *field, const char *text); /* count_list: "1,2" */
const char *parse_sizes(void *field, const char *text);  /* size_list: "224,384x512,64:320:16" */
const char *parse_names(void *field, const char *text);  /* name_list: "f32,int8" */
const char *parse_rules(void *field, const char *text);  /* name_list, of --pos-resize's */
const char *parse_append(void *field, const char *text); /* text_options: one more */

/* What those options accept, NULL past the last. */
const char *pos_resize_choice(size_t index);
const char *kernels_choice(size_t index);
const char *backend_choice(size_t index);

/* Where an option's value goes, in a row of a table. */
#define FIELD(name) .offset = offsetof(settings, name)

/* The rows of options that several commands have, each in its own group. */
#define SIZE_HELP "input size in pixels, rounded to whole patches; the positions are resized to it"
#define OPTION_SIZE                                                                                \
    { 's', "size", "N|HxW", SIZE_HELP, .parse = parse_size, FIELD(height) }
#define THREADS_VARIABLE "VITRINE_THREADS"
#define THREADS_ELSE "; without it, $" THREADS_VARIABLE " or one for each core"
#define THREADS_HELP "threads to use" THREADS_ELSE
#define OPTION_THREADS                                                                             \
    {                                                                                              \
        't', "threads", "N", THREADS_HELP, .parse = parse_count, FIELD(threads),                   \
                                           .variable = THREADS_VARIABLE                            \
    }
#define FILES_FROM_HELP "also take what FILE lists, one a line; - is standard input"
#define OPTION_FILES_FROM                                                                          \
    { 0, "files-from", "FILE", FILES_FROM_HELP, .parse = parse_text, FIELD(files_from) }
#define NULL_HELP "names that --files-from lists end with NUL, as find -print0 writes them"
#define OPTION_NULL                                                                                \
    { '0', "null", NULL, NULL_HELP, FIELD(null) }
#define SKIP_DONE_HELP                                                                             \
    "leave out pictures that FILE has results of, the JSON lines of an earlier run; with >> FILE " \
    "that run goes on"
#define OPTION_SKIP_DONE                                                                           \
    { 0, "skip-done", "FILE", SKIP_DONE_HELP, .parse = parse_text, FIELD(skip_done) }
#define ROPE_HELP                                                                                  \
    "how rotary positions are stretched: linear, ntk, dynamic or yarn, and by how much"
#define OPTION_ROPE_SCALING                                                                        \
    { 0, "rope-scaling", "TYPE:FACTOR", ROPE_HELP, .parse = parse_text, FIELD(rope_scaling) }
#define OPTION_ROPE_SCALINGS                                                                       \
    {                                                                                              \
        0, "rope-scaling", "TYPE:FACTOR", ROPE_HELP "; may be given several times, none for none", \
            .parse = parse_append, FIELD(rope_scalings)                                            \
    }
#define SHRINK_HELP                                                                                \
    "decode a large JPEG at 1/2, 1/4 or 1/8 of its size: quicker, and nearly the same results"
#define OPTION_SHRINK_ON_LOAD                                                                      \
    { 0, "shrink-on-load", NULL, SHRINK_HELP, FIELD(shrink_on_load) }
#define MERGE_HELP                                                                                 \
    "pairs of tokens that each block merges, the most alike first: faster, and a little less "     \
    "exact"
#define OPTION_MERGE                                                                               \
    { 0, "merge", "R", MERGE_HELP, .initial = "0", .parse = parse_number, FIELD(merge) }
#define MODEL_HELP                                                                                 \
    "a directory with config.json and its weights, a .safetensors file beside its config.json, "   \
    "or the name of a model that was pulled, such as google/vit-base-patch16-224; without it, "    \
    "$VITRINE_MODEL or the bundled model"
#define OPTION_MODEL                                                                               \
    { 'm', "model", "MODEL", MODEL_HELP, .parse = parse_text, FIELD(model) }
#define HEAD_HELP "name the classes of what 'vitrine fit' made, not the model's own"
#define OPTION_HEAD                                                                                \
    { 0, "head", "HEAD", HEAD_HELP, .parse = parse_text, FIELD(head) }
#define KERNELS_HELP "the instruction set to compute with; without it, the fastest here; one of"
#define OPTION_KERNELS                                                                             \
    {                                                                                              \
        0, "kernels", "NAME", KERNELS_HELP, .choice = kernels_choice, .parse = parse_text,         \
                                            FIELD(kernels)                                         \
    }
#define PRECISION_HELP "what matrices are kept as: f32, f16, bf16, or int8 for those of the blocks"
#define OPTION_PRECISIONS                                                                          \
    {                                                                                              \
        0, "precision", "LIST",                                                                    \
            PRECISION_HELP "; such as f32,int8; without it, as in the "                            \
                           "checkpoint",                                                           \
            .parse = parse_names, FIELD(precisions)                                                \
    }
#define POS_RESIZE_HELP "how the table of positions is resized to another grid"
#define OPTION_POS_RESIZE                                                                          \
    { 0, "pos-resize", "RULE", POS_RESIZE_HELP, .choice = pos_resize_choice, FIELD(pos_resize) }
#define OPTION_PATCH_SIZE                                                                          \
    {                                                                                              \
        0, "patch-size", "N", "patches to run with, the kernels resized (FlexiViT)",               \
            .parse = parse_count, FIELD(patch_size)                                                \
    }
#define ARCH_HELP "random weights in place of a model, in the shape of one of timm's"
#define OPTION_ARCH                                                                                \
    { 0, "arch", "NAME", ARCH_HELP, .choice = vt_model_arch_name, .parse = parse_text, FIELD(arch) }
#define BACKEND_HELP                                                                               \
    "who multiplies the blocks' matrices; auto, as without it, goes by the processor; one of"
#define OPTION_CHECK_FINITE                                                                        \
    {                                                                                              \
        0, "check-finite", NULL,                                                                   \
            "look at every weight, and refuse a model that has NaN or infinity",                   \
            FIELD(check_finite)                                                                    \
    }
#define OPTION_FOLLOW_LINKS                                                                        \
    {                                                                                              \
        0, "follow-links", NULL,                                                                   \
            "also open files of the model that are links out of its directory",                    \
            FIELD(follow_links)                                                                    \
    }
#define OPTION_BACKEND                                                                             \
    {                                                                                              \
        0, "backend", "NAME", BACKEND_HELP, .choice = backend_choice, .parse = parse_text,         \
                                            FIELD(backend)                                         \
    }
#define BATCH_HELP "pictures in one forward pass"
#define OPTION_BATCH                                                                               \
    { 0, "batch", "N", BATCH_HELP, .initial = "1", .parse = parse_count, FIELD(batch) }

#endif
