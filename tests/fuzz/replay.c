/* SPDX-License-Identifier: MIT
 *
 * fuzz_TARGET [FILE|FOLDER]...
 * Runs a target on stored inputs, without libFuzzer: the corpora and the inputs that once were
 * findings. Folders that are not there are left out. Each name is printed before its turn, so that
 * the last one is the one that failed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t num_inputs;

static void run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat about;
    fuzz_check(file && fstat(fileno(file), &about) == 0, path);
    size_t size = (size_t)about.st_size;
    uint8_t *data = malloc(size); /* of exactly that size: a sanitizer sees who reads past it */
    fuzz_check((data || size == 0) && fread(data, 1, size, file) == size, path);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    num_inputs++;
    free(data);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void run_folder(const char *path) {
    struct dirent **entries;
    const int count = scandir(path, &entries, is_visible, alphasort);
    fuzz_check(count >= 0, path);
    for (int i = 0; i < count; i++) {
        char name[2048];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        run_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct stat about;
        if (stat(argv[i], &about) != 0)
            continue;
        if (S_ISDIR(about.st_mode))
            run_folder(argv[i]);
        else
            run_file(argv[i]);
    }
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("%zu inputs\n", num_inputs);
    return num_inputs > 0 ? 0 : 1;
}
