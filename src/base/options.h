/* SPDX-License-Identifier: MIT
 *
 * Options of programs that were compiled with an older or a newer vitrine.h: their structs, which
 * begin with `size_t struct_size`, are shorter or longer than ours.
 *
 *     vt_session_options full;
 *     vt_status status = vt_options_take(&full, sizeof full, options, "vt_session_options", err);
 */
#ifndef VT_BASE_OPTIONS_H
#define VT_BASE_OPTIONS_H

#include <stddef.h>

#include "vitrine.h"

/* Copies the caller's options (NULL: none) to `full`, a struct of `size` bytes; what they lack is
 * zero, the default. VT_ERR_ARGUMENT where struct_size was not set, or a field that this library
 * does not know is not zero. */
vt_status vt_options_take(void *full, size_t size, const void *options, const char *type,
                          vt_error *err);

/* Element `index` of an array of the caller's structs, which are as long as the first one says. */
const void *vt_options_at(const void *array, size_t index);

#endif
