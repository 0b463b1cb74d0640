/* SPDX-License-Identifier: MIT
 *
 * Files that are mapped: weights.
 */
#ifndef CLI_MAPPED_H
#define CLI_MAPPED_H

/* From now on, where a mapped file was cut short by others, the command says so and ends with code
 * 3 instead of by SIGBUS, with no temporary file left. */
void watch_mapped_files(void);

#endif
