/*
 * slm_batch.h - the third part of the public interface: many requests to one model answered
 * together, and embeddings of texts. It is a part of slm.h and included with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SLM_BATCH_H
#define SLM_BATCH_H

#include "slm_chat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- batch ---------------------- */

/* A batch answers requests that come and go while it runs (continuous batching). Each call of
 * slm_batch_step is one forward pass, which takes every running answer one token further and has
 * room for parts of the prompts that are new; slm_batch_next gives what came of it:
 *
 *   slm_batch_open(model, NULL, &batch, &err);
 *   for (;;) {
 *       ... slm_batch_add for what has arrived; wait for more where report.n_open is 0 ...
 *       slm_batch_step(batch, &report, &err);
 *       while (slm_batch_next(batch, &ev, &err) == SLM_OK && ev.type != SLM_BATCH_NONE)
 *           ... ev.request, ev.user, ev.text ...; after SLM_BATCH_END and SLM_BATCH_FAILED:
 *           slm_request_end(&request);
 *   }
 *
 *   - Results. On the CPU each request gets, bit for bit, what it would get alone, whatever joins,
 *     leaves or waits beside it.
 *   - Order. Waiting requests are taken by priority, among equals the oldest first; when all places
 *     are taken, one of higher priority takes the place of the lowest, which waits again and loses
 *     nothing but time. The rows that a step has for prompts go to those of the highest priority,
 *     half of them to the oldest and the rest to the one with the fewest tokens left, so that
 *     neither short prompts are kept up by long ones nor long ones by many short ones.
 *   - Stalls. While answers run, a step takes as many rows of prompts as are expected to keep it
 *     within stall_ms, by what steps have cost so far; at least 8, so that prompts go on in any
 *     case. step_rows is the same as a fixed number, with which the steps, too, do not depend on
 *     time.
 *   - Prefixes. What ended answers have evaluated is kept as long as there are pages for it. A
 *     request begins with the longest prefix that a kept or running one has, sharing its pages; one
 *     that finds its beginning being evaluated waits for that. Kept ones go, the longest unused
 *     first, when pages or places are wanted.
 *   - Memory. Pages, scratch and places are allocated by slm_batch_open (slm_batch_plan tells how
 *     much); a request by slm_batch_add, with a copy of its prompt and its options. Evaluation and
 *     generation allocate nothing, but for the text of answers that are taken apart, and guides.
 *     When the pages of n_cells run out, the running request that is last in order waits again; one
 *     that is alone and finds none fails with SLM_ERR_LIMIT.
 *   - Threads. A batch with its requests is used by one thread at a time, like a cache, and so are
 *     the guides that its requests use. The exception is slm_request_cancel, for any thread.
 * The batch keeps the model alive. */
typedef struct slm_batch slm_batch;
typedef struct slm_request slm_request;

#define SLM_BATCH_NO_PREFIXES UINT32_MAX

typedef struct slm_batch_options {
    uint32_t struct_size;
    uint32_t max_running;  /* requests that are evaluated together, 1 to 256; default 8           */
    uint32_t max_requests; /* open at a time, with those that wait, to 65536; default: 8 times
                              max_running                                                         */
    uint32_t n_prefixes;   /* ended requests whose prefixes are kept, to 1024, or
                              SLM_BATCH_NO_PREFIXES; each has a place, which costs a row of logits
                              and, in families with scans, recurrent state; default max_running   */
    uint32_t stall_ms;     /* milliseconds that a step should take at most while answers run, 1 to
                              60000; default 200                                                  */
    uint32_t step_rows;    /* tokens of prompts in a step while answers run, in place of stall_ms;
                              0: by time                                                          */
    const slm_cache_options *cache; /* of its cache; NULL: defaults. n_cells: default n_ctx *
                              max_running, in which kept prefixes take what is free. chunk_ms: of
                              steps in which no answer runs, default 400. max_sessions, max_logits
                              and yield must be 0                                                 */
} slm_batch_options;

/* What opening would allocate, as slm_cache_plan. Any thread. */
SLM_API slm_status slm_batch_plan(const slm_model *model, const slm_batch_options *options,
                                  slm_plan *plan, slm_error *error);
/* options may be NULL: defaults. Failures as of slm_cache_open. */
SLM_API slm_status slm_batch_open(slm_model *model, const slm_batch_options *options,
                                  slm_batch **out, slm_error *error);
/* Frees a batch with all its requests, whose pointers must not be used any more. */
SLM_API void slm_batch_close(slm_batch **batch);

/* What is wanted of a prompt. */
typedef int32_t slm_request_kind;
enum {
    SLM_REQUEST_ANSWER = 0, /* an answer taken apart as slm_answer_begin does                     */
    SLM_REQUEST_TEXT = 1,   /* the text that a generator gives                                    */
    SLM_REQUEST_EMBED = 2   /* its embedding                                                      */
};

/* How hidden states of tokens become one embedding. */
typedef int32_t slm_pooling;
enum {
    SLM_POOLING_MEAN = 0, /* the mean over all tokens                                             */
    SLM_POOLING_LAST = 1  /* that of the last token                                               */
};

/* slm_request_options.flags */
enum {
    SLM_REQUEST_TOKENS = 1u << 0, /* SLM_BATCH_TOKEN comes for each token, before what came of it */
    SLM_REQUEST_FORGET = 1u << 1  /* its tokens are not kept, and not shared, for later requests  */
};

typedef struct slm_request_options {
    uint32_t struct_size;
    slm_request_kind kind;
    int32_t priority;   /* higher ones go first; default 0                                        */
    uint32_t flags;     /* SLM_REQUEST_...                                                        */
    const int32_t *ids; /* the prompt: at least one token; copied                                 */
    size_t n_ids;
    const slm_answer_options *answer;     /* of ANSWER, with generate in it; NULL: defaults       */
    const slm_generate_options *generate; /* of TEXT; NULL: defaults                              */
    slm_pooling pooling;                  /* of EMBED                                             */
    void *user;         /* comes back with each event                                             */
} slm_request_options;

/* Opens a request; it waits until steps take it in. options and what they point to are copied, as
 * slm_answer_begin and slm_generate_begin do, with their failures. Also SLM_ERR_BUSY when
 * max_requests are open, SLM_ERR_CTX for a prompt that leaves no room in n_ctx for a token (an
 * embedding needs none), SLM_ERR_LIMIT for one that all pages cannot hold, SLM_ERR_RANGE for an id
 * outside the vocabulary, SLM_ERR_UNSUP for embeddings on a device. */
SLM_API slm_status slm_batch_add(slm_batch *batch, const slm_request_options *options,
                                 slm_request **out, slm_error *error);
/* Stops a request at its next step: its last event is then SLM_BATCH_FAILED with SLM_ERR_CANCEL, if
 * it has not ended by itself before that is seen. Any thread, until slm_request_end. */
SLM_API void slm_request_cancel(slm_request *request);
/* Closes a request, whether it has ended or not, and sets *request to NULL. */
SLM_API void slm_request_end(slm_request **request);
/* The answer of an ANSWER request, for slm_answer_get_text and slm_answer_get_message alone. The
 * request's. SLM_ERR_ARG for other kinds. */
SLM_API slm_status slm_request_get_answer(const slm_request *request, slm_answer **answer,
                                          slm_error *error);

/* What a step did, and what there is to do. */
typedef struct slm_batch_report {
    uint32_t struct_size;
    uint32_t n_rows;      /* tokens that were evaluated                                           */
    uint32_t n_decode;    /* of these, of answers that run                                        */
    uint32_t n_open;      /* requests that have not delivered their last event                    */
    uint32_t n_running;   /* of these, those that have a place                                    */
    uint64_t ns;          /* the forward pass took                                                */
} slm_batch_report;

/* Takes in requests that wait, and evaluates one step; nothing where nothing is wanted. A request
 * whose events were not all pulled takes no part. report may be NULL. SLM_ERR_DEVICE: all requests
 * keep their tokens, and the next step evaluates them again. What concerns one request alone is its
 * event, and no failure here. */
SLM_API slm_status slm_batch_step(slm_batch *batch, slm_batch_report *report, slm_error *error);

typedef int32_t slm_batch_event_type;
enum {
    SLM_BATCH_NONE = 0,        /* nothing to deliver: time for a step                             */
    SLM_BATCH_TEXT = 1,        /* this and those up to END are as the events of slm_answer_next that
                                  have the same numbers; TEXT requests have TEXT, REEVALUATED, END */
    SLM_BATCH_THINKING_TEXT = 2,
    SLM_BATCH_CALL_BEGIN = 3,
    SLM_BATCH_ARGUMENTS = 4,
    SLM_BATCH_CALL_END = 5,
    SLM_BATCH_CLAUSE = 6,
    SLM_BATCH_SENTENCE = 7,
    SLM_BATCH_REEVALUATED = 8,
    SLM_BATCH_END = 9,         /* the last event of a request that went well; reason says why     */
    SLM_BATCH_BEGIN = 64,      /* the request has a place: its prompt has count tokens, n_reused of
                                  which are not evaluated for it                                  */
    SLM_BATCH_TOKEN = 65,      /* a token was chosen: token, logprob, top; text is its own bytes,
                                  which may be a part of a character                              */
    SLM_BATCH_EMBEDDING = 66,  /* embedding; END follows                                          */
    SLM_BATCH_FAILED = 67      /* the last event of a request that did not: status, and text has the
                                  message                                                         */
};

typedef struct slm_batch_event {
    uint32_t struct_size;
    slm_batch_event_type type;
    slm_request *request;
    void *user;            /* of its options                                                      */
    const char *text;      /* UTF-8 but for TOKEN, not NUL-terminated. This and other pointers here
                              live until the next call on the batch or the request                */
    size_t text_len;
    uint32_t call;         /* these as in slm_answer_event                                        */
    uint32_t thinking;
    uint64_t begin, end;
    uint64_t count;        /* tokens generated so far; of REEVALUATED and BEGIN as said there     */
    uint64_t n_reused;     /* of BEGIN                                                            */
    slm_end_reason reason; /* of END                                                              */
    slm_status status;     /* of FAILED                                                           */
    int32_t token;         /* of TOKEN, else -1                                                   */
    float logprob;
    const slm_token_prob *top;
    size_t n_top;
    const float *embedding; /* of EMBEDDING: d_model of slm_model_info, of length 1               */
    size_t n_embedding;
} slm_batch_event;

/* The next event of any request, those of one in their order; SLM_BATCH_NONE when all requests wait
 * for a step. Each request's last event is END or FAILED, once. SLM_ERR_ARG alone. */
SLM_API slm_status slm_batch_next(slm_batch *batch, slm_batch_event *event, slm_error *error);

/* For those who watch. Totals count from slm_batch_open. */
typedef struct slm_batch_info {
    uint32_t struct_size;
    uint32_t n_waiting;    /* requests without a place                                            */
    uint32_t n_running;    /* requests with one                                                   */
    uint32_t n_prefixes;   /* prefixes that are kept                                              */
    uint64_t n_pages;      /* of keys and values                                                  */
    uint64_t n_pages_free;
    uint64_t n_pages_kept; /* that kept prefixes have; requests may share them                    */
    uint64_t n_steps;      /* totals: forward passes                                              */
    uint64_t n_prompt;     /* tokens of prompts that were taken in                                */
    uint64_t n_reused;     /* of these, tokens that another request had evaluated                 */
    uint64_t n_evaluated;  /* tokens evaluated, for whatever reason                               */
    uint64_t n_generated;  /* tokens chosen                                                       */
    uint64_t n_evicted;    /* kept prefixes that had to go                                        */
    uint64_t n_preempted;  /* times that a request lost its place                                 */
    uint64_t step_ns;      /* time of all forward passes                                          */
    uint64_t longest_ns;   /* of the longest with an answer in it                                 */
} slm_batch_info;
SLM_API slm_status slm_batch_get_info(const slm_batch *batch, slm_batch_info *info,
                                      slm_error *error);

/* ---------------------------------------------------------------- embeddings ----------------- */

/* The embedding of a text: its tokens' hidden states behind the model's last norm, pooled, and
 * divided by their length (L2). Makes the session hold exactly these ids, as slm_session_prompt
 * does.
 *   ids        at least one
 *   embedding  receives d_model floats (slm_model_info); the buffer has cap: SLM_ERR_LIMIT
 * SLM_ERR_NUMERIC for hidden states that are not finite, or all 0; SLM_ERR_UNSUP on a device. Other
 * failures as of slm_session_prompt. */
SLM_API slm_status slm_embed(slm_session *session, const int32_t *ids, size_t n,
                             slm_pooling pooling, float *embedding, size_t cap, slm_error *error);

#ifdef __cplusplus
}
#endif
#endif
