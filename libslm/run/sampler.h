/* The sampling chain of slm.h: from the logits of one row to a token.
 *
 * A sampler works on candidates: tokens with their logits, always in ascending order of their ids,
 * so that what a seed draws depends on the definition of the stages and not on how they select.
 * Stages run in the order of slm_sampling.order:
 *
 *   BIAS         l += bias; -INFINITY forbids the token
 *   PENALTIES    for each token in the last penalty_last_n of the history, seen c times:
 *                l = l > 0 ? l / repeat : l * repeat, then l -= presence + c * frequency
 *   DRY          see sampler_dry.c
 *   TOP_K        the k largest logits
 *   TYPICAL      in ascending order of |-ln p - H|, H = -sum of p ln p, the smallest set with a
 *                mass of at least typical_p
 *   TOP_P        in descending order of p, the smallest set with a mass of at least top_p
 *   MIN_P        p >= min_p * (largest p)
 *   TEMPERATURE  l /= temperature
 *
 * with p the softmax of the candidates' logits as they are at that stage. Of equals the lowest ids
 * are kept, and one candidate always stays. Afterwards a token is drawn from the softmax of what
 * is left. With temperature 0 the TEMPERATURE stage does nothing and the largest logit of what is
 * left (the lowest id of equals) is taken.
 *
 * Ranges that opening accepts; NaN is in none of them (SLM_ERR_RANGE, or SLM_ERR_LIMIT for counts):
 *   temperature 0..1000; top_k >= 0; top_p, min_p, typical_p 0..1; repeat_penalty > 0, up to 1000;
 *   presence_penalty, frequency_penalty -1000..1000; penalty_last_n, dry_last_n >= -1;
 *   dry_multiplier 0..1000; dry_base 1..100; dry_allowed_length >= 0; logit_bias: ids below
 *   n_vocab, -1e6..1e6 or -INFINITY, at most n_vocab of them, those of one id are added up;
 *   order: known stages, none twice. */
#ifndef SLM_RUN_SAMPLER_H
#define SLM_RUN_SAMPLER_H

#include "base/host.h"
#include "kernels.h"
#include "text/vocab.h"

typedef struct slm_sampler slm_sampler;

#define SLM_SAMPLER_MAX_TOP 64u

/* What slm_sampling_init gives. */
extern const slm_sampling slm_sampling_defaults;

/* Scratch memory that any number of samplers may share which are not called at the same time: it
 * is of use during a call only. All zero before the first of them is opened. */
size_t slm_sampler_scratch_bytes(uint32_t n_vocab, uint32_t n_ctx);

/* Makes a sampler for rows of n_vocab logits. Everything is allocated here, in one block.
 *   sampling        copied with all it points to, except for dry_breakers; NULL: the defaults
 *   n_ctx           longest history; of a longer one only the last n_ctx tokens count
 *   n_top           tokens to report beside the one chosen, at most SLM_SAMPLER_MAX_TOP
 *   breaker_bitmap  bit id % 8 of byte id / 8 is set when token id ends a repeat (DRY), as made by
 *                   slm_sampler_breakers; copied; NULL: no token does
 *   kernels         must outlive the sampler
 *   scratch         slm_sampler_scratch_bytes(n_vocab, n_ctx) bytes, aligned to 64; must outlive
 *                   the sampler */
slm_status slm_sampler_open(slm_host *host, const slm_sampling *sampling, uint32_t n_vocab,
                            uint32_t n_ctx, uint32_t n_top, const uint8_t *breaker_bitmap,
                            const slm_kernels *kernels, void *scratch, slm_sampler **out,
                            slm_error *error);
void slm_sampler_close(slm_sampler *s); /* NULL is fine */

/* The state in which it was opened: the seed anew, no history. */
void slm_sampler_reset(slm_sampler *s);

/* The tokens that slm_sampler_choose and slm_sampler_filter may choose from now on: bit id % 64 of word
 * id / 64, tokens beyond the words being forbidden; NULL: all. Before all stages; what is reported of
 * log-probabilities is not touched. bits must live as long as it is in use. */
void slm_sampler_allow(slm_sampler *s, const uint64_t *bits, size_t n_words);

/* Chooses the next token. Changes no logits and allocates nothing.
 *   history   tokens before this one. Where the last call had them too, they must be the same
 *             (counts are kept from call to call): call slm_sampler_reset when they are not
 *   token     receives the choice
 *   logprob   receives its log-probability under the logits as given; may be NULL
 *   top       receives the n_top most likely tokens under the logits as given, best first, until
 *             the next call; fewer when fewer are not masked. May be NULL, with n_top
 * A logit of -infinity masks a token. SLM_ERR_NUMERIC for NaN, +infinity, or nothing left to choose
 * from; SLM_ERR_RANGE for a token of the history outside the vocabulary. */
slm_status slm_sampler_choose(slm_sampler *s, const float *logits, const int32_t *history,
                              size_t n_history, int32_t *token, float *logprob,
                              const slm_token_prob **top, size_t *n_top, slm_error *error);

/* What is known of a row of logits that is not at hand: its SLM_SAMPLER_BEST largest, of equals those
 * with the lowest ids (all, where the vocabulary has no more). Most chains leave no other token. */
#define SLM_SAMPLER_BEST  256u
#define SLM_SAMPLER_NAMED 64u
typedef struct slm_best {
    const uint32_t *id;  /* [n], ascending                                                          */
    const float *logit;  /* [n]                                                                     */
    size_t n;
    const float *named;  /* logits of the tokens of slm_sampler_names; NULL: not known               */
    float sum;           /* of exp(l - largest) over the whole row, to 2^-17 of it                   */
    int is_finite;       /* 0: NaN or infinity is somewhere in the row                               */
} slm_best;

/* Whether this chain can do with the best of a row; 0: it never can. */
int slm_sampler_takes_best(const slm_sampler *s);
/* Tokens, at most SLM_SAMPLER_NAMED, that it wants to know beside the best; while it is open. */
const uint32_t *slm_sampler_names(const slm_sampler *s, uint32_t *n);

/* As slm_sampler_choose would from the whole row: the same token, log-probabilities to about 1e-5.
 * *is_chosen is 0 where what is known does not decide: nothing has happened then, and
 * slm_sampler_choose has to look at the row. The row must be finite. */
slm_status slm_sampler_choose_best(slm_sampler *s, const slm_best *best, const int32_t *history,
                                   size_t n_history, int *is_chosen, int32_t *token,
                                   float *logprob, const slm_token_prob **top, size_t *n_top,
                                   slm_error *error);

/* The candidates that the stages leave, for whoever needs the distribution itself; until the next
 * call. Draws nothing. Failures as above. */
typedef struct slm_candidates {
    const float *logit; /* -infinity: masked                                                        */
    const int32_t *id;  /* ascending; NULL: the index is the id                                      */
    size_t n;
} slm_candidates;
slm_status slm_sampler_filter(slm_sampler *s, const float *logits, const int32_t *history,
                              size_t n_history, slm_candidates *candidates, slm_error *error);

/* Fills the bitmap of (n_vocab + 7) / 8 bytes: the tokens of v whose bytes contain one of the
 * sampling's dry_breakers. buf has slm_vocab_max_token_bytes(v) bytes. sampling may be NULL.
 * SLM_ERR_RANGE for an empty breaker, SLM_ERR_LIMIT for more than SLM_SAMPLER_MAX_BREAKERS. */
#define SLM_SAMPLER_MAX_BREAKERS 256u
slm_status slm_sampler_breakers(const slm_sampling *sampling, const slm_vocab *v, uint32_t n_vocab,
                                char *buf, uint8_t *bitmap, slm_error *error);

#endif
