/* Requests to one model that are answered together.
 *
 *   batch.c     requests: opening, closing, who is where
 *   places.c    sessions, and what ended requests have left in them
 *   schedule.c  who takes part in a step, and with how many tokens
 *   deliver.c   events
 *
 * A request is in one list at a time: it waits for a place, is active until its last event was
 * delivered, and is then over. A place is a session of the batch's cache. While a request has it, the
 * session holds its tokens; afterwards it keeps them for others, until the place or its pages are
 * wanted. */
#ifndef SLM_BATCH_BATCH_H
#define SLM_BATCH_BATCH_H

#include "chat/answer.h"
#include "run/embed.h"
#include "run/sampler.h"

#include <stdatomic.h>

#define SLM_BATCH_MAX_EVENTS 3u /* that a token gives at most before the next pull */

typedef enum slm_request_list { SLM_IN_WAITING, SLM_IN_ACTIVE, SLM_IN_OVER } slm_request_list;

typedef struct slm_place {
    slm_session *session;
    slm_request *request; /* has it, or NULL                                                         */
    uint64_t used;        /* when its tokens were of use, by the batch's clock                       */
} slm_place;

struct slm_request {
    slm_batch *batch;
    slm_request *before, *after;
    slm_request_list list;
    slm_request_kind kind;
    slm_pooling pooling;
    uint32_t flags;
    int32_t priority;
    uint64_t number;            /* of arrival                                                        */
    void *user;
    int32_t *ids;               /* [n_ids] the prompt; after a place was lost, the answer too        */
    uint32_t n_ids, n_prompt;
    uint32_t n_reused;          /* when it got its first place                                       */
    slm_place *place;           /* or NULL                                                           */
    slm_answer *answer;         /* of ANSWER                                                         */
    slm_generator *generator;   /* of TEXT                                                           */
    double *sums;               /* of EMBED, [d_model]                                               */
    float *embedding;           /* of EMBED, [d_model]                                               */
    _Atomic int cancelled;
    uint8_t has_begun;          /* BEGIN was delivered                                               */
    uint8_t is_decoding;        /* its prompt was evaluated                                          */
    uint8_t waits;              /* for a step                                                        */
    uint8_t has_ended;          /* its last event is among those to deliver                          */
    slm_error error;            /* of FAILED                                                         */
    uint32_t n_events, next_event;
    slm_batch_event events[SLM_BATCH_MAX_EVENTS];
    slm_token_prob top[SLM_SAMPLER_MAX_TOP];
    char *token_text;           /* [max_token_bytes] of TOKENS, or NULL                              */
};

typedef struct slm_request_queue {
    slm_request *first, *last;
    uint32_t n;
} slm_request_queue;

/* A request's part in the next step. */
typedef struct slm_batch_part {
    slm_request *request;
    uint32_t pending;
    uint32_t n_rows;
} slm_batch_part;

struct slm_batch {
    slm_cache *cache;
    slm_batch_options options;  /* with defaults filled in; cache NULL                               */
    uint32_t n_places;
    slm_place *places;          /* [n_places] place i is the session of slot i                       */
    slm_request_queue waiting;  /* by order: who comes first goes first                              */
    slm_request_queue active;
    slm_request_queue over;
    slm_request *cursor;        /* of active: whose events come next                                 */
    uint32_t n_running;         /* requests with a place                                             */
    slm_batch_part *parts;      /* [max_running] of the step in the making                           */
    slm_part *session_parts;    /* [max_running]                                                     */
    slm_pace pace;              /* of steps                                                          */
    uint64_t clock;             /* counts what happens                                               */
    slm_batch_info info;        /* totals                                                            */
};

static inline uint64_t slm_batch_tick(slm_batch *b) { return ++b->clock; }

static inline slm_session *slm_request_session(const slm_request *r) { return r->place->session; }
/* That drives its session; NULL for embeddings and answers that have ended. */
static inline slm_generator *slm_request_generator(const slm_request *r) {
    return r->answer != NULL ? slm_answer_generator(r->answer) : r->generator;
}
/* Whether others may have what it has evaluated. Texts that are embedded hardly come again. */
static inline int slm_request_shares(const slm_request *r) {
    return r->kind != SLM_REQUEST_EMBED && !(r->flags & SLM_REQUEST_FORGET);
}
/* Whether a goes before b. */
static inline int slm_request_precedes(const slm_request *a, const slm_request *b) {
    return a->priority != b->priority ? a->priority > b->priority : a->number < b->number;
}

/* ---- batch.c ---- */

slm_status slm_batch_fill_options(const slm_model *model, const slm_batch_options *options,
                                  slm_batch_options *filled, slm_cache_options *cache,
                                  slm_error *error);
slm_status slm_batch_create(slm_model *model, const slm_batch_options *options, slm_batch **out,
                            slm_error *error);
void slm_batch_destroy(slm_batch *b);
/* options: of full size. */
slm_status slm_request_create(slm_batch *b, const slm_request_options *options, slm_request **out,
                              slm_error *error);
void slm_request_destroy(slm_request *r);
void slm_request_move(slm_request *r, slm_request_list list);
/* Ends the request with what error says; keeps: others may use what it has evaluated. */
void slm_request_fail(slm_request *r, const slm_error *error, int keeps);
void slm_request_check_cancelled(slm_request *r);
/* The request does not need its place any more, which it may have. */
void slm_request_leave(slm_request *r, int keeps);
/* The request loses its place, and waits for another with all its tokens. 0: memory was refused. */
int slm_request_park(slm_request *r, int keeps);

/* ---- places.c ---- */

/* Gives a request a place, with as much of its tokens evaluated as can be had. */
typedef enum slm_taken {
    SLM_TAKEN,
    SLM_TAKE_LATER, /* more of its beginning is just being evaluated                                 */
    SLM_NO_PAGES
} slm_taken;
slm_taken slm_places_take(slm_batch *b, slm_request *r);
/* Pages for the next n_rows of the request, for which kept prefixes go. 0: there are none. */
int slm_places_make_room(slm_batch *b, const slm_request *r, uint32_t n_rows);
/* Takes away what the place keeps. */
void slm_place_clear(slm_place *p);
/* Whether all pages together could hold n tokens of one session. */
int slm_places_can_hold(const slm_batch *b, uint32_t n);
void slm_places_count(const slm_batch *b, slm_batch_info *info);

/* ---- schedule.c ---- */

slm_status slm_batch_run(slm_batch *b, slm_batch_report *report, slm_error *error);

/* ---- deliver.c ---- */

void slm_batch_pull(slm_batch *b, slm_batch_event *event);
/* Adds an event to those to deliver. */
slm_batch_event *slm_request_event(slm_request *r, slm_batch_event_type type);
/* The generator's token becomes an event. */
void slm_request_token(void *request, const slm_event *event);

#endif
