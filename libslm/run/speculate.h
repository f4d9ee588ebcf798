/* Drafts: tokens that an answer may go on with, evaluated together with what has to be evaluated
 * anyway. Where reading the weights is what a step costs, a few rows more cost little; each draft that
 * is the token then chosen spares a step. Tokens are chosen as always, from the logits of the same
 * rows, so that the answer is the same, and so are its bits where a row's bits do not depend on its
 * neighbours.
 *
 * Drafts come from the text itself (prompt lookup: apoorvumang/prompt-lookup-decoding, 2023; verification of
 * several at once: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", 2023): what
 * followed the last tokens where they stood before. */
#ifndef SLM_RUN_SPECULATE_H
#define SLM_RUN_SPECULATE_H

#include "run/session.h"

#define SLM_DRAFT_MAX   32u /* tokens of a draft                                                     */
#define SLM_DRAFT_MATCH 8u  /* last tokens that are compared                                         */

typedef struct slm_drafts {
    uint32_t most;              /* that the caller allows a step; 0: none are made                   */
    uint32_t bound;             /* of the next, 1 to most: right ones raise it, wrong ones lower it  */
    uint32_t match;             /* tokens that have to agree before one is made: the other way round */
    int32_t ids[SLM_DRAFT_MAX]; /* what was evaluated behind the tokens that the session holds       */
    uint32_t n, n_used;         /* of ids: all, and those that the answer has gone on with           */
    uint32_t row;               /* of the logits behind ids[0]                                       */
    uint64_t rows_stamp;        /* of the cache's when they were made                                */
    uint64_t n_made;            /* in all                                                            */
} slm_drafts;

void slm_drafts_init(slm_drafts *d, uint32_t most);
/* Appends to tokens[n], in the same array, `most` tokens that followed the last of them somewhere
 * before, where at least `match` agree: the longest agreement counts, and of equals the last. Returns
 * how many: `most`, or 0 where nothing agrees. */
uint32_t slm_drafts_look_up(int32_t *tokens, uint32_t n, uint32_t match, uint32_t most);
/* How many drafts there is room for behind the session's tokens: in the context, and in one step. */
uint32_t slm_drafts_room(const slm_drafts *d, const slm_session *s);
/* Evaluates the session's pending tokens together with at most room drafts: those that the caller has
 * put behind them (session->tokens[n_tokens], n_given <= room), and what look-up finds behind these.
 * *evaluated is 0, and nothing was done, where there are none, or where the cache has no pages for them. */
slm_status slm_drafts_run(slm_drafts *d, slm_session *s, uint32_t n_given, uint32_t room,
                          int *evaluated, slm_error *error);
/* Makes those of the session's pending tokens valid that were drafts. Returns 1 when these are all, and
 * *row is where the logits of the last are; else drafts that are left are forgotten. */
int slm_drafts_confirm(slm_drafts *d, slm_session *s, uint32_t *row);
/* Where the last token was a draft, its logits become the session's own; then as slm_drafts_forget. */
void slm_drafts_keep(slm_drafts *d, slm_session *s);
/* Nothing is evaluated behind the session's tokens any more; gives back what that took. */
void slm_drafts_forget(slm_drafts *d, slm_session *s);

#endif
