/* SPDX-License-Identifier: MIT
 *
 * `vitrine embed --pca`: what a model makes of each patch, in false colour.
 */
#ifndef CLI_EMBED_PCA_H
#define CLI_EMBED_PCA_H

#include "settings.h"

/* Returns an exit code, having complained. */
int embed_pca(const vt_model *model, const settings *s, const char *command);

#endif
