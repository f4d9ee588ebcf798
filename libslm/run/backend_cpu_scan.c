/* Recurrent layers of the CPU backend: lanes share the channels, which know nothing of one another
 * between two products. */
#include "run/backend_cpu_ops.h"

/* Groups of channels [*first, *last) of a lane. */
static void share_groups(const slm_backend_cpu *cpu, int lane, uint32_t *first, uint32_t *last) {
    share(cpu, cpu->model->config.d_inner / SLM_SCAN_GROUP, lane, first, last);
}

/* A session's inputs that the convolution still needs; its states lie behind them. */
static float *state_of(const slm_backend_cpu *cpu, const slm_layer *l, uint32_t slot) {
    return cpu->seqs[slot].recurrent + l->scan_index * slm_scan_floats(&cpu->model->config);
}

static void convolve(slm_backend_cpu *cpu, const slm_layer *l, int lane) {
    const slm_config *c = &cpu->model->config;
    uint32_t first, last;
    share_groups(cpu, lane, &first, &last);
    size_t e = (size_t)first * SLM_SCAN_GROUP;
    for (uint32_t r = 0, n; r < cpu->step->n_rows; r += n) {
        n = run_of_rows(cpu->step, r, cpu->step->n_rows);
        float *past = state_of(cpu, l, cpu->step->rows[r].slot) + e * (c->n_conv - 1);
        cpu->model->kernels.conv_silu(cpu->channels + r * (size_t)c->d_inner + e, c->d_inner,
                                      cpu->h + r * cpu->h_stride + e, cpu->h_stride, n, past,
                                      l->conv + e * c->n_conv, l->conv_bias + e, c->n_conv,
                                      last - first);
    }
}

static void scan(slm_backend_cpu *cpu, const slm_layer *l, int lane) {
    const slm_config *c = &cpu->model->config;
    size_t d = c->d_inner;
    uint32_t first, last;
    share_groups(cpu, lane, &first, &last);
    size_t e = (size_t)first * SLM_SCAN_GROUP, n_channels = (size_t)last * SLM_SCAN_GROUP - e;
    for (uint32_t r = 0, n; r < cpu->step->n_rows; r += n) {
        n = run_of_rows(cpu->step, r, cpu->step->n_rows);
        slm_scan s = {.n_state = c->d_state, .a = l->scan_a, .skip = l->scan_skip,
                      .dt_bias = l->scan_dt.bias, .x = cpu->channels + r * d, .x_stride = d,
                      .dt = cpu->raw + r * cpu->raw_stride, .dt_stride = cpu->raw_stride,
                      .bc = cpu->bc + r * cpu->bc_stride + c->dt_rank, .bc_stride = cpu->bc_stride,
                      .y = cpu->memory + r * d, .y_stride = d};
        float *state = state_of(cpu, l, cpu->step->rows[r].slot) + d * (c->n_conv - 1);
        cpu->model->kernels.scan(&s, state, first, last - first, n);
        for (uint32_t i = r; i < r + n; i++) {
            const float *gate = cpu->h + i * cpu->h_stride + d;
            cpu->model->kernels.silu_mul(cpu->attended + i * d + e, gate + e,
                                         cpu->memory + i * d + e, n_channels);
        }
    }
}

void slm_cpu_scan(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_config *c = &cpu->model->config;
    const slm_linear *const w[] = {&l->in, &l->scan_x, &l->scan_dt};
    uint32_t n_rows = cpu->step->n_rows;
    uint64_t bytes = slm_scan_floats(c) * sizeof(float), macs = slm_scan_macs(c) * n_rows;
    slm_cpu_multiply(cpu, w[0], cpu->x, c->d_model,
                     (slm_cpu_norm){l->attn_norm, l->attn_norm_bias}, cpu->h, cpu->h_stride, lane);
    convolve(cpu, l, lane);
    barrier(cpu);
    slm_cpu_multiply(cpu, w[1], cpu->channels, c->d_inner, (slm_cpu_norm){NULL, NULL}, cpu->bc,
                     cpu->bc_stride, lane);
    slm_cpu_multiply(cpu, w[2], cpu->bc, cpu->bc_stride, (slm_cpu_norm){NULL, NULL}, cpu->raw,
                     cpu->raw_stride, lane);
    scan(cpu, l, lane);
    for (int i = 0; i < 3; i++) {
        bytes += bytes_of(w[i]);
        macs += macs_of(w[i], n_rows);
    }
    slm_cpu_end_op(cpu, lane, SLM_OP_SCAN, bytes, macs);
}

void slm_cpu_gate_memory(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_config *c = &cpu->model->config;
    uint32_t first, last;
    slm_cpu_multiply(cpu, &l->in, cpu->x, c->d_model,
                     (slm_cpu_norm){l->attn_norm, l->attn_norm_bias}, cpu->h, cpu->h_stride, lane);
    share_groups(cpu, lane, &first, &last);
    size_t d = c->d_inner, e = (size_t)first * SLM_SCAN_GROUP;
    for (uint32_t r = 0; r < cpu->step->n_rows; r++)
        cpu->model->kernels.silu_mul(cpu->attended + r * d + e, cpu->h + r * cpu->h_stride + e,
                                     cpu->memory + r * d + e,
                                     (size_t)(last - first) * SLM_SCAN_GROUP);
    slm_cpu_end_op(cpu, lane, SLM_OP_GATE_MEMORY, bytes_of(&l->in),
                   macs_of(&l->in, cpu->step->n_rows));
}
