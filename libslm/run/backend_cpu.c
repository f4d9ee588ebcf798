#include "base/checked.h"
#include "packed.h"
#include "run/backend_cpu_ops.h"
#include "run/fpenv.h"

#include <string.h>

/* Weight rows multiplied with all activation rows before going on: they stay in the L2 cache. */
#define ROWS_PER_PASS   32u
#define PANELS_PER_PASS 4u /* where the kernels have no wish */
/* Weights that a lane goes through at a time where few activation rows make them a stream. */
#define STREAM_BYTES ((size_t)256 << 10)
#define STREAM_ROWS  256u
/* Such a piece is up to so many chunks, the least that lanes take from one another, and so many of
 * them a lane takes for itself at once where there are many; a slow lane holds up no more. */
#define STREAM_PIECES 4u
#define STREAM_RUN    8u
/* Logits of one row that are moved at once. */
#define LOGITS_TOGETHER 1024u
/* Rows of the residual stream that are asked for before they are added to. */
#define ROWS_AHEAD 4u

/* ---------------------------------------------------------------- scratch -------------------- */

static void need_act(slm_backend_cpu *cpu, const slm_linear *w) {
    size_t bytes = slm_act_row_bytes(w->act, w->n_in);
    if (bytes > cpu->act_bytes[w->act])
        cpu->act_bytes[w->act] = bytes;
}

static int is_tile(slm_act act) { return act == SLM_ACT_Q8_0_TILE || act == SLM_ACT_Q8_K_TILE; }

/* The format in which a row is quantised before it is put into a tile. */
static slm_act rows_of(slm_act act) {
    return act == SLM_ACT_Q8_0_TILE ? SLM_ACT_Q8_0 : act == SLM_ACT_Q8_K_TILE ? SLM_ACT_Q8_K : act;
}

static void *carve(uint8_t *memory, size_t *used, size_t bytes) {
    void *p = memory == NULL ? NULL : memory + *used;
    *used += slm_round_up(bytes, 64);
    return p;
}

/* Floats from one row to the next: an odd number of cache lines, so that the same place in many
 * rows does not fall on the same few lines of a cache. */
static size_t odd_lines(size_t n) { return slm_round_up(n, 16) | 16; }

static size_t longer(size_t a, size_t b) { return a > b ? a : b; }

/* Panels of a chunk of a product with many rows of activations. */
static uint32_t panels_per_pass(const slm_model *m) {
    return m->kernels.panels > 0 ? m->kernels.panels : PANELS_PER_PASS;
}

size_t slm_backend_cpu_layout(slm_backend_cpu *cpu, const slm_model *m, const slm_cpu_shape *shape,
                              void *memory) {
    const slm_config *c = &m->config;
    size_t n_q = (size_t)c->n_heads * c->d_head, n_kv = (size_t)c->n_kv_heads * c->d_head;
    size_t rows = shape->max_rows, used = 0;
    cpu->model = m;
    cpu->shape = *shape;
    memset(cpu->act_bytes, 0, sizeof cpu->act_bytes);
    need_act(cpu, &m->head);
    for (uint32_t i = 0; i < c->n_layers; i++)
        for (uint32_t j = 0; j < SLM_LAYER_LINEARS; j++)
            need_act(cpu, slm_layer_linear(&m->layers[i], j));
    cpu->raw_stride = odd_lines(longer(n_q + 2 * n_kv, c->d_inner));
    cpu->h_stride = odd_lines(longer(c->d_ff, 2 * (size_t)c->d_inner));
    cpu->bc_stride = odd_lines(c->dt_rank + 2 * (size_t)c->d_state);
    cpu->lane_stride =
        slm_round_up(longer(longer(n_q, c->d_inner), longer(c->d_model, c->d_ff)), 16);

    size_t f = sizeof(float);
    cpu->x = carve(memory, &used, rows * c->d_model * f);
    cpu->raw = carve(memory, &used, rows * cpu->raw_stride * f);
    cpu->q = carve(memory, &used, rows * n_q * f);
    cpu->attended = carve(memory, &used, rows * longer(n_q, c->d_inner) * f);
    cpu->memory = carve(memory, &used, rows * c->d_inner * f);
    cpu->channels = carve(memory, &used, rows * c->d_inner * f);
    cpu->bc = carve(memory, &used, m->n_scans > 0 ? rows * cpu->bc_stride * f : 0);
    cpu->wanted_rows = carve(memory, &used, rows * sizeof *cpu->wanted_rows);
    cpu->h = carve(memory, &used, rows * cpu->h_stride * f);
    cpu->cos = carve(memory, &used, rows * (c->n_rot / 2) * f);
    cpu->sin = carve(memory, &used, rows * (c->n_rot / 2) * f);
    for (int a = 0; a < SLM_ACT_LIMIT; a++)
        cpu->act[a] =
            carve(memory, &used, slm_act_rows((slm_act)a, rows) * cpu->act_bytes[a]);
    slm_cpu_attend_layout(cpu);
    cpu->lane_attend = carve(memory, &used, shape->n_threads * cpu->lane_attend_bytes);
    cpu->lane_key_bytes = slm_round_up(slm_kv_row_bytes(SLM_KVT_F32, c->d_head) + 64, 64);
    cpu->lane_key = carve(memory, &used, shape->n_threads * cpu->lane_key_bytes);
    cpu->lane_row = carve(memory, &used, shape->n_threads * cpu->lane_stride * f);
    size_t of_stream = (size_t)STREAM_ROWS * (rows < SLM_TILE_ROWS ? rows : SLM_TILE_ROWS);
    cpu->out_floats = rows * panels_per_pass(m) * SLM_PANEL_ROWS;
    cpu->out_floats = longer(cpu->out_floats, longer(of_stream, LOGITS_TOGETHER));
    cpu->lane_out = carve(memory, &used, shape->n_threads * 2 * cpu->out_floats * f);
    cpu->lane_act_bytes = 0;
    for (int a = 0; a < SLM_ACT_LIMIT; a++)
        if (cpu->act_bytes[a] > 0 && is_tile((slm_act)a)) {
            size_t bytes = slm_act_row_bytes(rows_of((slm_act)a), cpu->lane_stride + 255);
            cpu->lane_act_bytes = bytes > cpu->lane_act_bytes ? bytes : cpu->lane_act_bytes;
        }
    cpu->lane_act = carve(memory, &used, shape->n_threads * cpu->lane_act_bytes);
    for (int a = 0; a < SLM_ACT_LIMIT; a++)
        cpu->own_act[a] = carve(memory, &used, shape->n_threads * cpu->act_bytes[a]);
    cpu->work.lanes = carve(memory, &used, shape->n_threads * sizeof *cpu->work.lanes);
    cpu->logits = carve(memory, &used, (size_t)shape->n_logits * c->n_vocab * f);
    return used;
}

/* ---------------------------------------------------------------- pieces --------------------- */

void slm_cpu_end_op(slm_backend_cpu *cpu, int lane, slm_op op, uint64_t bytes, uint64_t macs) {
    barrier(cpu);
    if (lane != 0)
        return;
    slm_op_sum *sum = &cpu->sums[op];
    uint64_t now = slm_now_ns();
    sum->ns += now - cpu->op_began;
    sum->calls++;
    sum->bytes += bytes;
    sum->macs += macs;
    cpu->op_began = now;
}

/* Whether weights are used once for n_rows of activations, so that they pass by as a stream. */
static int is_stream(const slm_linear *w, uint32_t n_rows) {
    return n_rows == 1 || (w->panel_bytes > 0 && n_rows <= SLM_TILE_ROWS);
}

/* Rows of weights in a chunk at most. */
static uint32_t most_rows(const slm_backend_cpu *cpu, const slm_linear *w, uint32_t n_rows) {
    if (!is_stream(w, n_rows))
        return w->panel_bytes ? panels_per_pass(cpu->model) * SLM_PANEL_ROWS : ROWS_PER_PASS;
    size_t n = STREAM_BYTES / w->row_bytes;
    return n < STREAM_ROWS ? (uint32_t)n : STREAM_ROWS;
}

/* Begins to hand out the rows of products with w (and with others like it) to the lanes: chunks of
 * whole panels, long enough to stream, short enough to end together. With many activation rows a
 * single panel takes long, so that lanes come down to those at the end. */
static void begin_rows(slm_backend_cpu *cpu, const slm_linear *w, int lane) {
    uint32_t most = most_rows(cpu, w, cpu->step->n_rows);
    uint32_t even = w->n_out / (4 * cpu->n_lanes), n = most < even ? most : even;
    n = n > SLM_PANEL_ROWS ? n / SLM_PANEL_ROWS : 1; /* panels */
    if (is_stream(w, cpu->step->n_rows)) {
        uint32_t pieces = n < STREAM_PIECES ? n : STREAM_PIECES;
        slm_work_begin_runs(&cpu->work, (uint32_t)lane, w->n_out, n / pieces * SLM_PANEL_ROWS,
                            even < 4 * most ? pieces : STREAM_RUN, pieces);
    } else if (w->panel_bytes > 0) {
        slm_work_begin_runs(&cpu->work, (uint32_t)lane, w->n_out, SLM_PANEL_ROWS, n, n);
    } else {
        slm_work_begin(&cpu->work, (uint32_t)lane, w->n_out, n * SLM_PANEL_ROWS);
    }
}

static int next_rows(slm_backend_cpu *cpu, int lane, uint32_t *first, uint32_t *last) {
    return slm_work_next(&cpu->work, (uint32_t)lane, first, last);
}

static uint32_t act_bit(const slm_linear *w) { return 1u << w->act; }

/* Where prepared activations of format `a` are: the lane's own place if they are a single row. */
static uint8_t *act_rows(const slm_backend_cpu *cpu, int a, int lane) {
    return cpu->step->n_rows == 1 ? cpu->own_act[a] + (size_t)lane * cpu->act_bytes[a] : cpu->act[a];
}

/* y = norm(x); y may be x. */
static void apply_norm(const slm_backend_cpu *cpu, float *y, const float *x, size_t n,
                       slm_cpu_norm norm) {
    const slm_kernels *k = &cpu->model->kernels;
    if (norm.bias != NULL)
        k->layer_norm(y, x, norm.weight, norm.bias, n, cpu->model->config.norm_eps);
    else
        k->rms_norm(y, x, norm.weight, n, cpu->model->config.norm_eps);
}

/* Turns row r of n floats into every activation format of `acts`. */
static void prepare_row(slm_backend_cpu *cpu, const float *x, size_t n, slm_cpu_norm norm,
                        uint32_t acts, uint32_t r, int lane) {
    const slm_kernels *k = &cpu->model->kernels;
    uint8_t *row = cpu->lane_act + (size_t)lane * cpu->lane_act_bytes;
    uint32_t n_rows = cpu->step->n_rows;
    if (norm.weight != NULL) {
        float *y = cpu->lane_row + (size_t)lane * cpu->lane_stride;
        apply_norm(cpu, y, x, n, norm);
        x = y;
    }
    for (int a = 0; a < SLM_ACT_LIMIT; a++) {
        if (!(acts & (1u << a)))
            continue;
        uint8_t *base = act_rows(cpu, a, lane);
        if (!is_tile((slm_act)a)) {
            k->quantize[a](base + r * cpu->act_bytes[a], x, n);
            continue;
        }
        k->quantize[rows_of((slm_act)a)](row, x, n);
        k->put_row((slm_act)a, base, n_rows, r, row, n);
    }
}

/* All rows of a step. A single row is prepared by each lane for itself, which costs less than
 * waiting for one another. */
static void prepare(slm_backend_cpu *cpu, const float *x, size_t stride, size_t n,
                    slm_cpu_norm norm, uint32_t acts, int lane) {
    uint32_t n_rows = cpu->step->n_rows, first, last;
    if (n_rows == 1) {
        prepare_row(cpu, x, n, norm, acts, 0, lane);
        return;
    }
    share(cpu, n_rows, lane, &first, &last);
    for (uint32_t r = first; r < last; r++)
        prepare_row(cpu, x + r * stride, n, norm, acts, r, lane);
    barrier(cpu);
}

/* y[r][i - first] = W[i] . act[r] for rows i of a chunk [first, last) of W and all rows of the step,
 * which are prepared; without bias. */
static void product(const slm_backend_cpu *cpu, const slm_linear *w, float *y, size_t y_stride,
                    int lane, uint32_t first, uint32_t last) {
    slm_matmul_fn matmul = cpu->model->kernels.matmul[w->type][w->act];
    size_t a_bytes = is_tile(w->act) ? slm_act_row_bytes(w->act, w->n_in) : cpu->act_bytes[w->act];
    uint32_t n_rows = cpu->step->n_rows;
    const uint8_t *rows = w->panel_bytes ? w->w + first / SLM_PANEL_ROWS * w->panel_bytes
                                         : w->w + first * w->row_bytes;
    matmul(y, y_stride, rows, w->panel_bytes ? w->panel_bytes : w->row_bytes, last - first,
           act_rows(cpu, (int)w->act, lane), a_bytes, n_rows, w->n_in);
    if (w->type == SLM_DTYPE_I2_S)
        for (uint32_t r = 0; r < n_rows; r++)
            for (uint32_t i = 0; i < last - first; i++)
                y[r * y_stride + i] *= w->scale;
}

void slm_cpu_multiply(slm_backend_cpu *cpu, const slm_linear *w, const float *x, size_t x_stride,
                      slm_cpu_norm norm, float *y, size_t y_stride, int lane) {
    uint32_t first, last;
    prepare(cpu, x, x_stride, w->n_in, norm, act_bit(w), lane);
    begin_rows(cpu, w, lane);
    while (next_rows(cpu, lane, &first, &last))
        product(cpu, w, y + first, y_stride, lane, first, last);
    barrier(cpu);
}

/* Where a lane has its chunk of a product until its epilogue, the `i`-th of two: there the chunk is
 * one piece, while in the rows of the step it is many short ones. */
static float *chunk_out(const slm_backend_cpu *cpu, int lane, int i) {
    return cpu->lane_out + (2 * (size_t)lane + (size_t)i) * cpu->out_floats;
}

/* ---------------------------------------------------------------- ops ------------------------ */

static void op_embed(void *backend, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_model *m = cpu->model;
    const slm_linear *e = &m->embed;
    size_t d = m->config.d_model, n_half = m->config.n_rot / 2;
    for (uint32_t r = (uint32_t)lane; r < cpu->step->n_rows; r += cpu->n_lanes) {
        const slm_row *row = &cpu->step->rows[r];
        float *x = cpu->x + r * d;
        const uint8_t *w = e->w + (size_t)row->token * e->row_bytes;
        if (e->panel_bytes > 0) {
            uint32_t t = (uint32_t)row->token;
            uint8_t *unpacked = (uint8_t *)(cpu->lane_row + (size_t)lane * cpu->lane_stride);
            slm_unpack_row(e->type, unpacked, e->w + t / SLM_PANEL_ROWS * e->panel_bytes,
                           t % SLM_PANEL_ROWS, d);
            w = unpacked;
        }
        m->kernels.dequantize[e->type](x, w, d);
        if (e->type == SLM_DTYPE_I2_S)
            for (size_t i = 0; i < d; i++)
                x[i] *= e->scale;
        slm_rope_angles(cpu->cos + r * n_half, cpu->sin + r * n_half,
                        m->inv_freq[cpu->seqs[row->slot].rope_long], n_half, row->position,
                        m->config.rope_attn_factor);
    }
    slm_cpu_end_op(cpu, lane, SLM_OP_EMBED, 0, 0);
}

/* Bias, norm and RoPE of one head of one row, from raw to y. */
static void finish_head(const slm_backend_cpu *cpu, float *raw, const float *bias,
                        const float *norm, uint32_t r, float *y) {
    const slm_config *c = &cpu->model->config;
    size_t n_half = c->n_rot / 2;
    const float *cos = cpu->cos + r * n_half, *sin = cpu->sin + r * n_half;
    if (bias != NULL)
        for (uint32_t i = 0; i < c->d_head; i++)
            raw[i] += bias[i];
    if (norm != NULL)
        cpu->model->kernels.rms_norm(raw, raw, norm, c->d_head, c->norm_eps);
    if (c->arch->rope_interleaved) {
        slm_rope_interleaved(y, raw, cos, sin, c->n_rot, c->d_head);
    } else {
        memcpy(y, raw, c->d_head * sizeof *y);
        slm_rope_half(y, cos, sin, c->n_rot);
    }
}

static void store_kv(const slm_backend_cpu *cpu, const slm_layer *l, const slm_row *row, int is_v,
                     uint32_t kv_head, const float *x, int lane) {
    const slm_kv_layout *layout = cpu->layout;
    size_t d = cpu->model->config.d_head, t = row->position % SLM_KV_GROUP;
    uint8_t *group = slm_cpu_kv_group(cpu, l, row->slot, row->position, is_v, kv_head);
    if (is_v) {
        uint32_t span = slm_cpu_span(cpu->model);
        group += (t * span + kv_head % span) * layout->row_bytes;
        cpu->model->kernels.kv_store[layout->type](group, x, d);
        return;
    }
    uint8_t *key = cpu->lane_key + (size_t)lane * cpu->lane_key_bytes;
    cpu->model->kernels.kv_store[layout->type](key, x, d);
    slm_kv_put_key(layout->type, group, t, key, d);
}

static void op_qkv(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_config *c = &cpu->model->config;
    uint32_t first, last, d = c->d_head;
    size_t n_q = (size_t)c->n_heads * d, n_kv = (size_t)c->n_kv_heads * d;
    int n_parts = l->mixer == SLM_MIXER_CROSS ? 1 : 3; /* q alone, or q, k and v */
    prepare(cpu, cpu->x, c->d_model, c->d_model, (slm_cpu_norm){l->attn_norm, l->attn_norm_bias},
            n_parts == 1 ? act_bit(&l->q) : act_bit(&l->q) | act_bit(&l->k) | act_bit(&l->v), lane);
    const slm_linear *const w[] = {&l->q, &l->k, &l->v};
    float *const y[] = {cpu->raw, cpu->raw + n_q, cpu->raw + n_q + n_kv};
    for (int i = 0; i < n_parts; i++) {
        begin_rows(cpu, w[i], lane);
        while (next_rows(cpu, lane, &first, &last))
            product(cpu, w[i], y[i] + first, cpu->raw_stride, lane, first, last);
    }
    barrier(cpu);

    float *tmp = cpu->lane_row + (size_t)lane * cpu->lane_stride;
    uint32_t per_row = c->n_heads + (n_parts == 1 ? 0 : 2 * c->n_kv_heads), n_rows = cpu->step->n_rows;
    for (uint32_t u = (uint32_t)lane; u < n_rows * per_row; u += cpu->n_lanes) {
        uint32_t r = u / per_row, h = u % per_row;
        const slm_row *row = &cpu->step->rows[r];
        float *raw = cpu->raw + r * cpu->raw_stride + h * (size_t)d;
        if (h < c->n_heads) {
            finish_head(cpu, raw, l->q.bias == NULL ? NULL : l->q.bias + h * (size_t)d, l->q_norm,
                        r, cpu->q + r * n_q + h * (size_t)d);
        } else if ((h -= c->n_heads) < c->n_kv_heads) {
            finish_head(cpu, raw, l->k.bias == NULL ? NULL : l->k.bias + h * (size_t)d, l->k_norm,
                        r, tmp);
            store_kv(cpu, l, row, 0, h, tmp, lane);
        } else {
            h -= c->n_kv_heads;
            for (uint32_t i = 0; l->v.bias != NULL && i < d; i++)
                raw[i] += l->v.bias[h * (size_t)d + i];
            store_kv(cpu, l, row, 1, h, raw, lane);
        }
    }
    slm_cpu_end_op(cpu, lane, SLM_OP_QKV, bytes_of(w[0]) + bytes_of(w[1]) + bytes_of(w[2]),
           macs_of(w[0], n_rows) + macs_of(w[1], n_rows) + macs_of(w[2], n_rows));
}

/* h = act(gate) * up */
static void activate(const slm_backend_cpu *cpu, float *h, const float *gate, const float *up,
                     uint32_t n) {
    const slm_kernels *k = &cpu->model->kernels;
    switch (cpu->model->config.arch->activation) {
    case SLM_ACTIVATION_SILU:
        k->silu_mul(h, gate, up, n);
        break;
    case SLM_ACTIVATION_GELU:
        k->gelu_mul(h, gate, up, n);
        break;
    case SLM_ACTIVATION_RELU2:
        k->relu2_mul(h, gate, up, n);
        break;
    }
}

static void op_gate_up(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_config *c = &cpu->model->config;
    float *gate = chunk_out(cpu, lane, 0), *up = chunk_out(cpu, lane, 1);
    uint32_t first, last;
    prepare(cpu, cpu->x, c->d_model, c->d_model, (slm_cpu_norm){l->ffn_norm, l->ffn_norm_bias},
            act_bit(&l->gate) | act_bit(&l->up), lane);
    begin_rows(cpu, &l->gate, lane);
    while (next_rows(cpu, lane, &first, &last)) {
        uint32_t n = last - first;
        product(cpu, &l->gate, gate, n, lane, first, last);
        product(cpu, &l->up, up, n, lane, first, last);
        for (uint32_t r = 0; r < cpu->step->n_rows; r++)
            activate(cpu, cpu->h + r * cpu->h_stride + first, gate + (size_t)r * n,
                     up + (size_t)r * n, n);
    }
    slm_cpu_end_op(cpu, lane, SLM_OP_GATE_UP, bytes_of(&l->gate) + bytes_of(&l->up),
           2 * macs_of(&l->gate, cpu->step->n_rows));
}

/* Asks for n floats of a row that the one before does not lead prefetchers to. */
static void prefetch(const float *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16)
        __builtin_prefetch(x + i, 1);
}

/* x += y, in steps that compilers turn into vectors. */
static void add(float *restrict x, const float *restrict y, uint32_t n) {
    uint32_t i = 0;
    for (; n - i >= 16; i += 16)
        for (uint32_t j = 0; j < 16; j++)
            x[i + j] += y[i + j];
    for (; i < n; i++)
        x[i] += y[i];
}

static void op_project_add(void *backend, const slm_linear *w, slm_branch branch,
                           const float *sub_norm, int lane) {
    slm_backend_cpu *cpu = backend;
    size_t d = cpu->model->config.d_model;
    uint32_t first, last;
    int is_attention = branch == SLM_BRANCH_MIXER;
    float *y = chunk_out(cpu, lane, 0);
    prepare(cpu, is_attention ? cpu->attended : cpu->h, is_attention ? w->n_in : cpu->h_stride,
            w->n_in, (slm_cpu_norm){sub_norm, NULL}, act_bit(w), lane);
    begin_rows(cpu, w, lane);
    while (next_rows(cpu, lane, &first, &last)) {
        uint32_t n = last - first;
        product(cpu, w, y, n, lane, first, last);
        for (uint32_t r = 0; r < cpu->step->n_rows; r++) {
            if (r + ROWS_AHEAD < cpu->step->n_rows)
                prefetch(cpu->x + (r + ROWS_AHEAD) * d + first, n);
            add(cpu->x + r * d + first, y + (size_t)r * n, n);
        }
        for (uint32_t r = 0; w->bias != NULL && r < cpu->step->n_rows; r++)
            add(cpu->x + r * d + first, w->bias + first, n);
    }
    slm_cpu_end_op(cpu, lane, is_attention ? SLM_OP_ATTN_OUTPUT : SLM_OP_DOWN, bytes_of(w),
           macs_of(w, cpu->step->n_rows));
}

/* Rows that want logits move together at the front; each lane moves a share of the columns. */
static void gather_wanted(const slm_backend_cpu *cpu, float *x, size_t n, int lane) {
    uint32_t first, last, to = 0;
    share(cpu, (uint32_t)n, lane, &first, &last);
    for (uint32_t r = 0; r < cpu->step->n_rows; r++)
        if (cpu->step->rows[r].logits_row != SLM_NO_LOGITS)
            memmove(x + to++ * n + first, x + r * n + first, (last - first) * sizeof *x);
}

static uint32_t op_narrow(void *backend, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_step *step = cpu->step;
    const slm_config *c = &cpu->model->config;
    if (step->n_logits == 0 || step->n_logits == step->n_rows)
        return step->n_logits;
    gather_wanted(cpu, cpu->x, c->d_model, lane);
    gather_wanted(cpu, cpu->q, (size_t)c->n_heads * c->d_head, lane);
    if (cpu->model->n_scans > 0)
        gather_wanted(cpu, cpu->memory, c->d_inner, lane);
    barrier(cpu);
    if (lane == 0) {
        cpu->wanted = (slm_step){cpu->wanted_rows, 0, step->n_logits, step->n_hidden};
        for (uint32_t r = 0; r < step->n_rows; r++)
            if (step->rows[r].logits_row != SLM_NO_LOGITS)
                cpu->wanted_rows[cpu->wanted.n_rows++] = step->rows[r];
        cpu->step = &cpu->wanted;
    }
    barrier(cpu);
    return cpu->step->n_rows;
}

/* Norms hidden rows where they are, and leaves them out of what follows. Returns the rows left. */
static uint32_t finish_hidden(slm_backend_cpu *cpu, int lane) {
    const slm_model *m = cpu->model;
    slm_cpu_norm norm = {m->output_norm, m->output_norm_bias};
    uint32_t n_left = cpu->step->n_rows - cpu->step->n_hidden, first, last;
    size_t d = m->config.d_model;
    if (cpu->step->n_hidden == 0)
        return n_left;
    share(cpu, cpu->step->n_hidden, lane, &first, &last);
    for (uint32_t r = n_left + first; r < n_left + last; r++)
        apply_norm(cpu, cpu->x + r * d, cpu->x + r * d, d, norm);
    barrier(cpu);
    if (lane == 0) {
        cpu->wanted = (slm_step){cpu->step->rows, n_left, n_left, 0};
        cpu->step = &cpu->wanted;
    }
    barrier(cpu);
    return n_left;
}

/* The logits of a single row: those of several chunks are moved together, since a copy that is long
 * enough does not read what it overwrites. */
static void multiply_head(slm_backend_cpu *cpu, float *logits, int lane) {
    float *y = chunk_out(cpu, lane, 0);
    uint32_t first, last, begin = 0, n = 0;
    while (next_rows(cpu, lane, &first, &last)) {
        if (n > 0 && (first != begin + n || n + (last - first) > LOGITS_TOGETHER)) {
            memcpy(logits + begin, y, n * sizeof *y);
            n = 0;
        }
        if (n == 0)
            begin = first;
        product(cpu, &cpu->model->head, y + n, last - first, lane, first, last);
        n += last - first;
    }
    if (n > 0)
        memcpy(logits + begin, y, n * sizeof *y);
}

/* Sessions' rows of logits lie anywhere, and are multiplied as one all the same. */
static void op_head(void *backend, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_model *m = cpu->model;
    size_t d = m->config.d_model, n_vocab = m->config.n_vocab;
    uint32_t first, last, n_rows = finish_hidden(cpu, lane);
    float *y = chunk_out(cpu, lane, 0);
    if (n_rows == 0)
        return;
    prepare(cpu, cpu->x, d, d, (slm_cpu_norm){m->output_norm, m->output_norm_bias},
            act_bit(&m->head), lane);
    begin_rows(cpu, &m->head, lane);
    if (n_rows == 1)
        multiply_head(cpu, cpu->logits + cpu->step->rows[0].logits_row * n_vocab, lane);
    while (n_rows > 1 && next_rows(cpu, lane, &first, &last)) {
        uint32_t n = last - first;
        product(cpu, &m->head, y, n, lane, first, last);
        for (uint32_t r = 0; r < n_rows; r++)
            memcpy(cpu->logits + cpu->step->rows[r].logits_row * n_vocab + first, y + (size_t)r * n,
                   n * sizeof *y);
    }
    slm_cpu_end_op(cpu, lane, SLM_OP_HEAD, bytes_of(&m->head), macs_of(&m->head, n_rows));
}

static const slm_ops ops = {
    .embed = op_embed,
    .qkv = op_qkv,
    .narrow = op_narrow,
    .attend = slm_cpu_attend,
    .scan = slm_cpu_scan,
    .gate_memory = slm_cpu_gate_memory,
    .gate_up = op_gate_up,
    .project_add = op_project_add,
    .head = op_head,
};

void slm_backend_cpu_open(slm_backend_cpu *cpu) {
    slm_barrier_init(&cpu->barrier);
    slm_lanes_open(&cpu->lanes, cpu->shape.n_threads);
    cpu->n_lanes = cpu->lanes.n;
}

void slm_backend_cpu_close(slm_backend_cpu *cpu) { slm_lanes_close(&cpu->lanes); }

static void run_lane(void *context, uint32_t lane) {
    slm_backend_cpu *cpu = context;
    slm_fpenv saved = slm_fpenv_enter();
    slm_forward(cpu->model, &ops, cpu, (int)lane);
    slm_fpenv_leave(saved);
}

void slm_backend_cpu_run(slm_backend_cpu *cpu, const slm_step *step) {
    cpu->step = step;
    cpu->op_began = slm_now_ns();
    slm_work_start(&cpu->work, cpu->n_lanes);
    slm_lanes_run(&cpu->lanes, run_lane, cpu);
}
