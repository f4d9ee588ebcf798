/* slm serve: the HTTP server. What it does is in serve/; here is its command line. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#ifdef SLM_HAVE_SERVE

#include "serve/conversation.h"
#include "serve/guard.h"
#include "serve/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NAMES = 64 };

/* Repeatable options. */
typedef struct names {
    const char *list[MAX_NAMES];
    size_t n;
} names;

static int add_name(const slm_opt *option, const char *value) {
    names *n = option->target;
    if (*value == '\0' || n->n == MAX_NAMES)
        return slm_cli_opt_bad(option, value, "a name, at most 64 times");
    n->list[n->n++] = value;
    return 0;
}

/* The file's name without folders and ".gguf". */
static void name_model(const char *path, char *id, size_t cap) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, ".gguf") == 0)
        n -= 5;
    if (n >= cap)
        n = cap - 1;
    memcpy(id, name, n);
    id[n] = '\0';
    for (size_t i = 0, w; i < n; i += w ? w : 1) { /* it is printed, and sent in headers of replies */
        w = slm_cli_utf8(id + i, n - i);
        if (w == 0 || slm_cli_unsafe(id + i, w) >= 0)
            memset(id + i, '_', w ? w : 1);
    }
}

static void seed(serve_server *server) {
    FILE *f = fopen("/dev/urandom", "rb");
    server->random[0] = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u;
    server->random[1] = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)server;
    if (f) {
        if (fread(server->random, sizeof server->random, 1, f) != 1)
            server->random[1] ^= server->random[0] << 7;
        fclose(f);
    }
}

static int serve(const char *path, const slm_cli_common *common, serve_options *options,
                 serve_engine_options *engine, uint32_t n_cells, int log_requests) {
    serve_log log = {.quiet = !log_requests || slm_cli_quiet()};
    serve_server server = {.options = options, .created = (int64_t)time(NULL), .log = &log,
                           .listen_fd = -1};
    slm_error error = SLM_ERROR_INIT;
    size_t n = 0;
    int status = slm_cli_open_model(path, common, 0, &server.model);
    if (status == 0)
        status = slm_cli_model_sampling(path, server.model, &server.sampling);
    if (status != 0) {
        slm_model_close(&server.model);
        return status;
    }
    if (slm_model_get_meta(server.model, "general.sampling.penalty_last_n", NULL, 0, &n, NULL) ==
        SLM_ERR_MISSING)
        server.sampling.penalty_last_n = -1; /* as the API has it: over the whole text */
    server.info.struct_size = sizeof server.info;
    slm_model_get_info(server.model, &server.info, NULL);
    name_model(path, server.model_id, sizeof server.model_id);
    slm_cli_cache_options(server.model, common, &engine->cache);
    engine->cache.n_cells = n_cells;
    if (engine->cache.chunk_ms == 0) /* a client that goes away waits for the end of a step */
        engine->cache.chunk_ms = engine->stall_ms;
    server.n_ctx = engine->cache.n_ctx;
    server.arguments_as_text = serve_arguments_as_text(server.model);
    seed(&server);
    serve_json_watch();
    status = serve_listen(&server); /* before the cache is allocated, since a port may be taken */
    if (status == 0 && serve_engine_open(server.model, engine, &server.engine, &error) != SLM_OK) {
        status = slm_cli_fail_error(path, &error);
        close(server.listen_fd);
    }
    if (status == 0) {
        int is_v6 = strchr(options->host, ':') != NULL;
        slm_cli_on_interrupt_note();
        slm_cli_note("listening on http://%s%s%s:%s, model %s, %u tokens of context, %u at a time",
                     is_v6 ? "[" : "", options->host, is_v6 ? "]" : "", server.port_text,
                     server.model_id, server.n_ctx, engine->n_running);
        status = serve_loop(&server);
        slm_cli_on_interrupt_exit();
    }
    serve_engine_close(&server.engine);
    slm_model_close(&server.model);
    return slm_cli_finish(status);
}

static int check(serve_options *options, const char *key_file) {
    options->loopback = serve_is_loopback(options->host);
    if (!options->loopback && !key_file)
        return slm_cli_usage("serve: got --host %s, which other machines can reach, without "
                             "--api-key-file, wanted both", options->host);
    if (!options->loopback && options->log_text)
        return slm_cli_usage("serve: got --log-text with --host %s, which other machines can reach, "
                             "wanted one of them", options->host);
    return key_file ? serve_read_keys(key_file, options) : 0;
}

int slm_cmd_serve(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "serve",
        .synopsis = "MODEL.gguf [options]",
        .purpose = "Serves a model over HTTP, by the interface of the OpenAI API.",
        .notes = "The end of it is SIGTERM or SIGINT: running answers may end first (--drain).\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    enum { OWN = 20 };
    slm_cli_common common = {0};
    serve_options o = {.host = "127.0.0.1", .port = 8080, .max_body = 2u << 20,
                       .max_pending = 4u << 20, .head_timeout = 10, .body_timeout = 30,
                       .idle_timeout = 600, .write_timeout = 30, .drain = 5};
    serve_engine_options engine = {.n_running = 4, .n_waiting = 64, .stall_ms = 200};
    names hosts = {0}, origins = {0};
    const char *key_file = NULL, *args[1];
    uint32_t n_cells = 0;
    int log_requests = 0;
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS + SLM_CLI_PROMPT_OPTIONS] = {
        {.name = "host", .kind = SLM_OPT_TEXT, .target = &o.host, .arg = "ADDRESS",
         .help = "where to listen (127.0.0.1); beyond this machine only with a key"},
        {.name = "port", .kind = SLM_OPT_U32, .target = &o.port, .arg = "N",
         .help = "0: any that is free (8080)", .max = 65535},
        {.name = "api-key-file", .kind = SLM_OPT_TEXT, .target = &key_file, .arg = "FILE",
         .help = "keys that clients must show, one a line"},
        {.name = "allow-host", .kind = SLM_OPT_CALL, .target = &hosts, .arg = "NAME[:PORT]",
         .help = "a further name that clients may call it by; repeatable", .call = add_name},
        {.name = "allow-origin", .kind = SLM_OPT_CALL, .target = &origins, .arg = "ORIGIN",
         .help = "a site whose pages may use it, such as https://example.org; repeatable",
         .call = add_name},
        {.name = "parallel", .kind = SLM_OPT_U32, .target = &engine.n_running, .arg = "N",
         .help = "answers that are made together (4)", .min = 1, .max = 256},
        {.name = "queue", .kind = SLM_OPT_U32, .target = &engine.n_waiting, .arg = "N",
         .help = "answers that may wait for that (64)", .max = 4096},
        {.name = "cells", .kind = SLM_OPT_U32, .target = &n_cells, .arg = "N",
         .help = "tokens that all of them can hold (--ctx times --parallel)", .max = INT32_MAX},
        {.name = "stall-ms", .kind = SLM_OPT_U32, .target = &engine.stall_ms, .arg = "N",
         .help = "how long prompts of others may keep up an answer (200)", .min = 1, .max = 60000},
        {.name = "max-body", .kind = SLM_OPT_U32, .target = &o.max_body, .arg = "BYTES",
         .help = "of a request (2097152)", .min = 1024, .max = 1 << 30},
        {.name = "max-pending", .kind = SLM_OPT_U32, .target = &o.max_pending, .arg = "BYTES",
         .help = "that a slow reader may leave unread (4194304)", .min = 4096, .max = 1 << 30},
        {.name = "max-clients", .kind = SLM_OPT_U32, .target = &o.max_clients, .arg = "N",
         .help = "connections (0: as many as there are descriptors)", .max = 65536},
        {.name = "head-timeout", .kind = SLM_OPT_U32, .target = &o.head_timeout, .arg = "S",
         .help = "seconds for a request's line and headers (10)", .min = 1, .max = 86400},
        {.name = "body-timeout", .kind = SLM_OPT_U32, .target = &o.body_timeout, .arg = "S",
         .help = "seconds for its body (30)", .min = 1, .max = 86400},
        {.name = "idle-timeout", .kind = SLM_OPT_U32, .target = &o.idle_timeout, .arg = "S",
         .help = "seconds that a connection may be quiet (600)", .min = 1, .max = 86400},
        {.name = "write-timeout", .kind = SLM_OPT_U32, .target = &o.write_timeout, .arg = "S",
         .help = "seconds that a reader may stand still (30)", .min = 1, .max = 86400},
        {.name = "request-timeout", .kind = SLM_OPT_U32, .target = &o.request_timeout, .arg = "S",
         .help = "seconds that an answer may take (0: any)", .max = 86400},
        {.name = "drain", .kind = SLM_OPT_U32, .target = &o.drain, .arg = "S",
         .help = "seconds that running answers have at the end (5)", .max = 3600},
        {.name = "log", .kind = SLM_OPT_FLAG, .target = &log_requests,
         .help = "a line on standard error for each request, without texts"},
        {.name = "log-text", .kind = SLM_OPT_FLAG, .target = &o.log_text,
         .help = "with --log: what is asked, too; only on this machine"},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    n_options += slm_cli_prompt_options(options + n_options, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, args);
    o.hosts = hosts.list;
    o.n_hosts = hosts.n;
    o.origins = origins.list;
    o.n_origins = origins.n;
    if (status < 0) {
        status = check(&o, key_file);
        if (status == 0)
            status = serve(args[0], &common, &o, &engine, n_cells, log_requests || o.log_text);
    }
    serve_free_keys(&o);
    return status;
}

#else

int slm_cmd_serve(int argc, char **argv) {
    (void)argc;
    (void)argv;
    return slm_cli_fail("serve: this build has no server, wanted one with libmicrohttpd and jansson");
}

#endif
