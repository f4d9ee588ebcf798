/* The thread that steps the model, and the two queues between it and the thread that has the sockets:
 * tasks go one way, events the other. */
#ifndef SLM_TOOLS_SERVE_ENGINE_H
#define SLM_TOOLS_SERVE_ENGINE_H

#include "slm.h"

#include <stddef.h>
#include <stdint.h>

typedef struct serve_engine serve_engine;
typedef struct serve_task serve_task;

typedef struct serve_engine_options {
    slm_cache_options cache;
    uint32_t n_running; /* tasks that are evaluated together */
    uint32_t n_waiting; /* tasks that may wait for that */
    uint32_t stall_ms;
} serve_engine_options;

/* What holds an answer. */
typedef enum serve_guide_kind {
    SERVE_FREE = 0,
    SERVE_SCHEMA = 1,  /* text: a JSON Schema  */
    SERVE_GRAMMAR = 2, /* text: GBNF           */
    SERVE_TOOLS = 3    /* text: tools          */
} serve_guide_kind;

typedef struct serve_guide_want {
    serve_guide_kind kind;
    char *text;             /* NULL: none; the task frees it */
    char *schema;           /* beside tools: of answers without a call; NULL: none. The task's */
    slm_tool_choice choice; /* of tools */
    char tool[64];          /* of SLM_TOOL_CHOICE_NAMED */
    int one_call;
    int after_thinking;     /* a schema that begins behind </think> */
} serve_guide_want;

/* What is to be done with a prompt. */
typedef struct serve_want {
    slm_request_kind kind;
    int32_t *ids; /* the task frees them */
    size_t n_ids;
    slm_sampling sampling;
    slm_logit_bias *bias; /* the task frees it */
    slm_span *stop;       /* and these, with their texts behind them in the same block */
    size_t n_stop;
    uint64_t max_tokens;
    uint32_t n_top;
    int want_tokens; /* SERVE_TOKEN events */
    slm_pooling pooling;
    int32_t priority;
    serve_guide_want guide;
} serve_want;

typedef enum serve_event_type {
    SERVE_BEGIN,      /* count: tokens of the prompt, n_reused of which were not evaluated */
    SERVE_TOKEN,      /* token, logprob, top; text: its bytes */
    SERVE_TEXT,
    SERVE_THINKING,
    SERVE_CALL_BEGIN, /* text: the tool's name */
    SERVE_ARGUMENTS,
    SERVE_CALL_END,
    SERVE_EMBEDDING,  /* floats */
    SERVE_END,        /* the last one: reason, count tokens */
    SERVE_FAILED      /* the last one: status, and text is the message */
} serve_event_type;

typedef struct serve_event {
    struct serve_event *next;
    serve_task *task;
    serve_event_type type;
    slm_status status;
    int of_guide; /* it failed since what is to hold the answer could not be compiled */
    slm_end_reason reason;
    uint32_t call;
    int32_t token;
    float logprob;
    uint64_t count, n_reused;
    const slm_token_prob *top; /* these point behind the event */
    size_t n_top;
    const float *floats;
    size_t n_floats;
    const char *text;
    size_t text_len;
} serve_event;

/* Opens the batch and starts the thread, and another one that compiles guides. */
slm_status serve_engine_open(slm_model *model, const serve_engine_options *options,
                             serve_engine **out, slm_error *error);
/* Stops the thread; tasks that are open get no more events. */
void serve_engine_close(serve_engine **engine);
/* Readable when there are events. */
int serve_engine_fd(const serve_engine *engine);

enum { SERVE_MAX_TASKS = 2048 }; /* of one request */

/* Hands tasks over, all or none: 0 when there is no room in the queue, or no memory (*out is then NULL).
 * Room for one is room for all, as a request of many would else find none, however often it came; tasks
 * of a priority below 0 take none from others. What the wants point to is the tasks' from then on, in
 * any case. user comes back by serve_task_user. */
int serve_engine_submit(serve_engine *engine, serve_want *wants, size_t n, void *user,
                        serve_task **out);
/* Its last event will be SERVE_FAILED with SLM_ERR_CANCEL, soon, unless it has ended before. */
void serve_engine_cancel(serve_engine *engine, serve_task *task);
void *serve_task_user(const serve_task *task);
size_t serve_task_index(const serve_task *task); /* among those handed over with it */
void serve_task_free(serve_task *task);          /* after its last event */
void serve_want_free(serve_want *want);

/* All events that there are, oldest first; serve_event_free frees one. */
serve_event *serve_engine_events(serve_engine *engine);
void serve_event_free(serve_event *event);

/* Tasks that wait and that run, and the batch's totals after its last step. */
typedef struct serve_engine_state {
    uint32_t n_waiting, n_running;
    slm_batch_info batch;
} serve_engine_state;
void serve_engine_get_state(serve_engine *engine, serve_engine_state *state);

#endif
