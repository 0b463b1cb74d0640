/* SPDX-License-Identifier: MIT
 *
 * vitrine pull from a hub, over connections and onto disks where something goes wrong: one line
 * says so, and the cache stays whole.
 */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "hub_check.h"
#include "hub_server.h"

#define WEIGHTS "/model.safetensors" /* behind the hash, at the other host */
#define HELD 100000

static command_result ran;

/* Fails the test unless standard error is one line, "vitrine: " and then what is expected, with %
 * for the hub's address. */
static void expect_line(const char *expected) {
    char line[1024];
    const char *here = strchr(expected, '%');
    if (here)
        snprintf(line, sizeof line, "vitrine: %.*s%s%s\n", (int)(here - expected), expected,
                 hub_endpoint(), here + 1);
    else
        snprintf(line, sizeof line, "vitrine: %s\n", expected);
    assert_string_equal(ran.err, line);
}

/* A pull that fails, tried once, with that code and line. */
static void expect_failure(int code, const char *line) {
    command_run(&ran, NULL, "pull", "--retries=0", "org/m", NULL);
    expect_line(line);
    assert_ran(&ran, code, "", NULL);
    expect_whole_cache();
}

/* The same, where the line need only have that in it. */
static void expect_failure_about(int code, const char *part) {
    command_run(&ran, NULL, "pull", "--retries=0", "org/m", NULL);
    if (!strstr(ran.err, part) || strchr(ran.err, '\n') != ran.err + strlen(ran.err) - 1)
        fail_msg("\"%s\" lacks \"%s\"", ran.err, part);
    assert_ran(&ran, code, "", NULL);
    expect_whole_cache();
}

static void expect_success(void) {
    command_run(&ran, NULL, "pull", "org/m", NULL);
    assert_int_equal(ran.code, 0);
    expect_whole_cache();
    expect_same_classes("org/m", "timm_vit_token");
}

static int serve(void **state) {
    if (hub_fresh(state) != 0)
        return -1;
    serve_case("org/m", "timm_vit_token");
    return 0;
}

/* ---- what the hub refuses ----------------------------------------------------------------------
 */

static void test_refusals(void **state) {
    static const struct {
        hub_fault fault;
        const char *token;
        int code;
        const char *line;
    } cases[] = {
        {{.path = "/api/", .status = 404, .headers = "X-Error-Code: RepoNotFound\r\n"},
         NULL,
         1,
         "org/m: no such model at %"},
        {{.path = "/api/", .status = 401, .headers = "X-Error-Code: RepoNotFound\r\n"},
         NULL,
         1,
         "org/m: not at %, or not for everybody: a private model needs a token in HF_TOKEN"},
        {{.path = "/api/", .status = 401, .headers = "X-Error-Code: RepoNotFound\r\n"},
         "hf_secret",
         1,
         "org/m: not at %, or not for the one whose token is in HF_TOKEN"},
        {{.path = "/api/",
          .status = 401,
          .headers = "X-Error-Message: Invalid credentials in Authorization header\r\n"},
         "hf_secret",
         1,
         "org/m: % does not accept the token in HF_TOKEN"},
        {{.path = "/resolve/", .status = 401, .headers = "X-Error-Code: GatedRepo\r\n"},
         NULL,
         1,
         "org/m: access is granted by its owner: ask for it at %/org/m, then set HF_TOKEN to a "
         "token of yours"},
        {{.path = "/resolve/", .status = 403, .headers = "X-Error-Code: GatedRepo\r\n"},
         "hf_secret",
         1,
         "org/m: access is granted by its owner, and the token in HF_TOKEN has none: ask for it at "
         "%/org/m"},
        {{.path = "/api/", .status = 404, .headers = "X-Error-Code: RevisionNotFound\r\n"},
         NULL,
         1,
         "org/m: no revision 'main' at %"},
        {{.path = "/resolve-cache/", .status = 404},
         NULL,
         1,
         "org/m: config.json: no such file at %"},
        {{.path = WEIGHTS, .method = "GET", .status = 404},
         NULL,
         1,
         "org/m: model.safetensors: no such file at %"},
        {{.path = "/api/", .status = 451, .headers = "X-Error-Message: Taken\tdown\r\n"},
         NULL,
         1,
         "org/m: % answered HTTP 451: Taken?down"},
        {{.path = "/api/", .status = 500}, NULL, 1, "org/m: % answered HTTP 500"},
        {{.path = "/api/", .status = 429, .headers = "Retry-After: 3600\r\n"},
         NULL,
         1,
         "org/m: % is busy and asks to wait 3600 seconds"},
        {{.path = "/api/", .status = 307, .headers = "Location: /api/models/org/m/x\r\n"},
         NULL,
         1,
         "org/m: more than 10 redirects"},
        {{.path = "/api/", .status = 307}, NULL, 1, "org/m: % answered HTTP 307"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(serve(state), 0);
        if (cases[i].token)
            setenv("HF_TOKEN", cases[i].token, 1);
        hub_befall(cases[i].fault);
        expect_failure(cases[i].code, cases[i].line);
        assert_false(is_there(cache_path("org/m", "refs/main")));
        assert_false(is_there(cache_path("org/m", "snapshots/" HUB_COMMIT)));
    }
}

/* No file of this machine, whatever a hub says. */
static void test_other_protocol(void **state) {
    (void)state;
    hub_befall(
        (hub_fault){.path = "/api/", .status = 302, .headers = "Location: file:///etc/passwd\r\n"});
    expect_failure_about(1, "vitrine: org/m: Protocol \"file\" ");
}

static void test_unreachable(void **state) {
    (void)state;
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    command_run(&ran, NULL, "pull", "org/m", NULL); /* not tried again */
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.err, "vitrine: org/m: Failed to connect to 127.0.0.1 port 1"));
    assert_null(strstr(ran.err, "again"));
    setenv("HF_ENDPOINT", "huggingface", 1);
    expect_failure(1, "HF_ENDPOINT: expected a URL such as https://huggingface.co");
    setenv("HF_ENDPOINT", "ftp://huggingface.co", 1);
    expect_failure(1, "HF_ENDPOINT: expected a URL such as https://huggingface.co");
    assert_false(is_there(hub_cache()));
}

/* ---- what it says that makes no sense ----------------------------------------------------------
 */

static void test_listings(void **state) {
    static const struct {
        const char *body, *line;
    } cases[] = {
        {"<html>", "org/m: the list of files from %: line 1, column 1: '[' or '{' expected near "
                   "'<'"},
        {"{}", "org/m: % does not answer as a hub does: no commit with a list of files"},
        {"{\"sha\":\"../../../x\",\"siblings\":[]}",
         "org/m: % does not answer as a hub does: no commit with a list of files"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":7}]}",
         "org/m: % does not answer as a hub does: no commit with a list of files"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[]}",
         "org/m: neither model.safetensors nor model.safetensors.index.json is there: nothing that "
         "vitrine reads"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"config.json\"},"
         "{\"rfilename\":\"pytorch_model.bin\"}]}",
         "org/m: its weights are pickles alone (pytorch_model.bin), which can run code: there is "
         "no model.safetensors to download"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"model.safetensors\"}]}",
         "org/m: no config.json is there: nothing says what it is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(serve(state), 0);
        hub_befall((hub_fault){.path = "/api/models/", .status = 200, .body = cases[i].body});
        expect_failure(i < 4 ? 1 : 3, cases[i].line);
        assert_false(is_there(hub_cache()));
    }
}

/* Brackets without end are refused before they fill the stack, and bytes before they fill memory.
 */
static void test_large_listings(void **state) {
    enum { DEEP = 1 << 20, LARGE = 33 << 20 };
    char *body = malloc(LARGE + 1);
    memset(body, '[', LARGE);
    body[DEEP] = '\0';
    hub_befall((hub_fault){.path = "/api/models/", .status = 200, .body = body});
    expect_failure_about(1, ": maximum parsing depth reached near '['\n");
    assert_int_equal(serve(state), 0);
    body[DEEP] = '[';
    body[LARGE] = '\0';
    hub_befall((hub_fault){.path = "/api/models/", .status = 200, .body = body});
    expect_failure(1, "org/m: the list of files from % has more than 32 MiB");
    hub_reset();
    free(body);
}

static void test_descriptions(void **state) {
    static const struct {
        const char *path, *headers, *line;
    } cases[] = {
        {"/config.json", "ETag: \"abc\"\r\n",
         "org/m: config.json: % tells neither its SHA-256 nor git's hash of it: it can't be "
         "checked"},
        {"/config.json", "ETag: \"../../../../etc/passwd-and-24-more\"\r\n",
         "org/m: config.json: % tells neither its SHA-256 nor git's hash of it: it can't be "
         "checked"},
        {"/config.json", "X-Linked-Etag: \"" HUB_COMMIT "\"\r\nX-Linked-Size: 99999999\r\n",
         "org/m: config.json: expected at most 64 MiB of JSON, found 99999999 bytes"},
        {"/config.json", "X-Linked-Etag: \"" HUB_COMMIT "\"\r\nX-Linked-Size: -1\r\n",
         "org/m: config.json: % does not tell its size"},
        {"/config.json",
         "X-Linked-Etag: \"" HUB_COMMIT "\"\r\nX-Linked-Size: 99999999999999999999\r\n",
         "org/m: config.json: % does not tell its size"},
        {"/config.json", "X-Repo-Commit: main\r\n",
         "org/m: config.json: asked for commit " HUB_COMMIT ", % answered from main"},
        {"/model.safetensors",
         "X-Linked-Etag: \"" HUB_COMMIT "\"\r\nX-Linked-Size: 9223372036854775807\r\n",
         "org/m: model.safetensors: 9223372036854775807 bytes are too many"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(serve(state), 0);
        hub_befall((hub_fault){
            .path = cases[i].path, .method = "HEAD", .status = 200, .headers = cases[i].headers});
        expect_failure(strstr(cases[i].line, "64 MiB") ? 3 : 1, cases[i].line);
    }
}

static void test_indices(void **state) {
    static const char *const shards[] = {"../../../evil.safetensors", "/etc/evil.safetensors",
                                         ".evil.safetensors",         "pytorch_model.bin",
                                         "unlisted.safetensors",      "sub/model.safetensors"};
    char index[256], line[512];
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        assert_int_equal(hub_fresh(state), 0);
        snprintf(index, sizeof index, "{\"weight_map\":{\"head.bias\":\"%s\"}}", shards[i]);
        snprintf(line, sizeof line,
                 "org/m: model.safetensors.index.json: head.bias: \"%s\" is not the name of a "
                 "safetensors file beside it",
                 shards[i]);
        hub_add("org/m", "config.json", "{}", 2);
        hub_add("org/m", "model.safetensors.index.json", index, strlen(index));
        if (!strstr(shards[i], "unlisted"))
            hub_add("org/m", shards[i], "no", 2);
        expect_failure(3, line);
        assert_int_equal(hub_requests(NULL, "evil"), 0);
    }
    assert_int_equal(hub_fresh(state), 0);
    hub_add("org/m", "config.json", "{}", 2);
    hub_add("org/m", "model.safetensors.index.json", "{\"weight_map\":[]}", 17);
    expect_failure(3, "org/m: model.safetensors.index.json: no \"weight_map\" of tensors to files");
    assert_int_equal(hub_fresh(state), 0);
    hub_add("org/m", "config.json", "{}", 2);
    hub_add("org/m", "model.safetensors.index.json", "{\n", 2);
    expect_failure_about(3, "vitrine: org/m: model.safetensors.index.json: line 2, column 0: ");
}

/* ---- bytes -------------------------------------------------------------------------------------
 */

static void test_wrong_bytes(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .times = 2, .flip = true});
    expect_failure_about(1,
                         "vitrine: org/m: model.safetensors: damaged on the way: its SHA-256 is ");
    assert_int_equal(incomplete_size("org/m"), SIZE_MAX); /* nothing of it is kept */
    expect_success();
    assert_int_equal(serve(state), 0);
    hub_befall((hub_fault){.path = "/resolve-cache/", .method = "GET", .times = 1, .flip = true});
    expect_failure_about(1, "vitrine: org/m: config.json: damaged on the way: its git hash is ");
    expect_success();
}

/* Fewer or more bytes than the hub told of. */
static void test_wrong_size(void **state) {
    char headers[256], hash[65];
    size_t size;
    (void)state;
    unsigned char *bytes = read_bytes(case_path("timm_vit_token", "model.safetensors"), &size);
    hub_hash(hash, true, bytes, size);
    free(bytes);
    snprintf(headers, sizeof headers, "X-Linked-Etag: \"%s\"\r\nX-Linked-Size: 1000\r\n", hash);
    hub_befall((hub_fault){
        .path = WEIGHTS, .method = "HEAD", .times = 1, .status = 200, .headers = headers});
    expect_failure(1, "org/m: model.safetensors: more came than the 1000 bytes it should have");
    snprintf(headers, sizeof headers, "X-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\n", hash,
             size + 1);
    hub_befall((hub_fault){
        .path = WEIGHTS, .method = "HEAD", .times = 1, .status = 200, .headers = headers});
    expect_failure_about(1, "model.safetensors: the connection ended after 389696 of 389697 bytes");
    expect_success();
}

/* The rest is asked for, and one line tells of it. */
static void test_broken_connection(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .cut = HELD});
    expect_success();
    assert_string_equal(hub_last_range(WEIGHTS), "bytes=100000-");
    assert_non_null(strstr(ran.err, "vitrine: note: org/m: model.safetensors: "));
    assert_non_null(strstr(ran.err, "; trying again in 0.5 s\n"));
}

/* A pull that ended is gone on with by the next. */
static void expect_broken_pull(void) {
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .cut = HELD});
    expect_failure_about(1, "vitrine: org/m: model.safetensors: ");
    assert_int_equal(incomplete_size("org/m"), HELD);
}

static void test_resumed(void **state) {
    (void)state;
    expect_broken_pull();
    expect_success();
    assert_string_equal(hub_last_range(WEIGHTS), "bytes=100000-");
    assert_non_null(strstr(ran.err, " 283 KiB of it downloaded"));
    assert_int_equal(incomplete_size("org/m"), SIZE_MAX);
}

/* Another part than was asked for, or one that nobody can tell, is not put where the rest goes. */
static void test_resumed_with_another_part(void **state) {
    static const char *const headers[] = {"Content-Range: bytes 7-10/389696\r\n",
                                          "Content-Range: bytes some-more/389696\r\n",
                                          "Content-Range: none\r\n", NULL};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_int_equal(serve(state), 0);
        expect_broken_pull();
        hub_befall((hub_fault){.path = WEIGHTS,
                               .method = "GET",
                               .after = 1,
                               .status = 206,
                               .headers = headers[i],
                               .body = "data"});
        expect_failure(1, "org/m: model.safetensors: other bytes came than those from 100000 on");
        assert_int_equal(incomplete_size("org/m"), HELD);
    }
}

/* A host that does not know ranges sends all of it. */
static void test_resumed_without_ranges(void **state) {
    (void)state;
    expect_broken_pull();
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .no_range = true});
    expect_success();
}

/* One that has no such part is asked for all of it. */
static void test_resumed_out_of_range(void **state) {
    (void)state;
    expect_broken_pull();
    hub_befall(
        (hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .status = 416});
    expect_success();
    assert_string_equal(hub_last_range(WEIGHTS), "");
}

/* What was left is damaged, or too much: it is brought again. */
static void test_resumed_from_damage(void **state) {
    char path[512];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(serve(state), 0);
        expect_broken_pull();
        command_run(&ran, NULL, "help", NULL);
        char hash[65];
        size_t size;
        unsigned char *bytes = read_bytes(case_path("timm_vit_token", "model.safetensors"), &size);
        hub_hash(hash, true, bytes, size);
        snprintf(path, sizeof path, "%s/%s.incomplete", cache_path("org/m", "blobs"), hash);
        bytes[500] ^= 1;
        write_bytes(path, bytes, i ? size : HELD);
        if (i)
            assert_int_equal(truncate(path, (off_t)size + 10), 0);
        free(bytes);
        expect_success();
    }
}

/* ---- a hub that is busy, or slow ---------------------------------------------------------------
 */

static void test_busy(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = "/api/models/", .times = 1, .status = 503});
    hub_befall((hub_fault){
        .path = "/config.json", .times = 1, .status = 429, .headers = "Retry-After: 1\r\n"});
    hub_befall(
        (hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .status = 500});
    expect_success();
    assert_non_null(strstr(ran.err, " answered HTTP 503; trying again in 0.5 s\n"));
    assert_non_null(strstr(ran.err, "vitrine: note: org/m: config.json: "));
    assert_non_null(strstr(ran.err, " answered HTTP 429; trying again in 1 s\n"));
    assert_non_null(strstr(ran.err, " answered HTTP 500; trying again in 0.5 s\n"));
}

/* It gives up in the end. */
static void test_busy_for_good(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .status = 503});
    command_run(&ran, NULL, "pull", "-q", "--retries=1", "org/m", NULL);
    expect_line("org/m: model.safetensors: % answered HTTP 503");
    assert_int_equal(ran.code, 1);
    assert_int_equal(hub_requests("GET", WEIGHTS), 3); /* one is sent on */
    expect_whole_cache();
}

static void test_stalled(void **state) {
    (void)state;
    setenv("HF_HUB_DOWNLOAD_TIMEOUT", "2", 1);
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .hold = HELD});
    expect_failure_about(1, "Operation too slow. Less than 1 bytes/sec");
    assert_int_equal(incomplete_size("org/m"), HELD);
    hub_release();
    unsetenv("HF_HUB_DOWNLOAD_TIMEOUT");
    expect_success();
    assert_string_equal(hub_last_range(WEIGHTS), "bytes=100000-");
}

/* ---- this machine ------------------------------------------------------------------------------
 */

static void test_no_space(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = WEIGHTS,
                           .method = "HEAD",
                           .times = 1,
                           .status = 200,
                           .headers = "X-Linked-Etag: \"" HUB_COMMIT "\"\r\n"
                                      "X-Linked-Size: 1125899906842624000\r\n"});
    expect_failure_about(1, "vitrine: org/m: 1024000 TiB are to come, and ");
    assert_non_null(strstr(ran.err, "/cache has room for "));
    assert_int_equal(hub_requests("GET", "config.json"), 0);
}

/* A disk that is full after so many bytes, as far as a process can tell. What fitted is kept. */
static void test_full_disk(void **state) {
    struct rlimit limit, before;
    (void)state;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = HELD;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    command_run(&ran, NULL, "pull", "--retries=0", "org/m", NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_ran(&ran, 1, "", NULL);
    assert_non_null(strstr(ran.err, ".incomplete: File too large\n"));
    assert_int_equal(incomplete_size("org/m"), HELD);
    expect_whole_cache();
    expect_success();
}

static void test_no_directory(void **state) {
    (void)state;
    write_text("file", "");
    setenv("HF_HUB_CACHE", "file/cache", 1);
    expect_failure(1, "file: Not a directory");
    setenv("HF_HUB_CACHE", "/proc/cache", 1);
    expect_failure(1, "/proc/cache: No such file or directory");
}

/* ---- interrupted, and two at once --------------------------------------------------------------
 */

static void test_interrupted(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .hold = HELD});
    command_interrupt(&ran, SIGINT, hub_is_holding, "pull", "org/m", NULL);
    assert_ran(&ran, 128 + SIGINT, "",
               "vitrine: pull: interrupted; the same command goes on where it stopped\n");
    expect_whole_cache();
    assert_false(is_there(cache_path("org/m", "refs/main")));
    assert_true(incomplete_size("org/m") <= HELD);
    hub_release();
    expect_success();
}

/* A minute is more than anything here takes. */
static void wait_until(bool (*ready)(void), const char *what) {
    for (size_t i = 0; !ready(); i++) {
        if (i == 6000)
            fail_msg("%s", what);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static bool second_waits(void) {
    char *text = read_text_file("second.err");
    bool waits = strstr(text, "waiting") != NULL;
    free(text);
    return waits;
}

/* The second waits for the first, and brings nothing itself. */
static void test_two_at_once(void **state) {
    (void)state;
    hub_befall((hub_fault){.path = WEIGHTS, .method = "GET", .after = 1, .times = 1, .hold = HELD});
    pid_t first = command_start("first.out", "first.err", "pull", "org/m", NULL);
    wait_until(hub_is_holding, "the first does not come to the weights");
    pid_t second = command_start("second.out", "second.err", "pull", "org/m", NULL);
    wait_until(second_waits, "the second does not wait");
    hub_release();
    command_wait(&ran, first, "first.out", "first.err");
    assert_int_equal(ran.code, 0);
    command_wait(&ran, second, "second.out", "second.err");
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.err, "vitrine: note: org/m: model.safetensors: another process "
                                    "brings it: waiting\n"));
    assert_int_equal(hub_requests("GET", WEIGHTS), 2); /* the redirect, the bytes */
    assert_int_equal(incomplete_size("org/m"), SIZE_MAX);
    expect_whole_cache();
    expect_same_classes("org/m", "timm_vit_token");
}

/* ---- the bar -----------------------------------------------------------------------------------
 */

static void test_bar(void **state) {
    char *arguments[] = {"vitrine", "pull", "org/m", NULL, NULL};
    (void)state;
    char *drawn = command_draw(arguments, "xterm");
    assert_non_null(strstr(drawn, " bytes/381 KiB "));
    assert_non_null(strstr(drawn, "/s"));
    assert_non_null(strstr(drawn, "\r\033[Kvitrine: note: org/m: 2 files"));
    free(drawn);
    assert_int_equal(serve(state), 0);
    arguments[3] = "-q";
    drawn = command_draw(arguments, "xterm");
    assert_string_equal(drawn, "");
    free(drawn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_refusals, serve),
        cmocka_unit_test_setup(test_other_protocol, serve),
        cmocka_unit_test_setup(test_unreachable, serve),
        cmocka_unit_test_setup(test_listings, serve),
        cmocka_unit_test_setup(test_large_listings, serve),
        cmocka_unit_test_setup(test_descriptions, serve),
        cmocka_unit_test_setup(test_indices, serve),
        cmocka_unit_test_setup(test_wrong_bytes, serve),
        cmocka_unit_test_setup(test_wrong_size, serve),
        cmocka_unit_test_setup(test_broken_connection, serve),
        cmocka_unit_test_setup(test_resumed, serve),
        cmocka_unit_test_setup(test_resumed_with_another_part, serve),
        cmocka_unit_test_setup(test_resumed_without_ranges, serve),
        cmocka_unit_test_setup(test_resumed_out_of_range, serve),
        cmocka_unit_test_setup(test_resumed_from_damage, serve),
        cmocka_unit_test_setup(test_busy, serve),
        cmocka_unit_test_setup(test_busy_for_good, serve),
        cmocka_unit_test_setup(test_stalled, serve),
        cmocka_unit_test_setup(test_no_space, serve),
        cmocka_unit_test_setup(test_full_disk, serve),
        cmocka_unit_test_setup(test_no_directory, serve),
        cmocka_unit_test_setup(test_interrupted, serve),
        cmocka_unit_test_setup(test_two_at_once, serve),
        cmocka_unit_test_setup(test_bar, serve),
    };
    int failed = cmocka_run_group_tests(tests, hub_workspace, hub_cleanup);
    command_free(&ran);
    return failed;
}
