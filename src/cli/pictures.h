/* SPDX-License-Identifier: MIT
 *
 * Forward passes over the pictures of the command line, batch by batch, for commands that want what
 * the session then holds.
 */
#ifndef CLI_PICTURES_H
#define CLI_PICTURES_H

#include "loader.h"
#include "settings.h"

/* A picture whose results are row `row` of the session's. */
typedef void (*picture_fn)(void *user, const picture *p, size_t row);

/* Reads, preprocesses and runs each picture in order, and hands each to `fn`. Those that can't be
 * read are named on standard error. Returns an exit code. */
int each_picture(vt_session *session, const vt_model *model, const settings *s, picture_fn fn,
                 void *user);

#endif
