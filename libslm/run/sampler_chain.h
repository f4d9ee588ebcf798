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
    int absolute; /* a stage after TEMPERATURE looks at the sign of logits                          */

    /* Candidates. dense: x has n_vocab logits and the index is the id; x may be the caller's row.
     * Otherwise x == logit. */
    const float *x;
    size_t n;
    int dense;
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
    slm_window window;
    uint8_t *breaker;      /* bitmap                                                                 */
    int32_t *dry_reversed; /* [n_ctx]                                                                */
    int32_t *dry_z;        /* [n_ctx]                                                                */
    int32_t *dry_touched;  /* [n_ctx]                                                                */
    int32_t *dry_best;     /* [n_vocab], all 0 between calls                                         */

    slm_token_prob top[SLM_SAMPLER_MAX_TOP];
    size_t n_top_found;
};

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

void slm_window_reset(slm_window *w, uint32_t n_vocab);

/* A logit that arithmetic drove out of range stays finite; a mask stays a mask. */
float slm_logit_saturate(double l);

#endif
