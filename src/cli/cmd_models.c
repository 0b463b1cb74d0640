/* SPDX-License-Identifier: MIT
 *
 * vitrine models: what is in the Hugging Face cache, and whether it can be run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundled.h"
#include "command.h"
#include "folder.h"
#include "hub_cache.h"
#include "hub_cached.h"
#include "json.h"
#include "model.h"
#include "text.h"

enum { FORMAT_TEXT, FORMAT_JSON, MAX_DEPTH = 8 };

/* A line of the list. */
typedef struct entry {
    char *model; /* what -m takes */
    char *name, *revision,
        *commit; /* NULL: not from the cache; of the revision: nothing names it */
    char *path;
    size_t bytes;
    bool runs;
    char *reason; /* why not; NULL: it does */
} entry;

typedef struct list {
    entry *items;
    size_t count;
} list;

/* ---- what is there -----------------------------------------------------------------------------
 */

/* The bytes of the files below a folder, links followed. */
typedef struct weight {
    size_t bytes, depth;
} weight;

static void weigh(void *user, const char *path, const char *name) {
    weight *sum = user;
    struct stat info;
    (void)name;
    if (stat(path, &info) != 0)
        return;
    if (S_ISREG(info.st_mode))
        sum->bytes += (size_t)info.st_size;
    if (!S_ISDIR(info.st_mode) || sum->depth == MAX_DEPTH)
        return;
    sum->depth++;
    folder_each(path, weigh, sum);
    sum->depth--;
}

static void add(list *all, entry item) {
    vt_error err = {0};
    weight sum = {0};
    folder_each(item.path, weigh, &sum);
    item.bytes = sum.bytes;
    item.runs = model_can_run(item.path, &err);
    if (err.code == VT_ERR_MEMORY)
        out_of_memory(); /* which says nothing of the model */
    if (!item.runs)
        item.reason = duplicate(err.message);
    all->items = reallocate(all->items, all->count + 1, sizeof *all->items);
    all->items[all->count++] = item;
}

static void add_cached(void *user, const hub_snapshot *found) {
    add(user, (entry){.model = duplicate(found->model),
                      .name = duplicate(found->name),
                      .revision = found->revision ? duplicate(found->revision) : NULL,
                      .commit = duplicate(found->commit),
                      .path = duplicate(found->path)});
}

/* Returns an exit code. */
static int add_cache(list *all) {
    if (hub_cached_each(add_cached, all) || errno == ENOENT)
        return EXIT_DONE;
    int reason = errno;
    char *cache = hub_cache_directory();
    complain(cache, strerror(reason));
    free(cache);
    return EXIT_SOME_FAILED;
}

/* ---- what is shown -----------------------------------------------------------------------------
 */

static void print_text(const list *all) {
    size_t width = 0;
    for (size_t i = 0; i < all->count; i++)
        if (strlen(all->items[i].model) > width)
            width = strlen(all->items[i].model);
    for (size_t i = 0; i < all->count; i++) {
        const entry *e = &all->items[i];
        char size[32];
        char *model = text_clean(e->model, TEXT_ONE_LINE);
        char *reason = text_clean(e->reason ? e->reason : "", TEXT_ONE_LINE);
        printf("%-*s  %9s  %s%s\n", (int)width, model, text_bytes(size, e->bytes),
               e->runs ? "runs" : "does not run: ", reason);
        free(model);
        free(reason);
    }
}

static json_t *text_or_null(const char *text) {
    return text ? json_text(text) : json_null();
}

static void print_json(const list *all) {
    for (size_t i = 0; i < all->count; i++) {
        const entry *e = &all->items[i];
        json_print(json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:b,s:o}", "model", json_text(e->model),
                             "name", text_or_null(e->name), "revision", text_or_null(e->revision),
                             "commit", text_or_null(e->commit), "path", json_text(e->path), "bytes",
                             (json_int_t)e->bytes, "runs", e->runs, "reason",
                             text_or_null(e->reason)));
    }
}

static void free_list(list *all) {
    for (size_t i = 0; i < all->count; i++) {
        entry *e = &all->items[i];
        free(e->model);
        free(e->name);
        free(e->revision);
        free(e->commit);
        free(e->path);
        free(e->reason);
    }
    free(all->items);
}

static const char *format_name(size_t index) {
    static const char *const names[] = {[FORMAT_TEXT] = "text", [FORMAT_JSON] = "json"};
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

static int run(const settings *s) {
    list all = {0};
    if (s->num_operands)
        return complain_usage(models_command.name, "unexpected '%s'", s->operands[0]);
    int code = add_cache(&all);
    const char *bundled = bundled_model();
    if (access(bundled, F_OK) == 0)
        add(&all, (entry){.model = duplicate(bundled), .path = duplicate(bundled)});
    if (s->format == FORMAT_JSON)
        print_json(&all);
    else
        print_text(&all);
    free_list(&all);
    return code;
}

static const option models_rows[] = {
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = format_name, FIELD(format)},
    {0},
};

static const option_group models_options = {"What is shown", models_rows};

const command models_command = {
    .name = "models",
    .topic = TOPIC_MODELS,
    .summary = "the models that are here: pulled ones and the bundled one",
    .operands = "",
    .about = "Lists the models in the Hugging Face cache, whichever program downloaded them, and "
             "the bundled one: what -m takes, the size on the disk, and whether vitrine can run it "
             "or why not. That is told by the configuration and the headers of the weights; no "
             "weights are read.",
    .groups = (const option_group *const[]){&models_options, &general_options, NULL},
    .examples = "  vitrine models\n"
                "  vitrine models --format=json | jq -r 'select(.runs).model'\n",
    .run = run,
};
