/* SPDX-License-Identifier: MIT
 *
 * Values as colours, in even steps of what is seen.
 */
#ifndef CLI_PALETTE_H
#define CLI_PALETTE_H

#include <stdint.h>

/* The colour of a value from 0 to 1: from a dark violet over red to a light yellow. Lightness grows
 * in proportion to the value, as OKLab measures it (B. Ottosson 2020, "A perceptual color space for
 * image processing"), while the hue turns at an even rate; the chroma is the largest that sRGB has
 * there, up to a limit. */
void palette_colour(uint8_t rgb[3], double value);

#endif
