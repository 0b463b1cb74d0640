/* SPDX-License-Identifier: MIT
 *
 * Reading CSV as RFC 4180 has it: fields with commas between them, quoted where they hold commas,
 * quotes or line breaks, a quote in them doubled.
 */
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include <stddef.h>

/* Splits the next record of a text that ends with a NUL, in place: `fields` gets what lies in the
 * first `most` of them, unquoted, and *at moves to the record after it. Lines of nothing are
 * skipped. Returns how many fields the record has, 0 past the last. */
size_t csv_next(char **at, char **fields, size_t most);

#endif
