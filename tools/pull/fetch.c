#define _POSIX_C_SOURCE 200809L

#include "fetch.h"

#include "../cli.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_REDIRECTS = 10,
    MAX_OTHER_BODY = 1 << 20, /* of replies that are not the file */
    CONNECT_SECONDS = 30,
    SLOWEST = 512 /* bytes a second; less is a stall */
};

/* One request and its reply. */
typedef struct exchange {
    pull_fetch *fetch;
    CURL *curl;
    char etag[PULL_MAX_ETAG];
    uint64_t range_first, range_total; /* Content-Range; total 0: "*" or none */
    int has_range, is_chunked;
    int has_head;         /* the blank line behind it has come */
    int begun;            /* bytes of the file have come */
    uint64_t total;       /* of the whole file; 0: not known */
    uint64_t n_other;     /* bytes of a body that is not the file */
    pull_outcome refused; /* not WHOLE: why the callbacks stopped it */
} exchange;

#define SAY(fetch, ...) snprintf((fetch)->why, sizeof(fetch)->why, __VA_ARGS__)

/* ---------------------------------------------------------------- addresses ------------------ */

static int is_loopback(const char *host) {
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

/* Whether the address may be asked, coming from one that was asked by https or not. */
static int may_ask(pull_fetch *f, const char *address, int *is_https) {
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL;
    int may = 0, was_https = *is_https;
    if (!url || curl_url_set(url, CURLUPART_URL, address, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        SAY(f, "got an address that cannot be read, wanted https://HOST/PATH");
    } else if (strcmp(scheme, "https") == 0) {
        may = *is_https = 1;
    } else if (strcmp(scheme, "http") != 0) {
        SAY(f, "got an address of %s, wanted one of https", scheme);
    } else if (was_https) {
        SAY(f, "got a redirection from https to http, at %s, wanted https", host);
    } else {
        may = f->options->insecure_http || is_loopback(host);
        SAY(f, "got an http address, at %s, wanted https or --insecure-http", host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(url);
    return may;
}

/* ---------------------------------------------------------------- replies -------------------- */

/* The number at *p, which is moved behind it. 0 when there is none that fits. */
static int read_number(const char **p, uint64_t *out) {
    char digits[24];
    size_t n = strspn(*p, "0123456789");
    if (n == 0 || n >= sizeof digits)
        return 0;
    memcpy(digits, *p, n);
    digits[n] = '\0';
    *p += n;
    return slm_cli_parse_u64(digits, out);
}

/* "bytes FIRST-LAST/TOTAL", TOTAL being "*" where it is not known */
static void read_range(exchange *e, const char *value) {
    uint64_t last;
    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    const char *p = value + 6;
    if (!read_number(&p, &e->range_first) || *p++ != '-' || !read_number(&p, &last) || *p++ != '/')
        return;
    e->has_range = last >= e->range_first;
    if (strcmp(p, "*") != 0 &&
        (!read_number(&p, &e->range_total) || *p != '\0' || e->range_total <= last))
        e->has_range = 0;
}

/* Only a strong validator says that bytes are the same (RFC 9110, 8.8.3 and 13.1.5). */
static void read_etag(exchange *e, const char *value) {
    size_t n = strlen(value);
    if (n < 2 || n >= sizeof e->etag || value[0] != '"' || value[n - 1] != '"')
        return;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)value[i] < 0x21 || (unsigned char)value[i] > 0x7e)
            return;
    memcpy(e->etag, value, n + 1);
}

static size_t on_header(char *data, size_t size, size_t n, void *user) {
    exchange *e = user;
    char line[1024];
    size_t len = size * n;
    size_t kept = len < sizeof line ? len : sizeof line - 1;
    memcpy(line, data, kept);
    while (kept > 0 && (line[kept - 1] == '\r' || line[kept - 1] == '\n' || line[kept - 1] == ' '))
        kept--;
    line[kept] = '\0';
    char *colon = strchr(line, ':');
    if (strncmp(line, "HTTP/", 5) == 0) { /* the next of several replies: 100, then 200 */
        e->has_range = e->is_chunked = e->has_head = 0;
        e->range_total = 0;
        e->etag[0] = '\0';
    } else if (len <= 2) {
        e->has_head = 1;
    } else if (colon && len < sizeof line) {
        *colon++ = '\0';
        colon += strspn(colon, " \t");
        if (strcasecmp(line, "ETag") == 0)
            read_etag(e, colon);
        else if (strcasecmp(line, "Content-Range") == 0)
            read_range(e, colon);
        else if (strcasecmp(line, "Transfer-Encoding") == 0)
            e->is_chunked = strcasecmp(colon, "chunked") == 0;
    }
    return len;
}

static void refuse(exchange *e, pull_outcome outcome, int status) {
    e->refused = outcome;
    e->fetch->status = status;
}

/* What there is cannot be gone on with: the next attempt begins at the beginning. */
static void begin_again(exchange *e, const char *why) {
    pull_fetch *f = e->fetch;
    int status = pull_part_restart(f->part, f->entry->address, "");
    SAY(f, "%s", why);
    refuse(e, status ? PULL_PRINTED : PULL_AGAIN, status);
}

static long status_of(const exchange *e) {
    long code = 0;
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

/* Whether the reply is the file, or the rest of it. */
static int is_file(const exchange *e) {
    return status_of(e) == 200 || status_of(e) == 206;
}

/* Whether an end of the connection before the end of the body is noticed, without a length too. */
static int has_end(const exchange *e) {
    long version = 0;
    curl_easy_getinfo(e->curl, CURLINFO_HTTP_VERSION, &version);
    return e->is_chunked || version > CURL_HTTP_VERSION_1_1;
}

/* The head of a reply that is the file, or the rest of it, has been read. Sets e->refused where it
 * is not what was wanted. */
static void check_head(exchange *e) {
    pull_fetch *f = e->fetch;
    curl_off_t length = -1;
    curl_easy_getinfo(e->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    e->total = length > 0 ? (uint64_t)length : 0;
    if (status_of(e) == 206) {
        e->total = e->range_total;
        length = -1;
        if (!e->has_range || e->range_first != f->part->size)
            return begin_again(e, "got another range than the one that was asked for");
        int may_differ = e->etag[0] || f->entry->sha256[0] == '\0';
        if (may_differ && f->part->etag[0] && strcmp(e->etag, f->part->etag) != 0)
            return begin_again(e, "got the rest of another version of the file");
        if (e->total == 0 && f->entry->size == 0)
            return begin_again(e, "got a range of a file of unknown size");
    }
    if (e->total == 0 && length != 0)
        e->total = f->entry->size;
    if (f->entry->size > 0 && e->total != f->entry->size) {
        SAY(f, "got a file of %llu bytes, wanted %llu", (unsigned long long)e->total,
            (unsigned long long)f->entry->size);
        refuse(e, PULL_FAILED, 0);
    }
}

/* The first bytes behind that head have come: before them the part is left as it is. */
static void begin_body(exchange *e) {
    pull_fetch *f = e->fetch;
    int status = 0;
    check_head(e);
    if (e->refused != PULL_WHOLE)
        return;
    if (e->total == 0 && f->entry->sha256[0] == '\0' && !has_end(e)) {
        SAY(f, "got a reply that does not say where it ends, wanted a length, or --sha256");
        return refuse(e, PULL_FAILED, 0);
    }
    e->begun = 1;
    /* 200 where the rest was asked for: the file has changed, or the server has no ranges. */
    if (status_of(e) == 200)
        status = pull_part_restart(f->part, f->entry->address, e->etag);
    if (status == 0 && e->total > f->part->size)
        status = pull_check_space(f->part->path, e->total - f->part->size);
    if (status != 0)
        refuse(e, PULL_PRINTED, status);
}

static size_t on_body(char *data, size_t size, size_t n, void *user) {
    exchange *e = user;
    pull_fetch *f = e->fetch;
    size_t len = size * n;
    if (!is_file(e)) {
        e->n_other += len;
        return e->n_other > MAX_OTHER_BODY ? 0 : len;
    }
    if (!e->begun)
        begin_body(e);
    if (e->refused != PULL_WHOLE)
        return 0;
    if (e->total > 0 && len > e->total - f->part->size) {
        SAY(f, "got more than %llu bytes, wanted these", (unsigned long long)e->total);
        refuse(e, PULL_FAILED, 0);
        return 0;
    }
    int error = pull_part_add(f->part, data, len);
    if (error == EINTR)
        refuse(e, PULL_PRINTED, SLM_EXIT_INTERRUPTED);
    else if (error != 0)
        refuse(e, PULL_PRINTED,
               slm_cli_fail("%s: cannot be written: %s", f->part->path, strerror(error)));
    slm_cli_bar(f->part->size, e->total);
    return error == 0 ? len : 0;
}

static int on_progress(void *user, curl_off_t all, curl_off_t now, curl_off_t up, curl_off_t sent) {
    (void)user, (void)all, (void)now, (void)up, (void)sent;
    return slm_cli_interrupted();
}

/* ---------------------------------------------------------------- requests ------------------- */

static int may_pass(CURLcode code) {
    static const CURLcode codes[] = {CURLE_COULDNT_RESOLVE_HOST,
                                     CURLE_COULDNT_RESOLVE_PROXY,
                                     CURLE_COULDNT_CONNECT,
                                     CURLE_PARTIAL_FILE,
                                     CURLE_OPERATION_TIMEDOUT,
                                     CURLE_GOT_NOTHING,
                                     CURLE_SEND_ERROR,
                                     CURLE_RECV_ERROR,
                                     CURLE_HTTP2,
                                     CURLE_HTTP2_STREAM,
                                     CURLE_SSL_CONNECT_ERROR};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return 1;
    return 0;
}

/* What a reply means that was read to its end. */
static pull_outcome judge_reply(exchange *e) {
    pull_fetch *f = e->fetch;
    curl_off_t wait = 0;
    long status = status_of(e);
    if (is_file(e)) {
        if (e->begun && f->part->size >= e->total)
            return PULL_WHOLE;
        if (e->begun)
            SAY(f, "got %llu of %llu bytes", (unsigned long long)f->part->size,
                (unsigned long long)e->total);
        else
            SAY(f, "got a reply without a body, wanted the file");
        return PULL_AGAIN;
    }
    if (status == 416) {
        begin_again(e, "got no such range of the file");
        return e->refused;
    }
    SAY(f, "got HTTP status %ld, wanted 200", status);
    if (status != 408 && status != 429 && status < 500)
        return PULL_FAILED;
    curl_easy_getinfo(e->curl, CURLINFO_RETRY_AFTER, &wait);
    f->wait = wait > 60 ? 60 : (uint64_t)wait;
    return PULL_AGAIN;
}

/* One request. *next: the address that it is redirected to, malloc'ed, or NULL. */
static pull_outcome ask(pull_fetch *f, CURL *curl, const char *address, char **next) {
    exchange e = {.fetch = f, .curl = curl, .refused = PULL_WHOLE};
    struct curl_slist *headers = NULL;
    char reason[CURL_ERROR_SIZE] = "", text[PULL_MAX_ETAG + 32];
    curl_easy_setopt(curl, CURLOPT_URL, address);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &e);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &e);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_RANGE, NULL);
    if (f->part->size > 0) {
        snprintf(text, sizeof text, "%llu-", (unsigned long long)f->part->size);
        curl_easy_setopt(curl, CURLOPT_RANGE, text);
        if (f->part->etag[0]) {
            snprintf(text, sizeof text, "If-Range: %s", f->part->etag);
            headers = curl_slist_append(NULL, text);
        }
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);

    char *location = NULL;
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
    if (slm_cli_interrupted()) {
        f->status = SLM_EXIT_INTERRUPTED;
        return PULL_PRINTED;
    }
    if (!e.begun && e.has_head && is_file(&e) && e.refused == PULL_WHOLE)
        check_head(&e); /* nothing came behind it */
    if (e.refused != PULL_WHOLE)
        return e.refused;
    if (code == CURLE_OK && !e.has_head) {
        SAY(f, "got a connection that ended within the head of a reply");
        return PULL_AGAIN;
    }
    int has_reply = code == CURLE_OK || e.n_other > MAX_OTHER_BODY;
    if (has_reply && location) {
        *next = strdup(location);
        return PULL_FAILED; /* there is no file yet */
    }
    if (has_reply)
        return judge_reply(&e);
    SAY(f, "%s", reason[0] ? reason : curl_easy_strerror(code));
    return may_pass(code) ? PULL_AGAIN : PULL_FAILED;
}

/* Redirections are followed here, since each address has to be one that may be asked. */
static pull_outcome follow(pull_fetch *f, CURL *curl) {
    char *address = strdup(f->entry->address);
    int is_https = 0;
    pull_outcome outcome = PULL_FAILED;
    SAY(f, "got no memory for an address");
    for (int n = 0; address && may_ask(f, address, &is_https); n++) {
        char *next = NULL;
        outcome = ask(f, curl, address, &next);
        free(address);
        address = next;
        if (!next)
            return outcome;
        outcome = PULL_FAILED;
        if (n == MAX_REDIRECTS) {
            SAY(f, "got %d redirections, wanted at most %d", n + 1, MAX_REDIRECTS);
            break;
        }
    }
    free(address);
    return outcome;
}

pull_outcome pull_fetch_rest(pull_fetch *f) {
    char agent[64];
    f->wait = 0;
    CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    if (!curl) {
        SAY(f, "libcurl cannot be started");
        return PULL_FAILED;
    }
    snprintf(agent, sizeof agent, "slm/%s", slm_version());
    curl_easy_setopt(curl, CURLOPT_USERAGENT, agent);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)f->options->stall_seconds);
    if (f->options->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, f->options->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    pull_outcome outcome = follow(f, curl);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return outcome;
}
