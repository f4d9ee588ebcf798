#define _POSIX_C_SOURCE 200809L

#include "job.h"

#include "../cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void free_choice(serve_choice *c) {
    serve_out_free(&c->text);
    serve_out_free(&c->thinking);
    for (size_t i = 0; i < 4; i++)
        serve_out_free(&c->logprobs[i]);
    for (size_t i = 0; i < c->n_calls; i++) {
        serve_out_free(&c->calls[i].name);
        serve_out_free(&c->calls[i].arguments);
    }
    free(c->calls);
    free(c->floats);
}

static void free_job(serve_job *job) {
    for (size_t i = 0; job->choices && i < job->n_choices; i++)
        free_choice(&job->choices[i]);
    free(job->choices);
    free(job->n_prompt);
    free(job->n_reused);
    free(job->state);
    json_decref(job->request);
    free(job);
}

/* Of a job that the engine has taken. */
static void close_job(serve_job *job) {
    job->server->n_jobs--;
    free_job(job);
}

/* How long until there may be room again, by how long requests have taken. */
static uint32_t retry_after(serve_server *server) {
    const serve_histogram *h = &server->metrics.seconds;
    double mean = h->n ? h->sum / (double)h->n : 1;
    return mean < 1 ? 1 : mean > 60 ? 60 : (uint32_t)mean;
}

static serve_job *no_memory(serve_exchange *x, serve_job *job, serve_want *wants, size_t n) {
    serve_fault fault = {0};
    for (size_t i = 0; i < n; i++)
        serve_want_free(&wants[i]);
    if (job)
        free_job(job);
    serve_refuse(&fault, 503, "overloaded", NULL, "got no memory for the request");
    serve_reply_fault(x, &fault);
    return NULL;
}

serve_job *serve_job_open(serve_exchange *x, const serve_job *as, serve_want *wants, size_t n) {
    serve_fault fault = {0};
    serve_server *server = x->server;
    serve_task **tasks = serve_json_lacked(0) ? NULL : calloc(n, sizeof(serve_task *));
    serve_job *job = calloc(1, sizeof *job);
    if (job) {
        *job = *as;
        job->server = server;
        job->x = x;
        job->choices = calloc(n, sizeof *job->choices);
        job->n_prompt = calloc(n, sizeof *job->n_prompt);
        job->n_reused = calloc(n, sizeof *job->n_reused);
        json_incref(job->request);
    }
    if (!tasks || !job || !job->choices || !job->n_prompt || !job->n_reused) {
        free(tasks);
        if (!job)
            free(as->state);
        return no_memory(x, job, wants, n);
    }
    serve_new_id(server, job->id);
    job->created = (int64_t)time(NULL);
    job->n_choices = job->n_open = n;
    for (size_t i = 0; i < n; i++)
        job->n_prompt[i] = wants[i].n_ids;
    if (!serve_engine_submit(server->engine, wants, n, job, tasks)) {
        server->metrics.n_rejected++;
        serve_refuse(&fault, 503, "overloaded", NULL,
                     "the queue of requests is full, wanted a later try");
        x->retry_after = retry_after(server);
        serve_reply_fault(x, &fault);
        free(tasks);
        free_job(job);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        job->choices[i].index = i;
        job->choices[i].task = tasks[i];
    }
    free(tasks);
    server->n_jobs++;
    x->job = job;
    return job;
}

void serve_answer(serve_exchange *x, const serve_job *as, const serve_generation *g,
                  slm_request_kind kind, int32_t *const *ids, const size_t *n_ids,
                  size_t n_prompts) {
    serve_job job = *as;
    size_t n = (size_t)g->n;
    serve_want *wants = calloc(n * n_prompts, sizeof *wants);
    int good = wants != NULL;
    for (size_t i = 0; good && i < n_prompts; i++)
        good = serve_make_wants(g, kind, ids[i], n_ids[i], wants + i * n);
    job.stream = g->stream;
    job.include_usage = g->include_usage;
    job.has_logprobs = g->has_logprobs;
    job.n_answers = n;
    job.guide_param = g->guide_param;
    if (good)
        serve_job_open(x, &job, wants, n * n_prompts);
    else
        no_memory(x, NULL, wants, wants ? n * n_prompts : 0);
    if (!good)
        free(job.state);
    free(wants);
}

void serve_fail_stream(serve_job *job, const serve_fault *fault) {
    serve_out_text(&job->x->out, "data: ");
    serve_write_fault(&job->x->out, fault);
    serve_out_text(&job->x->out, "\n\ndata: [DONE]\n\n");
}

static void cancel_open(serve_job *job) {
    for (size_t i = 0; i < job->n_choices; i++)
        if (job->choices[i].task)
            serve_engine_cancel(job->server->engine, job->choices[i].task);
}

void serve_job_abandon(serve_job *job) {
    job->x->job = NULL;
    job->x = NULL;
    if (job->n_open == 0)
        close_job(job);
    else
        cancel_open(job);
}

void serve_job_stop(serve_job *job, const serve_fault *fault) {
    if (job->fault.status || job->over)
        return;
    job->fault = *fault;
    cancel_open(job);
}

void serve_job_time_out(serve_job *job) {
    serve_fault fault = {0};
    serve_refuse(&fault, 504, "timeout", NULL, "the request took longer than %u s",
                 job->server->options->request_timeout);
    serve_job_stop(job, &fault);
}

void serve_job_begin_stream(serve_job *job) {
    job->began = 1;
    job->x->status = 200;
    job->x->streams = 1;
    job->x->content_type = "text/event-stream";
}

void serve_job_usage(const serve_job *job, serve_usage *usage) {
    *usage = (serve_usage){0};
    for (size_t i = 0; i < job->n_choices; i++) {
        usage->completion += job->choices[i].n_tokens;
        if (i % job->n_answers == 0) {
            usage->prompt += job->n_prompt[i];
            usage->reused += job->n_reused[i];
        }
    }
}

void serve_write_head(const serve_job *job, serve_out *out, const char *prefix,
                      const char *object) {
    serve_out_format(out, "{\"id\":\"%s-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":",
                     prefix, job->id, object, (long long)job->created);
    serve_out_string(out, job->server->model_id, strlen(job->server->model_id));
}

void serve_write_usage(const serve_job *job, serve_out *out) {
    serve_usage u;
    serve_job_usage(job, &u);
    serve_out_format(out,
                     "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\""
                     ":%llu,\"prompt_tokens_details\":{\"cached_tokens\":%llu}}",
                     (unsigned long long)u.prompt, (unsigned long long)u.completion,
                     (unsigned long long)(u.prompt + u.completion), (unsigned long long)u.reused);
}

void serve_end_stream(const serve_job *job, serve_out *out, const char *prefix,
                      const char *object) {
    if (job->include_usage) {
        serve_out_text(out, "data: ");
        serve_write_head(job, out, prefix, object);
        serve_out_text(out, ",\"choices\":[],");
        serve_write_usage(job, out);
        serve_out_text(out, "}\n\n");
    }
    serve_out_text(out, "data: [DONE]\n\n");
}

size_t serve_token_text(const serve_job *job, int32_t id, char *text, serve_out *out) {
    size_t len = 0;
    slm_status status = slm_detokenize(job->server->model, &id, 1, SLM_DETOKENIZE_SPECIAL, text,
                                       SERVE_TOKEN_TEXT, &len, NULL);
    out->failed |= status == SLM_ERR_NOMEM;
    return status == SLM_OK ? len : 0;
}

const char *serve_finish_reason(const serve_choice *choice) {
    if (choice->reason == SLM_END_LENGTH || choice->reason == SLM_END_CONTEXT)
        return "length";
    return choice->n_calls > 0 ? "tool_calls" : "stop";
}

/* ---- events ----------------------------------------------------------------------------------- */

static void begin_call(serve_job *job, serve_choice *c, const serve_event *e) {
    serve_call *larger = realloc(c->calls, (c->n_calls + 1) * sizeof *larger);
    char id[33];
    if (!larger) {
        c->text.failed = 1;
        return;
    }
    c->calls = larger;
    serve_call *call = &larger[c->n_calls++];
    *call = (serve_call){0};
    serve_new_id(job->server, id);
    snprintf(call->id, sizeof call->id, "call_%.24s", id);
    serve_out_add(&call->name, e->text, e->text_len);
}

/* All of a call that the answer ended in is in its text. */
static void drop_cut_call(serve_choice *c) {
    if (c->n_calls == 0 || c->calls[c->n_calls - 1].is_whole)
        return;
    serve_call *call = &c->calls[--c->n_calls];
    serve_out_free(&call->name);
    serve_out_free(&call->arguments);
}

static void note_token(serve_job *job, serve_choice *c, const serve_event *e) {
    double now = slm_cli_now();
    serve_metrics *m = &job->server->metrics;
    c->n_tokens = e->count;
    if (c->last_token > 0)
        serve_histogram_add(&m->between_tokens, now - c->last_token);
    else if (job->x)
        serve_histogram_add(&m->first_token, now - job->x->started);
    c->last_token = now;
    slm_token_info info = {.struct_size = sizeof info};
    slm_model_get_token(job->server->model, e->token, &info, NULL);
    if (job->has_logprobs && job->format->token && !(info.flags & SLM_TOKEN_END))
        job->format->token(job, c, e);
}

/* Adds to what has come; a stream keeps only what its end repeats. */
static void collect(serve_job *job, serve_choice *c, const serve_event *e) {
    switch (e->type) {
    case SERVE_BEGIN:
        job->n_reused[c->index] = e->n_reused;
        break;
    case SERVE_TOKEN:
        note_token(job, c, e);
        break;
    case SERVE_TEXT:
        serve_out_add(&c->text, e->text, e->text_len);
        break;
    case SERVE_THINKING:
        serve_out_add(&c->thinking, e->text, e->text_len);
        break;
    case SERVE_CALL_BEGIN:
        begin_call(job, c, e);
        break;
    case SERVE_ARGUMENTS:
        if (c->n_calls > 0)
            serve_out_add(&c->calls[c->n_calls - 1].arguments, e->text, e->text_len);
        break;
    case SERVE_CALL_END:
        if (c->n_calls > 0)
            c->calls[c->n_calls - 1].is_whole = 1;
        break;
    case SERVE_EMBEDDING:
        c->floats = malloc(e->n_floats * sizeof *c->floats);
        c->n_floats = c->floats ? e->n_floats : 0;
        if (c->floats)
            memcpy(c->floats, e->floats, e->n_floats * sizeof *c->floats);
        else
            c->text.failed = 1;
        break;
    case SERVE_END:
        c->reason = e->reason;
        if (e->count > c->n_tokens)
            c->n_tokens = e->count;
        if (!job->stream)
            drop_cut_call(c);
        break;
    default:
        break;
    }
}

static void end_job(serve_job *job) {
    serve_exchange *x = job->x;
    job->over = 1;
    if (job->fault.status && job->began) {
        job->format->fail(job, &job->fault);
        x->ended = 1;
    } else if (job->fault.status) {
        if (job->fault.status == 503)
            x->retry_after = retry_after(job->server);
        serve_reply_fault(x, &job->fault);
    } else {
        if (!job->stream)
            serve_reply(x, 200);
        job->format->finish(job);
        x->ended = 1;
    }
}

static void fail_task(serve_job *job, const serve_event *e) {
    slm_error error = SLM_ERROR_INIT;
    serve_fault fault = {0};
    error.status = e->status;
    snprintf(error.message, sizeof error.message, "%.*s", (int)e->text_len, e->text);
    int guide = e->of_guide && e->status != SLM_ERR_NOMEM; /* which is not its fault */
    serve_refuse_status(&fault, guide ? job->guide_param : NULL, &error);
    serve_job_stop(job, &fault);
}

/* There was no memory for something of it. */
static int has_gaps(const serve_choice *c) {
    int gaps = c->text.failed | c->thinking.failed;
    for (size_t i = 0; i < 4; i++)
        gaps |= c->logprobs[i].failed;
    for (size_t i = 0; i < c->n_calls; i++)
        gaps |= c->calls[i].name.failed | c->calls[i].arguments.failed;
    return gaps;
}

static void take(serve_event *e) {
    serve_task *task = e->task;
    serve_job *job = serve_task_user(task);
    serve_choice *c = &job->choices[serve_task_index(task)];
    int is_last = e->type == SERVE_END || e->type == SERVE_FAILED;
    if (is_last) {
        c->task = NULL;
        job->n_open--;
    }
    collect(job, c, e);
    if (has_gaps(c) && !job->fault.status) {
        serve_fault fault = {0};
        serve_refuse(&fault, 503, "overloaded", NULL, "got no memory for the answer");
        serve_job_stop(job, &fault);
    }
    if (job->x && e->type == SERVE_FAILED && e->status != SLM_ERR_CANCEL)
        fail_task(job, e);
    if (job->x && job->stream && !job->fault.status && e->type != SERVE_TOKEN) {
        if (!job->began)
            serve_job_begin_stream(job);
        job->format->piece(job, c, e);
    }
    serve_event_free(e);
    if (is_last)
        serve_task_free(task);
    if (job->n_open > 0) {
        if (job->x && job->began)
            serve_resume(job->x);
    } else if (job->x) {
        serve_exchange *x = job->x;
        end_job(job);
        serve_resume(x);
    } else {
        close_job(job);
    }
}

void serve_jobs_deliver(serve_server *server) {
    for (serve_event *e = serve_engine_events(server->engine), *next; e; e = next) {
        next = e->next;
        take(e);
    }
}
