/* SPDX-License-Identifier: MIT
 *
 * What differs between oneDNN 2 (Debian 12) and 3: a memory descriptor is a struct in one and a
 * handle in the other, and a primitive descriptor is made in two steps or in one.
 */
#ifndef VT_KERNELS_ONEDNN_H
#define VT_KERNELS_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>
#include <stddef.h>

/* A matrix [rows][cols]. */
#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t onednn_layout;
typedef const_dnnl_memory_desc_t onednn_layout_view;

static inline dnnl_status_t onednn_strided(onednn_layout *out, dnnl_data_type_t type,
                                           const dnnl_dims_t dims, const dnnl_dims_t strides) {
    return dnnl_memory_desc_create_with_strides(out, 2, dims, type, strides);
}

/* However the primitive likes it. */
static inline dnnl_status_t onednn_any(onednn_layout *out, dnnl_data_type_t type,
                                       const dnnl_dims_t dims) {
    return dnnl_memory_desc_create_with_tag(out, 2, dims, type, dnnl_format_tag_any);
}

static inline onednn_layout_view onednn_view(const onednn_layout *layout) {
    return *layout;
}

static inline dnnl_status_t onednn_copy(onednn_layout *out, onednn_layout_view layout) {
    return dnnl_memory_desc_clone(out, layout);
}

static inline void onednn_free_layout(onednn_layout *layout) {
    if (*layout)
        dnnl_memory_desc_destroy(*layout);
    *layout = NULL;
}

static inline dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                          const onednn_layout *x, const onednn_layout *weight,
                                          const onednn_layout *bias, const onednn_layout *y,
                                          const_dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(out, engine, *x, *weight, bias ? *bias : NULL, *y,
                                             attributes);
}

static inline dnnl_status_t onednn_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind,
                                                  float alpha) {
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
}

static inline dnnl_status_t onednn_append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}

#else

typedef dnnl_memory_desc_t onednn_layout;
typedef const dnnl_memory_desc_t *onednn_layout_view;

static inline dnnl_status_t onednn_strided(onednn_layout *out, dnnl_data_type_t type,
                                           const dnnl_dims_t dims, const dnnl_dims_t strides) {
    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}

static inline dnnl_status_t onednn_any(onednn_layout *out, dnnl_data_type_t type,
                                       const dnnl_dims_t dims) {
    return dnnl_memory_desc_init_by_tag(out, 2, dims, type, dnnl_format_tag_any);
}

static inline onednn_layout_view onednn_view(const onednn_layout *layout) {
    return layout;
}

static inline dnnl_status_t onednn_copy(onednn_layout *out, onednn_layout_view layout) {
    *out = *layout;
    return dnnl_success;
}

static inline void onednn_free_layout(onednn_layout *layout) {
    (void)layout;
}

static inline dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                          const onednn_layout *x, const onednn_layout *weight,
                                          const onednn_layout *bias, const onednn_layout *y,
                                          const_dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t matmul;
    dnnl_status_t status = dnnl_matmul_desc_init(&matmul, x, weight, bias, y);
    return status ? status : dnnl_primitive_desc_create(out, &matmul, attributes, engine, NULL);
}

static inline dnnl_status_t onednn_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind,
                                                  float alpha) {
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
}

static inline dnnl_status_t onednn_append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1);
}

#endif
#endif
