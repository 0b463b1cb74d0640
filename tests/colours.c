/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "colours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EDGE = 24 };

/* A picture of one colour with noise, its own for each seed. */
void draw_picture(const char *path, int red, int green, int blue, uint64_t seed) {
    static const char start[] = "P6 24 24 255\n";
    unsigned char file[sizeof start - 1 + 3 * EDGE * EDGE];
    const int colour[] = {red, green, blue};
    test_random random = {seed};
    memcpy(file, start, sizeof start - 1);
    for (size_t i = 0; i < 3 * EDGE * EDGE; i++) {
        int value = colour[i % 3] + (int)random_below(&random, 81) - 40;
        file[sizeof start - 1 + i] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    write_file(path, file, sizeof file);
}

void make_folder(const char *path) {
    assert_int_equal(mkdir(path, 0700), 0);
}

void draw_class(const char *folder, size_t count, int red, int green, int blue) {
    char path[256];
    make_folder(folder);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%02zu.ppm", folder, i);
        draw_picture(path, red, green, blue,
                     (uint64_t)(1 + i + 100 * (size_t)red + 10000 * (size_t)blue));
    }
}

/* "colours": 8 red, 6 green, 4 blue; and one of each that is in no folder. */
int colours_workspace(void **state) {
    if (command_workspace(state))
        return -1;
    make_folder("colours");
    draw_class("colours/red", 8, 200, 40, 40);
    draw_class("colours/green", 6, 40, 200, 40);
    draw_class("colours/blue", 4, 40, 40, 200);
    draw_picture("red.ppm", 200, 40, 40, 77);
    draw_picture("green.ppm", 40, 200, 40, 78);
    draw_picture("blue.ppm", 40, 40, 200, 79);
    return 0;
}

json_t *fit_json(command_result *ran, const char *folder, const char *head) {
    command_run(ran, NULL, "fit", "-m", "model", "--format=json", "-o", head, folder, NULL);
    json_t *found = json_loads(ran->out, 0, NULL);
    assert_non_null(found);
    return found;
}

double number_at(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

void assert_best(command_result *ran, const char *head, const char *image, const char *label) {
    char expected[128];
    command_run(ran, NULL, "classify", "-m", "model", "--head", head, "-k1", "--format=json", image,
                NULL);
    assert_ran(ran, 0, NULL, "");
    snprintf(expected, sizeof expected, "\"label\": \"%s\"", label);
    assert_non_null(strstr(ran->out, expected));
}

void assert_same_file(const char *a, const char *b) {
    size_t size_a, size_b;
    unsigned char *x = read_bytes(a, &size_a), *y = read_bytes(b, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(x, y, size_a);
    free(x);
    free(y);
}
