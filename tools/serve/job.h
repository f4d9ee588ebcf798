/* What the reply to a request waits for: tasks of the engine, and how their events become a reply. */
#ifndef SLM_TOOLS_SERVE_JOB_H
#define SLM_TOOLS_SERVE_JOB_H

#include "generation.h"

typedef struct serve_call {
    serve_out name, arguments;
    char id[40];
    int is_whole;
} serve_call;

/* What has come of one task. */
typedef struct serve_choice {
    serve_task *task; /* NULL: it has ended */
    size_t index;
    serve_out text, thinking;
    serve_call *calls;
    size_t n_calls;
    serve_out logprobs[4]; /* lists, as the format writes them, without their brackets */
    uint64_t n_chars;      /* of the tokens */
    uint64_t n_tokens;
    slm_end_reason reason;
    double last_token;
    float *floats;         /* an embedding */
    size_t n_floats;
} serve_choice;

/* How events become bytes. */
typedef struct serve_format {
    /* A token was chosen: for logprobs. NULL: not of interest. */
    void (*token)(serve_job *job, serve_choice *choice, const serve_event *event);
    /* Another event has come and the reply streams. */
    void (*piece)(serve_job *job, serve_choice *choice, const serve_event *event);
    /* All tasks ended well: the whole reply, or what ends a stream. */
    void (*finish)(serve_job *job);
    /* Ends a stream that cannot go on. */
    void (*fail)(serve_job *job, const serve_fault *fault);
} serve_format;

struct serve_job {
    serve_server *server;
    serve_exchange *x; /* NULL: the client is gone */
    const serve_format *format;
    serve_choice *choices;
    size_t n_choices, n_open;
    serve_fault fault;       /* why it is being stopped */
    const char *guide_param; /* the field that a guide came from */
    int stream, include_usage, has_logprobs, base64, began, over;
    char id[33];
    int64_t created;
    uint64_t *n_prompt, *n_reused; /* tokens, of each choice */
    size_t n_answers;        /* choices a prompt */
    json_t *request;         /* what the reply repeats of it, or NULL */
    void *state;             /* the format's, for free() */
};

/* What a job begins with; format, n_answers, stream and so on. Wants are its own from then on, in any
 * case. x->job is set, or the fault is replied. NULL then. */
serve_job *serve_job_open(serve_exchange *x, const serve_job *as, serve_want *wants, size_t n);
/* The same for g->n answers to each of some prompts; stream, logprobs and the like are g's. */
void serve_answer(serve_exchange *x, const serve_job *as, const serve_generation *g,
                  slm_request_kind kind, int32_t *const *ids, const size_t *n_ids, size_t n_prompts);
/* Nobody waits for the reply any more. */
void serve_job_abandon(serve_job *job);
/* Stops it with this fault as the reply. */
void serve_job_stop(serve_job *job, const serve_fault *fault);
void serve_job_time_out(serve_job *job);
/* Brings the events of the engine to their jobs. */
void serve_jobs_deliver(serve_server *server);

/* Bytes for the client, once they are all in x->out. */
void serve_job_begin_stream(serve_job *job);
/* serve_format.fail of the older endpoints: an error as the last event, and [DONE]. */
void serve_fail_stream(serve_job *job, const serve_fault *fault);
/* Sums over all choices; tokens of a prompt count once for all answers to it. */
typedef struct serve_usage {
    uint64_t prompt, reused, completion;
} serve_usage;
void serve_job_usage(const serve_job *job, serve_usage *usage);
/* What the replies of chat and completions begin with: an opened object, with the id ("chatcmpl-..."),
 * the kind of object, the time and the model. */
void serve_write_head(const serve_job *job, serve_out *out, const char *prefix, const char *object);
/* Their member "usage", and the end of their streams, with the usage where it was asked for. */
void serve_write_usage(const serve_job *job, serve_out *out);
void serve_end_stream(const serve_job *job, serve_out *out, const char *prefix, const char *object);
/* The bytes of a token, of which there are SERVE_TOKEN_TEXT at most; longer ones have none. out->failed is
 * set where there was no memory. */
enum { SERVE_TOKEN_TEXT = 256 };
size_t serve_token_text(const serve_job *job, int32_t id, char *text, serve_out *out);
/* "stop", "length" or "tool_calls". */
const char *serve_finish_reason(const serve_choice *choice);

#endif
