/* SPDX-License-Identifier: MIT
 *
 * Forward passes over the pictures of the command line, batch by batch, for commands that want what
 * the session then holds.
 */
#ifndef CLI_PICTURES_H
#define CLI_PICTURES_H

#include "loader.h"
#include "settings.h"

/* What a command does with its pictures, which come in the order of the inputs. */
typedef struct picture_sink {
    /* One whose results are row `row` of the session's. */
    void (*found)(void *user, const picture *p, size_t row);
    /* An input that gave no result, which was named on standard error. NULL: that is enough. */
    void (*failed)(void *user, const char *path, const char *reason);
    bool is_printed;        /* results go to standard output; when nobody reads it, all ends */
    const char *result_key; /* the member of its JSON lines that --skip-done looks for */
} picture_sink;

/* Whether the options of pictures go together; an exit code. `json`: the output is JSON lines. */
int check_pictures(const settings *s, bool json, const char *command);

/* --batch, or how many pictures there are where that is less: what the session is made for. */
size_t useful_batch(const settings *s);

/* Reads, preprocesses and runs each picture, `s->batch` at a time; fewer where a list has no name
 * ready for more. Returns an exit code. */
int each_picture(vt_session *session, const vt_model *model, const settings *s,
                 const picture_sink *sink, void *user);

#endif
