/* /v1/completions */
#include "generation.h"
#include "job.h"

#include "../cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPTS = 64, DEFAULT_TOKENS = 16 };
enum { TOKENS = 0, VALUES = 1, TOPS = 2, OFFSETS = 3 }; /* the lists of logprobs */

static const char *const known[] = {
    "model", "prompt", "temperature", "top_p", "top_k", "min_p", "typical_p", "repeat_penalty",
    "presence_penalty", "frequency_penalty", "seed", "stop", "n", "best_of", "max_tokens",
    "logprobs", "logit_bias", "stream", "stream_options", "echo", "suffix", "parse_special", NULL};

/* ---- replies ---------------------------------------------------------------------------------- */

static void add_value(serve_out *out, float logprob) {
    serve_out_float(out, logprob < -9999.0f ? -9999.0 : logprob);
}

static void add_token(serve_job *job, serve_choice *c, const serve_event *e) {
    for (int i = 0; i < 4; i++)
        if (c->logprobs[i].len > 0)
            serve_out_text(&c->logprobs[i], ",");
    serve_out_string(&c->logprobs[TOKENS], e->text, e->text_len);
    add_value(&c->logprobs[VALUES], e->logprob);
    serve_out_format(&c->logprobs[OFFSETS], "%llu", (unsigned long long)c->n_chars);
    for (size_t i = 0; i < e->text_len; i++)
        c->n_chars += ((unsigned char)e->text[i] & 0xc0) != 0x80;
    serve_out *out = &c->logprobs[TOPS];
    serve_out_text(out, "{");
    for (size_t i = 0; i < e->n_top; i++) {
        char text[SERVE_TOKEN_TEXT];
        size_t len = serve_token_text(job, e->top[i].id, text, out);
        if (i)
            serve_out_text(out, ",");
        serve_out_string(out, text, len);
        serve_out_text(out, ":");
        add_value(out, e->top[i].logprob);
    }
    serve_out_text(out, "}");
}

/* A choice with the logprobs since the last one; echo is the prompt before it, or NULL. */
static void write_choice(serve_job *job, serve_out *out, serve_choice *c, const char *echo,
                         const char *text, size_t len, const char *reason) {
    serve_out whole = {0};
    serve_out_text(&whole, echo ? echo : "");
    serve_out_add(&whole, text, len);
    serve_out_format(out, "{\"index\":%zu,\"text\":", c->index);
    serve_out_string(out, whole.data, whole.len);
    out->failed |= whole.failed;
    serve_out_free(&whole);
    if (job->has_logprobs) {
        static const char *const names[] = {"tokens", "token_logprobs", "top_logprobs",
                                            "text_offset"};
        for (size_t i = 0; i < 4; i++) {
            serve_out_format(out, "%s\"%s\":[", i ? "," : ",\"logprobs\":{", names[i]);
            serve_out_add(out, c->logprobs[i].data, c->logprobs[i].len);
            serve_out_text(out, "]");
            c->logprobs[i].len = 0;
        }
        serve_out_text(out, "}");
    } else {
        serve_out_text(out, ",\"logprobs\":null");
    }
    if (reason)
        serve_out_format(out, ",\"finish_reason\":\"%s\"}", reason);
    else
        serve_out_text(out, ",\"finish_reason\":null}");
}

/* The prompt of a choice as text, where it is to be repeated. */
static const char *echo_of(const serve_job *job, const serve_choice *c) {
    if (!job->request)
        return NULL;
    return json_string_value(json_array_get(job->request, c->index / job->n_answers));
}

static void piece(serve_job *job, serve_choice *c, const serve_event *e) {
    serve_out *out = &job->x->out;
    const char *echo = e->type == SERVE_BEGIN ? echo_of(job, c) : NULL;
    if (e->type != SERVE_TEXT && e->type != SERVE_END && !echo)
        return;
    serve_out_text(out, "data: ");
    serve_write_head(job, out, "cmpl", "text_completion");
    serve_out_text(out, ",\"choices\":[");
    write_choice(job, out, c, echo, e->text, e->type == SERVE_TEXT ? e->text_len : 0,
                 e->type == SERVE_END ? serve_finish_reason(c) : NULL);
    serve_out_text(out, job->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void finish(serve_job *job) {
    serve_out *out = &job->x->out;
    if (job->stream) {
        serve_end_stream(job, out, "cmpl", "text_completion");
        return;
    }
    serve_write_head(job, out, "cmpl", "text_completion");
    serve_out_text(out, ",\"choices\":[");
    for (size_t i = 0; i < job->n_choices; i++) {
        serve_choice *c = &job->choices[i];
        if (i)
            serve_out_text(out, ",");
        write_choice(job, out, c, echo_of(job, c), c->text.data, c->text.len,
                     serve_finish_reason(c));
    }
    serve_out_text(out, "],");
    serve_write_usage(job, out);
    serve_out_text(out, "}");
}

/* ---- requests --------------------------------------------------------------------------------- */

typedef struct prompts {
    int32_t *ids[MAX_PROMPTS];
    size_t n_ids[MAX_PROMPTS];
    size_t n;
    json_t *texts; /* where they are to be repeated, else NULL */
} prompts;

/* The text of a prompt that came as ids. */
static json_t *spell(const serve_server *server, const int32_t *ids, size_t n) {
    size_t len = 0;
    slm_detokenize(server->model, ids, n, SLM_DETOKENIZE_SPECIAL, NULL, 0, &len, NULL);
    char *text = malloc(len + 1);
    json_t *value = NULL;
    serve_out out = {0};
    if (text && slm_detokenize(server->model, ids, n, SLM_DETOKENIZE_SPECIAL, text, len, &len,
                               NULL) == SLM_OK) {
        serve_out_string(&out, text, len); /* ids may cut a character */
        value = out.failed ? NULL : json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
    }
    serve_out_free(&out);
    free(text);
    return value ? value : json_string("");
}

static int read_prompt(const serve_server *server, const json_t *prompt, const char *path,
                       int trusted, prompts *p, serve_fault *fault) {
    int32_t **ids = &p->ids[p->n];
    size_t *n = &p->n_ids[p->n];
    if (json_is_string(prompt)) {
        if (!serve_text_ids(server, json_string_value(prompt), json_string_length(prompt), trusted,
                            SLM_BOS_DEFAULT, ids, n, path, fault))
            return 0;
    } else if (!serve_read_ids(server, prompt, path, ids, n, fault)) {
        return 0;
    }
    if (!serve_check_room(server, *n, path, fault)) {
        free(*ids);
        return 0;
    }
    if (p->texts)
        json_array_append_new(p->texts, json_is_string(prompt) ? json_incref((json_t *)prompt)
                                                               : spell(server, *ids, *n));
    p->n++;
    return 1;
}

/* A string, an array of strings, an array of ids, or an array of arrays of ids. */
static int read_prompts(const serve_server *server, const serve_object *request, int trusted,
                        prompts *p, serve_fault *fault) {
    const json_t *prompt = json_object_get(request->json, "prompt");
    const json_t *first = json_array_get(prompt, 0);
    if (json_is_string(prompt) || (json_is_array(prompt) && !json_is_string(first) &&
                                   !json_is_array(first)))
        return read_prompt(server, prompt, "prompt", trusted, p, fault);
    if (!json_is_array(prompt))
        return serve_refuse_field(fault, "prompt", "prompt: got %s, wanted a string or an array",
                                  serve_kind(prompt));
    if (json_array_size(prompt) > MAX_PROMPTS)
        return serve_refuse_field(fault, "prompt", "prompt: got %zu prompts, wanted at most %d",
                                  json_array_size(prompt), MAX_PROMPTS);
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        const json_t *one = json_array_get(prompt, i);
        char path[32];
        snprintf(path, sizeof path, "prompt[%zu]", i);
        if (json_typeof(one) != json_typeof(first))
            return serve_refuse_field(fault, path, "%s: got %s beside %s, wanted one kind", path,
                                      serve_kind(one), serve_kind(first));
        if (!read_prompt(server, one, path, trusted, p, fault))
            return 0;
    }
    return 1;
}

static int read_request(serve_server *server, const serve_object *request, serve_generation *g,
                        prompts *p, serve_fault *fault) {
    int64_t logprobs = -1, best_of = 0;
    const char *suffix = NULL;
    int echo = 0, trusted = 0;
    if (!serve_read_model(server, request, fault) ||
        !serve_read_generation(server, request, g, fault))
        return 0;
    g->max_tokens = DEFAULT_TOKENS;
    best_of = g->n;
    if (!serve_read_max_tokens(request, "max_tokens", g, fault) ||
        !serve_get_integer(request, "logprobs", 0, 5, &logprobs, fault) ||
        !serve_get_integer(request, "best_of", g->n, g->n, &best_of, fault) ||
        !serve_get_flag(request, "echo", &echo, fault) ||
        !serve_get_flag(request, "parse_special", &trusted, fault) ||
        !serve_get_text(request, "suffix", 0, 0, &suffix, fault))
        return 0;
    g->has_logprobs = logprobs >= 0;
    g->n_top = logprobs > 0 ? (uint32_t)logprobs : 0;
    if (echo && g->has_logprobs)
        return serve_refuse_field(fault, "echo", "echo: got it with logprobs, wanted one of them");
    p->texts = echo ? json_array() : NULL;
    return read_prompts(server, request, trusted, p, fault);
}

void serve_completions(serve_exchange *x, const json_t *body) {
    static const serve_format format = {.token = add_token, .piece = piece, .finish = finish,
                                        .fail = serve_fail_stream};
    serve_fault fault = {0};
    serve_generation g = {0};
    prompts p = {0};
    const serve_object request = {.json = body};
    x->server->metrics.n_ignored += serve_count_unknown(body, known);
    if (read_request(x->server, &request, &g, &p, &fault)) {
        const serve_job as = {.format = &format, .request = p.texts};
        serve_answer(x, &as, &g, SLM_REQUEST_TEXT, p.ids, p.n_ids, p.n);
    }
    for (size_t i = 0; i < p.n; i++)
        free(p.ids[i]);
    json_decref(p.texts);
    serve_generation_free(&g);
    if (fault.status)
        serve_reply_fault(x, &fault);
}
