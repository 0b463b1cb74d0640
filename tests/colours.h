/* SPDX-License-Identifier: MIT
 *
 * Folders of pictures of colours, and classifiers of them. The model has random weights: what it
 * makes of colours is enough to tell them apart.
 */
#ifndef TESTS_COLOURS_H
#define TESTS_COLOURS_H

#include <jansson.h>
#include <stdint.h>

#include "command.h"

/* cmocka group set-up: command_workspace, and in it "colours" (8 red, 6 green, 4 blue), and
 * red.ppm, green.ppm and blue.ppm, which are in no folder. */
int colours_workspace(void **state);

/* A picture of 24x24 of one colour with noise, its own for each seed. */
void draw_picture(const char *path, int red, int green, int blue, uint64_t seed);

void make_folder(const char *path);

/* A folder with `count` pictures. */
void draw_class(const char *folder, size_t count, int red, int green, int blue);

/* `fit` with `model`; what it prints as JSON, the caller's to release. */
json_t *fit_json(command_result *ran, const char *folder, const char *head);

/* The number of that name, which must be there. */
double number_at(const json_t *object, const char *key);

/* Fails unless `classify --head` says that of the image. */
void assert_best(command_result *ran, const char *head, const char *image, const char *label);

void assert_same_file(const char *a, const char *b);

#endif
