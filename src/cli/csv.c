/* SPDX-License-Identifier: MIT */
#include "csv.h"

#include <string.h>

/* Unquotes one field in place; returns what follows its last character, before anything there is
 * overwritten by the NUL that ends it. */
static char *split_field(char *at, char *stop) {
    char *out = at;
    if (*at == '"') {
        for (at++; *at && !(at[0] == '"' && at[1] != '"'); at++) {
            at += *at == '"'; /* a doubled quote stands for one */
            *out++ = *at;
        }
        at += *at == '"';
    }
    while (*at && !strchr(",\r\n", *at))
        *out++ = *at++;
    *stop = *at;
    *out = '\0';
    return at;
}

size_t csv_next(char **at, char **fields, size_t most) {
    size_t count = 0;
    char stop = ',';
    char *next = *at + strspn(*at, "\r\n");
    if (!*next)
        return 0;
    while (stop == ',') {
        char *field = next;
        next = split_field(next, &stop);
        if (count < most)
            fields[count] = field;
        count++;
        next += stop != '\0';
    }
    *at = next;
    return count;
}
