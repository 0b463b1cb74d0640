/* SPDX-License-Identifier: MIT
 *
 * Man pages, section 1, made from the tables that --help is made from.
 */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include <stdio.h>

#include "command.h"

/* Prints vitrine-COMMAND.1, or with NULL vitrine.1, in the man(7) language. It is dated by
 * $SOURCE_DATE_EPOCH, else today. */
void man_print(FILE *out, const command *about);

#endif
