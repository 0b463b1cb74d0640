/* SPDX-License-Identifier: MIT */
#include "hub_client.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http.h"
#include "interrupt.h"
#include "text.h"

enum {
    MAX_LISTING = 32 << 20,   /* bytes */
    MAX_WAIT = 60,            /* seconds that a hub may ask to wait */
    ENOUGH_PROGRESS = 1 << 20 /* bytes after which failures are counted anew */
};

struct hub {
    http *http;
    char *endpoint;
    char *shown;      /* of the endpoint, without what may be secret in it */
    char *token_from; /* "HF_TOKEN" or a file; NULL: there is none */
    size_t retries;
    bool quiet;
    progress bar;
};

/* ---- the token ---------------------------------------------------------------------------------
 */

/* The beginning of a small file, "" when there is none. */
static char *read_start(const char *path) {
    char text[512] = "";
    FILE *file = fopen(path, "r");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    return duplicate(text);
}

/* Without white space around it; NULL when nothing is left. Frees `text`. */
static char *trimmed(char *text) {
    char *begin = text;
    while (isspace((unsigned char)*begin))
        begin++;
    size_t length = strlen(begin);
    while (length && isspace((unsigned char)begin[length - 1]))
        length--;
    memmove(text, begin, length);
    text[length] = '\0';
    if (length)
        return text;
    free(text);
    return NULL;
}

/* $HF_TOKEN, else the file that `hf auth login` writes; NULL without either. *from: where from. */
static char *find_token(char **from) {
    const char *named = getenv("HF_TOKEN");
    char *token = named ? trimmed(duplicate(named)) : NULL;
    *from = NULL;
    if (token) {
        *from = duplicate("HF_TOKEN");
        return token;
    }
    if (hub_is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return NULL;
    char *path = hub_path_from("HF_TOKEN_PATH"), *home = hub_home();
    if (!path)
        path = text_format("%s/token", home);
    token = trimmed(read_start(path));
    free(home);
    if (token)
        *from = path;
    else
        free(path);
    return token;
}

/* In a header, anything else would end it. */
static bool is_visible(const char *token) {
    for (; *token; token++)
        if ((unsigned char)*token <= ' ' || (unsigned char)*token >= 0x7F)
            return false;
    return true;
}

/* ---- connecting --------------------------------------------------------------------------------
 */

static char *find_endpoint(void) {
    const char *named = getenv("HF_ENDPOINT");
    char *endpoint = duplicate(named && *named ? named : "https://huggingface.co");
    size_t length = strlen(endpoint);
    while (length && endpoint[length - 1] == '/')
        endpoint[--length] = '\0';
    return endpoint;
}

/* Seconds without a byte after which a connection is given up. */
static long find_timeout(void) {
    const char *named = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    long seconds = named ? strtol(named, NULL, 10) : 0;
    return seconds > 0 && seconds <= 3600 ? seconds : 10;
}

int hub_connect(hub **out, size_t retries, bool quiet, const char *command) {
    hub *h = *out = allocate(1, sizeof *h);
    *h = (hub){.endpoint = find_endpoint(), .retries = retries, .quiet = quiet};
    char *token = find_token(&h->token_from);
    int code = EXIT_SOME_FAILED;
    if (token && !is_visible(token))
        complain(h->token_from, "is no token: expected letters, digits and marks alone");
    else
        code = http_open(&h->http, h->endpoint, token, find_timeout(), command);
    free(token);
    if (code != EXIT_DONE)
        return code;
    char *origin = http_origin(h->endpoint);
    if (!origin) {
        complain("HF_ENDPOINT", "expected a URL such as https://huggingface.co");
        return EXIT_SOME_FAILED;
    }
    h->shown = strchr(h->endpoint, '@') ? duplicate(origin) : duplicate(h->endpoint);
    free(origin);
    return EXIT_DONE;
}

void hub_disconnect(hub *h) {
    if (!h)
        return;
    http_close(h->http);
    free(h->endpoint);
    free(h->shown);
    free(h->token_from);
    free(h);
}

progress *hub_bar(hub *h) {
    return &h->bar;
}

/* ---- what is said of failures ------------------------------------------------------------------
 */

static char *subject_of(const hub_model *model, const char *file) {
    char *text = hub_model_text(model);
    char *subject = text_format("%s%s%s", text, file ? ": " : "", file ? file : "");
    free(text);
    return subject;
}

int hub_complain(hub *h, const hub_model *model, const char *file, const char *format, ...) {
    char message[1024], *subject = subject_of(model, file);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    progress_hide(&h->bar);
    complain(subject, message);
    free(subject);
    return EXIT_SOME_FAILED;
}

void hub_note(hub *h, const hub_model *model, const char *file, const char *format, ...) {
    char message[1024], *subject;
    va_list args;
    if (h->quiet)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    subject = subject_of(model, file);
    progress_hide(&h->bar);
    note("%s: %s", subject, message);
    free(subject);
}

static int refuse_access(hub *h, const hub_model *model, const http_answer *a) {
    bool gated = strcmp(a->error_code, "GatedRepo") == 0 || a->status == 403;
    if (strstr(a->error_message, "Invalid credentials") && h->token_from)
        return hub_complain(h, model, NULL, "%s does not accept the token in %s", h->shown,
                            h->token_from);
    if (gated && h->token_from)
        return hub_complain(h, model, NULL,
                            "access is granted by its owner, and the token in %s has none: ask for "
                            "it at %s/%s",
                            h->token_from, h->shown, model->name);
    if (gated)
        return hub_complain(h, model, NULL,
                            "access is granted by its owner: ask for it at %s/%s, then set "
                            "HF_TOKEN to a token of yours",
                            h->shown, model->name);
    if (h->token_from)
        return hub_complain(h, model, NULL, "not at %s, or not for the one whose token is in %s",
                            h->shown, h->token_from);
    return hub_complain(
        h, model, NULL,
        "not at %s, or not for everybody: a private model needs a token in HF_TOKEN", h->shown);
}

static int refuse(hub *h, const hub_model *model, const char *file, const http_answer *a) {
    const char *message = a->error_message;
    if (a->status == 401 || a->status == 403)
        return refuse_access(h, model, a);
    if (strcmp(a->error_code, "RevisionNotFound") == 0)
        return hub_complain(h, model, NULL, "no revision '%s' at %s", model->revision, h->shown);
    if (a->status == 404)
        return hub_complain(h, model, file, "no such %s at %s", file ? "file" : "model", h->shown);
    if (a->status == 429 && a->retry_after > MAX_WAIT)
        return hub_complain(h, model, file, "%s is busy and asks to wait %zu seconds", h->shown,
                            a->retry_after);
    return hub_complain(h, model, file, "%s answered HTTP %ld%s%s", h->shown, a->status,
                        *message ? ": " : "", message);
}

/* How a request ended that got no answer, or not the one that was wanted. */
static int fail(hub *h, const hub_model *model, const char *file, http_outcome outcome,
                const http_answer *answer) {
    if (outcome == HTTP_ANSWERED)
        return refuse(h, model, file, answer);
    if (outcome != HTTP_STOPPED)
        hub_complain(h, model, file, "%s", answer->problem);
    return EXIT_SOME_FAILED;
}

/* ---- trying again ------------------------------------------------------------------------------
 */

static bool is_busy(const http_answer *answer) {
    static const long statuses[] = {408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (answer->status == statuses[i])
            return answer->retry_after <= MAX_WAIT;
    return false;
}

/* False when interrupted. */
static bool wait_for(double seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (!interrupted && nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    return !interrupted;
}

/* Waits before the next of `tries` tries: half a second, one, two, at most eight; or as long as the
 * hub asks for. */
static bool back_off(hub *h, const hub_model *model, const char *file, http_outcome outcome,
                     const http_answer *answer, size_t tries) {
    double seconds = tries < 4 ? 0.5 * (double)(1 << tries) : 8;
    if (outcome == HTTP_ANSWERED && answer->retry_after)
        seconds = (double)answer->retry_after;
    if (outcome == HTTP_ANSWERED)
        hub_note(h, model, file, "%s answered HTTP %ld; trying again in %g s", h->shown,
                 answer->status, seconds);
    else
        hub_note(h, model, file, "%s; trying again in %g s", answer->problem, seconds);
    return wait_for(seconds);
}

/* A file that ends too early is a connection that broke, whatever the server says of it. */
static http_outcome check_end(http_outcome outcome, http_answer *answer, const hub_file *file,
                              const hub_sink *sink) {
    bool whole = answer->status / 100 != 2 || *sink->offset >= file->size;
    if (outcome != HTTP_ANSWERED || whole)
        return outcome;
    snprintf(answer->problem, sizeof answer->problem, "the connection ended after %zu of %zu bytes",
             *sink->offset, file->size);
    return HTTP_BROKEN;
}

/* `file`: which it is about, `sink`: where its bytes go; NULL without. A hub that has never
 * answered is not tried again: no network, or a wrong name. */
static http_outcome run(hub *h, const hub_listing *listing, http_request *request,
                        http_answer *answer, const hub_file *file, const hub_sink *sink) {
    size_t tries = 0, mark = sink ? *sink->offset : 0;
    for (;;) {
        request->first = sink ? *sink->offset : 0;
        http_outcome outcome = http_run(h->http, request, answer);
        if (sink)
            outcome = check_end(outcome, answer, file, sink);
        bool again = outcome == HTTP_BROKEN ? http_reached(h->http)
                                            : outcome == HTTP_ANSWERED && is_busy(answer);
        if (sink && *sink->offset >= mark + ENOUGH_PROGRESS) {
            mark = *sink->offset;
            tries = 0;
        }
        if (!again || tries == h->retries)
            return outcome;
        const char *name = file ? file->name : NULL;
        if (!back_off(h, &listing->model, name, outcome, answer, tries++))
            return HTTP_STOPPED;
    }
}

/* ---- the list of files -------------------------------------------------------------------------
 */

typedef struct buffer {
    char *bytes;
    size_t used;
    bool full;
} buffer;

static bool collect(void *user, const http_answer *answer, const void *bytes, size_t count) {
    buffer *b = user;
    if (answer->received == 0)
        b->used = 0; /* a new try */
    b->full = count > MAX_LISTING - b->used;
    if (b->full)
        return false;
    b->bytes = reallocate(b->bytes, b->used + count, 1);
    memcpy(b->bytes + b->used, bytes, count);
    b->used += count;
    return true;
}

/* The names in "siblings"; false when that is not as it should be. */
static bool take_names(json_t *names, const json_t *siblings) {
    size_t i;
    const json_t *entry;
    json_array_foreach(siblings, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "rfilename"));
        if (!name || json_object_set_new(names, name, json_true()) != 0)
            return false;
    }
    return json_is_array(siblings);
}

int hub_read_listing(hub *h, hub_listing *out, const char *answer, size_t size) {
    json_error_t where;
    json_t *json = json_loadb(answer ? answer : "", size, 0, &where);
    const char *commit = json_string_value(json_object_get(json, "sha"));
    int code = EXIT_DONE;
    out->files = json_object();
    if (!json)
        code =
            hub_complain(h, &out->model, NULL, "the list of files from %s: line %d, column %d: %s",
                         h->shown, where.line, where.column, where.text);
    else if (!commit || !hub_is_commit(commit) ||
             !take_names(out->files, json_object_get(json, "siblings")))
        code = hub_complain(h, &out->model, NULL,
                            "%s does not answer as a hub does: no commit with a list of files",
                            h->shown);
    else
        memcpy(out->commit, commit, HUB_COMMIT_SIZE);
    json_decref(json);
    return code;
}

int hub_list(hub *h, const hub_model *model, hub_listing *out) {
    http_answer answer;
    buffer body = {0};
    *out = (hub_listing){.model = *model};
    char *revision = http_escape(h->http, model->revision);
    char *url = text_format("%s/api/models/%s/revision/%s", h->endpoint, model->name, revision);
    http_request request = {.url = url, .receive = collect, .user = &body};
    http_outcome outcome = run(h, out, &request, &answer, NULL, NULL);
    int code;
    if (body.full)
        code = hub_complain(h, model, NULL, "the list of files from %s has more than %d MiB",
                            h->shown, MAX_LISTING >> 20);
    else if (outcome != HTTP_ANSWERED || answer.status != 200)
        code = fail(h, model, NULL, outcome, &answer);
    else
        code = hub_read_listing(h, out, body.bytes, body.used);
    free(revision);
    free(url);
    free(body.bytes);
    return code;
}

void hub_listing_free(hub_listing *listing) {
    json_decref(listing->files);
    listing->files = NULL;
}

bool hub_listing_has(const hub_listing *listing, const char *name) {
    return json_object_get(listing->files, name) != NULL;
}

/* ---- files -------------------------------------------------------------------------------------
 */

static char *file_url(hub *h, const hub_listing *listing, const char *file) {
    char *name = http_escape(h->http, file);
    char *url =
        text_format("%s/%s/resolve/%s/%s", h->endpoint, listing->model.name, listing->commit, name);
    free(name);
    return url;
}

/* The hash tells its kind by its length. */
static bool take_hash(hub_file *file, const char *hash) {
    size_t length = strlen(hash);
    if ((length != 40 && length != 64) || strspn(hash, "0123456789abcdef") != length)
        return false;
    file->kind = length == 64 ? DIGEST_SHA256 : DIGEST_GIT_BLOB;
    memcpy(file->etag, hash, length + 1);
    return true;
}

static int take_answer(hub *h, const hub_listing *listing, hub_file *file, const http_answer *a) {
    const hub_model *model = &listing->model;
    if (a->commit[0] && strcmp(a->commit, listing->commit) != 0)
        return hub_complain(h, model, file->name, "asked for commit %s, %s answered from %s",
                            listing->commit, h->shown, a->commit);
    if (!take_hash(file, a->linked_etag[0] ? a->linked_etag : a->etag))
        return hub_complain(
            h, model, file->name,
            "%s tells neither its SHA-256 nor git's hash of it: it can't be checked", h->shown);
    if (!a->has_size)
        return hub_complain(h, model, file->name, "%s does not tell its size", h->shown);
    file->size = a->size;
    return EXIT_DONE;
}

int hub_ask(hub *h, const hub_listing *listing, hub_file *file) {
    http_answer answer;
    char *url = file_url(h, listing, file->name);
    http_request request = {.url = url, .head = true};
    http_outcome outcome = run(h, listing, &request, &answer, file, NULL);
    bool elsewhere = answer.status / 100 == 3 && answer.linked_etag[0];
    free(url);
    if (outcome != HTTP_ANSWERED || (answer.status != 200 && !elsewhere))
        return fail(h, &listing->model, file->name, outcome, &answer);
    return take_answer(h, listing, file, &answer);
}

static bool pass_on(void *user, const http_answer *answer, const void *bytes, size_t count) {
    const hub_sink *sink = user;
    return sink->receive(sink->user, answer->first + answer->received, bytes, count);
}

int hub_fetch(hub *h, const hub_listing *listing, const hub_file *file, const hub_sink *sink) {
    http_answer answer;
    char *url = file_url(h, listing, file->name);
    http_request request = {.url = url, .receive = pass_on, .user = (void *)sink};
    http_outcome outcome = run(h, listing, &request, &answer, file, sink);
    if (outcome == HTTP_ANSWERED && answer.status == 416 && sink->receive(sink->user, 0, NULL, 0))
        outcome = run(h, listing, &request, &answer, file, sink); /* it has no such range: all */
    free(url);
    if (outcome == HTTP_ANSWERED && answer.status / 100 == 2)
        return EXIT_DONE;
    return fail(h, &listing->model, file->name, outcome, &answer);
}
