/* SPDX-License-Identifier: MIT */
#include "inspect.h"
#include "json.h"

static void set_text(json_t *object, const char *key, const char *value) {
    json_object_set_new(object, key, json_text(value));
}

static void set_size(json_t *object, const char *key, size_t value) {
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *model(const inspection *seen) {
    const vt_model_info *info = &seen->info;
    json_t *object = json_object();
    set_text(object, "path", info->path);
    set_text(object, "family", info->family);
    set_text(object, "architecture", info->architecture);
    set_size(object, "parameters", info->num_parameters);
    set_text(object, "weights", info->weights);
    set_text(object, "kernels", info->kernels);
    set_text(object, "backend", info->backend);
    set_size(object, "classes", info->num_classes);
    json_object_set_new(object, "multi_label", json_boolean(info->multi_label));
    return object;
}

static json_t *triple(const float *values) {
    json_t *list = json_array();
    for (size_t i = 0; i < 3; i++)
        json_array_append_new(list, json_number(values[i]));
    return list;
}

static json_t *input(const vt_model_info *info) {
    json_t *object = json_object();
    json_object_set_new(object, "size",
                        json_sizes((size_t[]){info->image_height, info->image_width}, 2));
    set_size(object, "patch_size", info->patch_size);
    set_text(object, "preprocessing", info->preprocessing);
    json_object_set_new(object, "mean", triple(info->mean));
    json_object_set_new(object, "std", triple(info->std));
    return object;
}

static json_t *encoder(const vt_model_info *info) {
    json_t *object = json_object();
    set_size(object, "depth", info->depth);
    set_size(object, "width", info->width);
    set_size(object, "num_heads", info->num_heads);
    set_size(object, "head_dim", info->head_dim);
    set_text(object, "attention", info->attention);
    set_size(object, "mlp_dim", info->mlp_dim);
    set_text(object, "activation", info->activation);
    json_object_set_new(object, "gated_mlp", json_boolean(info->gated_mlp));
    set_text(object, "norm", info->norm);
    json_object_set_new(object, "norm_eps", json_number((double)info->norm_eps));
    return object;
}

static void set_advice(json_t *object, advice a) {
    if (a.expect)
        set_text(object, "to_expect", a.expect);
    if (a.option)
        set_text(object, "to_set", a.option);
}

static json_t *tokens(const inspection *seen) {
    json_t *object = json_object(), *positions = json_object();
    set_size(object, "prefix", seen->info.num_prefix_tokens);
    set_text(object, "pooling", seen->info.pooling);
    set_text(positions, "kind", seen->info.positions);
    set_text(positions, "resize", seen->info.pos_resize);
    json_object_set_new(positions, "resized", json_boolean(seen->plan.positions_resized));
    set_advice(positions, advice_for_grid(&seen->info, &seen->plan));
    if (seen->has_angles) {
        json_object_set_new(positions, "mean_abs_cos", json_number(seen->angles.mean_abs_cos));
        json_object_set_new(positions, "mean_abs_cos_of_chance",
                            json_number(seen->angles.of_chance));
    }
    json_object_set_new(object, "positions", positions);
    return object;
}

static json_t *text_tower(const inspection *seen) {
    const vt_model *of = seen->model;
    json_t *object = json_object();
    set_size(object, "vocabulary", vt_model_vocab_size(of));
    set_size(object, "width", vt_model_text_width(of));
    set_size(object, "max_positions", vt_model_max_positions(of));
    set_size(object, "embed_dim", vt_model_embed_dim(of));
    if (!seen->takes_pictures) {
        set_text(object, "positions", seen->info.positions);
        set_advice(object,
                   advice_for_context(&seen->info, vt_model_max_positions(of), seen->context));
    }
    return object;
}

static json_t *cost(const inspection *seen) {
    const vt_model_plan *plan = &seen->plan;
    json_t *object = json_object(), *flops = json_object();
    set_size(object, "batch", seen->batch);
    json_object_set_new(object, "input",
                        json_sizes((size_t[]){plan->input_height, plan->input_width}, 2));
    json_object_set_new(object, "grid",
                        json_sizes((size_t[]){plan->grid_height, plan->grid_width}, 2));
    set_size(object, "tokens", plan->num_tokens);
    json_object_set_new(flops, "total", json_number(plan->flops));
    json_object_set_new(flops, "patch_embed", json_number(plan->flops_patch_embed));
    json_object_set_new(flops, "linear", json_number(plan->flops_linear));
    json_object_set_new(flops, "attention", json_number(plan->flops_attention));
    json_object_set_new(flops, "head", json_number(plan->flops_head));
    json_object_set_new(object, "flops", flops);
    set_size(object, "weight_bytes", plan->weight_bytes);
    set_size(object, "workspace_bytes", plan->workspace_bytes);
    return object;
}

static json_t *tensors(const vt_model *of) {
    json_t *list = json_array();
    const vt_tensor *t;
    bool used;
    for (size_t i = 0; (t = vt_model_tensor(of, i, &used)); i++) {
        json_t *entry = json_object();
        set_text(entry, "name", t->name);
        set_text(entry, "dtype", vt_dtype_name(t->dtype));
        json_object_set_new(entry, "shape", json_sizes(t->shape, t->ndim));
        json_object_set_new(entry, "used", json_boolean(used));
        json_array_append_new(list, entry);
    }
    return list;
}

/* What a model lacks is left out. */
void inspect_print_json(const inspection *seen) {
    json_t *all = json_object();
    json_object_set_new(all, "model", model(seen));
    json_object_set_new(all, "encoder", encoder(&seen->info));
    if (seen->takes_pictures) {
        json_object_set_new(all, "input", input(&seen->info));
        json_object_set_new(all, "tokens", tokens(seen));
        json_object_set_new(all, "cost", cost(seen));
    }
    if (vt_model_vocab_size(seen->model))
        json_object_set_new(all, "text", text_tower(seen));
    json_object_set_new(all, "tensors", tensors(seen->model));
    json_print(all);
}
