/* SPDX-License-Identifier: MIT */
#include "http_headers.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The value behind "NAME:", without the spaces around it; NULL where the line is of another name.
 */
static const char *value_of(const char *line, size_t size, const char *name, size_t *length) {
    size_t n = strlen(name);
    if (size <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    const char *begin = line + n + 1, *end = line + size;
    while (begin < end && strchr(" \t", *begin))
        begin++;
    while (end > begin && strchr(" \t\r\n", end[-1]))
        end--;
    *length = (size_t)(end - begin);
    return begin;
}

static void keep(char *field, size_t field_size, const char *value, size_t length) {
    if (length < field_size)
        snprintf(field, field_size, "%.*s", (int)length, value);
}

/* Without the quotes, and the mark of a weak one. */
static void keep_etag(char *field, size_t field_size, const char *value, size_t length) {
    if (length > 2 && value[0] == 'W' && value[1] == '/') {
        value += 2;
        length -= 2;
    }
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value++;
        length -= 2;
    }
    keep(field, field_size, value, length);
}

/* Decimal digits; 0 and false for anything else. */
static bool read_size(const char *text, size_t length, size_t *number) {
    size_t value = 0;
    *number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || value > (SIZE_MAX - 9) / 10)
            return false;
        value = 10 * value + (size_t)(text[i] - '0');
    }
    *number = value;
    return length > 0;
}

/* "HTTP/1.1 200 OK": the three digits behind the first space; 0 where there are none. */
static long read_status(const char *line, size_t size) {
    enum { DIGITS = 3 };
    size_t status = 0;
    const char *space = memchr(line, ' ', size);
    const size_t left = space ? size - (size_t)(space + 1 - line) : 0;
    return left >= DIGITS && read_size(space + 1, DIGITS, &status) ? (long)status : 0;
}

/* "bytes 100-199/200": the first and, where it is told, the size of all. */
static void read_range(header_reader *r, http_answer *answer, const char *value, size_t length) {
    char text[96] = "";
    keep(text, sizeof text, value, length);
    const char *digits = strncasecmp(text, "bytes ", 6) == 0 ? text + 6 : "";
    const char *slash = strchr(digits, '/');
    if (!read_size(digits, strcspn(digits, "-"), &answer->first))
        answer->first = SIZE_MAX;
    else
        r->has_range = true;
    r->has_total = slash && read_size(slash + 1, strlen(slash + 1), &r->total);
}

/* A wrong one is not made up for by the length of the answer. */
static void read_linked_size(header_reader *r, const char *value, size_t length) {
    r->has_linked = true;
    r->linked_is_size = read_size(value, length, &r->linked);
}

static void read_header(header_reader *r, http_answer *answer, const char *line, size_t size) {
    const char *value;
    size_t length;
    if ((value = value_of(line, size, "ETag", &length)))
        keep_etag(answer->etag, sizeof answer->etag, value, length);
    else if ((value = value_of(line, size, "X-Linked-Etag", &length)))
        keep_etag(answer->linked_etag, sizeof answer->linked_etag, value, length);
    else if ((value = value_of(line, size, "X-Repo-Commit", &length)))
        keep(answer->commit, sizeof answer->commit, value, length);
    else if ((value = value_of(line, size, "X-Error-Code", &length)))
        keep(answer->error_code, sizeof answer->error_code, value, length);
    else if ((value = value_of(line, size, "X-Error-Message", &length)))
        keep(answer->error_message, sizeof answer->error_message, value, length);
    else if ((value = value_of(line, size, "Retry-After", &length)))
        read_size(value, length, &answer->retry_after);
    else if ((value = value_of(line, size, "Content-Range", &length)))
        read_range(r, answer, value, length);
    else if ((value = value_of(line, size, "X-Linked-Size", &length)))
        read_linked_size(r, value, length);
    else if ((value = value_of(line, size, "Content-Length", &length)))
        r->has_length = read_size(value, length, &r->length);
}

/* What the headers of a whole answer say of the file's size. */
static void settle_size(const header_reader *r, http_answer *answer) {
    bool whole = answer->status == 200;
    answer->has_size = r->has_linked ? r->linked_is_size : whole ? r->has_length : r->has_total;
    answer->size = r->has_linked ? r->linked : whole ? r->length : r->total;
    if (answer->status == 206 && !r->has_range)
        answer->first = SIZE_MAX;
}

void headers_begin(header_reader *r, http_answer *answer) {
    *r = (header_reader){0};
    *answer = (http_answer){0};
}

void headers_take(header_reader *r, http_answer *answer, const char *line, size_t size) {
    if (size > 9 && memcmp(line, "HTTP/", 5) == 0) {
        headers_begin(r, answer);
        answer->status = read_status(line, size);
    } else if (size <= 2) {
        settle_size(r, answer);
    } else {
        read_header(r, answer, line, size);
    }
}
