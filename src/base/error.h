/* SPDX-License-Identifier: MIT
 *
 * How a failure is reported: whoever detects it writes one line with the facts, everyone above
 * passes the status on unchanged.
 *
 *     if (rows != expected)
 *         return vt_fail(err, VT_ERR_SHAPE, "%s: expected [%zu], found [%zu]", name, expected,
 * rows);
 */
#ifndef VT_BASE_ERROR_H
#define VT_BASE_ERROR_H

#include "vitrine.h"

#if defined(__GNUC__)
#define VT_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define VT_PRINTF(format_index, first_arg)
#endif

/* Writes the message into `err` (which may be NULL) and returns `code`. Longer messages are cut. */
vt_status vt_fail(vt_error *err, vt_status code, const char *format, ...) VT_PRINTF(3, 4);

/* Puts "prefix: " before the message already in `err`, for a caller that knows the file's name
 * where the detector did not. Returns the code in `err`, or VT_ERR_INTERNAL if `err` is NULL. */
vt_status vt_fail_within(vt_error *err, vt_status code, const char *prefix);

/* The usual out-of-memory line: what could not be had, and how large it was. */
vt_status vt_fail_memory(vt_error *err, const char *what, size_t bytes);

/* The analyzer sees one file at a time, and would have these return VT_OK. */
#ifdef __clang_analyzer__
#define vt_fail(err, code, ...) (vt_fail((err), (code), __VA_ARGS__), (code))
#define vt_fail_memory(...) (vt_fail_memory(__VA_ARGS__), VT_ERR_MEMORY)
#endif

#endif
