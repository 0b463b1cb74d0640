/* SPDX-License-Identifier: MIT
 *
 * The table of positions as a picture: for each place of the grid, the cosine similarity of its
 * position to those of all places, as a small map; at the native size and at another.
 */
#ifndef CLI_POS_MAP_H
#define CLI_POS_MAP_H

#include "settings.h"

/* Draws it (a name that ends with .png or .svg, by gnuplot), or writes the similarities at the
 * asked size as a NumPy file of F32 [places][places] (.npy). Returns an exit code, having
 * complained. */
int write_pos_map(const settings *s, const vt_model *model);

/* Whether a file of that name can be written. */
bool pos_map_can_write(const char *path);

#endif
