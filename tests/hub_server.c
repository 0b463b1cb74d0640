/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hub_server.h"

enum { MOST_FILES = 64, MOST_FAULTS = 8, MOST_REQUESTS = 512, MOST_CONNECTIONS = 256 };

typedef struct served_file {
    char model[128], name[128], hash[65];
    bool large;
    unsigned char *bytes;
    size_t size;
} served_file;

typedef struct request {
    bool other_host;
    char method[8], path[512], range[64], authorization[128];
} request;

/* What is sent. */
typedef struct reply {
    int status;
    char headers[1024];
    const void *body;
    size_t size;
    const hub_fault *fault; /* of the body; NULL: none */
} reply;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    served_file files[MOST_FILES];
    hub_fault faults[MOST_FAULTS];
    request requests[MOST_REQUESTS];
    size_t num_files, num_faults, num_requests, num_holding;
    char revision[64], commit[64];
    bool holds; /* until hub_release */
    bool stopping;
    int listeners[2], ports[2];
    pthread_t acceptors[2], threads[MOST_CONNECTIONS];
    int connections[MOST_CONNECTIONS];
    size_t num_connections;
} hub = {.mutex = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER};

/* ---- what it knows -----------------------------------------------------------------------------
 */

void hub_hash(char *text, bool large, const void *bytes, size_t size) {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    char header[32];
    int header_size = snprintf(header, sizeof header, "blob %zu", size) + 1;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, large ? EVP_sha256() : EVP_sha1(), NULL);
    if (!large)
        EVP_DigestUpdate(context, header, (size_t)header_size);
    EVP_DigestUpdate(context, bytes, size);
    EVP_DigestFinal_ex(context, value, &length);
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", value[i]);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

void hub_add(const char *model, const char *file, const void *bytes, size_t size) {
    assert_true(hub.num_files < MOST_FILES);
    served_file *f = &hub.files[hub.num_files];
    *f = (served_file){.size = size, .bytes = malloc(size ? size : 1)};
    assert_non_null(f->bytes);
    memcpy(f->bytes, bytes, size);
    snprintf(f->model, sizeof f->model, "%s", model);
    snprintf(f->name, sizeof f->name, "%s", file);
    f->large = ends_with(file, ".safetensors") || ends_with(file, ".bin");
    hub_hash(f->hash, f->large, bytes, size);
    pthread_mutex_lock(&hub.mutex);
    hub.num_files++;
    pthread_mutex_unlock(&hub.mutex);
}

void hub_add_file(const char *model, const char *file, const char *path) {
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    hub_add(model, file, bytes, size);
    free(bytes);
}

void hub_set_revision(const char *revision, const char *commit) {
    snprintf(hub.revision, sizeof hub.revision, "%s", revision);
    snprintf(hub.commit, sizeof hub.commit, "%s", commit);
}

void hub_befall(hub_fault fault) {
    pthread_mutex_lock(&hub.mutex);
    assert_true(hub.num_faults < MOST_FAULTS);
    if (!fault.times)
        fault.times = SIZE_MAX;
    hub.holds = hub.holds || fault.hold;
    hub.faults[hub.num_faults++] = fault;
    pthread_mutex_unlock(&hub.mutex);
}

void hub_release(void) {
    pthread_mutex_lock(&hub.mutex);
    hub.holds = false;
    pthread_cond_broadcast(&hub.released);
    pthread_mutex_unlock(&hub.mutex);
}

bool hub_is_holding(void) {
    pthread_mutex_lock(&hub.mutex);
    bool holding = hub.num_holding > 0;
    pthread_mutex_unlock(&hub.mutex);
    return holding;
}

void hub_reset(void) {
    hub_release();
    pthread_mutex_lock(&hub.mutex);
    for (size_t i = 0; i < hub.num_files; i++)
        free(hub.files[i].bytes);
    hub.num_files = hub.num_faults = hub.num_requests = 0;
    pthread_mutex_unlock(&hub.mutex);
    hub_set_revision("main", HUB_COMMIT);
}

const char *hub_endpoint(void) {
    static char text[64];
    snprintf(text, sizeof text, "http://127.0.0.1:%d", hub.ports[0]);
    return text;
}

/* ---- what it was asked -------------------------------------------------------------------------
 */

size_t hub_requests(const char *method, const char *part) {
    size_t count = 0;
    pthread_mutex_lock(&hub.mutex);
    for (size_t i = 0; i < hub.num_requests; i++)
        count += strstr(hub.requests[i].path, part) &&
                 (!method || strcmp(hub.requests[i].method, method) == 0);
    pthread_mutex_unlock(&hub.mutex);
    return count;
}

size_t hub_requests_at(bool other_host) {
    size_t count = 0;
    pthread_mutex_lock(&hub.mutex);
    for (size_t i = 0; i < hub.num_requests; i++)
        count += hub.requests[i].other_host == other_host;
    pthread_mutex_unlock(&hub.mutex);
    return count;
}

size_t hub_tokens_at(bool other_host, const char *token) {
    char expected[160];
    size_t count = 0;
    snprintf(expected, sizeof expected, "Bearer %s", token);
    pthread_mutex_lock(&hub.mutex);
    for (size_t i = 0; i < hub.num_requests; i++)
        count += hub.requests[i].other_host == other_host &&
                 strcmp(hub.requests[i].authorization, expected) == 0;
    pthread_mutex_unlock(&hub.mutex);
    return count;
}

const char *hub_last_range(const char *part) {
    static char range[64];
    *range = '\0';
    pthread_mutex_lock(&hub.mutex);
    for (size_t i = 0; i < hub.num_requests; i++)
        if (strcmp(hub.requests[i].method, "GET") == 0 && strstr(hub.requests[i].path, part))
            snprintf(range, sizeof range, "%s", hub.requests[i].range);
    pthread_mutex_unlock(&hub.mutex);
    return range;
}

/* ---- its answers -------------------------------------------------------------------------------
 */

/* The fault of a request, which then has happened once more; *copy holds it. */
static const hub_fault *find_fault(const request *r, hub_fault *copy) {
    for (size_t i = 0; i < hub.num_faults; i++) {
        hub_fault *f = &hub.faults[i];
        if (!strstr(r->path, f->path) || (f->method && strcmp(f->method, r->method) != 0))
            continue;
        if (f->after) {
            f->after--;
            continue;
        }
        if (!f->times)
            continue;
        f->times -= f->times != SIZE_MAX;
        *copy = *f;
        return copy;
    }
    return NULL;
}

static void add_header(reply *out, const char *format, ...) {
    va_list args;
    size_t used = strlen(out->headers);
    va_start(args, format);
    vsnprintf(out->headers + used, sizeof out->headers - used, format, args);
    va_end(args);
}

static void not_found(reply *out, const char *code) {
    out->status = 404;
    add_header(out, "X-Error-Code: %s\r\n", code);
}

/* The text of a list lives as long as the thread's next. */
static void list_files(reply *out, const char *rest) {
    static _Thread_local char text[16 << 10];
    const char *revision = strstr(rest, "/revision/");
    size_t used = 0, length = revision ? (size_t)(revision - rest) : 0;
    bool known = false;
    used += (size_t)snprintf(text, sizeof text, "{\"sha\":\"%s\",\"siblings\":[", hub.commit);
    for (size_t i = 0; i < hub.num_files && revision; i++) {
        const served_file *f = &hub.files[i];
        if (strlen(f->model) != length || memcmp(f->model, rest, length) != 0)
            continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s{\"rfilename\":\"%s\"}",
                                 known ? "," : "", f->name);
        known = true;
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "]}");
    if (!known) {
        not_found(out, "RepoNotFound");
    } else if (strcmp(revision + 10, hub.revision) != 0 && strcmp(revision + 10, hub.commit) != 0) {
        not_found(out, "RevisionNotFound");
    } else {
        out->body = text;
        out->size = used;
    }
}

/* "MODEL<between>COMMIT/FILE" */
static const served_file *find_file(const char *path, const char *between) {
    char expected[512];
    for (size_t i = 0; i < hub.num_files; i++) {
        snprintf(expected, sizeof expected, "%s%s%s/%s", hub.files[i].model, between, hub.commit,
                 hub.files[i].name);
        if (strcmp(path, expected) == 0)
            return &hub.files[i];
    }
    return NULL;
}

static void send_elsewhere(reply *out, const served_file *f) {
    out->status = f->large ? 302 : 307;
    add_header(out, "X-Repo-Commit: %s\r\n", hub.commit);
    if (f->large)
        add_header(out,
                   "X-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\n"
                   "Location: http://localhost:%d/%s/%s?Signature=secret\r\n",
                   f->hash, f->size, hub.ports[1], f->hash, f->name);
    else
        add_header(out, "Location: /api/resolve-cache/%s/%s/%s\r\n", f->model, hub.commit, f->name);
}

static void serve_bytes(reply *out, const served_file *f, const request *r,
                        const hub_fault *fault) {
    size_t first = strncmp(r->range, "bytes=", 6) == 0 ? strtoul(r->range + 6, NULL, 10) : 0;
    if (!*r->range || (fault && fault->no_range))
        first = 0;
    if (first && first >= f->size) {
        out->status = 416;
        add_header(out, "Content-Range: bytes */%zu\r\n", f->size);
        return;
    }
    if (first) {
        out->status = 206;
        add_header(out, "Content-Range: bytes %zu-%zu/%zu\r\n", first, f->size - 1, f->size);
    }
    add_header(out, "ETag: \"%s\"\r\n", f->large ? "0123-5" : f->hash);
    out->body = f->bytes + first;
    out->size = f->size - first;
}

static void answer_at_hub(reply *out, const request *r, const hub_fault *fault) {
    const served_file *f;
    if (strncmp(r->path, "/api/models/", 12) == 0) {
        list_files(out, r->path + 12);
    } else if (strncmp(r->path, "/api/resolve-cache/", 19) == 0 &&
               (f = find_file(r->path + 19, "/"))) {
        add_header(out, "X-Repo-Commit: %s\r\n", hub.commit);
        serve_bytes(out, f, r, fault);
    } else if ((f = find_file(r->path + 1, "/resolve/"))) {
        send_elsewhere(out, f);
    } else {
        not_found(out, "EntryNotFound");
    }
}

static void answer_elsewhere(reply *out, const request *r, const hub_fault *fault) {
    for (size_t i = 0; i < hub.num_files; i++)
        if (strncmp(r->path + 1, hub.files[i].hash, strlen(hub.files[i].hash)) == 0) {
            serve_bytes(out, &hub.files[i], r, fault);
            return;
        }
    out->status = 403;
}

static void answer(reply *out, const request *r, hub_fault *copy) {
    pthread_mutex_lock(&hub.mutex);
    if (hub.num_requests < MOST_REQUESTS)
        hub.requests[hub.num_requests++] = *r;
    *out = (reply){.status = 200};
    out->fault = find_fault(r, copy);
    if (out->fault && out->fault->headers)
        add_header(out, "%s", out->fault->headers);
    if (out->fault && out->fault->status) {
        out->status = out->fault->status;
        out->body = out->fault->body;
        out->size = out->fault->body ? strlen(out->fault->body) : 0;
    } else if (r->other_host) {
        answer_elsewhere(out, r, out->fault);
    } else {
        answer_at_hub(out, r, out->fault);
    }
    pthread_mutex_unlock(&hub.mutex);
}

/* ---- connections -------------------------------------------------------------------------------
 */

static bool send_all(int connection, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(connection, (const char *)bytes + done, size - done, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        done += (size_t)sent;
    }
    return true;
}

static void hold(void) {
    pthread_mutex_lock(&hub.mutex);
    hub.num_holding++;
    while (hub.holds && !hub.stopping)
        pthread_cond_wait(&hub.released, &hub.mutex);
    hub.num_holding--;
    pthread_mutex_unlock(&hub.mutex);
}

/* Some bytes, with what befalls them. False ends the connection. */
static bool send_body(int connection, const reply *out) {
    const hub_fault *fault = out->fault;
    size_t first = fault && fault->cut    ? fault->cut
                   : fault && fault->hold ? fault->hold
                                          : out->size;
    if (fault && fault->flip && out->size) {
        unsigned char *wrong = malloc(out->size);
        memcpy(wrong, out->body, out->size);
        wrong[out->size / 2] ^= 4;
        bool sent = send_all(connection, wrong, out->size);
        free(wrong);
        return sent;
    }
    first = first < out->size ? first : out->size;
    if (!send_all(connection, out->body, first) || (fault && fault->cut))
        return false;
    if (fault && fault->hold)
        hold();
    return send_all(connection, (const char *)out->body + first, out->size - first);
}

static bool reply_to(int connection, const request *r) {
    char head[2048];
    hub_fault copy;
    reply out;
    answer(&out, r, &copy);
    int length = snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n%s\r\n",
                          out.status, out.size, out.headers);
    if (!send_all(connection, head, (size_t)length))
        return false;
    return strcmp(r->method, "HEAD") == 0 || send_body(connection, &out);
}

static void take_header(const char *head, const char *name, char *out, size_t size) {
    size_t n = strlen(name);
    *out = '\0';
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0)
            snprintf(out, size, "%.*s", (int)strcspn(line + 2 + n, "\r\n"), line + 2 + n);
}

/* The request line and the headers, up to the empty line. */
static bool read_request(int connection, request *r) {
    char head[4096];
    size_t used = 0;
    while (used < 4 || memcmp(head + used - 4, "\r\n\r\n", 4) != 0)
        if (used + 1 == sizeof head || recv(connection, head + used++, 1, 0) != 1)
            return false;
    head[used] = '\0';
    take_header(head, "Range: ", r->range, sizeof r->range);
    take_header(head, "Authorization: ", r->authorization, sizeof r->authorization);
    return sscanf(head, "%7s %511s", r->method, r->path) == 2;
}

typedef struct caller {
    int connection;
    bool other_host;
} caller;

static void *serve(void *user) {
    caller c = *(caller *)user;
    request r = {.other_host = c.other_host};
    free(user);
    while (read_request(c.connection, &r) && reply_to(c.connection, &r))
        ;
    shutdown(c.connection, SHUT_RDWR); /* hub_stop closes it */
    return NULL;
}

static void *accept_all(void *user) {
    size_t which = *(size_t *)user;
    int connection;
    while ((connection = accept4(hub.listeners[which], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        pthread_mutex_lock(&hub.mutex);
        size_t i = hub.num_connections;
        caller *c = i < MOST_CONNECTIONS ? malloc(sizeof *c) : NULL;
        if (c) {
            *c = (caller){connection, which == 1};
            hub.connections[hub.num_connections++] = connection;
            pthread_create(&hub.threads[i], NULL, serve, c);
        } else {
            close(connection); /* the test that needs it fails */
        }
        pthread_mutex_unlock(&hub.mutex);
    }
    return NULL;
}

static void listen_on(size_t which) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    hub.listeners[which] = listener;
    hub.ports[which] = ntohs(address.sin_port);
}

void hub_start(void) {
    static size_t numbers[] = {0, 1};
    hub_reset();
    for (size_t i = 0; i < 2; i++) {
        listen_on(i);
        pthread_create(&hub.acceptors[i], NULL, accept_all, &numbers[i]);
    }
}

void hub_stop(void) {
    hub.stopping = true;
    hub_reset();
    for (size_t i = 0; i < 2; i++) {
        shutdown(hub.listeners[i], SHUT_RDWR);
        pthread_join(hub.acceptors[i], NULL);
        close(hub.listeners[i]);
    }
    for (size_t i = 0; i < hub.num_connections; i++) {
        shutdown(hub.connections[i], SHUT_RDWR);
        pthread_join(hub.threads[i], NULL);
        close(hub.connections[i]);
    }
}
