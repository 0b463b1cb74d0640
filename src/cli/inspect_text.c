/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "inspect.h"
#include "terminal.h"
#include "text.h"

enum { LABEL = 18, WIDTH = 80 };

static void section(const char *title) {
    bool colour = terminal_of(stdout).colour;
    printf("\n%s%s%s\n", colour ? "\033[1m" : "", title, colour ? "\033[0m" : "");
}

static void row(const char *label, const char *format, ...) CLI_PRINTF(2, 3);

static void row(const char *label, const char *format, ...) {
    char value[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    char *clean = text_clean(value, TEXT_ONE_LINE);
    printf("  %-*s", LABEL - 2, label);
    text_wrap(stdout, clean, LABEL, LABEL, WIDTH);
    free(clean);
}

static void print_model(const vt_model_info *info) {
    char buffer[32];
    section("Model");
    row("family", "%s", info->family);
    row("architecture", "%s", info->architecture);
    row("parameters", "%s", text_grouped(buffer, info->num_parameters));
    row("weights", "%s", info->weights);
    row("kernels", "%s", info->kernels);
    row("backend", "%s", info->backend);
    if (info->num_classes)
        row("classes", "%zu, scored by %s", info->num_classes,
            info->multi_label ? "sigmoid" : "softmax");
    else
        row("classes", "none");
}

static void print_input(const vt_model_info *info) {
    section("Input");
    row("size", "%zu x %zu (height x width), patches of %zu", info->image_height, info->image_width,
        info->patch_size);
    row("preprocessing", "%s", info->preprocessing);
}

static void print_encoder(const vt_model_info *info) {
    section("Encoder");
    row("blocks", "%zu, width %zu", info->depth, info->width);
    row("attention", "%zu heads of %zu, %s", info->num_heads, info->head_dim, info->attention);
    row("MLP", "width %zu, %s%s", info->mlp_dim, info->gated_mlp ? "gated by " : "",
        info->activation);
    row("norm", "%s, eps %.6g", info->norm, (double)info->norm_eps);
}

static void print_advice(advice a) {
    if (a.expect)
        row("to expect", "%s", a.expect);
    if (a.option)
        row("to set", "%s", a.option);
}

/* Of all blocks' matrices, which have as many key and value heads as query heads in pictures. */
static size_t block_weights(const vt_model_info *info) {
    size_t heads = info->num_heads * info->head_dim,
           mlp = (info->gated_mlp ? 3 : 2) * info->mlp_dim;
    return info->depth * info->width * (4 * heads + mlp);
}

/* What adding positions shares and concatenating them would cost: blocks of twice the width have
 * four times the weights, and twice the work in attention. */
static void print_angles(const inspection *seen) {
    const vt_model_plan *plan = &seen->plan;
    double more = 3 * plan->flops_linear + plan->flops_attention + plan->flops_head;
    char weights[32], flops[32];
    row("orthogonality",
        "mean |cos| %.3f over all pairs of this picture; random directions of this "
        "width have %.3f",
        seen->angles.mean_abs_cos, seen->angles.of_chance);
    row("concatenated", "they would cost %s more parameters and %s more: adding shares one width",
        text_grouped(weights, 3 * block_weights(&seen->info)), text_metric(flops, more, "FLOP"));
}

static void print_tokens(const inspection *seen) {
    section("Tokens");
    row("prefix tokens", "%zu", seen->info.num_prefix_tokens);
    row("pooling", "%s", seen->info.pooling);
    row("positions", "%s", seen->info.positions);
    row("resize rule", "%s", seen->info.pos_resize);
    row("at this size", "%s", seen->plan.positions_resized ? "resized" : "as stored");
    print_advice(advice_for_grid(&seen->info, &seen->plan));
    if (seen->has_angles)
        print_angles(seen);
}

static void print_text_tower(const inspection *seen) {
    const vt_model *model = seen->model;
    size_t longest = vt_model_max_positions(model), shared = vt_model_embed_dim(model);
    section("Text");
    row("vocabulary", "%zu tokens", vt_model_vocab_size(model));
    row("width", "%zu", vt_model_text_width(model));
    if (longest)
        row("longest text", "%zu tokens", longest);
    if (shared)
        row("shared space", "%zu wide, with pictures", shared);
    if (!seen->takes_pictures)
        row("positions", "%s", seen->info.positions);
    if (seen->context && !seen->takes_pictures) {
        row("at this length", "%zu tokens, %s", seen->context,
            longest && seen->context > longest ? "beyond what it was trained on"
                                               : "within what it was trained on");
        print_advice(advice_for_context(&seen->info, longest, seen->context));
    }
}

static void flops_row(const char *label, double flops, double total) {
    char buffer[32];
    row(label, "%s, %.1f%%", text_metric(buffer, flops, "FLOP"),
        total > 0 ? 100 * flops / total : 0);
}

static void print_cost(const inspection *seen) {
    const vt_model_plan *plan = &seen->plan;
    size_t patches = plan->grid_height * plan->grid_width;
    char title[96], buffer[32];
    snprintf(title, sizeof title, "Cost of one forward pass at %zu x %zu, batch %zu",
             plan->input_height, plan->input_width, seen->batch);
    section(title);
    if (plan->num_tokens > patches)
        row("tokens", "%zu: %zu x %zu patches + %zu prefix", plan->num_tokens, plan->grid_height,
            plan->grid_width, plan->num_tokens - patches);
    else
        row("tokens", "%zu: %zu x %zu patches", plan->num_tokens, plan->grid_height,
            plan->grid_width);
    row("arithmetic", "%s a picture, a multiply-add being two",
        text_metric(buffer, plan->flops, "FLOP"));
    flops_row("  patches", plan->flops_patch_embed, plan->flops);
    flops_row("  linear layers", plan->flops_linear, plan->flops);
    flops_row("  attention", plan->flops_attention, plan->flops);
    flops_row("  head", plan->flops_head, plan->flops);
    row("weights", "%s, shared by all sessions", text_bytes(buffer, plan->weight_bytes));
    row("workspace", "%s", text_bytes(buffer, plan->workspace_bytes));
}

static const char *shape_text(char buffer[200], const vt_tensor *t) {
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < t->ndim; i++)
        used += (size_t)snprintf(buffer + used, 200 - used, "%s%zu", i ? " x " : "", t->shape[i]);
    return t->ndim ? buffer : "scalar";
}

static size_t longest_name(const vt_model *model) {
    size_t longest = 0;
    const vt_tensor *t;
    for (size_t i = 0; (t = vt_model_tensor(model, i, NULL)); i++)
        longest = strlen(t->name) > longest ? strlen(t->name) : longest;
    return longest < 60 ? longest : 60;
}

static void print_tensors(const inspection *seen) {
    int width = (int)longest_name(seen->model);
    char shape[200];
    const vt_tensor *t;
    bool used;
    for (size_t i = 0; (t = vt_model_tensor(seen->model, i, &used)); i++) {
        char *name = text_clean(t->name, TEXT_ONE_LINE);
        printf("  %-*s  %-4s  %s%s\n", width, name, vt_dtype_name(t->dtype), shape_text(shape, t),
               used ? "" : "  (unused)");
        free(name);
    }
}

void inspect_print_text(const inspection *seen) {
    char *path = text_clean(seen->info.path, TEXT_ONE_LINE);
    puts(path);
    free(path);
    print_model(&seen->info);
    if (seen->takes_pictures)
        print_input(&seen->info);
    print_encoder(&seen->info);
    if (seen->takes_pictures) {
        print_tokens(seen);
        print_cost(seen);
    }
    if (vt_model_vocab_size(seen->model))
        print_text_tower(seen);
    section("Tensors");
    row("in the file", "%zu, %zu of them used%s", seen->num_tensors, seen->num_used,
        seen->list_tensors ? "" : "; --tensors lists them");
    if (seen->list_tensors)
        print_tensors(seen);
}
