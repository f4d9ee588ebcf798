/* /v1/embeddings */
#include "generation.h"
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = SERVE_MAX_TASKS, IN_ORDER = 8 };

static const char *const known[] = {"model", "input", "encoding_format", "dimensions", "pooling",
                                    "user", NULL};

/* The floats as they lie in memory on every machine that this runs on: little-endian. */
static void write_base64(serve_out *out, const float *floats, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)floats;
    size_t size = n * sizeof *floats;
    serve_out_text(out, "\"");
    for (size_t i = 0; i < size; i += 3) {
        uint32_t word = (uint32_t)p[i] << 16 | (i + 1 < size ? (uint32_t)p[i + 1] << 8 : 0) |
                        (i + 2 < size ? p[i + 2] : 0);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        i + 1 < size ? digits[word >> 6 & 63] : '=',
                        i + 2 < size ? digits[word & 63] : '='};
        serve_out_add(out, four, 4);
    }
    serve_out_text(out, "\"");
}

static void finish(serve_job *job) {
    serve_out *out = &job->x->out;
    serve_usage u;
    serve_out_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < job->n_choices; i++) {
        const serve_choice *c = &job->choices[i];
        serve_out_format(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":",
                         i ? "," : "", i);
        if (job->base64) {
            write_base64(out, c->floats, c->n_floats);
        } else {
            for (size_t k = 0; k < c->n_floats; k++) {
                serve_out_text(out, k ? "," : "[");
                serve_out_float(out, c->floats[k]);
            }
            serve_out_text(out, "]");
        }
        serve_out_text(out, "}");
    }
    serve_job_usage(job, &u);
    serve_out_text(out, "],\"model\":");
    serve_out_string(out, job->server->model_id, strlen(job->server->model_id));
    serve_out_format(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
                     (unsigned long long)u.prompt, (unsigned long long)u.prompt);
}

static int read_input(serve_server *server, const json_t *input, const char *path, serve_want *want,
                      serve_fault *fault) {
    int good = 0;
    if (json_is_string(input))
        good = serve_text_ids(server, json_string_value(input), json_string_length(input), 0,
                              SLM_BOS_DEFAULT, &want->ids, &want->n_ids, path, fault);
    else if (json_is_array(input))
        good = serve_read_ids(server, input, path, &want->ids, &want->n_ids, fault);
    else
        return serve_refuse_field(fault, path, "%s: got %s, wanted a string or an array of ids",
                                  path, serve_kind(input));
    /* An embedding may fill the context: nothing follows. */
    return good && serve_check_room(server, want->n_ids - (want->n_ids == server->n_ctx), path,
                                    fault);
}

static int read_request(serve_server *server, const serve_object *request, serve_want *wants,
                        size_t *n, int *base64, serve_fault *fault) {
    const char *encoding = "float", *pooling = "mean";
    const json_t *input = json_object_get(request->json, "input");
    const json_t *first = json_array_get(input, 0);
    int64_t dimensions = server->info.d_model;
    int single = !json_is_array(input) || json_is_integer(first);
    if (!serve_read_model(server, request, fault) ||
        !serve_get_text(request, "encoding_format", 0, 64, &encoding, fault) ||
        !serve_get_text(request, "pooling", 0, 64, &pooling, fault) ||
        !serve_get_integer(request, "dimensions", dimensions, dimensions, &dimensions, fault))
        return 0;
    if (strcmp(encoding, "float") != 0 && strcmp(encoding, "base64") != 0)
        return serve_refuse_field(fault, "encoding_format",
                                  "encoding_format: got another, wanted float or base64");
    if (strcmp(pooling, "mean") != 0 && strcmp(pooling, "last") != 0)
        return serve_refuse_field(fault, "pooling", "pooling: got another, wanted mean or last");
    *base64 = strcmp(encoding, "base64") == 0;
    size_t count = single ? 1 : json_array_size(input);
    if (count == 0 || count > MAX_INPUTS)
        return serve_refuse_field(fault, "input", "input: got %zu texts, wanted 1 to %d", count,
                                  MAX_INPUTS);
    for (size_t i = 0; i < count; i++) {
        char path[32];
        snprintf(path, sizeof path, single ? "input" : "input[%zu]", i);
        serve_want *w = &wants[(*n)++];
        *w = (serve_want){.kind = SLM_REQUEST_EMBED,
                          .priority = i < IN_ORDER ? 0 : -1, /* who asks for little waits for little */
                          .pooling = strcmp(pooling, "last") == 0 ? SLM_POOLING_LAST
                                                                  : SLM_POOLING_MEAN};
        if (!read_input(server, single ? input : json_array_get(input, i), path, w, fault))
            return 0;
    }
    return 1;
}

void serve_embeddings(serve_exchange *x, const json_t *body) {
    static const serve_format format = {.finish = finish};
    serve_fault fault = {0};
    const serve_object request = {.json = body};
    serve_want *wants = calloc(MAX_INPUTS, sizeof *wants);
    size_t n = 0;
    int base64 = 0;
    x->server->metrics.n_ignored += serve_count_unknown(body, known);
    if (!wants) {
        serve_refuse(&fault, 503, "overloaded", NULL, "got no memory for the request");
    } else if (read_request(x->server, &request, wants, &n, &base64, &fault)) {
        const serve_job as = {.format = &format, .n_answers = 1, .guide_param = "input",
                              .base64 = base64};
        serve_job_open(x, &as, wants, n);
    } else {
        for (size_t i = 0; i < n; i++)
            serve_want_free(&wants[i]);
    }
    free(wants);
    if (fault.status)
        serve_reply_fault(x, &fault);
}
