/* The planning backend: the ops of a step, adding up what they multiply. What they read is known
 * without them: every tensor of the file once, but for an embedding that is not the head. */
#include "run/predict.h"
#include "run/session.h"

#include <string.h>

typedef struct slm_count {
    const slm_model *model;
    slm_plan_sums *sums;
} slm_count;

static void count_linear(slm_count *c, const slm_linear *w) {
    c->sums->bytes[w->type] += (uint64_t)w->n_out * w->row_bytes;
    c->sums->macs[w->type] += (uint64_t)w->n_out * w->n_in;
}

static void op_embed(void *backend, int lane) {
    (void)backend;
    (void)lane;
}

static void op_qkv(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    count_linear(c, &l->q);
    count_linear(c, &l->k);
    count_linear(c, &l->v);
}

static uint32_t op_narrow(void *backend, int lane) {
    slm_count *c = backend;
    (void)lane;
    memcpy(c->sums->prompt_macs, c->sums->macs, sizeof c->sums->macs);
    return 1;
}

static void op_attend(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    (void)l;
    c->sums->attend_macs += slm_attend_macs(&c->model->config);
}

static void op_scan(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    const slm_config *config = &c->model->config;
    (void)lane;
    count_linear(c, &l->in);
    count_linear(c, &l->scan_x);
    count_linear(c, &l->scan_dt);
    c->sums->macs[SLM_DTYPE_F32] += slm_scan_macs(config);
    c->sums->bytes[SLM_DTYPE_F32] += slm_scan_floats(config) * sizeof(float);
}

static void op_gate_memory(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    count_linear(c, &l->in);
}

static void op_gate_up(void *backend, const slm_layer *l, int lane) {
    slm_count *c = backend;
    (void)lane;
    count_linear(c, &l->gate);
    count_linear(c, &l->up);
}

static void op_project_add(void *backend, const slm_linear *w, slm_branch branch,
                           const float *sub_norm, int lane) {
    slm_count *c = backend;
    (void)lane;
    (void)branch;
    (void)sub_norm;
    count_linear(c, w);
}

static void op_head(void *backend, int lane) {
    slm_count *c = backend;
    (void)lane;
    count_linear(c, &c->model->head);
}

slm_plan_sums slm_plan_sum(const slm_model *model) {
    static const slm_ops ops = {op_embed, op_qkv, op_narrow, op_attend, op_scan, op_gate_memory,
                                op_gate_up, op_project_add, op_head};
    slm_plan_sums sums = {.attend_macs = 0};
    slm_count count = {model, &sums};
    slm_forward(model, &ops, &count, 0);
    return sums;
}

void slm_plan_token(const slm_model *model, uint64_t *bytes, uint64_t *macs) {
    slm_plan_sums sums = slm_plan_sum(model);
    const slm_linear *embed = &model->embed;
    *macs = sums.attend_macs;
    for (uint32_t i = 0; i < SLM_DTYPE_LIMIT; i++)
        *macs += sums.macs[i];
    *bytes = model->weight_bytes +
             model->n_scans * slm_scan_floats(&model->config) * sizeof(float);
    if (model->head.w != embed->w)
        *bytes -= (uint64_t)embed->n_out * embed->row_bytes;
}
