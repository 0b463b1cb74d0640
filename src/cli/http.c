/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitrine.h>

#include "dynamic.h"
#include "http_headers.h"
#include "interrupt.h"
#include "text.h"

enum { MAX_REDIRECTS = 10, MAX_IGNORED = 1 << 20 };

static struct {
    CURL *(*create)(void);
    void (*destroy)(CURL *);
    CURLcode (*set)(CURL *, CURLoption, ...);
    CURLcode (*get)(CURL *, CURLINFO, ...);
    CURLcode (*perform)(CURL *);
    const char *(*strerror)(CURLcode);
    char *(*escape)(CURL *, const char *, int);
    void (*free)(void *);
    struct curl_slist *(*list_append)(struct curl_slist *, const char *);
    void (*list_free)(struct curl_slist *);
    CURLU *(*url_create)(void);
    void (*url_destroy)(CURLU *);
    CURLUcode (*url_set)(CURLU *, CURLUPart, const char *, unsigned);
    CURLUcode (*url_get)(const CURLU *, CURLUPart, char **, unsigned);
} curl;

struct http {
    CURL *handle;
    struct curl_slist *plain, *with_token; /* headers */
    char *origin;                          /* the token's */
    char error[CURL_ERROR_SIZE];
    bool reached;
    /* of the request in work */
    const http_request *request;
    http_answer *answer;
    header_reader headers; /* of it */
    size_t ignored;        /* bytes of a body that is no file's */
    bool stopped;
};

static int load(const char *command) {
    const dynamic_symbol symbols[] = {
        {"curl_easy_init", &curl.create},         {"curl_easy_cleanup", &curl.destroy},
        {"curl_easy_setopt", &curl.set},          {"curl_easy_getinfo", &curl.get},
        {"curl_easy_perform", &curl.perform},     {"curl_easy_strerror", &curl.strerror},
        {"curl_easy_escape", &curl.escape},       {"curl_free", &curl.free},
        {"curl_slist_append", &curl.list_append}, {"curl_slist_free_all", &curl.list_free},
        {"curl_url", &curl.url_create},           {"curl_url_cleanup", &curl.url_destroy},
        {"curl_url_set", &curl.url_set},          {"curl_url_get", &curl.url_get},
    };
    return dynamic_load("libcurl.so.4 libcurl-gnutls.so.4", "libcurl4", command, symbols,
                        sizeof symbols / sizeof *symbols);
}

/* ---- one exchange ------------------------------------------------------------------------------
 */

static size_t on_header(char *line, size_t size, size_t count, void *user) {
    http *h = user;
    h->reached = true;
    headers_take(&h->headers, h->answer, line, size * count);
    return size * count;
}

/* Bodies of errors and redirects are not looked at. */
static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    http *h = user;
    size *= count;
    if (h->answer->status != 200 && h->answer->status != 206) {
        h->ignored += size;
        return h->ignored > MAX_IGNORED ? 0 : size;
    }
    if (!h->request->receive(h->request->user, h->answer, bytes, size)) {
        h->stopped = true;
        return 0;
    }
    h->answer->received += size;
    return size;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)user, (void)a, (void)b, (void)c, (void)d;
    return interrupted;
}

static bool is_worth_another_try(CURLcode code) {
    static const CURLcode codes[] = {
        CURLE_COULDNT_RESOLVE_PROXY,
        CURLE_COULDNT_RESOLVE_HOST,
        CURLE_COULDNT_CONNECT,
        CURLE_WEIRD_SERVER_REPLY,
        CURLE_PARTIAL_FILE,
        CURLE_OPERATION_TIMEDOUT,
        CURLE_SSL_CONNECT_ERROR,
        CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR,
        CURLE_RECV_ERROR,
        CURLE_HTTP2,
        CURLE_HTTP2_STREAM,
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static http_outcome fail(http *h, CURLcode code) {
    const char *hint = code == CURLE_SSL_CACERT_BADFILE || code == CURLE_PEER_FAILED_VERIFICATION
                           ? "; the package ca-certificates has the public authorities"
                           : "";
    if (h->stopped || code == CURLE_ABORTED_BY_CALLBACK)
        return HTTP_STOPPED;
    if (code == CURLE_WRITE_ERROR && h->ignored > MAX_IGNORED)
        return HTTP_ANSWERED;
    snprintf(h->answer->problem, sizeof h->answer->problem, "%s%s",
             *h->error ? h->error : curl.strerror(code), hint);
    return is_worth_another_try(code) ? HTTP_BROKEN : HTTP_FAILED;
}

static bool is_same_origin(const char *a, const char *b) {
    char *x = http_origin(a), *y = http_origin(b);
    bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

static http_outcome exchange(http *h, const char *url) {
    char range[32];
    snprintf(range, sizeof range, "%zu-", h->request->first);
    headers_begin(&h->headers, h->answer);
    h->ignored = 0;
    *h->error = '\0';
    curl.set(h->handle, CURLOPT_URL, url);
    curl.set(h->handle, CURLOPT_HTTPHEADER,
             is_same_origin(url, h->origin) ? h->with_token : h->plain);
    curl.set(h->handle, CURLOPT_HTTPGET, 1L);
    curl.set(h->handle, CURLOPT_NOBODY, h->request->head ? 1L : 0L);
    curl.set(h->handle, CURLOPT_RANGE, h->request->first ? range : NULL);
    CURLcode code = curl.perform(h->handle);
    return code == CURLE_OK ? HTTP_ANSWERED : fail(h, code);
}

/* Where an answer sends to; NULL when it does not. Freed by the caller. */
static char *redirection(http *h) {
    char *url = NULL;
    if (h->answer->status / 100 != 3)
        return NULL;
    curl.get(h->handle, CURLINFO_REDIRECT_URL, &url);
    return url ? duplicate(url) : NULL;
}

/* The headers that describe a file are those of the answer that sends to where its bytes are. */
static bool is_described(const http *h, const char *url, const char *next) {
    return h->request->head && h->answer->linked_etag[0] && !is_same_origin(url, next);
}

http_outcome http_run(http *h, const http_request *request, http_answer *answer) {
    char *url = duplicate(request->url), *next;
    http_outcome outcome;
    h->request = request;
    h->answer = answer;
    h->stopped = false;
    for (size_t hops = 0;; hops++) {
        outcome = exchange(h, url);
        next = outcome == HTTP_ANSWERED ? redirection(h) : NULL;
        if (!next || is_described(h, url, next))
            break;
        free(url);
        url = next;
        if (hops == MAX_REDIRECTS) {
            snprintf(answer->problem, sizeof answer->problem, "more than %d redirects",
                     MAX_REDIRECTS);
            outcome = HTTP_FAILED;
            next = NULL;
            break;
        }
    }
    free(next);
    free(url);
    return outcome;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

/* Names of files with authorities, as other programs on libcurl take them. */
static const char *authorities(void) {
    const char *file = getenv("CURL_CA_BUNDLE");
    return file && *file ? file : getenv("SSL_CERT_FILE");
}

/* A redirect may not lead to other protocols than these: that one option must be known. */
static bool set_up(http *h, long timeout) {
    curl.set(h->handle, CURLOPT_NOSIGNAL, 1L);
    curl.set(h->handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl.set(h->handle, CURLOPT_BUFFERSIZE, 512L << 10);
    curl.set(h->handle, CURLOPT_CONNECTTIMEOUT, timeout);
    curl.set(h->handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl.set(h->handle, CURLOPT_LOW_SPEED_TIME, timeout);
    curl.set(h->handle, CURLOPT_ERRORBUFFER, h->error);
    curl.set(h->handle, CURLOPT_HEADERFUNCTION, on_header);
    curl.set(h->handle, CURLOPT_HEADERDATA, h);
    curl.set(h->handle, CURLOPT_WRITEFUNCTION, on_body);
    curl.set(h->handle, CURLOPT_WRITEDATA, h);
    curl.set(h->handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl.set(h->handle, CURLOPT_NOPROGRESS, 0L);
    if (authorities() && *authorities())
        curl.set(h->handle, CURLOPT_CAINFO, authorities());
    return curl.set(h->handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
}

/* Sizes and hashes are of the files themselves: nothing may be compressed on the way. */
static struct curl_slist *make_headers(const char *token) {
    char *agent = text_format("User-Agent: vitrine/%s", vt_version());
    char *bearer = token ? text_format("Authorization: Bearer %s", token) : NULL;
    struct curl_slist *list = curl.list_append(NULL, "Accept-Encoding: identity");
    list = curl.list_append(list, agent);
    if (bearer)
        list = curl.list_append(list, bearer);
    free(agent);
    free(bearer);
    return list;
}

int http_open(http **out, const char *origin, const char *token, long timeout,
              const char *command) {
    *out = NULL;
    int code = load(command);
    if (code != EXIT_DONE)
        return code;
    http *h = *out = allocate(1, sizeof *h);
    h->handle = curl.create();
    h->plain = make_headers(NULL);
    h->with_token = make_headers(token);
    h->origin = duplicate(origin);
    if (h->handle && h->plain && h->with_token && set_up(h, timeout))
        return EXIT_DONE;
    complain(command, "libcurl can't be set up: 7.85 or later is needed");
    return EXIT_SOME_FAILED;
}

void http_close(http *h) {
    if (!h)
        return;
    curl.destroy(h->handle);
    curl.list_free(h->plain);
    curl.list_free(h->with_token);
    free(h->origin);
    free(h);
}

bool http_reached(const http *h) {
    return h->reached;
}

char *http_escape(http *h, const char *part) {
    char *escaped = curl.escape(h->handle, part, 0);
    char *copy = duplicate(escaped ? escaped : "");
    curl.free(escaped);
    return copy;
}

/* A part of a URL, in lower case; NULL when it has none. */
static char *part_of(CURLU *url, CURLUPart part) {
    char *text = NULL;
    if (curl.url_get(url, part, &text, CURLU_DEFAULT_PORT))
        return NULL;
    char *copy = duplicate(text);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    curl.free(text);
    return copy;
}

char *http_origin(const char *text) {
    char *origin = NULL;
    CURLU *url = curl.url_create();
    if (url && curl.url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        char *scheme = part_of(url, CURLUPART_SCHEME), *host = part_of(url, CURLUPART_HOST);
        char *port = part_of(url, CURLUPART_PORT);
        if (scheme && host && port && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0))
            origin = text_format("%s://%s:%s", scheme, host, port);
        free(scheme);
        free(host);
        free(port);
    }
    curl.url_destroy(url);
    return origin;
}
