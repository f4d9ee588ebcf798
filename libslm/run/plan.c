/* The planning backend: the ops of a step, adding up what they would read and multiply. */
#include "run/session.h"

typedef struct slm_count {
    const slm_model *model;
    uint64_t bytes, macs;
} slm_count;

static void count_linear(slm_count *c, const slm_linear *w) {
    c->bytes += (uint64_t)w->n_out * w->row_bytes;
    c->macs += (uint64_t)w->n_out * w->n_in;
}

static void op_embed(void *backend, int lane) {
    slm_count *c = backend;
    (void)lane;
    c->bytes += c->model->embed.row_bytes;
}

static void op_qkv(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    c->bytes += c->model->config.d_model * sizeof(float);
    count_linear(c, &l->q);
    count_linear(c, &l->k);
    count_linear(c, &l->v);
}

static void op_attend(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    (void)l;
    c->macs += 2 * (uint64_t)c->model->config.n_heads * c->model->config.d_head;
}

static void op_gate_up(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    c->bytes += c->model->config.d_model * sizeof(float);
    count_linear(c, &l->gate);
    count_linear(c, &l->up);
}

static void op_project_add(void *backend, const slm_linear *w, slm_branch branch,
                           const float *sub_norm, int lane) {
    slm_count *c = backend;
    (void)lane;
    (void)branch;
    if (sub_norm != NULL)
        c->bytes += w->n_in * sizeof(float);
    count_linear(c, w);
}

static void op_head(void *backend, int lane) {
    slm_count *c = backend;
    (void)lane;
    count_linear(c, &c->model->head);
}

void slm_plan_token(const slm_model *model, uint64_t *bytes, uint64_t *macs) {
    static const slm_ops ops = {op_embed, op_qkv, op_attend, op_gate_up, op_project_add, op_head};
    slm_count count = {model, 0, 0};
    slm_forward(model, &ops, &count, 0);
    *bytes = count.bytes;
    *macs = count.macs;
}
