/* SPDX-License-Identifier: MIT
 *
 * Opening the model that the settings name, and saying why when it can't be used.
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "settings.h"

/* Both return an exit code, having complained when it is not EXIT_DONE; EXIT_USAGE when the library
 * finds an option's value wrong. `command` names the help to point at. */
int open_model(vt_model **out, const settings *s, const char *command);
int open_session(vt_session **out, const vt_model *model, const settings *s, const char *command);

/* The same, whose vt_session_features can be asked for. */
int open_session_with_features(vt_session **out, const vt_model *model, const settings *s,
                               const char *command);

/* The same, whose stages have the attention. */
int open_session_with_attention(vt_session **out, const vt_model *model, const settings *s,
                                const char *command);

/* The same with room for one text beside the pictures. */
int open_session_with_text(vt_session **out, const vt_model *model, const settings *s,
                           const char *command);

/* The same for texts, `batch` at once. */
int open_text_session(vt_session **out, const vt_model *model, const settings *s, size_t batch,
                      const char *command);

/* Whether the engine knows what to do with the model at `path`, by its configuration and the
 * headers of its weights alone, which takes milliseconds however large it is. `err` gets the reason
 * why not, with files named as they are called in it. */
bool model_can_run(const char *path, vt_error *err);

/* An exit code, having complained where the model is for texts alone. */
int check_takes_pictures(const vt_model *model);

/* The class of that number or name; false when the model has none. */
bool model_find_class(size_t *out, const vt_model *model, const char *text);

/* How the pictures of that session are decoded. */
vt_image_options decoding_options(const settings *s, const vt_session *session);

/* How the failure of a call that takes option values ends the command. */
int model_failed(const vt_model *model, const vt_error *err, const char *command);

#endif
