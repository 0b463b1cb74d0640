/* SPDX-License-Identifier: MIT
 *
 * vitrine pack: a copy of a model that opens without any work.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "model.h"
#include "outfile.h"
#include "paths.h"
#include "text.h"

/* What a model reads beside its weights. */
static bool is_beside_weights(const char *name) {
    return (path_ends_with(name, ".json") || path_ends_with(name, ".txt")) &&
           !path_ends_with(name, ".index.json");
}

/* False when `in` can't be read; what becomes of `out`, its closing says. */
static bool copy_bytes(FILE *in, FILE *out) {
    char buffer[1 << 16];
    size_t count;
    while ((count = fread(buffer, 1, sizeof buffer, in)) > 0 &&
           fwrite(buffer, 1, count, out) == count)
        continue;
    return !ferror(in);
}

static bool copy_file(const char *from, const char *to) {
    outfile out;
    FILE *in = fopen(from, "rb");
    if (!in) {
        complain(from, strerror(errno));
        return false;
    }
    bool opened = outfile_open(&out, to);
    bool read = opened && copy_bytes(in, out.stream);
    if (opened && !read)
        complain(from, strerror(errno));
    fclose(in);
    return opened && outfile_close(&out, read);
}

/* Copies the files beside the weights of a model; `source` is its directory. */
static bool copy_files(const char *source, const char *target) {
    DIR *directory = opendir(source);
    if (!directory) {
        complain(source, strerror(errno));
        return false;
    }
    bool copied = true;
    const struct dirent *entry;
    while (copied && (entry = readdir(directory))) {
        if (!is_beside_weights(entry->d_name))
            continue;
        char *from = path_join(source, entry->d_name), *to = path_join(target, entry->d_name);
        copied = copy_file(from, to);
        free(from);
        free(to);
    }
    closedir(directory);
    return copied;
}

/* The directory that a model is in; the caller frees it. */
static char *directory_of(const char *path) {
    struct stat info;
    char *directory = duplicate(path);
    char *slash = strrchr(directory, '/');
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return directory;
    if (slash)
        slash[slash == directory] = '\0';
    else
        strcpy(directory, ".");
    return directory;
}

static bool is_same_directory(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int write_model(const vt_model *model, const char *source, const char *target) {
    struct stat info;
    if (mkdir(target, 0777) != 0 && errno != EEXIST) {
        complain(target, strerror(errno));
        return EXIT_SOME_FAILED;
    }
    if (is_same_directory(source, target))
        return complain_usage(pack_command.name, "%s is the model itself: name another directory",
                              target);
    char *path = path_join(target, "packed.safetensors");
    bool written = copy_files(source, target) && outfile_write_packed(path, model) == EXIT_DONE;
    if (written && stat(path, &info) == 0) {
        vt_model_info about;
        vt_model_describe(&about, model);
        char *clean = text_clean(path, TEXT_ONE_LINE);
        printf("%s: %.1f MB, for %s kernels, %s\n", clean, 1e-6 * (double)info.st_size,
               about.kernels, about.precision);
        free(clean);
    }
    free(path);
    return written ? EXIT_DONE : EXIT_SOME_FAILED;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    if (s->num_operands)
        return complain_usage(pack_command.name, "unexpected '%s': a model is named with -m",
                              s->operands[0]);
    if (!s->output)
        return complain_usage(pack_command.name, "no output given: --output DIRECTORY");
    int code = open_model(&model, s, pack_command.name);
    if (code == EXIT_DONE) {
        vt_model_info info;
        vt_model_describe(&info, model);
        char *source = directory_of(info.path);
        code = write_model(model, source, s->output);
        free(source);
    }
    vt_model_close(model);
    return code;
}

static const option pack_rows[] = {
    {'o', "output", "DIR", "the directory to write, made if it is not there", .parse = parse_text,
     FIELD(output)},
    OPTION_THREADS,
    {0},
};

static const option_group pack_options = {"Output", pack_rows};

const command pack_command = {
    .name = "pack",
    .topic = TOPIC_MODELS,
    .summary = "lay a model out for this processor, so that it opens at once",
    .operands = "--output=DIR",
    .about = "Writes a copy of a model whose matrices lie as the kernels read them: it is mapped "
             "and used where it lies, and opens in milliseconds however large it is. What lies "
             "beside the weights is copied too. The copy is good for processors with the same "
             "kernels, and for the --precision, --kernels and --patch-size that it was packed "
             "with.",
    .groups = (const option_group *const[]){&pack_options, &model_options, &general_options, NULL},
    .examples = "  vitrine pack -m vit_base_patch16_224 -o vit_base.packed\n"
                "  vitrine classify -m vit_base.packed cat.jpg\n"
                "  vitrine pack -m vit_base_patch16_224 --precision=int8 -o vit_base.int8\n",
    .run = run,
};
