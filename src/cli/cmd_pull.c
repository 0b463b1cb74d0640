/* SPDX-License-Identifier: MIT
 *
 * vitrine pull: models from a hub into the Hugging Face cache, where -m finds them by name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "command.h"
#include "download.h"
#include "hub_files.h"
#include "interrupt.h"
#include "model.h"
#include "text.h"

/* One model on its way. */
typedef struct pull {
    const settings *settings;
    hub *hub;
    hub_listing listing;
    hub_files files;
    hub_store store;
    size_t total, left; /* bytes: of all files, and of those still to come */
} pull;

/* ---- what there is to do -----------------------------------------------------------------------
 */

/* Whether the file is there already, as a blob or in the snapshot. */
static bool is_there(const pull *p, const hub_file *file) {
    size_t size;
    char *path = hub_store_snapshot(&p->store, p->listing.commit, file->name);
    bool there = hub_store_has(&p->store, file->etag, file->size) ||
                 (hub_store_size(path, &size) && size == file->size);
    free(path);
    return there;
}

static size_t bytes_left(const pull *p, const hub_file *file) {
    return is_there(p, file) ? 0 : file->size - download_begun(&p->store, file);
}

static int bring(pull *p, const hub_file *file, size_t before) {
    return is_there(p, file) ? EXIT_DONE : download(p->hub, &p->store, &p->listing, file, before);
}

static int ask(pull *p, hub_file *file) {
    int code = hub_ask(p->hub, &p->listing, file);
    return code == EXIT_DONE ? hub_files_check_size(p->hub, &p->listing, file) : code;
}

/* The index comes before everything else: it names the rest. */
static int bring_index(pull *p) {
    hub_file *index = &p->files.items[p->files.count - 1];
    int code = ask(p, index);
    if (code == EXIT_DONE)
        code = bring(p, index, 0);
    if (code != EXIT_DONE)
        return code;
    char *blob = hub_store_blob(&p->store, index->etag);
    char *placed = hub_store_snapshot(&p->store, p->listing.commit, index->name);
    bool in_blobs = hub_store_has(&p->store, index->etag, index->size);
    code = hub_files_add_shards(p->hub, &p->listing, &p->files, in_blobs ? blob : placed);
    free(blob);
    free(placed);
    return code;
}

/* Asks for hash and size of all files. */
static int ask_all(pull *p) {
    int code = p->files.sharded ? bring_index(p) : EXIT_DONE;
    for (size_t i = 0; i < p->files.count && code == EXIT_DONE; i++) {
        hub_file *file = &p->files.items[i];
        if (!*file->etag)
            code = ask(p, file);
        if (code == EXIT_DONE && file->size > SIZE_MAX / 2 - p->total)
            code = hub_complain(p->hub, &p->listing.model, file->name, "%zu bytes are too many",
                                file->size);
        p->total += file->size;
        p->left += bytes_left(p, file);
    }
    return code;
}

static int check_space(pull *p) {
    struct statvfs disk;
    char needed[32], free_bytes[32];
    if (p->left == 0 || statvfs(p->store.repository, &disk) != 0 || disk.f_blocks == 0)
        return EXIT_DONE; /* some file systems do not tell */
    double space = (double)disk.f_bavail * (double)disk.f_frsize;
    if ((double)p->left <= space)
        return EXIT_DONE;
    return hub_complain(p->hub, &p->listing.model, NULL, "%s are to come, and %s has room for %s",
                        text_bytes(needed, p->left), p->store.cache,
                        text_bytes(free_bytes, (size_t)space));
}

/* ---- doing it ----------------------------------------------------------------------------------
 */

static int bring_all(pull *p) {
    progress *bar = hub_bar(p->hub);
    size_t done = p->total - p->left;
    int code = EXIT_DONE;
    progress_begin(bar, p->total, p->settings->quiet);
    bar->bytes = true;
    bar->before = done;
    for (size_t i = 0; i < p->files.count && code == EXIT_DONE; i++) {
        const hub_file *file = &p->files.items[i];
        size_t left = bytes_left(p, file);
        code = bring(p, file, done - (file->size - left));
        done += left;
    }
    progress_hide(bar);
    return code;
}

/* All files are there: the snapshot gets its links, and the branch its commit. */
static int publish(pull *p) {
    bool done = true;
    for (size_t i = 0; i < p->files.count && done; i++) {
        const hub_file *file = &p->files.items[i];
        done = hub_store_link(&p->store, p->listing.commit, file->name, file->etag, file->size);
    }
    done = done && hub_store_refer(&p->store, p->listing.model.revision, p->listing.commit);
    return done ? EXIT_DONE : EXIT_SOME_FAILED;
}

/* What a person wants to know, and the path, which a program does. */
static int report(pull *p) {
    vt_error err = {0};
    char whole[32], part[32];
    char *snapshot = hub_store_snapshot(&p->store, p->listing.commit, NULL);
    char *name = hub_model_text(&p->listing.model);
    bool runs = model_can_run(snapshot, &err);
    if (runs && !p->settings->quiet)
        note("%s: %zu files of %s, %s of it downloaded; use it with -m %s", name, p->files.count,
             text_bytes(whole, p->total), text_bytes(part, p->left), name);
    printf("%s\n", snapshot);
    output_flush();
    if (!runs)
        complain(name, err.message);
    free(name);
    free(snapshot);
    return runs ? EXIT_DONE : EXIT_MODEL;
}

static int pull_listed(pull *p) {
    int code = hub_files_choose(p->hub, &p->listing, &p->files);
    if (code != EXIT_DONE)
        return code;
    code = hub_store_open(&p->store, p->listing.model.name) ? ask_all(p) : EXIT_SOME_FAILED;
    if (code == EXIT_DONE)
        code = check_space(p);
    if (code == EXIT_DONE)
        code = bring_all(p);
    if (code == EXIT_DONE)
        code = publish(p);
    if (code == EXIT_DONE)
        code = report(p);
    hub_store_close(&p->store);
    return code;
}

static int pull_model(const settings *s, hub *h, const hub_model *model) {
    pull p = {.settings = s, .hub = h};
    int code = hub_list(h, model, &p.listing);
    if (code == EXIT_DONE)
        code = pull_listed(&p);
    hub_files_free(&p.files);
    hub_listing_free(&p.listing);
    return code;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int parse(hub_model *model, const settings *s, const char *text) {
    if (!hub_model_parse(model, text))
        return complain_usage(pull_command.name,
                              "expected a model's name such as google/vit-base-patch16-224; found "
                              "'%s'",
                              text);
    if (!s->revision)
        return EXIT_DONE;
    if (model->pinned)
        return complain_usage(pull_command.name, "both --revision and %s given", text);
    if (!hub_revision_set(model, s->revision))
        return complain_usage(pull_command.name,
                              "--revision: expected a branch, a tag or a commit; found '%s'",
                              s->revision);
    return EXIT_DONE;
}

static int pull_all(const settings *s, hub *h) {
    int worst = EXIT_DONE;
    for (size_t i = 0; i < s->num_operands && !interrupted; i++) {
        hub_model model;
        parse(&model, s, s->operands[i]);
        int code = pull_model(s, h, &model);
        worst = code > worst ? code : worst;
    }
    if (!interrupted)
        return worst;
    complain(pull_command.name, "interrupted; the same command goes on where it stopped");
    return EXIT_INTERRUPTED;
}

static int run(const settings *s) {
    hub *h = NULL;
    hub_model model;
    if (s->num_operands == 0)
        return complain_usage(pull_command.name,
                              "no model named: vitrine pull google/vit-base-patch16-224");
    for (size_t i = 0; i < s->num_operands; i++)
        if (parse(&model, s, s->operands[i]) != EXIT_DONE)
            return EXIT_USAGE;
    if (hub_is_set("HF_HUB_OFFLINE")) {
        complain(pull_command.name, "HF_HUB_OFFLINE is set, which forbids downloads");
        return EXIT_SOME_FAILED;
    }
    catch_interrupts();
    int code = digest_load(pull_command.name);
    if (code == EXIT_DONE)
        code = hub_connect(&h, s->retries, s->quiet, pull_command.name);
    if (code == EXIT_DONE)
        code = pull_all(s, h);
    hub_disconnect(h);
    return code;
}

static const option pull_rows[] = {
    {0, "revision", "R", "a branch, a tag or a commit; without it, main", .parse = parse_text,
     FIELD(revision)},
    {0, "retries", "N", "how often a connection that breaks, or a busy hub, is tried again",
     .initial = "5", .parse = parse_number, FIELD(retries)},
    {0},
};

static const option_group pull_options = {"Download", pull_rows};

const command pull_command = {
    .name = "pull",
    .topic = TOPIC_MODELS,
    .summary = "download a model from a hub, to be used by its name",
    .operands = "NAME[@REVISION]...",
    .about =
        "Downloads what vitrine reads of a model (configuration, preprocessing, tokenizer, weights "
        "as safetensors) into the Hugging Face cache, which other programs share, and prints the "
        "folder. -m NAME then finds it. A download that breaks is gone on with; sizes and hashes "
        "are checked against the hub's. Environment: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, "
        "HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, https_proxy.",
    .groups = (const option_group *const[]){&pull_options, &general_options, NULL},
    .examples = "  vitrine pull google/vit-base-patch16-224\n"
                "  vitrine classify -m google/vit-base-patch16-224 cat.jpg\n"
                "  vitrine pull timm/vit_base_patch16_224.augreg2_in21k_ft_in1k\n"
                "  vitrine pull openai/clip-vit-base-patch32 --revision refs/pr/1\n",
    .run = run,
};
