/* What runs a step: the ops of a transformer layer, as the CPU, a GPU or a planner implements them.
 *
 * A step is n rows. A row is one token of one session; a session's rows are contiguous and in
 * order. Prefill, decode and several sessions at once are all "n rows". */
#ifndef SLM_RUN_BACKEND_H
#define SLM_RUN_BACKEND_H

#include "model/model.h"

#define SLM_NO_PAGE UINT32_MAX
#define SLM_NO_LOGITS UINT32_MAX
#define SLM_HIDDEN    (UINT32_MAX - 1) /* in place of logits, what they would be made of */

typedef struct slm_row {
    int32_t token;
    uint32_t slot;       /* session slot of the cache                                                */
    uint32_t position;   /* in the session, from 0; also where its K and V go                        */
    uint32_t logits_row; /* row of the logits buffer it writes, SLM_NO_LOGITS or SLM_HIDDEN          */
} slm_row;

typedef struct slm_step {
    const slm_row *rows; /* [n_rows]                                                                 */
    uint32_t n_rows;
    uint32_t n_logits;   /* rows that want logits or are hidden                                      */
    uint32_t n_hidden;   /* of these the last ones, SLM_HIDDEN                                       */
} slm_step;

/* Where a product's input comes from. */
typedef enum slm_branch { SLM_BRANCH_MIXER, SLM_BRANCH_FFN } slm_branch;

/* Every lane (thread) of the backend calls the same ops in the same order; an op splits its work by
 * lane and returns when all lanes are done with it. x is the residual stream [n_rows][d_model]. */
typedef struct slm_ops {
    /* x = rows of the token embedding */
    void (*embed)(void *backend, int lane);
    /* q = RoPE(q_norm(Wq norm(x) + b)); K and V likewise, appended to the sessions' pages; a layer that
     * reads those of another one has q alone */
    void (*qkv)(void *backend, const slm_layer *layer, int lane);
    /* Every session's state is complete: what follows may leave out the rows that want no logits.
     * Returns how many rows go on; 0 ends the step, without head. */
    uint32_t (*narrow)(void *backend, int lane);
    /* a = attention of q over the pages of the row's session: causal, within the window; or the norm of
     * the difference of two */
    void (*attend)(void *backend, const slm_layer *layer, int lane);
    /* u, z = Win norm(x); a = silu(z) * m, where m = the scan of the convolution of u, from the state of
     * the row's session, which goes on */
    void (*scan)(void *backend, const slm_layer *layer, int lane);
    /* a = silu(Win norm(x)) * m, the m of the last scan */
    void (*gate_memory)(void *backend, const slm_layer *layer, int lane);
    /* h = act(Wgate norm(x)) * (Wup norm(x)) */
    void (*gate_up)(void *backend, const slm_layer *layer, int lane);
    /* x += W sub_norm(branch) + b, branch being a or h */
    void (*project_add)(void *backend, const slm_linear *w, slm_branch branch,
                        const float *sub_norm, int lane);
    /* logits = Whead norm(x), for the rows that want them; of hidden ones x = norm(x) */
    void (*head)(void *backend, int lane);
} slm_ops;

/* The forward pass of one step, walked by each lane (forward.c). */
void slm_forward(const slm_model *model, const slm_ops *ops, void *backend, int lane);

#endif
