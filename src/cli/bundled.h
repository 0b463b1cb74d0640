/* SPDX-License-Identifier: MIT
 *
 * Where the files are that come with the command.
 */
#ifndef CLI_BUNDLED_H
#define CLI_BUNDLED_H

/* The folder of the bundled model: beside the program that runs, wherever it was moved to, or else
 * where it was to be installed, which then need not exist. */
const char *bundled_model(void);

#endif
