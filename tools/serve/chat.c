/* /v1/chat/completions */
#include "conversation.h"
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const known[] = {
    "model", "messages", "temperature", "top_p", "top_k", "min_p", "typical_p", "repeat_penalty",
    "presence_penalty", "frequency_penalty", "seed", "stop", "n", "max_tokens",
    "max_completion_tokens", "logprobs", "top_logprobs", "logit_bias", "stream", "stream_options",
    "tools", "tool_choice", "parallel_tool_calls", "response_format", "chat_template_kwargs", NULL};

/* ---- logprobs --------------------------------------------------------------------------------- */

/* "token": ..., "logprob": ..., "bytes": [...] */
static void write_token(serve_out *out, const char *text, size_t len, float logprob) {
    serve_out_text(out, "{\"token\":");
    serve_out_string(out, text, len);
    serve_out_text(out, ",\"logprob\":");
    serve_out_float(out, logprob < -9999.0f ? -9999.0 : logprob); /* JSON has no infinity */
    serve_out_text(out, ",\"bytes\":[");
    for (size_t i = 0; i < len; i++)
        serve_out_format(out, "%s%d", i ? "," : "", (unsigned char)text[i]);
    serve_out_text(out, "]");
}

static void add_token(serve_job *job, serve_choice *c, const serve_event *e) {
    serve_out *out = &c->logprobs[0];
    if (out->len > 0)
        serve_out_text(out, ",");
    write_token(out, e->text, e->text_len, e->logprob);
    serve_out_text(out, ",\"top_logprobs\":[");
    for (size_t i = 0; i < e->n_top; i++) {
        char text[SERVE_TOKEN_TEXT];
        size_t len = serve_token_text(job, e->top[i].id, text, out);
        if (i)
            serve_out_text(out, ",");
        write_token(out, text, len, e->top[i].logprob);
        serve_out_text(out, "}");
    }
    serve_out_text(out, "]}");
}

static void write_logprobs(const serve_job *job, serve_out *out, serve_choice *c) {
    if (!job->has_logprobs) {
        serve_out_text(out, ",\"logprobs\":null");
        return;
    }
    serve_out_text(out, ",\"logprobs\":{\"content\":[");
    serve_out_add(out, c->logprobs[0].data, c->logprobs[0].len);
    serve_out_text(out, "],\"refusal\":null}");
}

/* ---- replies ---------------------------------------------------------------------------------- */

/* A chunk up to its delta, and what follows it. */
static void begin_chunk(const serve_job *job, serve_out *out, size_t index) {
    serve_out_text(out, "data: ");
    serve_write_head(job, out, "chatcmpl", "chat.completion.chunk");
    serve_out_format(out, ",\"choices\":[{\"index\":%zu,\"delta\":{", index);
}

static void end_chunk(const serve_job *job, serve_out *out, serve_choice *c, const char *reason) {
    serve_out_text(out, "}");
    if (c->logprobs[0].len > 0) {
        write_logprobs(job, out, c);
        c->logprobs[0].len = 0;
    } else {
        serve_out_text(out, ",\"logprobs\":null");
    }
    if (reason)
        serve_out_format(out, ",\"finish_reason\":\"%s\"}]", reason);
    else
        serve_out_text(out, ",\"finish_reason\":null}]");
    serve_out_text(out, job->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void piece(serve_job *job, serve_choice *c, const serve_event *e) {
    serve_out *out = &job->x->out;
    const char *reason = NULL;
    if (e->type != SERVE_BEGIN && e->type != SERVE_TEXT && e->type != SERVE_THINKING &&
        e->type != SERVE_CALL_BEGIN && e->type != SERVE_ARGUMENTS && e->type != SERVE_END)
        return;
    begin_chunk(job, out, c->index);
    if (e->type == SERVE_BEGIN) {
        serve_out_text(out, "\"role\":\"assistant\",\"content\":\"\"");
    } else if (e->type == SERVE_TEXT || e->type == SERVE_THINKING) {
        serve_out_text(out, e->type == SERVE_TEXT ? "\"content\":" : "\"reasoning_content\":");
        serve_out_string(out, e->text, e->text_len);
    } else if (e->type == SERVE_CALL_BEGIN) {
        serve_out_format(out, "\"tool_calls\":[{\"index\":%zu,\"id\":\"%s\",\"type\":\"function\","
                         "\"function\":{\"name\":", c->n_calls - 1, c->calls[c->n_calls - 1].id);
        serve_out_string(out, e->text, e->text_len);
        serve_out_text(out, ",\"arguments\":\"\"}}]");
    } else if (e->type == SERVE_ARGUMENTS) {
        serve_out_format(out, "\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":",
                         c->n_calls - 1);
        serve_out_string(out, e->text, e->text_len);
        serve_out_text(out, "}}]");
    } else {
        reason = serve_finish_reason(c);
    }
    end_chunk(job, out, c, reason);
}

static void write_message(serve_job *job, serve_out *out, serve_choice *c) {
    serve_out_format(out, "{\"index\":%zu,\"message\":{\"role\":\"assistant\",\"content\":", c->index);
    if (c->n_calls > 0 && c->text.len == 0)
        serve_out_text(out, "null");
    else
        serve_out_string(out, c->text.data, c->text.len);
    serve_out_text(out, ",\"refusal\":null");
    if (c->thinking.len > 0) {
        serve_out_text(out, ",\"reasoning_content\":");
        serve_out_string(out, c->thinking.data, c->thinking.len);
    }
    for (size_t i = 0; i < c->n_calls; i++) {
        const serve_call *call = &c->calls[i];
        serve_out_format(out, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":",
                         i ? "," : ",\"tool_calls\":[", call->id);
        serve_out_string(out, call->name.data, call->name.len);
        serve_out_text(out, ",\"arguments\":");
        serve_out_string(out, call->arguments.data, call->arguments.len);
        serve_out_text(out, "}}");
    }
    serve_out_text(out, c->n_calls ? "]}" : "}");
    write_logprobs(job, out, c);
    serve_out_format(out, ",\"finish_reason\":\"%s\"}", serve_finish_reason(c));
}

static void finish(serve_job *job) {
    serve_out *out = &job->x->out;
    if (job->stream) {
        serve_end_stream(job, out, "chatcmpl", "chat.completion.chunk");
        return;
    }
    serve_write_head(job, out, "chatcmpl", "chat.completion");
    serve_out_text(out, ",\"choices\":[");
    for (size_t i = 0; i < job->n_choices; i++) {
        if (i)
            serve_out_text(out, ",");
        write_message(job, out, &job->choices[i]);
    }
    serve_out_text(out, "],");
    serve_write_usage(job, out);
    serve_out_text(out, "}");
}

/* ---- requests --------------------------------------------------------------------------------- */

static int read_logprobs(const serve_object *request, serve_generation *g, serve_fault *fault) {
    int64_t n_top = 0;
    if (!serve_get_flag(request, "logprobs", &g->has_logprobs, fault) ||
        !serve_get_integer(request, "top_logprobs", 0, 20, &n_top, fault))
        return 0;
    if (n_top > 0 && !g->has_logprobs)
        return serve_refuse_field(fault, "top_logprobs",
                                  "top_logprobs: wanted only with logprobs: true");
    g->n_top = (uint32_t)n_top;
    return 1;
}

void serve_chat(serve_exchange *x, const json_t *body) {
    static const serve_format format = {.token = add_token, .piece = piece, .finish = finish,
                                        .fail = serve_fail_stream};
    serve_fault fault = {0};
    serve_generation g = {0};
    const serve_object request = {.json = body};
    int32_t *ids = NULL;
    size_t n_ids = 0;
    x->server->metrics.n_ignored += serve_count_unknown(body, known);
    if (serve_read_model(x->server, &request, &fault) &&
        serve_read_generation(x->server, &request, &g, &fault) &&
        serve_read_max_tokens(&request, "max_tokens", &g, &fault) &&
        serve_read_max_tokens(&request, "max_completion_tokens", &g, &fault) &&
        read_logprobs(&request, &g, &fault) &&
        serve_read_conversation(x->server, &request, &g, &ids, &n_ids, &fault)) {
        const serve_job as = {.format = &format};
        serve_answer(x, &as, &g, SLM_REQUEST_ANSWER, &ids, &n_ids, 1);
    }
    free(ids);
    serve_generation_free(&g);
    if (fault.status)
        serve_reply_fault(x, &fault);
}
