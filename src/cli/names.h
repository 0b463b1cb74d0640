/* SPDX-License-Identifier: MIT
 *
 * The names in a list, as they arrive: the list may be a pipe whose writer takes its time.
 *
 *     while ((status = names_next(reader, &name, &err)) != NAMES_END)
 *         if (status == NAMES_NOT_YET)
 *             names_wait(reader);
 *         else …
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stdbool.h>

#include <vitrine.h>

typedef struct name_reader name_reader;

typedef enum names_status {
    NAMES_FOUND,
    NAMES_NOT_YET, /* the writer has not sent the end of the next name */
    NAMES_BAD,     /* one that can't be a path, or the list can't be read on: `err` says why */
    NAMES_END
} names_status;

/* "-" is standard input. Each name ends with `separator`, the last one perhaps without it. Where
 * that is '\n', a '\r' before it is dropped. With `watch_output`, a closed pipe behind standard
 * output ends the list. NULL: `errno` says why. */
name_reader *names_open(const char *path, char separator, bool watch_output);

/* Does not wait for a pipe. Empty names are skipped. The name is valid until the next call. */
names_status names_next(name_reader *r, char **name, vt_error *err);

/* Waits until there is something new to say, or names_interrupt. */
void names_wait(name_reader *r);

/* From another thread: ends the wait and the list. */
void names_interrupt(name_reader *r);

/* Whether the list ended because nobody reads standard output any more. */
bool names_abandoned(const name_reader *r);

void names_close(name_reader *r);

#endif
