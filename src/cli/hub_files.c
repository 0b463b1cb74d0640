/* SPDX-License-Identifier: MIT */
#include "hub_files.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_JSON_BYTES = 64 << 20 };

static const char index_name[] = "model.safetensors.index.json";

/* The engine's own order: the first that is there is opened. */
static const char *const configs[] = {"config.json", "open_clip_config.json", NULL};
static const char *const weights[] = {"model.safetensors", index_name,
                                      "open_clip_model.safetensors", NULL};
static const char *const others[] = {"preprocessor_config.json", "tokenizer.json",
                                     "tokenizer_config.json", NULL};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *first_of(const hub_listing *listing, const char *const *names) {
    while (*names && !hub_listing_has(listing, *names))
        names++;
    return *names;
}

static void add(hub_files *files, const char *name) {
    files->items = reallocate(files->items, files->count + 1, sizeof *files->items);
    files->items[files->count++] = (hub_file){.name = duplicate(name)};
}

static bool is_pickle(const char *name) {
    static const char *const endings[] = {".bin", ".pt", ".pth", ".ckpt", ".pkl"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, endings[i]))
            return true;
    return false;
}

/* A pickle, one that is called a model rather than what training leaves beside it; NULL when there
 * is none. */
static const char *find_pickle(const hub_listing *listing) {
    const char *name, *found = NULL;
    json_t *value;
    json_object_foreach(listing->files, name, value) {
        if (is_pickle(name) && (!found || strstr(name, "model")))
            found = name;
    }
    return found;
}

static int refuse(hub *h, const hub_listing *listing) {
    const char *pickle = find_pickle(listing);
    if (pickle)
        hub_complain(h, &listing->model, NULL,
                     "its weights are pickles alone (%s), which can run code: there is no "
                     "model.safetensors to download",
                     pickle);
    else
        hub_complain(h, &listing->model, NULL,
                     "neither model.safetensors nor %s is there: nothing that vitrine reads",
                     index_name);
    return EXIT_MODEL;
}

int hub_files_choose(hub *h, const hub_listing *listing, hub_files *out) {
    const char *config = first_of(listing, configs), *weight = first_of(listing, weights);
    *out = (hub_files){0};
    if (!weight)
        return refuse(h, listing);
    if (!config) {
        hub_complain(h, &listing->model, NULL, "no config.json is there: nothing says what it is");
        return EXIT_MODEL;
    }
    add(out, config);
    for (size_t i = 0; others[i]; i++)
        if (hub_listing_has(listing, others[i]))
            add(out, others[i]);
    add(out, weight);
    out->sharded = weight == index_name;
    return EXIT_DONE;
}

void hub_files_free(hub_files *files) {
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].name);
    free(files->items);
    *files = (hub_files){0};
}

static bool is_shard(const hub_listing *listing, const char *name) {
    return name && *name && *name != '.' && !strchr(name, '/') && ends_with(name, ".safetensors") &&
           hub_listing_has(listing, name);
}

/* Each name once. */
static int add_names(hub *h, const hub_listing *listing, hub_files *files, json_t *map) {
    json_t *seen = json_object(), *value;
    const char *tensor;
    int code = EXIT_DONE;
    json_object_foreach(map, tensor, value) {
        const char *name = json_string_value(value);
        if (!is_shard(listing, name)) {
            hub_complain(h, &listing->model, index_name,
                         "%s: \"%s\" is not the name of a safetensors file beside it", tensor,
                         name ? name : "");
            code = EXIT_MODEL;
            break;
        }
        if (!json_object_get(seen, name))
            add(files, name);
        json_object_set_new(seen, name, json_true());
    }
    json_decref(seen);
    return code;
}

int hub_files_add_shards(hub *h, const hub_listing *listing, hub_files *files, const char *path) {
    json_error_t where;
    json_t *index = json_load_file(path, 0, &where);
    json_t *map = json_object_get(index, "weight_map");
    int code = EXIT_MODEL;
    if (!index)
        hub_complain(h, &listing->model, index_name, "line %d, column %d: %s", where.line,
                     where.column, where.text);
    else if (json_object_size(map) == 0)
        hub_complain(h, &listing->model, index_name, "no \"weight_map\" of tensors to files");
    else
        code = add_names(h, listing, files, map);
    json_decref(index);
    return code;
}

int hub_files_check_size(hub *h, const hub_listing *listing, const hub_file *file) {
    if (!ends_with(file->name, ".json") || file->size <= MAX_JSON_BYTES)
        return EXIT_DONE;
    hub_complain(h, &listing->model, file->name, "expected at most %d MiB of JSON, found %zu bytes",
                 MAX_JSON_BYTES >> 20, file->size);
    return EXIT_MODEL;
}
