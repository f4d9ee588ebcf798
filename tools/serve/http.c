/* Requests and replies of HTTP, by libmicrohttpd. One thread: it waits for sockets, for the engine and for
 * the clock, and nothing in it waits for a client. */
#define _GNU_SOURCE

#include "connections.h"

#include "../cli.h"
#include "guard.h"
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TICK_MS = 200,
    /* A connection's memory: the request's line and headers, and what of a body is read at a time. */
    CONNECTION_BYTES = 24 * 1024,
    MAX_LINE = 8 * 1024,
    MAX_HEADERS = 100,
    RESERVED_FILES = 32,
    LAST_WORDS = 1, /* seconds for replies that the end of the server has cut short */
};
#define FAREWELL 0.5 /* seconds for requests that were on their way when the server was told to stop */

/* ---- replies ---------------------------------------------------------------------------------- */

void serve_reply(serve_exchange *x, int status) {
    x->status = status;
    if (!x->content_type)
        x->content_type = "application/json";
    x->ended = 1;
}

void serve_write_fault(serve_out *out, const serve_fault *fault) {
    serve_out_text(out, "{\"error\":{\"message\":");
    serve_out_string(out, fault->message, strlen(fault->message));
    serve_out_format(out, ",\"type\":\"%s\",\"param\":", fault->type);
    if (*fault->param)
        serve_out_string(out, fault->param, strlen(fault->param));
    else
        serve_out_text(out, "null");
    if (fault->code)
        serve_out_format(out, ",\"code\":\"%s\"}}", fault->code);
    else
        serve_out_text(out, ",\"code\":null}}");
}

void serve_reply_fault(serve_exchange *x, const serve_fault *fault) {
    x->out.len = 0;
    x->content_type = NULL;
    serve_write_fault(&x->out, fault);
    if (fault->status == 503 && x->retry_after == 0)
        x->retry_after = 1;
    serve_reply(x, fault->status);
}

void serve_resume(serve_exchange *x) {
    if (!x->suspended)
        return;
    x->suspended = 0;
    x->moved = slm_cli_now();
    MHD_resume_connection(x->connection);
}

static void suspend(serve_exchange *x) {
    x->suspended = 1;
    MHD_suspend_connection(x->connection);
}

void serve_new_id(serve_server *server, char id[33]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t words[2];
    for (int i = 0; i < 2; i++) { /* SplitMix64 */
        uint64_t z = server->random[i] += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        words[i] = z ^ (z >> 31);
    }
    for (int i = 0; i < 32; i++)
        id[i] = digits[words[i / 16] >> (i % 16 * 4) & 15];
    id[32] = '\0';
}

/* Gives libmicrohttpd the next piece of a stream. */
static ssize_t read_stream(void *cls, uint64_t position, char *buffer, size_t max) {
    serve_exchange *x = cls;
    (void)position;
    size_t n = x->out.len < max ? x->out.len : max;
    if (x->gone || x->out.failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > 0) {
        memcpy(buffer, x->out.data, n);
        serve_out_drop(&x->out, n);
        x->moved = slm_cli_now();
        return (ssize_t)n;
    }
    if (x->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    suspend(x);
    return 0;
}

/* Clears *good where there was no memory for it. */
static void add_header(struct MHD_Response *response, const char *name, const char *value,
                       int *good) {
    *good &= MHD_add_response_header(response, name, value) == MHD_YES;
}

static void add_headers(const serve_exchange *x, struct MHD_Response *response, int *good) {
    char number[16];
    if (x->content_type && x->status != 204)
        add_header(response, "Content-Type", x->content_type, good);
    add_header(response, "Cache-Control", "no-store", good);
    add_header(response, "X-Content-Type-Options", "nosniff", good);
    if (x->origin) {
        add_header(response, "Access-Control-Allow-Origin", x->origin, good);
        add_header(response, "Vary", "Origin", good);
    }
    if (x->origin && strcmp(x->method, "OPTIONS") == 0) {
        add_header(response, "Access-Control-Allow-Methods", "GET, POST", good);
        add_header(response, "Access-Control-Allow-Headers", "Authorization, Content-Type", good);
        add_header(response, "Access-Control-Max-Age", "600", good);
    }
    if (x->allow)
        add_header(response, "Allow", x->allow, good);
    if (x->status == 401)
        add_header(response, "WWW-Authenticate", "Bearer", good);
    if (x->retry_after) {
        snprintf(number, sizeof number, "%u", x->retry_after);
        add_header(response, "Retry-After", number, good);
    }
    if (x->content_type && strncmp(x->content_type, "text/html", 9) == 0)
        add_header(response, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                   "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                   good);
    if (x->server->drain_until > 0 || x->peer->refused || x->status == 408 || x->status == 413 ||
        (x->status == 400 && !x->job))
        add_header(response, "Connection", "close", good);
}

/* Hands the reply over. MHD_NO closes the connection. */
static enum MHD_Result queue_reply(serve_exchange *x) {
    struct MHD_Response *response;
    if (x->gone)
        return MHD_NO;
    if (x->out.failed && !x->streams) {
        static const char body[] = "{\"error\":{\"message\":\"got no memory for the reply\",\"type\":"
                                   "\"server_error\",\"param\":null,\"code\":null}}";
        x->status = 503;
        x->content_type = "application/json";
        x->retry_after = 1;
        response = MHD_create_response_from_buffer(sizeof body - 1, (void *)body,
                                                   MHD_RESPMEM_PERSISTENT);
    } else if (x->streams) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, read_stream, x,
                                                     NULL);
    } else {
        response = MHD_create_response_from_buffer(x->out.len, x->out.data, MHD_RESPMEM_MUST_FREE);
        if (response)
            x->out = (serve_out){0};
    }
    if (!response)
        return MHD_NO;
    int good = 1;
    add_headers(x, response, &good);
    enum MHD_Result queued =
        good ? MHD_queue_response(x->connection, (unsigned)x->status, response) : MHD_NO;
    MHD_destroy_response(response);
    x->queued = 1;
    x->moved = slm_cli_now();
    return queued;
}

/* ---- requests --------------------------------------------------------------------------------- */

static serve_exchange *begin_exchange(serve_server *server, serve_connection *peer,
                                      struct MHD_Connection *connection, const char *path,
                                      const char *method) {
    serve_exchange *x = calloc(1, sizeof *x);
    if (!x || !(x->path = strdup(path))) {
        free(x);
        return NULL;
    }
    x->server = server;
    x->connection = connection;
    x->peer = peer;
    x->method = method; /* lives as long as the request */
    x->endpoint = "other";
    x->started = x->moved = slm_cli_now();
    x->next = server->exchanges;
    if (x->next)
        x->next->previous = x;
    server->exchanges = x;
    peer->exchange = x;
    return x;
}

/* What libmicrohttpd lets pass and another reader of the same bytes might take otherwise. */
typedef struct framing {
    size_t n_headers, n_lengths, n_encodings, n_hosts, n_content_encodings, n_bad_names;
    const char *content_type;
    int chunked;
} framing;

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    const char *value) {
    framing *f = cls;
    (void)kind;
    f->n_headers++;
    f->n_bad_names += name[strcspn(name, " \t\"(),/:;<=>?@[\\]{}")] != '\0';
    f->n_lengths += strcasecmp(name, "Content-Length") == 0;
    f->n_hosts += strcasecmp(name, "Host") == 0;
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        f->n_encodings++;
        f->chunked = value && strcasecmp(value, "chunked") == 0;
    }
    if (strcasecmp(name, "Content-Encoding") == 0)
        f->n_content_encodings += !value || strcasecmp(value, "identity") != 0;
    if (strcasecmp(name, "Content-Type") == 0)
        f->content_type = value ? value : "";
    return MHD_YES;
}

static int check_framing(serve_exchange *x, const char *version, serve_fault *fault,
                         framing *f) {
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_header, f);
    if (f->n_headers > MAX_HEADERS)
        return serve_refuse(fault, 431, NULL, NULL, "headers: got %zu, wanted at most %d",
                            f->n_headers, MAX_HEADERS);
    if (f->n_bad_names > 0)
        return serve_refuse(fault, 400, NULL, NULL, "headers: got %zu names that are none",
                            f->n_bad_names);
    if (f->n_hosts > 1 || f->n_lengths > 1 || f->n_encodings > 1 ||
        (f->n_lengths > 0 && f->n_encodings > 0) || (f->n_encodings > 0 && !f->chunked))
        return serve_refuse(fault, 400, NULL, NULL,
                            "headers: got %zu Host, %zu Content-Length and %zu Transfer-Encoding, "
                            "wanted one Host, and one length or the encoding chunked",
                            f->n_hosts, f->n_lengths, f->n_encodings);
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return serve_refuse(fault, 505, NULL, NULL, "version: wanted HTTP/1.1 or HTTP/1.0");
    return 1;
}

/* "application/json", with or without parameters. */
static int is_json_type(const char *type) {
    static const char wanted[] = "application/json";
    size_t n = sizeof wanted - 1;
    if (!type || strncasecmp(type, wanted, n) != 0)
        return 0;
    return type[n] == '\0' || type[n] == ';' || type[n] == ' ';
}

static int check_body_head(serve_exchange *x, const framing *f, serve_fault *fault) {
    const char *length = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
                                                     "Content-Length");
    uint64_t n = 0;
    if (strcmp(x->method, "POST") != 0)
        return 1;
    if (f->n_content_encodings > 0)
        return serve_refuse(fault, 415, NULL, NULL,
                            "Content-Encoding: wanted none: bodies are plain JSON");
    if (!is_json_type(f->content_type))
        return serve_refuse(fault, 415, NULL, NULL, "Content-Type: got %s, wanted application/json",
                            f->content_type ? "another type" : "none");
    if (length && (!slm_cli_parse_u64(length, &n) || n > x->server->options->max_body))
        return serve_refuse(fault, 413, NULL, NULL, "body: got %s bytes, wanted at most %u",
                            length, x->server->options->max_body);
    return 1;
}

/* The head is there: what can be refused is refused now, before a body is read. */
static void take_head(serve_exchange *x, const char *version) {
    serve_fault fault = {0};
    framing f = {0};
    size_t path_len = strlen(x->path);
    if (x->peer->refused) {
        x->server->metrics.n_rejected++;
        serve_refuse(&fault, 503, "overloaded", NULL,
                     "got more than %u connections, wanted a later try", x->server->max_connections);
    } else if (!check_framing(x, version, &fault, &f)) {
    } else if (path_len > MAX_LINE) {
        serve_refuse(&fault, 414, NULL, NULL, "path: got %zu bytes, wanted at most %d", path_len,
                     MAX_LINE);
    } else if (!serve_guard_host(x->server, x->connection, &fault) ||
               !serve_guard_origin(x->server, x->connection, &x->origin, &fault)) {
    } else if (!serve_route_head(x)) {
        return;
    } else if (!check_body_head(x, &f, &fault)) {
    } else {
        return;
    }
    serve_reply_fault(x, &fault);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **context) {
    serve_server *server = cls;
    serve_exchange *x = *context;
    if (!x) {
        serve_connection *peer = MHD_get_connection_info(connection,
                                                         MHD_CONNECTION_INFO_SOCKET_CONTEXT)
                                     ->socket_context;
        x = peer ? begin_exchange(server, peer, connection, url, method) : NULL;
        if (!x)
            return MHD_NO;
        *context = x;
        serve_connection_note(peer);
        take_head(x, version);
        return x->status ? queue_reply(x) : MHD_YES;
    }
    if (*size > 0) { /* more of the body */
        x->moved = slm_cli_now();
        if (x->body.len + *size > server->options->max_body)
            x->body_too_large = 1;
        if (x->body_too_large)
            serve_out_free(&x->body);
        else
            serve_out_add(&x->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (x->queued)
        return MHD_YES;
    if (!x->status && !x->job) {
        serve_fault fault = {0};
        serve_connection_note(x->peer);
        if (x->body_too_large)
            serve_refuse(&fault, 413, NULL, NULL, "body: got more than %u bytes, wanted no more",
                         server->options->max_body);
        else if (x->body.failed)
            serve_refuse(&fault, 503, "overloaded", NULL, "body: got no memory for it");
        if (fault.status)
            serve_reply_fault(x, &fault);
        else
            serve_route(x);
    }
    if (x->status || x->gone)
        return queue_reply(x);
    suspend(x);
    return MHD_YES;
}

static void completed(void *cls, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code) {
    serve_server *server = cls;
    serve_exchange *x = *context;
    (void)connection;
    if (!x)
        return;
    *context = NULL;
    if (x->job) {
        if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
            server->metrics.n_dropped++;
        serve_job_abandon(x->job);
    }
    double seconds = slm_cli_now() - x->started;
    int whole = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    serve_metrics_request(&server->metrics, x->endpoint, whole ? x->status : 499, seconds);
    serve_log_request(server->log, x->method, x->endpoint, whole ? x->status : 499, seconds);
    if (x->previous)
        x->previous->next = x->next;
    else
        server->exchanges = x->next;
    if (x->next)
        x->next->previous = x->previous;
    serve_connection_rest(x->peer);
    serve_out_free(&x->body);
    serve_out_free(&x->out);
    free(x->path);
    free(x);
}

/* ---- the daemon ------------------------------------------------------------------------------- */

/* Paths are compared as they came: what needs unescaping is no path of ours. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

static unsigned connection_limit(const serve_options *o) {
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < limit.rlim_max) { /* a soft limit is for programs that use select() */
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    rlim_t files = limit.rlim_cur > 65536 ? 65536 : limit.rlim_cur;
    unsigned reserved = RESERVED_FILES + SERVE_MAX_REFUSED;
    unsigned most = files > 2 * reserved ? (unsigned)files - reserved : RESERVED_FILES;
    return o->max_clients && o->max_clients < most ? o->max_clients : most;
}

static int start(serve_server *server) {
    const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    server->max_connections = connection_limit(server->options);
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, server, MHD_OPTION_LISTEN_SOCKET, server->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, server->max_connections + SERVE_MAX_REFUSED,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        serve_connection_notice, server, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!server->daemon)
        return slm_cli_fail("serve: got no daemon of libmicrohttpd: %s", strerror(errno));
    return 0;
}

/* ---- the loop --------------------------------------------------------------------------------- */

/* Clients that wait in the system's queue would be cut off with it. */
static void take_in_waiting(serve_server *server, MHD_socket fd) {
    for (int i = 0; i < SOMAXCONN; i++) { /* more than were waiting: they come as fast as they are taken in */
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int client = accept4(fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0)
            MHD_add_connection(server->daemon, client, (struct sockaddr *)&address, size);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* No new connections. Those without a request have a moment for the one that may be on its way, which is told
 * that the server ends; the others go with their replies. */
static void begin_drain(serve_server *server, double now) {
    MHD_socket fd = MHD_quiesce_daemon(server->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        take_in_waiting(server, fd);
        close(fd);
    }
    server->drain_until = now + server->options->drain;
    server->farewell_until = now + FAREWELL;
}

/* The moment is over, or nobody is there who could use it. */
static int said_farewell(serve_server *server, double now) {
    int waits = 0;
    for (serve_connection *c = server->connections; c; c = c->next)
        if (!c->exchange && !c->closing) {
            waits = 1;
            if (now >= server->farewell_until)
                serve_connection_close(c);
        }
    return !waits || now >= server->farewell_until;
}

/* Time is up: whoever still waits for an answer is told so. */
static void cut(serve_server *server) {
    serve_fault fault = {0};
    serve_refuse(&fault, 503, "overloaded", NULL, "the server ends");
    for (serve_exchange *x = server->exchanges, *next; x; x = next) {
        next = x->next;
        if (x->job)
            serve_job_stop(x->job, &fault);
        else if (!x->status)
            serve_drop(x);
    }
    server->was_cut = 1;
    server->drain_until += LAST_WORDS;
}

static int wait_for_work(serve_server *server, int epoll_fd) {
    MHD_UNSIGNED_LONG_LONG mhd_ms = 0;
    int ms = TICK_MS;
    struct pollfd fds[2] = {{.fd = epoll_fd, .events = POLLIN},
                            {.fd = serve_engine_fd(server->engine), .events = POLLIN}};
    if (MHD_get_timeout(server->daemon, &mhd_ms) == MHD_YES && mhd_ms < TICK_MS)
        ms = (int)mhd_ms;
    return poll(fds, 2, ms);
}

int serve_loop(serve_server *server) {
    double next_tick = 0;
    int status = start(server);
    if (status != 0) {
        close(server->listen_fd);
        return status;
    }
    int epoll_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->listen_fd;
    for (;;) {
        wait_for_work(server, epoll_fd);
        serve_jobs_deliver(server);
        MHD_run(server->daemon);
        double now = slm_cli_now();
        if (now >= next_tick) {
            serve_connections_look(server, now);
            next_tick = now + TICK_MS * 1e-3;
        }
        if (slm_cli_interrupted()) {
            slm_cli_forget_interrupt();
            if (server->drain_until == 0)
                begin_drain(server, now);
            else if (!server->was_cut)
                server->drain_until = server->farewell_until = now;
        }
        if (server->drain_until > 0 && !server->was_cut && now >= server->drain_until)
            cut(server);
        if (server->drain_until > 0 && said_farewell(server, now) &&
            (!server->exchanges || now >= server->drain_until))
            break;
    }
    for (serve_exchange *x = server->exchanges; x; x = x->next)
        serve_drop(x);
    MHD_run(server->daemon); /* takes in those that were resumed, which stopping wants */
    MHD_stop_daemon(server->daemon);
    while (server->n_jobs > 0) { /* cancelled: the step that runs is their last */
        struct pollfd events = {.fd = serve_engine_fd(server->engine), .events = POLLIN};
        poll(&events, 1, TICK_MS);
        serve_jobs_deliver(server);
    }
    return SLM_EXIT_DONE;
}
