/* The transformer, once for all families and backends. A family's differences are in the arguments:
 * which norms exist, where RoPE pairs lie, which activation is used, what a layer mixes tokens with. */
#include "run/backend.h"

void slm_forward(const slm_model *m, const slm_ops *ops, void *be, int lane) {
    ops->embed(be, lane);
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        const slm_layer *l = &m->layers[i];
        if (l->mixer == SLM_MIXER_SCAN) {
            ops->scan(be, l, lane);
        } else if (l->mixer == SLM_MIXER_MEMORY) {
            ops->gate_memory(be, l, lane);
        } else {
            ops->qkv(be, l, lane);
            if (i == m->last_writer && !ops->narrow(be, lane))
                return;
            ops->attend(be, l, lane);
        }
        ops->project_add(be, &l->attn_output, SLM_BRANCH_MIXER, l->attn_sub_norm, lane);
        ops->gate_up(be, l, lane);
        ops->project_add(be, &l->down, SLM_BRANCH_FFN, l->ffn_sub_norm, lane);
    }
    ops->head(be, lane);
}
