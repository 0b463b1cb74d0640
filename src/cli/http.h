/* SPDX-License-Identifier: MIT
 *
 * HTTP requests, one after another on connections that are kept, by libcurl, which is loaded when
 * it is first needed. Proxies are those of libcurl's environment (https_proxy, no_proxy).
 *
 * Redirects are followed here and not by libcurl: the token goes to the origin that it is for
 * (scheme, host and port), and nowhere else.
 */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct http http;

typedef enum http_outcome {
    HTTP_ANSWERED, /* see the status */
    HTTP_BROKEN,   /* no connection, or one that broke: another try may do */
    HTTP_FAILED,   /* another try would fail as well */
    HTTP_STOPPED   /* by `receive`, or interrupted */
} http_outcome;

typedef struct http_answer {
    long status;
    /* Headers, "" where there is none. A file's hash without its quotes. */
    char etag[128], linked_etag[128], commit[64];
    char error_code[64], error_message[256];
    bool has_size;
    size_t size;     /* of the whole file */
    size_t first;    /* the body's first byte is this one of the file: 0, or what was asked for */
    size_t received; /* bytes of the body that `receive` was given */
    size_t retry_after; /* seconds; 0: it does not say */
    char problem[320];  /* what went wrong, where it was not answered */
} http_answer;

/* Takes the next bytes of a body of status 200 or 206. False stops the request. */
typedef bool (*http_receive_fn)(void *user, const http_answer *answer, const void *bytes,
                                size_t count);

typedef struct http_request {
    const char *url;
    bool head;    /* ask for the headers alone, those of the origin where it sends elsewhere */
    size_t first; /* leave out what comes before this byte */
    http_receive_fn receive;
    void *user;
} http_request;

/* Loads libcurl. `origin`: the URL that `token` (may be NULL) is for. Gives up on a connection that
 * brings nothing for `timeout` seconds. Returns an exit code, having complained in the name of
 * `command`. */
int http_open(http **out, const char *origin, const char *token, long timeout, const char *command);
void http_close(http *h);

http_outcome http_run(http *h, const http_request *request, http_answer *answer);

/* Whether the server was ever heard of. */
bool http_reached(const http *h);

/* A part of a path, percent-encoded; freed by the caller. */
char *http_escape(http *h, const char *part);

/* "https://host:port" of a URL; NULL for what is no URL of http or https. Freed by the caller. */
char *http_origin(const char *url);

#endif
