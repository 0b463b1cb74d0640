/* SPDX-License-Identifier: MIT
 *
 * vitrine models: what is in the Hugging Face cache, and whether it can be run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundled.h"
#include "command.h"
#include "hub_cache.h"
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

/* ---- folders -----------------------------------------------------------------------------------
 */

static int not_hidden(const struct dirent *found) {
    return found->d_name[0] != '.';
}

/* By bytes: the same order in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Called with each name in a folder; `path` is that of the entry. */
typedef void (*visit_fn)(void *user, const char *path, const char *name);

/* In order. False, with errno, when the folder can't be read. */
static bool each_entry(const char *folder, visit_fn visit, void *user) {
    struct dirent **found;
    int count = scandir(folder, &found, not_hidden, by_name);
    for (int i = 0; i < count; i++) {
        char *path = text_format("%s/%s", folder, found[i]->d_name);
        visit(user, path, found[i]->d_name);
        free(path);
        free(found[i]);
    }
    if (count >= 0)
        free(found);
    return count >= 0;
}

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

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
    each_entry(path, weigh, sum);
    sum->depth--;
}

/* ---- the cache ---------------------------------------------------------------------------------
 */

static void add(list *all, entry item) {
    vt_error err = {0};
    weight sum = {0};
    each_entry(item.path, weigh, &sum);
    item.bytes = sum.bytes;
    item.runs = model_can_run(item.path, &err);
    if (!item.runs)
        item.reason = duplicate(err.message);
    all->items = reallocate(all->items, all->count + 1, sizeof *all->items);
    all->items[all->count++] = item;
}

/* The branch or tag of a commit: main, or else the first by name. */
typedef struct search {
    const char *commit;
    size_t prefix; /* of the path, up to the revision's name */
    char *revision;
} search;

static void match_ref(void *user, const char *path, const char *name) {
    search *s = user;
    char commit[HUB_COMMIT_SIZE];
    const char *revision = path + s->prefix;
    (void)name;
    if (is_directory(path)) {
        if (strlen(revision) < HUB_REVISION_SIZE)
            each_entry(path, match_ref, s);
    } else if (hub_ref_read(commit, path) && strcmp(commit, s->commit) == 0 &&
               (!s->revision || strcmp(revision, "main") == 0)) {
        free(s->revision);
        s->revision = duplicate(revision);
    }
}

static char *find_revision(const char *repository, const char *commit) {
    char *refs = text_format("%s/refs", repository);
    search s = {.commit = commit, .prefix = strlen(refs) + 1};
    each_entry(refs, match_ref, &s);
    free(refs);
    return s.revision;
}

typedef struct repository {
    list *all;
    const char *path;
    char *name;
} repository;

static void add_snapshot(void *user, const char *path, const char *commit) {
    const repository *r = user;
    if (!hub_is_commit(commit) || !is_directory(path))
        return;
    char *revision = find_revision(r->path, commit);
    bool is_main = revision && strcmp(revision, "main") == 0;
    add(r->all, (entry){.model = text_format("%s%s%s", r->name, is_main ? "" : "@",
                                             is_main    ? ""
                                             : revision ? revision
                                                        : commit),
                        .name = duplicate(r->name),
                        .revision = revision,
                        .commit = duplicate(commit),
                        .path = duplicate(path)});
}

/* "models--ORG--NAME" */
static void add_repository(void *user, const char *path, const char *folder) {
    static const char prefix[] = "models--";
    hub_model model;
    if (strncmp(folder, prefix, sizeof prefix - 1) != 0)
        return;
    repository r = {.all = user, .path = path, .name = duplicate(folder + sizeof prefix - 1)};
    char *dashes = strstr(r.name, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    char *snapshots = text_format("%s/snapshots", path);
    if (hub_model_parse(&model, r.name))
        each_entry(snapshots, add_snapshot, &r);
    free(snapshots);
    free(r.name);
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
    char *cache = hub_cache_directory();
    int code = EXIT_DONE;
    if (!each_entry(cache, add_repository, &all) && errno != ENOENT) {
        complain(cache, strerror(errno));
        code = EXIT_SOME_FAILED;
    }
    free(cache);
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
