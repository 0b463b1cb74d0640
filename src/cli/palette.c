/* SPDX-License-Identifier: MIT */
#include "palette.h"

#include <math.h>
#include <stdbool.h>

/* Lightness and hue (in turns) at both ends; the hue goes through 0, red. */
#define DARK 0.20
#define LIGHT 0.95
#define FIRST_HUE (-0.22)
#define LAST_HUE 0.29
#define MOST_CHROMA 0.19

/* OKLab to linear sRGB: the inverses of the matrices that its author published. */
static void oklab_to_linear(double rgb[3], double lightness, double a, double b) {
    double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
    double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
    double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static bool is_in_srgb(const double rgb[3]) {
    for (int c = 0; c < 3; c++)
        if (rgb[c] < 0 || rgb[c] > 1)
            return false;
    return true;
}

/* IEC 61966-2-1. */
static double encode(double linear) {
    return linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
}

void palette_colour(uint8_t rgb[3], double value) {
    const double turn = 6.283185307179586;
    double lightness = DARK + (LIGHT - DARK) * value;
    double hue = turn * (FIRST_HUE + (LAST_HUE - FIRST_HUE) * value);
    double linear[3], least = 0, most = MOST_CHROMA;
    for (int i = 0; i < 24; i++) { /* the largest chroma, by halving */
        double chroma = (least + most) / 2;
        oklab_to_linear(linear, lightness, chroma * cos(hue), chroma * sin(hue));
        *(is_in_srgb(linear) ? &least : &most) = chroma;
    }
    oklab_to_linear(linear, lightness, least * cos(hue), least * sin(hue));
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)lrint(255 * encode(fmin(fmax(linear[c], 0), 1)));
}
