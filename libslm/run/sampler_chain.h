/* Inside the sampler: its state and the stages. Only sampler*.c include this. */
#ifndef SLM_RUN_SAMPLER_CHAIN_H
#define SLM_RUN_SAMPLER_CHAIN_H

#include "base/rng.h"
#include "run/sampler.h"

#define SLM_BINS   2048
#define SLM_PICKED 4096u
#define SLM_BLOCK  512u /* logits whose largest is kept */

/* Counts of the tokens in a window that moves over the history. */
typedef struct slm_window {
    uint32_t *count;   /* [n_vocab]                                                                 */
    uint32_t *slot;    /* [n_vocab]: where in distinct, when the count is not 0                      */
    int32_t *distinct; /* the tokens whose count is not 0                                           */
    int32_t *tokens;   /* [n_ctx] ring of the window's tokens                                       */
    uint32_t n_distinct, cap;
    uint64_t begin, end; /* the window in the history                                               */
} slm_window;

/* The tokens that are no candidates because only the best of their row are known. None has a logit
 * above `bound`, and none of those that have it an id up to bound_id. Stages may lower what they do not
 * know; raising it, or leaving any of them in the end, is not decided. */
typedef struct slm_rest {
    int any;          /* 0: whatever may still be chosen is a candidate                             */
    int is_undecided; /* the choice depends on them                                                 */
    float bound;
    int32_t bound_id;
    double mass;      /* the sum of exp(l - row_max); INFINITY: not known any more                  */
    double lowered;   /* how much of it at most the stages have taken away                          */
    float row_max;
} slm_rest;

typedef struct slm_bias_entry {
    int32_t id;
    float bias;
} slm_bias_entry;

struct slm_sampler {
    slm_host *host;
    const slm_kernels *kernels;
    slm_sampling sampling; /* pointers in it are not followed after opening                         */
    uint32_t n_vocab, n_ctx, n_top;
    slm_rng rng;

    uint8_t stages[SLM_SAMPLER_MAX_STAGES]; /* those that do something, END-terminated              */
    uint8_t takes_best;
    const uint64_t *allowed; /* bitmap of the tokens that may be chosen; NULL: all                  */
    size_t n_allowed;        /* words of it                                                         */
    int absolute; /* a stage after TEMPERATURE looks at the sign of logits                          */

    /* Candidates. dense: x has n_vocab logits and the index is the id; x may be the caller's row.
     * Otherwise x == logit. */
    const float *x;
    size_t n;
    int dense;
    slm_rest rest;
    float *logit;   /* [n_vocab]                                                                     */
    int32_t *id;    /* [n_vocab]                                                                     */
    float *weight;  /* [n_vocab] probabilities, or keys of a selection                               */
    float *key;     /* [n_vocab] for TYPICAL                                                         */
    double *bins;   /* [SLM_BINS]                                                                    */
    float *picked_key, *picked_weight; /* [SLM_PICKED]                                              */
    float *block_max; /* [n_vocab / SLM_BLOCK, rounded up] of the caller's row, until a stage
                         needs those of a row that the stages have changed */
    const float *blocks_of; /* the row of block_max while it is the caller's; else NULL */

    slm_bias_entry *bias; /* ascending ids, each once                                                */
    size_t n_bias;
    uint32_t *names; /* tokens that a bias raises                                                   */
    uint32_t n_names;
    slm_window window;
    uint8_t *breaker;      /* bitmap                                                                 */
    int32_t *dry_reversed; /* [n_ctx]                                                                */
    int32_t *dry_z;        /* [n_ctx]                                                                */
    int32_t *dry_touched;  /* [n_ctx]                                                                */
    int32_t *dry_best;     /* [n_vocab], all 0 between calls                                         */

    slm_token_prob top[SLM_SAMPLER_MAX_TOP];
    size_t n_top_found;
    float top_threshold; /* what the next one has to exceed                                         */
};

/* All stages, on candidates that are there; afterwards *max is the largest logit left, at candidate
 * *index. Ends early where rest.is_undecided. */
slm_status slm_run_stages(slm_sampler *s, const int32_t *history, size_t n_history, float *max,
                          size_t *index, slm_error *error);
/* Draws from the softmax of the candidates; the index of one. */
size_t slm_draw(slm_sampler *s);

/* The list of the largest logits, of which equals stay in the order of their ids: those above
 * top_threshold are inserted in ascending order of their ids, then made log-probabilities. */
void slm_top_begin(slm_sampler *s);
void slm_top_insert(slm_sampler *s, int32_t id, float l);
void slm_top_finish(slm_sampler *s, float max, double log_sum);

/* Leaves the allowed ones of a whole row: as a list where they are few, else with the others masked. */
void slm_keep_allowed(slm_sampler *s);

/* The stages. The candidates are never empty of unmasked tokens before a filter. */
void slm_stage_bias(slm_sampler *s);
slm_status slm_stage_penalties(slm_sampler *s, const int32_t *history, size_t n_history,
                               slm_error *error);
slm_status slm_stage_dry(slm_sampler *s, const int32_t *history, size_t n_history,
                         slm_error *error);
void slm_stage_top_k(slm_sampler *s);
void slm_stage_typical(slm_sampler *s);
void slm_stage_top_p(slm_sampler *s);
void slm_stage_min_p(slm_sampler *s);
void slm_stage_temperature(slm_sampler *s);

/* The largest logit of a whole row and its lowest index, as max_index gives them; fills
 * block_max. */
float slm_block_maxima(slm_sampler *s, const float *x, size_t *index, int *finite);
/* Makes x a row of the sampler's own. */
void slm_candidates_own(slm_sampler *s);
/* The sampler's own logit of a token; NULL when it is no candidate. */
float *slm_candidate_find(slm_sampler *s, int32_t id);
/* At opening: whether a choice from the best of a row can be decided by such stages, and the tokens
 * that a bias raises. */
int slm_chain_may_take_best(const slm_sampling *o, const uint8_t *stages);
void slm_name_raised(slm_sampler *s);
/* Whether a candidate comes before all of the rest. */
int slm_before_rest(const slm_sampler *s, float logit, int32_t id);
/* A stage changes a token of the rest: to something that is no larger, or not. */
void slm_rest_change(slm_sampler *s, int lowers);

void slm_window_reset(slm_window *w, uint32_t n_vocab);

/* A logit that arithmetic drove out of range stays finite; a mask stays a mask. */
float slm_logit_saturate(double l);

#endif
