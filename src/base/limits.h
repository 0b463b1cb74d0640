/* SPDX-License-Identifier: MIT
 *
 * What is refused of files from outside: vt_limits of vitrine.h, for the whole process.
 */
#ifndef VT_BASE_LIMITS_H
#define VT_BASE_LIMITS_H

#include "vitrine.h"

/* The limits in force, none of them 0. */
const vt_limits *vt_limits_now(void);

/* VT_ERR_LIMIT where the file at `path` is a link that leads out of the directory that it lies in,
 * unless vt_limits.follow_links is set. */
vt_status vt_limits_check_link(const char *path, vt_error *err);

#endif
