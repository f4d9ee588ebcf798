/* Caches and sessions. A cache owns all memory; a session is a slot in it. */
#ifndef SLM_RUN_SESSION_H
#define SLM_RUN_SESSION_H

#include "run/backend_cuda.h"
#include "run/pace.h"

typedef struct slm_checkpoint slm_checkpoint;

struct slm_session {
    slm_cache *cache;
    slm_generator *generator;   /* open on it, or NULL                                               */
    _Atomic int cancelled;
    uint8_t is_open;
    uint8_t rope_auto;          /* factors follow the length                                         */
    uint8_t has_last;           /* logits of the last token are in the session's own row             */
    uint8_t rows_lost;          /* it had rows of the shared logits area; another took them          */
    uint8_t gave_up;            /* slm_reuse_stop of the last evaluation                             */
    uint32_t slot;
    int32_t *tokens;            /* [n_ctx]                                                           */
    uint32_t *checkpoints;      /* [n_checkpoints] of the cache's, by the tokens before them; some
                                   with SLM_CHECKPOINT_KEPT (state.h)                                */
    uint32_t n_checkpoints;
    uint32_t n_tokens;          /* held                                                              */
    uint32_t n_valid;           /* of these, the first n_valid are in its state                      */
    uint32_t n_seen;            /* most tokens that were ever valid since the last divergence        */
    uint32_t n_all_logits;      /* rows of the shared logits area that are this session's            */
    uint32_t first_all_logits;  /* the first of them                                                 */
    uint64_t n_evaluated;
    uint64_t n_reevaluated;
};

struct slm_cache {
    slm_model *model;
    slm_host *host;             /* the model's                                                       */
    uint8_t is_batch;           /* a batch's: it decides about steps                                  */
    uint8_t is_closed;          /* by the caller; lives on while sessions do                         */
    uint32_t n_open;
    slm_cache_options options;  /* with defaults filled in                                           */
    slm_plan plan;
    uint32_t n_threads_asked;   /* plan.n_threads may be fewer                                       */
    slm_pace pace;              /* of prompts                                                        */
    slm_kv_layout layout;
    slm_kv_pool pools[SLM_MAX_KV_GROUPS];
    slm_seq *seqs;              /* [max_sessions]                                                    */
    slm_session *sessions;      /* [max_sessions]                                                    */
    slm_checkpoint *checkpoints; /* [max_sessions * n_checkpoints], or NULL where nothing is recurrent */
    float *recurrent;           /* of the sessions, then of the checkpoints; or NULL                 */
    slm_row *rows;              /* [max_rows]                                                        */
    uint32_t *n_before;         /* [max_sessions] state to go back to, during an evaluation          */
    slm_eval_item *items;       /* [max_sessions] of the caller, in our size                         */
    slm_backend_cpu cpu;        /* of a model in the system's memory                                 */
    slm_backend_cuda *cuda;     /* of one on a device, or NULL                                       */
    float *logits;              /* [max_sessions + max_logits][n_vocab]: a row for each session, then
                                   those of SLM_LOGITS_ALL and of drafts                             */
    uint64_t rows_stamp;        /* changes when rows of SLM_LOGITS_ALL and of drafts go              */
    const slm_op_sum *sums;     /* [SLM_OP_COUNT] of the backend                                     */
    void *tables;               /* seqs, sessions, rows, page tables, tokens: one block              */
    void *scratch;              /* of the backend, then of the samplers                              */
    void *sampler_scratch;      /* shared by the generators: one is called at a time                 */
};

slm_status slm_cache_make_plan(const slm_model *model, const slm_cache_options *options,
                               slm_cache_options *filled, slm_plan *plan, slm_error *error);
slm_status slm_cache_create(slm_model *model, const slm_cache_options *options, slm_cache **out,
                            slm_error *error);
void slm_cache_drop(slm_cache *cache);
/* Runs one step. */
slm_status slm_cache_step(slm_cache *cache, const slm_step *step, slm_error *error);
/* Makes the recurrent state at `to` that at `from`, or that of a session that holds nothing where it is
 * NULL; both in the cache's memory. On a device a failure shows at the next step. */
void slm_cache_copy_state(slm_cache *cache, float *to, const float *from);
/* A session's row of logits may still be on the device, with only its best here (1). Fetching makes it
 * what it is there, and fails as a step does. Copying takes a row that is here. */
int slm_cache_best(const slm_cache *cache, uint32_t slot, slm_best *best);
slm_status slm_cache_fetch(slm_cache *cache, uint32_t row, slm_error *error);
void slm_cache_copy_row(slm_cache *cache, uint32_t to, uint32_t from);

slm_status slm_session_create(slm_cache *cache, slm_rope_factors rope, slm_session **out,
                              slm_error *error);
void slm_session_destroy(slm_session *session);
/* SLM_ERR_BUSY while a generator is open on it. */
slm_status slm_session_check_free(const slm_session *session, slm_error *error);

/* Evaluates items after appending their ids; the shared core of all evaluation. Items of
 * generators pass n = 0: what is pending is evaluated. */
slm_status slm_session_run(slm_cache *cache, const slm_eval_item *items, size_t n_items,
                           slm_error *error);

/* Evaluates what is pending, of which there is some, and n tokens behind it, which the session does not
 * hold afterwards either. It then has logits of its last token; those behind ids[i] are in row *row + i
 * of the cache's logits as long as its rows_stamp stays. */
slm_status slm_session_run_ahead(slm_session *session, const int32_t *ids, uint32_t n,
                                 uint32_t *row, slm_error *error);
/* The session now holds the first of these as its first pending token: that is valid. */
void slm_session_confirm(slm_session *session);

/* For whoever decides about each step himself: one session's part in one, and what came of it. */
typedef enum slm_want { SLM_WANT_LOGITS, SLM_WANT_HIDDEN, SLM_WANT_ALL_HIDDEN } slm_want;
typedef struct slm_part {
    slm_session *session;
    uint32_t n_rows;     /* of what is pending, at least one                                         */
    slm_want want;       /* of the last token, when it is among them, or of all                      */
    slm_status status;   /* SLM_ERR_NUMERIC: logits of this session are not finite                   */
    const float *hidden; /* [n_hidden][d_model] final hidden states, until the next step             */
    uint32_t n_hidden;
} slm_part;
/* Makes a session's state fit the tokens that it holds (window, RoPE), and returns how many of them are
 * pending. */
uint32_t slm_session_pending(slm_session *session);
/* Evaluates one step of pending tokens, for which slm_state_make_room was called before. Sessions that
 * want hidden states come last. On failure all state is given up, the tokens stay. */
slm_status slm_session_advance(slm_cache *cache, slm_part *parts, size_t n_parts, slm_error *error);
/* Between two steps: the program's turn, and whether somebody has cancelled (SLM_ERR_CANCEL). */
slm_status slm_cache_yield(const slm_cache *cache, uint64_t done, uint64_t total, slm_error *error);
slm_status slm_session_check_cancelled(slm_session *session, slm_error *error);
/* SLM_ERR_CTX and SLM_ERR_RANGE for a prompt that no session can hold. */
slm_status slm_session_check_prompt(const slm_cache *cache, const int32_t *ids, size_t n,
                                    slm_error *error);
/* to, which must be free of tokens and not the same, gets the first n tokens of from and shares what is
 * evaluated of them. */
void slm_session_share(const slm_session *from, slm_session *to, uint32_t n);

slm_status slm_session_set_prompt(slm_session *session, const int32_t *ids, size_t n,
                                  slm_prompt_report *report, slm_error *error);
void slm_session_cut(slm_session *session, uint32_t n);
/* Makes the place where the session is one that can be gone back to without evaluating anything; what is
 * pending is evaluated. */
slm_status slm_session_keep(slm_session *session, slm_error *error);
/* Forgets that anything was evaluated; the tokens stay. */
void slm_session_give_up(slm_session *session);
/* The same for all sessions: a device failed, and what its pages hold is not known. */
void slm_cache_give_up(slm_cache *cache);
/* Appends a token, to be evaluated later; there must be room. */
void slm_session_push(slm_session *session, int32_t id);
/* The same for several. */
void slm_session_append(slm_session *session, const int32_t *ids, uint32_t n);
slm_status slm_session_copy(slm_session *session, slm_session **out, slm_error *error);
/* Logits of the last token; they must be there (has_last). */
slm_status slm_session_last_logits(const slm_session *session, const float **logits,
                                   slm_error *error);
/* Logits of the row-th row that gave some in the last evaluation. */
slm_status slm_session_logits_row(const slm_session *session, size_t row, const float **logits,
                                  slm_error *error);

/* Memory traffic and arithmetic of one step of one token at an empty cache (plan.c): the planning
 * backend walks the same forward pass. */
void slm_plan_token(const slm_model *model, uint64_t *bytes, uint64_t *macs);

#endif
