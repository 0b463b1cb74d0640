/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include <stdio.h>
#include <string.h>

/* Of a matrix; enough of it, as training changes all of one. */
enum { SAMPLE_BYTES = 4096 };

/* How pictures become vectors, as far as no tensor tells. */
static hash of_configuration(const vt_model_info *i) {
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "%s|%s|%zu %zu %zu %zu %zu|%zu %zux%zu|%s %.9g|%s %d|%s|%s|%d %s|%s|"
                          "%.9g %.9g %.9g|%.9g %.9g %.9g",
                          i->family, i->architecture, i->width, i->depth, i->num_heads, i->head_dim,
                          i->mlp_dim, i->num_prefix_tokens, i->image_height, i->image_width,
                          i->norm, (double)i->norm_eps, i->activation, i->gated_mlp, i->pooling,
                          i->positions, i->embed_norm, i->attention, i->preprocessing,
                          (double)i->mean[0], (double)i->mean[1], (double)i->mean[2],
                          (double)i->std[0], (double)i->std[1], (double)i->std[2]);
    return hash_bytes(text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

static hash of_description(const vt_tensor *tensor) {
    char text[512];
    int length =
        snprintf(text, sizeof text, "%.256s|%s", tensor->name, vt_dtype_name(tensor->dtype));
    for (size_t i = 0; i < tensor->ndim; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "|%zu", tensor->shape[i]);
    return hash_bytes(text, (size_t)length);
}

void identity_of(identity *out, const vt_model *model) {
    vt_model_info info;
    const vt_tensor *tensor;
    hash vectors = {0}, matrices = {0};
    bool used, all_there = true;
    vt_model_describe(&info, model);
    for (size_t i = 0; (tensor = vt_model_tensor(model, i, &used)); i++) {
        hash about = of_description(tensor);
        vectors = hash_add(vectors, about);
        size_t size = tensor->size < SAMPLE_BYTES ? tensor->size : SAMPLE_BYTES;
        if (used && tensor->ndim == 1 && tensor->data)
            vectors = hash_add(vectors, hash_pair(about, hash_bytes(tensor->data, tensor->size)));
        else if (used && tensor->data)
            matrices = hash_add(matrices, hash_pair(about, hash_bytes(tensor->data, size)));
        all_there = all_there && (!used || tensor->data);
    }
    snprintf(out->name, sizeof out->name, "%.40s (%.48s)", info.family, info.architecture);
    hash_text(out->outline, hash_pair(of_configuration(&info), vectors));
    hash_text(out->matrices, matrices);
    if (!all_there)
        out->matrices[0] = '\0';
}

bool identity_same(const identity *a, const identity *b) {
    bool unknown = !a->matrices[0] || !b->matrices[0];
    return strcmp(a->outline, b->outline) == 0 &&
           (unknown || strcmp(a->matrices, b->matrices) == 0);
}
