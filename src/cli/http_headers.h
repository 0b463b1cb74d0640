/* SPDX-License-Identifier: MIT
 *
 * The headers of an answer, a line at a time as libcurl hands them out.
 *
 *     headers_begin(&reader, &answer);
 *     headers_take(&reader, &answer, "HTTP/1.1 200 OK\r\n", 17);
 *     headers_take(&reader, &answer, "Content-Length: 42\r\n", 20);
 *     headers_take(&reader, &answer, "\r\n", 2);
 */
#ifndef CLI_HTTP_HEADERS_H
#define CLI_HTTP_HEADERS_H

#include "http.h"

/* What they say of sizes so far. */
typedef struct header_reader {
    bool has_length, has_linked, linked_is_size, has_range, has_total;
    size_t length, linked, total;
} header_reader;

/* There is no answer yet. */
void headers_begin(header_reader *r, http_answer *answer);

/* Takes a line: an answer's first, which begins anew, one of those that follow, or the empty one
 * behind them. It ends with a line break; no NUL need follow. */
void headers_take(header_reader *r, http_answer *answer, const char *line, size_t size);

#endif
