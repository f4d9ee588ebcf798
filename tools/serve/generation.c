#define _POSIX_C_SOURCE 200809L

#include "generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STOP = 16, MAX_STOP_BYTES = 256, MAX_BIAS = 1024, MAX_ANSWERS = 8, SPARE_IDS = 64 };

int serve_read_model(const serve_server *server, const serve_object *request, serve_fault *fault) {
    const char *model = NULL;
    if (!serve_get_text(request, "model", 0, SIZE_MAX, &model, fault))
        return 0;
    if (!model || strcmp(model, server->model_id) == 0)
        return 1;
    return serve_refuse(fault, 404, "model_not_found", "model",
                        "model: got one that is not served here, wanted %s", server->model_id);
}

static int read_stop(const serve_object *request, serve_generation *g, serve_fault *fault) {
    const json_t *stop = json_object_get(request->json, "stop");
    if (!stop || json_is_null(stop))
        return 1;
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1;
    if (n > MAX_STOP)
        return serve_refuse_field(fault, "stop", "stop: got %zu texts, wanted at most %d", n,
                                  MAX_STOP);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_is_array(stop) ? json_array_get(stop, i) : stop;
        size_t len = json_string_length(text);
        if (!json_is_string(text))
            return serve_refuse_field(fault, "stop", "stop: got %s, wanted a string or an array of "
                                      "strings", serve_kind(text));
        if (len == 0 || len > MAX_STOP_BYTES)
            return serve_refuse_field(fault, "stop",
                                      "stop: got a text of %zu bytes, wanted 1 to %d", len,
                                      MAX_STOP_BYTES);
        g->stop[i] = json_string_value(text);
        g->stop_len[i] = len;
    }
    g->n_stop = n;
    return 1;
}

/* {"id": bias, ...} */
static int read_bias(const serve_server *server, const serve_object *request, serve_generation *g,
                     serve_fault *fault) {
    serve_object bias;
    const char *key;
    json_t *value;
    if (!serve_get_object(request, "logit_bias", &bias, fault) || !bias.json)
        return bias.json == NULL && fault->status == 0;
    size_t n = json_object_size(bias.json);
    if (n > MAX_BIAS)
        return serve_refuse_field(fault, "logit_bias",
                                  "logit_bias: got %zu tokens, wanted at most %d", n, MAX_BIAS);
    g->bias = malloc((n + 1) * sizeof *g->bias);
    if (!g->bias)
        return serve_refuse(fault, 503, "overloaded", "logit_bias", "logit_bias: got no memory");
    json_object_foreach((json_t *)bias.json, key, value) {
        char *end;
        long id = *key >= '0' && *key <= '9' ? strtol(key, &end, 10) : -1;
        double number = json_number_value(value);
        if (id < 0 || *end != '\0' || id >= (long)server->info.n_vocab)
            return serve_refuse_field(fault, "logit_bias",
                                      "logit_bias: got \"%.20s\", wanted ids from 0 to %u", key,
                                      server->info.n_vocab - 1);
        if (!json_is_number(value) || !(number >= -100 && number <= 100))
            return serve_refuse_field(fault, "logit_bias",
                                      "logit_bias.%ld: wanted a number from -100 to 100", id);
        g->bias[g->n_bias++] = (slm_logit_bias){.id = (int32_t)id, .bias = (float)number};
    }
    return 1;
}

static int read_sampling(serve_server *server, const serve_object *request, slm_sampling *s,
                         serve_fault *fault) {
    *s = server->sampling;
    double temperature = s->temperature, top_p = s->top_p, min_p = s->min_p;
    double typical_p = s->typical_p, repeat = s->repeat_penalty, presence = 0, frequency = 0;
    int64_t top_k = s->top_k, seed = -1;
    if (!serve_get_number(request, "temperature", 0, 2, &temperature, fault) ||
        !serve_get_number(request, "top_p", 0, 1, &top_p, fault) ||
        !serve_get_number(request, "min_p", 0, 1, &min_p, fault) ||
        !serve_get_number(request, "typical_p", 0, 1, &typical_p, fault) ||
        !serve_get_integer(request, "top_k", 0, INT32_MAX, &top_k, fault) ||
        !serve_get_number(request, "repeat_penalty", 0.01, 10, &repeat, fault) ||
        !serve_get_number(request, "presence_penalty", -2, 2, &presence, fault) ||
        !serve_get_number(request, "frequency_penalty", -2, 2, &frequency, fault) ||
        !serve_get_integer(request, "seed", 0, INT64_MAX, &seed, fault))
        return 0;
    s->temperature = (float)temperature;
    s->top_p = (float)top_p;
    s->min_p = (float)min_p;
    s->typical_p = (float)typical_p;
    s->top_k = (int32_t)top_k;
    s->repeat_penalty = (float)repeat;
    s->presence_penalty = (float)presence;
    s->frequency_penalty = (float)frequency;
    s->seed = (uint64_t)seed + 1;
    if (seed < 0) { /* another one each time */
        char id[33];
        serve_new_id(server, id);
        s->seed = server->random[0];
    }
    return 1;
}

int serve_read_generation(serve_server *server, const serve_object *request, serve_generation *g,
                          serve_fault *fault) {
    serve_object options;
    *g = (serve_generation){.n = 1};
    if (!read_sampling(server, request, &g->sampling, fault) ||
        !serve_get_integer(request, "n", 1, MAX_ANSWERS, &g->n, fault) ||
        !serve_get_flag(request, "stream", &g->stream, fault) ||
        !serve_get_object(request, "stream_options", &options, fault) ||
        !read_stop(request, g, fault) || !read_bias(server, request, g, fault))
        return 0;
    if (!options.json)
        return 1;
    if (!g->stream)
        return serve_refuse_field(fault, "stream_options",
                                  "stream_options: wanted only with stream: true");
    return serve_get_flag(&options, "include_usage", &g->include_usage, fault);
}

int serve_read_max_tokens(const serve_object *request, const char *name, serve_generation *g,
                          serve_fault *fault) {
    int64_t n = (int64_t)g->max_tokens;
    if (!serve_get_integer(request, name, 1, INT32_MAX, &n, fault))
        return 0;
    g->max_tokens = (uint64_t)n;
    return 1;
}

void serve_generation_free(serve_generation *g) {
    free(g->bias);
    free(g->guide.text);
    free(g->guide.schema);
    g->bias = NULL;
    g->guide.text = g->guide.schema = NULL;
}

/* The stop texts in one block: spans, then their bytes. */
static slm_span *copy_stop(const serve_generation *g) {
    size_t bytes = g->n_stop * sizeof(slm_span);
    for (size_t i = 0; i < g->n_stop; i++)
        bytes += g->stop_len[i];
    slm_span *spans = malloc(bytes);
    if (!spans)
        return NULL;
    char *at = (char *)(spans + g->n_stop);
    for (size_t i = 0; i < g->n_stop; i++) {
        memcpy(at, g->stop[i], g->stop_len[i]);
        spans[i] = (slm_span){.text = at, .len = g->stop_len[i]};
        at += g->stop_len[i];
    }
    return spans;
}

int serve_make_wants(const serve_generation *g, slm_request_kind kind, const int32_t *ids,
                     size_t n_ids, serve_want *wants) {
    for (size_t i = 0; i < (size_t)g->n; i++) {
        serve_want *w = &wants[i];
        *w = (serve_want){.kind = kind, .n_ids = n_ids, .sampling = g->sampling,
                          .n_stop = g->n_stop, .max_tokens = g->max_tokens, .n_top = g->n_top,
                          .want_tokens = 1, .guide = g->guide};
        w->guide.text = g->guide.text ? strdup(g->guide.text) : NULL;
        w->guide.schema = g->guide.schema ? strdup(g->guide.schema) : NULL;
        w->ids = malloc(n_ids * sizeof *w->ids);
        w->bias = g->n_bias ? malloc(g->n_bias * sizeof *w->bias) : NULL;
        w->stop = g->n_stop ? copy_stop(g) : NULL;
        w->sampling.seed += i;
        w->sampling.logit_bias = w->bias;
        w->sampling.n_logit_bias = g->n_bias;
        if (!w->ids || (g->n_bias && !w->bias) || (g->n_stop && !w->stop) ||
            (g->guide.text && !w->guide.text) || (g->guide.schema && !w->guide.schema))
            return 0;
        memcpy(w->ids, ids, n_ids * sizeof *ids);
        if (g->n_bias)
            memcpy(w->bias, g->bias, g->n_bias * sizeof *g->bias);
    }
    return 1;
}

int serve_make_ids(serve_tokenizer *tokenizer, const void *source, size_t n_bytes, int32_t **ids,
                   size_t *n, const char *param, serve_fault *fault) {
    slm_error error = SLM_ERROR_INIT;
    slm_status status = SLM_ERR_LIMIT;
    *n = 0;
    for (size_t cap = n_bytes + SPARE_IDS; status == SLM_ERR_LIMIT; cap = *n) {
        *ids = malloc(cap * sizeof **ids);
        if (!*ids)
            return serve_refuse(fault, 503, "overloaded", param, "%s: got no memory", param);
        status = tokenizer(source, *ids, cap, n, &error);
        if (status == SLM_OK)
            return 1;
        free(*ids);
        *ids = NULL;
        if (*n <= cap) /* it was not that there were more */
            break;
    }
    return serve_refuse_status(fault, param, &error);
}

typedef struct text_source {
    const serve_server *server;
    const slm_span *span;
    int32_t bos;
} text_source;

static slm_status tokenize_text(const void *source, int32_t *ids, size_t cap, size_t *n,
                                slm_error *error) {
    const text_source *s = source;
    return slm_tokenize(s->server->model, s->span, 1, s->bos, ids, cap, n, error);
}

int serve_text_ids(const serve_server *server, const char *text, size_t len, int trusted,
                   int32_t bos, int32_t **ids, size_t *n, const char *param, serve_fault *fault) {
    const slm_span span = {.text = text, .len = len, .trusted = (uint32_t)trusted};
    const text_source source = {.server = server, .span = &span, .bos = bos};
    return serve_make_ids(tokenize_text, &source, len, ids, n, param, fault);
}

int serve_check_room(const serve_server *server, size_t n_ids, const char *param,
                     serve_fault *fault) {
    if (n_ids < server->n_ctx)
        return n_ids > 0 || serve_refuse_field(fault, param, "%s: got no token, wanted at least one",
                                               param);
    return serve_refuse(fault, 400, "context_length_exceeded", param,
                        "%s: got %zu tokens, wanted less than %u, the context", param, n_ids,
                        server->n_ctx);
}

int serve_read_ids(const serve_server *server, const json_t *array, const char *path, int32_t **ids,
                   size_t *n, serve_fault *fault) {
    *n = json_array_size(array);
    *ids = NULL;
    if (*n > server->n_ctx)
        return serve_check_room(server, *n, path, fault);
    *ids = malloc((*n + 1) * sizeof **ids);
    if (!*ids)
        return serve_refuse(fault, 503, "overloaded", path, "got no memory for %zu ids", *n);
    for (size_t i = 0; i < *n; i++) {
        const json_t *id = json_array_get(array, i);
        json_int_t number = json_integer_value(id);
        if (!json_is_integer(id) || number < 0 || number >= (json_int_t)server->info.n_vocab) {
            char where[96];
            snprintf(where, sizeof where, "%.60s[%zu]", path, i);
            free(*ids);
            *ids = NULL;
            return serve_refuse_field(fault, where, "%s: got %s, wanted an id from 0 to %u", where,
                                      json_is_integer(id) ? "another integer" : serve_kind(id),
                                      server->info.n_vocab - 1);
        }
        (*ids)[i] = (int32_t)number;
    }
    return 1;
}
