/* Which path is what, and the endpoints that answer at once. */
#define _POSIX_C_SOURCE 200809L

#include "conversation.h"
#include "guard.h"
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct route {
    const char *path;
    void (*get)(serve_exchange *x);
    void (*post)(serve_exchange *x, const json_t *request);
    int open; /* to everybody: no key is wanted */
} route;

static const route routes[] = {
    {"/", serve_page, NULL, 1},
    {"/health", serve_health, NULL, 1},
    {"/metrics", serve_metrics_page, NULL, 0},
    {"/v1/models", serve_models, NULL, 0},
    {"/v1/chat/completions", NULL, serve_chat, 0},
    {"/v1/completions", NULL, serve_completions, 0},
    {"/v1/responses", NULL, serve_responses, 0},
    {"/v1/embeddings", NULL, serve_embeddings, 0},
    {"/tokenize", NULL, serve_tokenize, 0},
    {"/detokenize", NULL, serve_detokenize, 0},
};

static const route one_model = {"/v1/models/{model}", serve_models, NULL, 0};

static const route *find(const char *path) {
    static const char models[] = "/v1/models/";
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(path, routes[i].path) == 0)
            return &routes[i];
    return strncmp(path, models, sizeof models - 1) == 0 ? &one_model : NULL;
}

int serve_route_head(serve_exchange *x) {
    serve_fault fault = {0};
    const route *r = find(x->path);
    x->endpoint = r ? r->path : "other";
    if (x->path[0] != '/' || strstr(x->path, "..") || strstr(x->path, "//") ||
        strstr(x->path, "%00") || strstr(x->path, "%2e") || strstr(x->path, "%2E")) {
        serve_refuse(&fault, 400, NULL, NULL, "path: got one that is not plain, wanted one of the "
                     "server's");
    } else if (!r) {
        serve_refuse(&fault, 404, "not_found", NULL, "path: there is nothing here");
    } else if (strcmp(x->method, "OPTIONS") == 0) {
        x->allow = r->get ? "GET, OPTIONS" : "POST, OPTIONS";
        serve_reply(x, 204);
        return 0;
    } else if (strcmp(x->method, r->get ? "GET" : "POST") != 0 &&
               !(r->get && strcmp(x->method, "HEAD") == 0)) {
        x->allow = r->get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
        serve_refuse(&fault, 405, "method_not_allowed", NULL, "method: wanted %s",
                     r->get ? "GET" : "POST");
    } else if (!r->open && !serve_guard_key(x->server, x->connection, &fault)) {
    } else if (r->post && x->server->drain_until > 0) {
        serve_refuse(&fault, 503, "overloaded", NULL, "the server is about to end");
    } else {
        return 1;
    }
    serve_reply_fault(x, &fault);
    return 0;
}

void serve_route(serve_exchange *x) {
    const route *r = find(x->path);
    serve_fault fault = {0};
    json_error_t error;
    if (r->get) {
        r->get(x);
        return;
    }
    serve_json_lacked(1);
    json_t *request = json_loadb(x->body.len ? x->body.data : "", x->body.len,
                                 JSON_REJECT_DUPLICATES, &error);
    if (x->server->options->log_text && request) {
        char *text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
        serve_out line = {0};
        serve_out_format(&line, "%s %.3800s\n", r->path, text ? text : "");
        serve_log_line(x->server->log, line.data, line.len);
        serve_out_free(&line);
        free(text);
    }
    if (!request)
        serve_refuse(&fault, 400, "invalid_json", NULL, "body: line %d, column %d: %s", error.line,
                     error.column, error.text);
    else if (!json_is_object(request))
        serve_refuse(&fault, 400, NULL, NULL, "body: got %s, wanted an object",
                     serve_kind(request));
    serve_out_free(&x->body);
    if (fault.status)
        serve_reply_fault(x, &fault);
    else
        r->post(x, request);
    json_decref(request);
    if (!x->job && (!x->status || serve_json_lacked(0))) { /* whatever was made of what there was */
        serve_fault lack = {0};
        serve_refuse(&lack, 503, "overloaded", NULL, "got no memory for the request");
        serve_reply_fault(x, &lack);
    }
}

/* ---- what is known at once -------------------------------------------------------------------- */

static void write_model(const serve_server *server, serve_out *out) {
    serve_out_text(out, "{\"id\":");
    serve_out_string(out, server->model_id, strlen(server->model_id));
    serve_out_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"libslm\","
                     "\"meta\":{\"n_ctx\":%u,\"n_ctx_train\":%u,\"n_embd\":%u,\"n_vocab\":%u,"
                     "\"n_params\":%llu,\"size\":%llu}}",
                     (long long)server->created, server->n_ctx, server->info.n_ctx_train,
                     server->info.d_model, server->info.n_vocab,
                     (unsigned long long)server->info.n_parameters,
                     (unsigned long long)server->info.weight_bytes);
}

/* The name behind /v1/models/, with its escapes taken out. */
static int names_model(const serve_server *server, const char *text) {
    const char *id = server->model_id;
    for (; *text && *id; text++, id++) {
        char c = *text;
        if (c == '%') {
            char digits[3] = {text[1], text[1] ? text[2] : '\0', '\0'};
            char *end;
            c = (char)strtoul(digits, &end, 16);
            if (end != digits + 2)
                return 0;
            text += 2;
        }
        if (c != *id)
            return 0;
    }
    return *text == '\0' && *id == '\0';
}

void serve_models(serve_exchange *x) {
    serve_fault fault = {0};
    if (x->endpoint == one_model.path) {
        if (names_model(x->server, x->path + strlen("/v1/models/"))) {
            write_model(x->server, &x->out);
            serve_reply(x, 200);
            return;
        }
        serve_refuse(&fault, 404, "model_not_found", "model",
                     "model: got one that is not served here, wanted %s", x->server->model_id);
        serve_reply_fault(x, &fault);
        return;
    }
    serve_out_text(&x->out, "{\"object\":\"list\",\"data\":[");
    write_model(x->server, &x->out);
    serve_out_text(&x->out, "]}");
    serve_reply(x, 200);
}

void serve_health(serve_exchange *x) {
    int draining = x->server->drain_until > 0;
    serve_out_format(&x->out, "{\"status\":\"%s\"}", draining ? "draining" : "ok");
    serve_reply(x, draining ? 503 : 200);
}

void serve_metrics_page(serve_exchange *x) {
    serve_engine_state state;
    serve_out *out = &x->out;
    const serve_server *server = x->server;
    serve_engine_get_state(server->engine, &state);
    serve_metrics_write(out, &server->metrics);
    serve_metric_write(out, "slm_requests_waiting", "gauge", "Tasks that wait for a place.",
                       state.n_waiting);
    serve_metric_write(out, "slm_requests_running", "gauge", "Tasks that are being evaluated.",
                       state.n_running);
    serve_metric_write(out, "slm_connections", "gauge", "Open connections.", server->n_connections);
    serve_metric_write(out, "slm_prompt_tokens_total", "counter", "Tokens of prompts taken in.",
                       state.batch.n_prompt);
    serve_metric_write(out, "slm_reused_tokens_total", "counter",
                       "Of these, tokens that had been evaluated for another request.",
                       state.batch.n_reused);
    serve_metric_write(out, "slm_generated_tokens_total", "counter", "Tokens of answers.",
                       state.batch.n_generated);
    serve_metric_write(out, "slm_steps_total", "counter", "Forward passes.", state.batch.n_steps);
    serve_metric_write(out, "slm_preempted_total", "counter", "Times that a task lost its place.",
                       state.batch.n_preempted);
    serve_metric_write(out, "slm_pages", "gauge", "Pages of keys and values.", state.batch.n_pages);
    serve_metric_write(out, "slm_pages_free", "gauge", "Of these, pages that nothing is in.",
                       state.batch.n_pages_free);
    serve_metric_write(out, "slm_log_lines_dropped_total", "counter",
                       "Lines of the log for which there was no room.", server->log->n_dropped);
    x->content_type = "text/plain; version=0.0.4; charset=utf-8";
    serve_reply(x, 200);
}

void serve_page(serve_exchange *x) {
    serve_out_add(&x->out, (const char *)serve_page_html, serve_page_html_len);
    x->content_type = "text/html; charset=utf-8";
    serve_reply(x, 200);
}

/* ---- tokens ----------------------------------------------------------------------------------- */

/* {"content": text, "add_special": false, "parse_special": false}, or {"messages": [...]} */
void serve_tokenize(serve_exchange *x, const json_t *body) {
    static const char *const known[] = {"model", "content", "prompt", "messages", "add_special",
                                        "parse_special", NULL};
    serve_fault fault = {0};
    const serve_object request = {.json = body};
    const char *text = NULL;
    int add_special = 0, parse_special = 0;
    int32_t *ids = NULL;
    size_t n = 0;
    x->server->metrics.n_ignored += serve_count_unknown(body, known);
    if (!serve_read_model(x->server, &request, &fault) ||
        !serve_get_text(&request, "prompt", 0, SIZE_MAX, &text, &fault) ||
        !serve_get_text(&request, "content", 0, SIZE_MAX, &text, &fault) ||
        !serve_get_flag(&request, "add_special", &add_special, &fault) ||
        !serve_get_flag(&request, "parse_special", &parse_special, &fault)) {
    } else if (text) {
        serve_text_ids(x->server, text, strlen(text), parse_special,
                       add_special ? SLM_BOS_DEFAULT : SLM_BOS_NONE, &ids, &n, "content", &fault);
    } else if (json_object_get(body, "messages")) {
        serve_read_messages(x->server, &request, &ids, &n, &fault);
    } else {
        serve_refuse_field(&fault, "content", "content: got none, wanted a string, or messages");
    }
    if (fault.status) {
        serve_reply_fault(x, &fault);
    } else {
        serve_out_text(&x->out, "{\"tokens\":[");
        for (size_t i = 0; i < n; i++)
            serve_out_format(&x->out, "%s%d", i ? "," : "", ids[i]);
        serve_out_format(&x->out, "],\"count\":%zu,\"max_model_len\":%u}", n, x->server->n_ctx);
        serve_reply(x, 200);
    }
    free(ids);
}

void serve_detokenize(serve_exchange *x, const json_t *body) {
    static const char *const known[] = {"model", "tokens", NULL};
    serve_fault fault = {0};
    const serve_object request = {.json = body};
    const json_t *tokens = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, len = 0;
    x->server->metrics.n_ignored += serve_count_unknown(body, known);
    if (!serve_read_model(x->server, &request, &fault) ||
        !serve_get_array(&request, "tokens", x->server->n_ctx, &tokens, &fault)) {
    } else if (!tokens) {
        serve_refuse_field(&fault, "tokens", "tokens: got none, wanted an array of ids");
    } else if (serve_read_ids(x->server, tokens, "tokens", &ids, &n, &fault)) {
        slm_error error = SLM_ERROR_INIT;
        const uint32_t flags = SLM_DETOKENIZE_SPECIAL | SLM_DETOKENIZE_DROP_SPACE;
        slm_status status = slm_detokenize(x->server->model, ids, n, flags, NULL, 0, &len, &error);
        if (status == SLM_OK && (text = malloc(len + 1)))
            status = slm_detokenize(x->server->model, ids, n, flags, text, len + 1, &len, &error);
        if (status != SLM_OK)
            serve_refuse_status(&fault, "tokens", &error);
        else if (!text)
            serve_refuse(&fault, 503, "overloaded", "tokens", "tokens: got no memory");
    }
    if (fault.status) {
        serve_reply_fault(x, &fault);
    } else {
        serve_out_text(&x->out, "{\"content\":");
        serve_out_string(&x->out, text, len);
        serve_out_text(&x->out, "}");
        serve_reply(x, 200);
    }
    free(text);
    free(ids);
}
