/* Recurrent layers of the CUDA backend, and the state that they keep. */
#include "run/backend_cuda_ops.h"

#ifdef SLM_HAVE_CUDA

/* y = W of rows of w->n_in floats. */
static void multiply(slm_backend_cuda *b, const slm_linear *w, const float *x, uint32_t stride,
                     slm_cuda_norm norm, float *y) {
    slm_cuda_prepare_for(b, x, stride, w->n_in, norm, slm_cuda_format_bit(w));
    slm_cuda_multiply_by(b, &w, &y, 1, SLM_CUDA_STORE, w->n_out, NULL);
}

void slm_cuda_op_scan(void *backend, const slm_layer *l, int lane) {
    slm_backend_cuda *b = backend;
    const slm_model *m = b->model;
    const slm_config *c = &m->config;
    slm_cuda_norm none = {NULL, NULL};
    (void)lane;
    slm_cuda_scan s = {.d_inner = c->d_inner,
                       .d_state = c->d_state,
                       .n_conv = c->n_conv,
                       .dt_rank = c->dt_rank,
                       .rows = b->rows,
                       .runs = b->on_device.runs,
                       .state = (float *)b->recurrent.at + l->scan_index * slm_scan_floats(c),
                       .session_floats = m->n_scans * slm_scan_floats(c),
                       .conv = slm_device_vector(m, l->conv),
                       .conv_bias = slm_device_vector(m, l->conv_bias),
                       .a = slm_device_vector(m, l->scan_a),
                       .skip = slm_device_vector(m, l->scan_skip),
                       .dt_bias = slm_device_vector(m, l->scan_dt.bias),
                       .in = b->gate,
                       .channels = b->up,
                       .bc = b->bc,
                       .bc_stride = l->scan_x.n_out,
                       .dt = b->raw,
                       .memory = b->memory,
                       .out = b->attended};
    multiply(b, &l->in, b->x, c->d_model, (slm_cuda_norm){l->attn_norm, l->attn_norm_bias},
             b->gate);
    TRY(b, slm_cuda_convolve(&b->stream, &s, b->n_rows));
    multiply(b, &l->scan_x, b->up, c->d_inner, none, b->bc);
    multiply(b, &l->scan_dt, b->bc, l->scan_x.n_out, none, b->raw);
    TRY(b, slm_cuda_scan_rows(&b->stream, &s, b->n_runs));
}

void slm_cuda_op_gate_memory(void *backend, const slm_layer *l, int lane) {
    slm_backend_cuda *b = backend;
    const slm_config *c = &b->model->config;
    (void)lane;
    multiply(b, &l->in, b->x, c->d_model, (slm_cuda_norm){l->attn_norm, l->attn_norm_bias},
             b->attended);
    TRY(b, slm_cuda_gate(&b->stream, b->attended, b->memory, (size_t)b->n_rows * c->d_inner,
                         SLM_CUDA_SILU));
}

float *slm_backend_cuda_recurrent(const slm_backend_cuda *b) { return b->recurrent.at; }

void slm_backend_cuda_copy_state(slm_backend_cuda *b, float *to, const float *from, size_t n) {
    size_t bytes = n * sizeof *to;
    TRY(b, from != NULL ? slm_cuda_copy(&b->stream, to, from, bytes)
                        : slm_cuda_zero(&b->stream, to, bytes));
}

#endif
