/* SPDX-License-Identifier: MIT
 *
 * Listens to what the command prints, which names files and quotes what is in them: on a terminal,
 * nothing of that may move the cursor.
 *
 *     stderr = listener_stream();
 *     int code = head_read(&h, path);
 *     fuzz_check(listener_lines() == (code != 0), "a failure is told, in one line");
 */
#ifndef VT_FUZZ_LISTENER_H
#define VT_FUZZ_LISTENER_H

#include <stdio.h>

/* Made once. What is written to it goes nowhere; bytes that a terminal obeys are a finding. */
FILE *listener_stream(void);

/* How many lines were written since the last call. A line without its end is a finding. */
size_t listener_lines(void);

#endif
