/* SPDX-License-Identifier: MIT
 *
 * What measuring needs of a checkpoint is its tensors' names and shapes; they are listed here, with
 * one block of random values behind them all, and the checkpoint goes the way of any other:
 * recognised by its configuration, bound by its names, packed.
 */
#include "models/random.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* ---- architectures -----------------------------------------------------------------------------
 */

typedef struct encoder_size {
    size_t width, depth;
} encoder_size;

static const encoder_size tiny = {192, 12}, small = {384, 12}, base = {768, 12}, large = {1024, 24};

/* What models of one kind have in common, whatever their size. */
typedef struct model_kind {
    size_t num_classes;
    bool class_token, layer_scale, map_pooling;
    bool patch_positions; /* the table has no row for the class token (no_embed_class) */
    size_t num_registers;
} model_kind;

static const model_kind vit = {.num_classes = 1000, .class_token = true};
static const model_kind deit3 = {
    .num_classes = 1000, .class_token = true, .layer_scale = true, .patch_positions = true};
static const model_kind dinov2 = {.class_token = true, .layer_scale = true};
static const model_kind dinov2_reg = {
    .class_token = true, .layer_scale = true, .patch_positions = true, .num_registers = 4};
static const model_kind siglip = {.map_pooling = true};

typedef struct architecture {
    const char *name;
    const encoder_size *size;
    size_t patch_size, image_size;
    const model_kind *kind;
} architecture;

static const architecture architectures[] = {
    {"vit_tiny_patch16_224", &tiny, 16, 224, &vit},
    {"vit_tiny_patch16_384", &tiny, 16, 384, &vit},
    {"vit_small_patch16_224", &small, 16, 224, &vit},
    {"vit_small_patch16_384", &small, 16, 384, &vit},
    {"vit_base_patch16_224", &base, 16, 224, &vit},
    {"vit_base_patch16_384", &base, 16, 384, &vit},
    {"vit_large_patch16_224", &large, 16, 224, &vit},
    {"vit_large_patch16_384", &large, 16, 384, &vit},
    {"deit_tiny_patch16_224", &tiny, 16, 224, &vit},
    {"deit_small_patch16_224", &small, 16, 224, &vit},
    {"deit_base_patch16_224", &base, 16, 224, &vit},
    {"deit_base_patch16_384", &base, 16, 384, &vit},
    {"deit3_small_patch16_224", &small, 16, 224, &deit3},
    {"deit3_base_patch16_224", &base, 16, 224, &deit3},
    {"deit3_large_patch16_224", &large, 16, 224, &deit3},
    {"vit_small_patch14_dinov2", &small, 14, 518, &dinov2},
    {"vit_base_patch14_dinov2", &base, 14, 518, &dinov2},
    {"vit_large_patch14_dinov2", &large, 14, 518, &dinov2},
    {"vit_small_patch14_reg4_dinov2", &small, 14, 518, &dinov2_reg},
    {"vit_base_patch14_reg4_dinov2", &base, 14, 518, &dinov2_reg},
    {"vit_large_patch14_reg4_dinov2", &large, 14, 518, &dinov2_reg},
    {"vit_base_patch16_siglip_224", &base, 16, 224, &siglip},
    {"vit_base_patch16_siglip_384", &base, 16, 384, &siglip},
};

const char *vt_model_arch_name(size_t index) {
    return index < sizeof architectures / sizeof *architectures ? architectures[index].name : NULL;
}

static const architecture *find_architecture(const char *name) {
    for (size_t i = 0; vt_model_arch_name(i); i++)
        if (strcmp(architectures[i].name, name) == 0)
            return &architectures[i];
    return NULL;
}

/* ---- the list of tensors -----------------------------------------------------------------------
 */

enum { NAME_BYTES = 64 };

/* Two ranges of values: those around 0, and those around 1 by which a norm or LayerScale
 * multiplies. */
typedef enum value_range { AROUND_ZERO, AROUND_ONE, NUM_RANGES } value_range;

/* Filled twice by the same code: first with no memory, which only counts. */
typedef struct tensor_list {
    vt_tensor *tensors; /* NULL while counting */
    char (*names)[NAME_BYTES];
    float *values[NUM_RANGES];
    size_t longest[NUM_RANGES]; /* values that the largest tensor takes */
    size_t count;
} tensor_list;

static void add(tensor_list *list, value_range range, const char *prefix, const char *name,
                const size_t *shape, size_t ndim) {
    size_t elements = 1, i = list->count++;
    for (size_t d = 0; d < ndim; d++)
        elements *= shape[d];
    if (elements > list->longest[range])
        list->longest[range] = elements;
    if (!list->tensors)
        return;
    snprintf(list->names[i], NAME_BYTES, "%s%s", prefix, name);
    list->tensors[i] = (vt_tensor){.name = list->names[i],
                                   .dtype = VT_DTYPE_F32,
                                   .ndim = ndim,
                                   .data = list->values[range],
                                   .size = elements * sizeof(float)};
    memcpy(list->tensors[i].shape, shape, ndim * sizeof *shape);
}

static void add_vector(tensor_list *list, value_range range, const char *prefix, const char *name,
                       size_t n) {
    add(list, range, prefix, name, (const size_t[]){n}, 1);
}

static void add_tokens(tensor_list *list, const char *name, size_t count, size_t width) {
    add(list, AROUND_ZERO, "", name, (const size_t[]){1, count, width}, 3);
}

static void add_norm(tensor_list *list, const char *prefix, size_t width) {
    add_vector(list, AROUND_ONE, prefix, ".weight", width);
    add_vector(list, AROUND_ZERO, prefix, ".bias", width);
}

static void add_linear(tensor_list *list, const char *prefix, size_t n, size_t k) {
    add(list, AROUND_ZERO, prefix, ".weight", (const size_t[]){n, k}, 2);
    add_vector(list, AROUND_ZERO, prefix, ".bias", n);
}

/* "blocks.3" "." "norm1" */
static const char *join(char name[NAME_BYTES], const char *prefix, const char *part) {
    snprintf(name, NAME_BYTES, "%s.%s", prefix, part);
    return name;
}

static void add_embeddings(tensor_list *list, const architecture *arch) {
    const model_kind *kind = arch->kind;
    size_t width = arch->size->width, side = arch->image_size / arch->patch_size;
    const size_t kernel[] = {width, 3, arch->patch_size, arch->patch_size};
    if (kind->class_token)
        add_tokens(list, "cls_token", 1, width);
    if (kind->num_registers)
        add_tokens(list, "reg_token", kind->num_registers, width);
    size_t prefix_rows = kind->class_token && !kind->patch_positions ? 1 : 0;
    add_tokens(list, "pos_embed", prefix_rows + side * side, width);
    add(list, AROUND_ZERO, "patch_embed.proj", ".weight", kernel, 4);
    add_vector(list, AROUND_ZERO, "patch_embed.proj", ".bias", width);
}

static void add_block(tensor_list *list, const architecture *arch, size_t block) {
    char prefix[32], name[NAME_BYTES];
    size_t width = arch->size->width;
    snprintf(prefix, sizeof prefix, "blocks.%zu", block);
    add_norm(list, join(name, prefix, "norm1"), width);
    add_linear(list, join(name, prefix, "attn.qkv"), 3 * width, width);
    add_linear(list, join(name, prefix, "attn.proj"), width, width);
    if (arch->kind->layer_scale)
        add_vector(list, AROUND_ONE, prefix, ".ls1.gamma", width);
    add_norm(list, join(name, prefix, "norm2"), width);
    add_linear(list, join(name, prefix, "mlp.fc1"), 4 * width, width);
    add_linear(list, join(name, prefix, "mlp.fc2"), width, 4 * width);
    if (arch->kind->layer_scale)
        add_vector(list, AROUND_ONE, prefix, ".ls2.gamma", width);
}

static void add_map_pooling(tensor_list *list, size_t width) {
    add_tokens(list, "attn_pool.latent", 1, width);
    add_linear(list, "attn_pool.q", width, width);
    add_linear(list, "attn_pool.kv", 2 * width, width);
    add_linear(list, "attn_pool.proj", width, width);
    add_norm(list, "attn_pool.norm", width);
    add_linear(list, "attn_pool.mlp.fc1", 4 * width, width);
    add_linear(list, "attn_pool.mlp.fc2", width, 4 * width);
}

static void add_tensors(tensor_list *list, const architecture *arch) {
    size_t width = arch->size->width;
    list->count = 0;
    add_embeddings(list, arch);
    for (size_t block = 0; block < arch->size->depth; block++)
        add_block(list, arch, block);
    add_norm(list, "norm", width);
    if (arch->kind->map_pooling)
        add_map_pooling(list, width);
    if (arch->kind->num_classes)
        add_linear(list, "head", arch->kind->num_classes, width);
}

/* ---- values and memory -------------------------------------------------------------------------
 */

/* centre +- half, evenly spread. A linear congruence of 32 bits, its upper 24 taken: exact in F32.
 */
static void fill(float *values, size_t n, float centre, float half) {
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = centre + half * ((float)(state >> 8) * 0x1p-23f - 1);
    }
}

/* Weights of deviation 0.02, as timm begins with and training roughly leaves them; gains near 1.
 * Nothing overflows or becomes subnormal on the way through a model. */
static void fill_values(const tensor_list *list) {
    fill(list->values[AROUND_ZERO], list->longest[AROUND_ZERO], 0, 0.035f);
    fill(list->values[AROUND_ONE], list->longest[AROUND_ONE], 1, 0.2f);
}

static void carve(tensor_list *list, vt_arena *arena, size_t count) {
    list->tensors = vt_arena_take(arena, count, sizeof *list->tensors);
    list->names = vt_arena_take(arena, count, sizeof *list->names);
    for (size_t range = 0; range < NUM_RANGES; range++)
        list->values[range] = vt_arena_take(arena, list->longest[range], sizeof(float));
}

/* Lists the tensors in one block, which the caller frees; NULL when out of memory. */
static void *make_tensors(tensor_list *list, const architecture *arch, size_t *bytes) {
    vt_arena arena = {0};
    add_tensors(list, arch);
    carve(list, &arena, list->count);
    *bytes = arena.used;
    arena = (vt_arena){.base = vt_malloc(*bytes, 1)};
    if (!arena.base)
        return NULL;
    carve(list, &arena, list->count);
    add_tensors(list, arch);
    fill_values(list);
    return arena.base;
}

vt_status vt_random_checkpoint(vt_checkpoint **out, const char *name, vt_error *err) {
    const architecture *arch = find_architecture(name);
    tensor_list list = {0};
    char config[160];
    size_t bytes;
    *out = NULL;
    if (!arch)
        return vt_fail(err, VT_ERR_ARGUMENT,
                       "no architecture named \"%.64s\": vt_model_arch_name lists them", name);
    void *memory = make_tensors(&list, arch, &bytes);
    if (!memory)
        return vt_fail_memory(err, "random weights", bytes);
    snprintf(config, sizeof config,
             "{\"architecture\": \"%s\", \"num_classes\": %zu, \"pretrained_cfg\": "
             "{\"input_size\": [3, %zu, %zu]}}",
             arch->name, arch->kind->num_classes, arch->image_size, arch->image_size);
    vt_status status =
        vt_checkpoint_of_memory(out, arch->name, config, list.tensors, list.count, memory, err);
    if (status)
        vt_free(memory);
    return status;
}
