/* SPDX-License-Identifier: MIT
 *
 * A hub of models for tests, on two ports of this machine, in threads of the test program. Like the
 * one that it plays it lists a model's files, answers for small ones itself (after a redirect to
 * another path, which is relative), and sends who asks for weights to another host: 127.0.0.1 is
 * the hub, localhost the other. Every request is kept, and can be made to fail.
 *
 *     hub_start();
 *     hub_add_file("org/name", "config.json", path);
 *     hub_befall((hub_fault){.path = "model.safetensors", .times = 1, .cut = 1000});
 */
#ifndef TESTS_HUB_SERVER_H
#define TESTS_HUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#define HUB_COMMIT "0123456789abcdef0123456789abcdef01234567"

void hub_start(void);
void hub_stop(void);

/* Forgets all models, faults and requests. */
void hub_reset(void);

/* "http://127.0.0.1:PORT" */
const char *hub_endpoint(void);

/* The bytes are copied. What ends with .safetensors or .bin is large: known by its SHA-256. */
void hub_add(const char *model, const char *file, const void *bytes, size_t size);
void hub_add_file(const char *model, const char *file, const char *path);

/* The branches and tags that the hub knows, and the commit they are all at; main and HUB_COMMIT
 * after a reset. */
void hub_set_revision(const char *revision, const char *commit);

/* A hash as the hub tells it; 65 bytes of room. */
void hub_hash(char *text, bool large, const void *bytes, size_t size);

/* What befalls the requests whose path has `path` in it, the first that matches. */
typedef struct hub_fault {
    const char *path;
    const char *method; /* NULL: any */
    size_t times;       /* requests that it befalls; 0: all */
    size_t after;       /* requests before those that it leaves alone */
    /* One of: */
    int status;          /* this answer, without a body unless `body` is there… */
    const char *headers; /* …and these headers, each ending with "\r\n" */
    const char *body;
    size_t cut;    /* the connection breaks after so many bytes of the body */
    size_t hold;   /* nothing more comes after so many, until hub_release */
    bool flip;     /* a bit in the middle of the body is wrong */
    bool no_range; /* the whole file, whatever part is asked for */
    /* headers that are added to a good answer: `headers` with status 0 */
} hub_fault;
void hub_befall(hub_fault fault);

/* What is held goes on. */
void hub_release(void);
/* Whether some answer is being held. */
bool hub_is_holding(void);

/* Requests so far whose path has `part` in it; `method` NULL: any. */
size_t hub_requests(const char *method, const char *part);

/* Of the requests that reached the hub, or the other host: how many, and how many of them brought
 * "Authorization: Bearer TOKEN". */
size_t hub_requests_at(bool other_host);
size_t hub_tokens_at(bool other_host, const char *token);

/* The Range header of the last GET with `part` in its path, "" without one. */
const char *hub_last_range(const char *part);

#endif
