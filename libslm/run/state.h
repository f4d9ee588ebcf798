/* What a session keeps of the tokens that it has evaluated: pages of keys and values and, in families
 * with scans, recurrent state. Pages can be cut at any token. Recurrent state cannot go back, so
 * such a session also has checkpoints: copies of the recurrent state after some earlier tokens, with
 * a share of the pages that their windows need. Going back restores one, and what lies between it and
 * the place asked for is evaluated again: n_valid is then less than n_tokens.
 *
 * A family without scans has nothing recurrent, and none of this costs it anything. */
#ifndef SLM_RUN_STATE_H
#define SLM_RUN_STATE_H

#include "run/session.h"

/* A checkpoint is made when a step passes a multiple of this. */
#define SLM_CHECKPOINT_TOKENS 64u

/* In a session's list of checkpoints: somebody asked for this one. Half of a session's checkpoints can
 * be such, which thinning passes over. */
#define SLM_CHECKPOINT_KEPT 0x80000000u

/* Checkpoints are not changed once they are made; forks share them. */
struct slm_checkpoint {
    uint32_t n;      /* tokens that it is the state after                                             */
    uint32_t n_refs; /* sessions that have it; 0: free                                                */
    slm_kv_table tables[SLM_MAX_KV_GROUPS]; /* of groups with a window                                */
    float *recurrent;
};

/* What a windowed group keeps of a session beyond its window, so that taking back a few tokens stays
 * cheap; with recurrent state that is what checkpoints do. */
static inline uint32_t slm_state_slack(const slm_model *m) {
    return m->n_scans > 0 ? 0 : SLM_WINDOW_SLACK;
}
/* Floats of a session's recurrent state. */
static inline size_t slm_state_floats(const slm_model *m) {
    return m->n_scans * slm_scan_floats(&m->config);
}

/* The i-th checkpoint of a session. */
static inline slm_checkpoint *slm_state_checkpoint(const slm_session *s, uint32_t i) {
    return &s->cache->checkpoints[s->checkpoints[i] & ~SLM_CHECKPOINT_KEPT];
}

/* Pages for the tokens [n_valid, last). */
slm_status slm_state_make_room(slm_session *s, uint32_t last, slm_error *error);
/* A step has taken the session from `before` tokens to n_valid. */
void slm_state_advance(slm_session *s, uint32_t before);
/* Makes a checkpoint of the state at n_valid; a place that somebody may want to go back to. */
void slm_state_mark(slm_session *s);
/* The same, for somebody who says so. */
void slm_state_keep(slm_session *s);
/* Goes back to at most n <= n_valid tokens and sets n_valid. */
void slm_state_truncate(slm_session *s, uint32_t n);
/* Whether a row at n_valid finds all the keys it may look at. */
int slm_state_is_whole(const slm_session *s);
/* How many tokens would be valid, and a row behind them find all its keys, if the session were cut to n. */
uint32_t slm_state_reach(const slm_session *s, uint32_t n);
/* to, which is new, gets the state of from. */
void slm_state_fork(const slm_session *from, slm_session *to);

#endif
