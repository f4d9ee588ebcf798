#include "run/backend_cpu.h"

#include "base/checked.h"
#include "packed.h"
#include "run/fpenv.h"

#include <string.h>

/* Weight rows multiplied with all activation rows before going on: they stay in the L2 cache. */
#define ROWS_PER_PASS   32u
#define PANELS_PER_PASS 4u
/* Bytes of weights that a lane takes at a time where few activation rows make them a stream. */
#define CHUNK_BYTES ((size_t)256 << 10)
/* Queries of an attention task: their sums stay in the L2 cache while keys and values pass by. */
#define QUERIES_PER_TASK 96u

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

size_t slm_backend_cpu_layout(slm_backend_cpu *cpu, const slm_model *m, const slm_cpu_shape *shape,
                              void *memory) {
    const slm_config *c = &m->config;
    size_t n_q = (size_t)c->n_heads * c->d_head, n_kv = (size_t)c->n_kv_heads * c->d_head;
    size_t rows = shape->max_rows, used = 0;
    cpu->model = m;
    cpu->shape = *shape;
    memset(cpu->act_bytes, 0, sizeof cpu->act_bytes);
    need_act(cpu, &m->head);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const slm_layer *l = &m->layers[i];
        const slm_linear *const all[] = {&l->q,    &l->k,  &l->v,   &l->attn_output,
                                         &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++)
            need_act(cpu, all[j]);
    }
    cpu->raw_stride = slm_round_up(n_q + 2 * n_kv > c->d_model ? n_q + 2 * n_kv : c->d_model, 16);
    cpu->lane_stride = n_q > c->d_model ? n_q : c->d_model;
    if (c->d_ff > cpu->lane_stride)
        cpu->lane_stride = c->d_ff;
    cpu->lane_stride = slm_round_up(cpu->lane_stride, 16);

    size_t f = sizeof(float);
    cpu->x = carve(memory, &used, rows * c->d_model * f);
    cpu->raw = carve(memory, &used, rows * cpu->raw_stride * f);
    cpu->q = carve(memory, &used, rows * n_q * f);
    cpu->attended = carve(memory, &used, rows * n_q * f);
    cpu->gate = carve(memory, &used, rows * c->d_ff * f);
    cpu->up = carve(memory, &used, rows * c->d_ff * f);
    cpu->cos = carve(memory, &used, rows * (c->n_rot / 2) * f);
    cpu->sin = carve(memory, &used, rows * (c->n_rot / 2) * f);
    for (int a = 0; a < SLM_ACT_LIMIT; a++)
        cpu->act[a] = carve(memory, &used, rows * cpu->act_bytes[a]);
    uint32_t group = c->n_heads / c->n_kv_heads;
    size_t most = shape->max_rows * (size_t)group, stride = slm_round_up(c->d_head, 16);
    if (most > QUERIES_PER_TASK)
        most = group > QUERIES_PER_TASK ? group : QUERIES_PER_TASK;
    cpu->attend_queries = (uint32_t)most;
    cpu->lane_attend_bytes = (most * (2 * stride + 16) + slm_round_up(most, 16)) * f +
                             most * slm_act_row_bytes(SLM_ACT_Q8_0, c->d_head);
    cpu->lane_attend = carve(memory, &used, shape->n_threads * cpu->lane_attend_bytes);
    cpu->lane_key_bytes = slm_round_up(slm_kv_row_bytes(SLM_KVT_F32, c->d_head) + 64, 64);
    cpu->lane_key = carve(memory, &used, shape->n_threads * cpu->lane_key_bytes);
    cpu->lane_row = carve(memory, &used, shape->n_threads * cpu->lane_stride * f);
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

static void barrier(slm_backend_cpu *cpu) { slm_barrier_wait(&cpu->barrier, cpu->n_lanes); }

/* The share of n items that a lane has: [*first, *last). */
static void share(const slm_backend_cpu *cpu, uint32_t n, int lane, uint32_t *first,
                  uint32_t *last) {
    slm_work_share(n, 1, cpu->n_lanes, (uint32_t)lane, first, last);
}

/* The end of an op, for the report of where time goes. */
static void end_op(slm_backend_cpu *cpu, int lane, slm_op op, uint64_t bytes, uint64_t macs) {
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

static uint64_t bytes_of(const slm_linear *w) { return (uint64_t)w->n_out * w->row_bytes; }
static uint64_t macs_of(const slm_linear *w, uint32_t n_rows) {
    return (uint64_t)w->n_out * w->n_in * n_rows;
}

/* Whether weights are used once for n_rows of activations, so that they pass by as a stream. */
static int is_stream(const slm_linear *w, uint32_t n_rows) {
    return n_rows == 1 || (w->panel_bytes > 0 && n_rows <= SLM_TILE_ROWS);
}

static uint32_t rows_per_pass(const slm_linear *w) {
    return w->panel_bytes ? PANELS_PER_PASS * SLM_PANEL_ROWS : ROWS_PER_PASS;
}

/* Begins to hand out the rows of products with w (and with others like it) to the lanes: chunks of
 * whole panels, long enough to stream, short enough to end together. */
static void begin_rows(slm_backend_cpu *cpu, const slm_linear *w, int lane) {
    uint32_t most = is_stream(w, cpu->step->n_rows) ? (uint32_t)(CHUNK_BYTES / w->row_bytes)
                                                    : rows_per_pass(w);
    uint32_t even = w->n_out / (4 * cpu->n_lanes), n = most < even ? most : even;
    n = n / SLM_PANEL_ROWS * SLM_PANEL_ROWS;
    slm_work_begin(&cpu->work, (uint32_t)lane, w->n_out, n > 0 ? n : SLM_PANEL_ROWS);
}

static int next_rows(slm_backend_cpu *cpu, int lane, uint32_t *first, uint32_t *last) {
    return slm_work_next(&cpu->work, (uint32_t)lane, first, last);
}

static uint32_t act_bit(const slm_linear *w) { return 1u << w->act; }

/* Where prepared activations of format `a` are: the lane's own place if they are a single row. */
static uint8_t *act_rows(const slm_backend_cpu *cpu, int a, int is_single, int lane) {
    return is_single ? cpu->own_act[a] + (size_t)lane * cpu->act_bytes[a] : cpu->act[a];
}

/* Turns one row of n floats into every activation format of `acts`: row r of a run of n_rows that
 * begins at row `at` of the buffers. */
static void prepare_row(slm_backend_cpu *cpu, const float *x, size_t n, const float *norm,
                        uint32_t acts, uint32_t at, uint32_t r, uint32_t n_rows, int is_single,
                        int lane) {
    const slm_kernels *k = &cpu->model->kernels;
    uint8_t *row = cpu->lane_act + (size_t)lane * cpu->lane_act_bytes;
    if (norm != NULL) {
        float *y = cpu->lane_row + (size_t)lane * cpu->lane_stride;
        k->rms_norm(y, x, norm, n, cpu->model->config.norm_eps);
        x = y;
    }
    for (int a = 0; a < SLM_ACT_LIMIT; a++) {
        if (!(acts & (1u << a)))
            continue;
        uint8_t *base = act_rows(cpu, a, is_single, lane) + at * cpu->act_bytes[a];
        if (!is_tile((slm_act)a)) {
            k->quantize[a](base + r * cpu->act_bytes[a], x, n);
            continue;
        }
        uint32_t first = r / SLM_TILE_ROWS * SLM_TILE_ROWS, width = n_rows - first;
        size_t block = a == SLM_ACT_Q8_K_TILE ? 256 : 32;
        k->quantize[rows_of((slm_act)a)](row, x, n);
        slm_tile_put((slm_act)a, base + first * slm_act_row_bytes((slm_act)a, n),
                     width < SLM_TILE_ROWS ? width : SLM_TILE_ROWS, r - first, row, 0,
                     (n + block - 1) / block);
    }
}

/* All rows of a step. A single row is prepared by each lane for itself, which costs less than
 * waiting for one another. */
static void prepare(slm_backend_cpu *cpu, const float *x, size_t stride, size_t n,
                    const float *norm, uint32_t acts, int lane) {
    uint32_t n_rows = cpu->step->n_rows, first, last;
    if (n_rows == 1) {
        prepare_row(cpu, x, n, norm, acts, 0, 0, 1, 1, lane);
        return;
    }
    share(cpu, n_rows, lane, &first, &last);
    for (uint32_t r = first; r < last; r++)
        prepare_row(cpu, x + r * stride, n, norm, acts, 0, r, n_rows, 0, lane);
    barrier(cpu);
}

/* y[r][i] = W[i] . act[r] for rows i in [first, last) of W and the run of n_rows prepared rows at
 * `at`; without bias. */
static void multiply(const slm_backend_cpu *cpu, const slm_linear *w, float *y, size_t y_stride,
                     uint32_t first, uint32_t last, uint32_t at, uint32_t n_rows, int is_single,
                     int lane) {
    slm_matmul_fn matmul = cpu->model->kernels.matmul[w->type][w->act];
    size_t a_bytes = is_tile(w->act) ? slm_act_row_bytes(w->act, w->n_in) : cpu->act_bytes[w->act];
    const uint8_t *act = act_rows(cpu, (int)w->act, is_single, lane) + at * cpu->act_bytes[w->act];
    uint32_t pass = is_stream(w, n_rows) ? last - first : rows_per_pass(w);
    for (uint32_t i = first; i < last; i += pass) {
        uint32_t n = last - i < pass ? last - i : pass;
        const uint8_t *rows = w->panel_bytes ? w->w + i / SLM_PANEL_ROWS * w->panel_bytes
                                             : w->w + i * w->row_bytes;
        matmul(y + i, y_stride, rows, w->panel_bytes ? w->panel_bytes : w->row_bytes, n, act,
               a_bytes, n_rows, w->n_in);
    }
    if (w->type == SLM_DTYPE_I2_S)
        for (uint32_t r = 0; r < n_rows; r++)
            for (uint32_t i = first; i < last; i++)
                y[r * y_stride + i] *= w->scale;
}

/* Rows [first, last) of a product with all rows of the step. */
static void product(const slm_backend_cpu *cpu, const slm_linear *w, float *y, size_t y_stride,
                    int lane, uint32_t first, uint32_t last) {
    multiply(cpu, w, y, y_stride, first, last, 0, cpu->step->n_rows, cpu->step->n_rows == 1, lane);
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
    end_op(cpu, lane, SLM_OP_EMBED, 0, 0);
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

/* Where a group of keys, or the values of its tokens, are for one head of keys and values. */
static uint8_t *kv_group(const slm_backend_cpu *cpu, const slm_layer *l, uint32_t slot,
                         uint32_t position, int is_v, uint32_t kv_head) {
    const slm_kv_table *table = &cpu->seqs[slot].tables[l->kv_group];
    uint32_t page = table->pages[position >> cpu->layout->page_shift];
    uint32_t cell = position & (cpu->layout->page_tokens - 1) & ~(SLM_KV_GROUP - 1);
    return slm_kv_page(&cpu->pools[l->kv_group], cpu->layout, page, l->kv_index, is_v, kv_head) +
           cell * cpu->layout->row_bytes;
}

static void store_kv(const slm_backend_cpu *cpu, const slm_layer *l, const slm_row *row, int is_v,
                     uint32_t kv_head, const float *x, int lane) {
    const slm_kv_layout *layout = cpu->layout;
    size_t d = cpu->model->config.d_head, t = row->position % SLM_KV_GROUP;
    uint8_t *group = kv_group(cpu, l, row->slot, row->position, is_v, kv_head);
    if (is_v) {
        cpu->model->kernels.kv_store[layout->type](group + t * layout->row_bytes, x, d);
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
    prepare(cpu, cpu->x, c->d_model, c->d_model, l->attn_norm,
            act_bit(&l->q) | act_bit(&l->k) | act_bit(&l->v), lane);
    const slm_linear *const w[] = {&l->q, &l->k, &l->v};
    float *const y[] = {cpu->raw, cpu->raw + n_q, cpu->raw + n_q + n_kv};
    for (int i = 0; i < 3; i++) {
        begin_rows(cpu, w[i], lane);
        while (next_rows(cpu, lane, &first, &last))
            product(cpu, w[i], y[i], cpu->raw_stride, lane, first, last);
    }
    barrier(cpu);

    float *tmp = cpu->lane_row + (size_t)lane * cpu->lane_stride;
    uint32_t per_row = c->n_heads + 2 * c->n_kv_heads, n_rows = cpu->step->n_rows;
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
    end_op(cpu, lane, SLM_OP_QKV, bytes_of(w[0]) + bytes_of(w[1]) + bytes_of(w[2]),
           macs_of(w[0], n_rows) + macs_of(w[1], n_rows) + macs_of(w[2], n_rows));
}

/* Rows of one session that follow one another, with the query heads of one head of keys and
 * values: they go over the same tokens together. */
typedef struct slm_attend_task {
    uint32_t row, n_rows, kv_head;
} slm_attend_task;

/* How many rows from r on, at most `most`, belong to the same session. */
static uint32_t run_of_rows(const slm_step *step, uint32_t r, uint32_t most) {
    uint32_t n = 1;
    while (n < most && r + n < step->n_rows && step->rows[r + n].slot == step->rows[r].slot)
        n++;
    return n;
}

/* Tokens [begin, end) that a row sees. */
static void visible(const slm_backend_cpu *cpu, const slm_layer *l, uint32_t row, uint32_t *begin,
                    uint32_t *end) {
    uint32_t window = cpu->model->groups[l->kv_group].window;
    *end = cpu->step->rows[row].position + 1;
    *begin = window != 0 && *end > window ? *end - window : 0;
}

static slm_attention begin_attention(slm_backend_cpu *cpu, const slm_attend_task *task, int lane) {
    const slm_config *c = &cpu->model->config;
    uint32_t group = c->n_heads / c->n_kv_heads, d = c->d_head, n = task->n_rows * group;
    size_t stride = slm_round_up(d, 16), most = cpu->attend_queries;
    float scale = 1.0f / __builtin_sqrtf((float)d);
    uint8_t *at = cpu->lane_attend + (size_t)lane * cpu->lane_attend_bytes;
    float *q = (float *)(void *)at, *o = q + most * stride, *l = o + most * stride, *m = l + most * 16;
    uint8_t *q8 = (uint8_t *)(m + slm_round_up(most, 16));
    slm_attention a = {.d = d, .stride = stride, .q = q, .o = o, .l = l, .m = m, .q8 = q8,
                       .q8_bytes = slm_act_row_bytes(SLM_ACT_Q8_0, d)};
    memset(o, 0, n * stride * sizeof *o);
    memset(l, 0, n * 16 * sizeof *l);
    for (uint32_t j = 0; j < n; j++) {
        const float *from = cpu->q + (task->row + j / group) * (size_t)c->n_heads * d +
                            (task->kv_head * group + j % group) * (size_t)d;
        float *to = q + j * stride;
        for (uint32_t i = 0; i < d; i++)
            to[i] = from[i] * scale;
        m[j] = -__builtin_inff();
        if (cpu->layout->type == SLM_KVT_Q8_0)
            cpu->model->kernels.quantize[SLM_ACT_Q8_0](q8 + j * a.q8_bytes, to, d);
    }
    return a;
}

static void end_attention(slm_backend_cpu *cpu, const slm_attend_task *task,
                          const slm_attention *a) {
    const slm_config *c = &cpu->model->config;
    uint32_t group = c->n_heads / c->n_kv_heads, d = c->d_head;
    for (uint32_t j = 0; j < task->n_rows * group; j++) {
        float *to = cpu->attended + (task->row + j / group) * (size_t)c->n_heads * d +
                    (task->kv_head * group + j % group) * (size_t)d;
        const float *o = a->o + j * a->stride, *l = a->l + (size_t)j * 16;
        float sum = 0;
        for (int i = 0; i < 16; i++)
            sum += l[i];
        float inv = 1.0f / sum;
        for (uint32_t i = 0; i < d; i++)
            to[i] = o[i] * inv;
    }
}

/* Where the four groups of a block are; NULL where the session holds no page or ends before. */
static void find_block(const slm_backend_cpu *cpu, const slm_layer *l, const slm_attend_task *task,
                       uint32_t base, uint32_t end, const void *k[4], const void *v[4]) {
    uint32_t slot = cpu->step->rows[task->row].slot;
    const slm_kv_table *table = &cpu->seqs[slot].tables[l->kv_group];
    for (uint32_t g = 0; g < SLM_KV_BLOCK / SLM_KV_GROUP; g++) {
        uint32_t position = base + g * SLM_KV_GROUP, page = position >> cpu->layout->page_shift;
        k[g] = v[g] = NULL;
        if (position >= end || page < table->begin || page >= table->end)
            continue;
        k[g] = kv_group(cpu, l, slot, position, 0, task->kv_head);
        v[g] = kv_group(cpu, l, slot, position, 1, task->kv_head);
    }
}

static void attend_task(slm_backend_cpu *cpu, const slm_layer *l, const slm_attend_task *task,
                        int lane) {
    slm_attend_fn attend = cpu->model->kernels.attend[cpu->layout->type];
    uint32_t group = cpu->model->config.n_heads / cpu->model->config.n_kv_heads;
    uint32_t begin, end, last_begin, first_end, last = task->row + task->n_rows - 1;
    visible(cpu, l, task->row, &begin, &first_end);
    visible(cpu, l, last, &last_begin, &end);
    slm_attention a = begin_attention(cpu, task, lane);
    size_t bytes = cpu->layout->row_bytes;
    const void *blocks[2][2][4]; /* keys and values of this block and of the next */
    uint32_t base = begin / SLM_KV_BLOCK * SLM_KV_BLOCK, turn = 0;
    find_block(cpu, l, task, base, end, blocks[0][0], blocks[0][1]);
    for (; base < end; base += SLM_KV_BLOCK, turn ^= 1) {
        const void **k = blocks[turn][0], **v = blocks[turn][1], **next = blocks[turn ^ 1][0];
        find_block(cpu, l, task, base + SLM_KV_BLOCK, end, next, blocks[turn ^ 1][1]);
        a.next_k = next;
        if (base >= last_begin && base + SLM_KV_BLOCK <= first_end) { /* all rows see all of it */
            attend(&a, 0, (size_t)task->n_rows * group, k, v, bytes, 0, SLM_KV_BLOCK);
            continue;
        }
        for (uint32_t r = 0; r < task->n_rows; r++) {
            uint32_t from, to;
            visible(cpu, l, task->row + r, &from, &to);
            from = from > base ? from - base : 0;
            to = to < base ? 0 : to - base < SLM_KV_BLOCK ? to - base : SLM_KV_BLOCK;
            if (from < to)
                attend(&a, (size_t)r * group, group, k, v, bytes, from, to);
        }
    }
    end_attention(cpu, task, &a);
}

/* Each run of rows reads the keys and values that its last row sees, from where its first one does. */
static void count_attention(slm_backend_cpu *cpu, const slm_layer *l, int lane, uint32_t most) {
    const slm_config *c = &cpu->model->config;
    uint64_t bytes = 0, macs = 0;
    uint32_t begin, end, unused;
    for (uint32_t r = 0, n; lane == 0 && r < cpu->step->n_rows; r += n) {
        n = run_of_rows(cpu->step, r, most);
        visible(cpu, l, r, &begin, &unused);
        visible(cpu, l, r + n - 1, &unused, &end);
        bytes += 2 * (uint64_t)c->n_kv_heads * cpu->layout->row_bytes * (end - begin);
        for (uint32_t i = r; i < r + n; i++) {
            visible(cpu, l, i, &begin, &end);
            macs += 2 * (uint64_t)c->n_heads * c->d_head * (end - begin);
        }
    }
    end_op(cpu, lane, SLM_OP_ATTEND, bytes, macs);
}

static void op_attend(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_step *step = cpu->step;
    uint32_t n_kv = cpu->model->config.n_kv_heads, n_runs = 0, at = 0, run = 0, length, u, end;
    uint32_t most = cpu->attend_queries / (cpu->model->config.n_heads / n_kv);
    for (uint32_t r = 0; r < step->n_rows; r += run_of_rows(step, r, most))
        n_runs++;
    length = run_of_rows(step, 0, most);
    slm_work_begin(&cpu->work, (uint32_t)lane, n_runs * n_kv, 1);
    while (slm_work_next(&cpu->work, (uint32_t)lane, &u, &end)) {
        if (u / n_kv < run)
            at = run = 0, length = run_of_rows(step, 0, most);
        for (; run < u / n_kv; run++) {
            at += length;
            length = run_of_rows(step, at, most);
        }
        slm_attend_task task = {at, length, u % n_kv};
        attend_task(cpu, l, &task, lane);
    }
    count_attention(cpu, l, lane, most);
}

/* gate = act(gate) * up */
static void activate(const slm_backend_cpu *cpu, float *gate, const float *up, uint32_t n) {
    const slm_kernels *k = &cpu->model->kernels;
    switch (cpu->model->config.arch->activation) {
    case SLM_ACTIVATION_SILU:
        k->silu_mul(gate, gate, up, n);
        break;
    case SLM_ACTIVATION_GELU:
        k->gelu_mul(gate, gate, up, n);
        break;
    case SLM_ACTIVATION_RELU2:
        k->relu2_mul(gate, gate, up, n);
        break;
    }
}

static void op_gate_up(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_config *c = &cpu->model->config;
    uint32_t first, last;
    prepare(cpu, cpu->x, c->d_model, c->d_model, l->ffn_norm, act_bit(&l->gate) | act_bit(&l->up),
            lane);
    begin_rows(cpu, &l->gate, lane);
    while (next_rows(cpu, lane, &first, &last)) {
        product(cpu, &l->gate, cpu->gate, c->d_ff, lane, first, last);
        product(cpu, &l->up, cpu->up, c->d_ff, lane, first, last);
        for (uint32_t r = 0; r < cpu->step->n_rows; r++) {
            float *gate = cpu->gate + r * (size_t)c->d_ff + first;
            activate(cpu, gate, cpu->up + r * (size_t)c->d_ff + first, last - first);
        }
    }
    end_op(cpu, lane, SLM_OP_GATE_UP, bytes_of(&l->gate) + bytes_of(&l->up),
           2 * macs_of(&l->gate, cpu->step->n_rows));
}

static void op_project_add(void *backend, const slm_linear *w, slm_branch branch,
                           const float *sub_norm, int lane) {
    slm_backend_cpu *cpu = backend;
    size_t d = cpu->model->config.d_model;
    uint32_t first, last;
    const float *from = branch == SLM_BRANCH_ATTENTION ? cpu->attended : cpu->gate;
    prepare(cpu, from, w->n_in, w->n_in, sub_norm, act_bit(w), lane);
    begin_rows(cpu, w, lane);
    while (next_rows(cpu, lane, &first, &last)) {
        product(cpu, w, cpu->raw, cpu->raw_stride, lane, first, last);
        for (uint32_t r = 0; r < cpu->step->n_rows; r++) {
            float *x = cpu->x + r * d;
            const float *y = cpu->raw + r * cpu->raw_stride;
            for (uint32_t i = first; i < last; i++)
                x[i] += y[i];
        }
    }
    end_op(cpu, lane, branch == SLM_BRANCH_ATTENTION ? SLM_OP_ATTN_OUTPUT : SLM_OP_DOWN, bytes_of(w),
           macs_of(w, cpu->step->n_rows));
}

/* The next run of rows from *r on that write consecutive rows of the logits; its length, or 0. */
static uint32_t next_run(const slm_step *step, uint32_t *r) {
    while (*r < step->n_rows && step->rows[*r].logits_row == SLM_NO_LOGITS)
        ++*r;
    uint32_t n = 0;
    while (*r + n < step->n_rows && step->rows[*r + n].logits_row != SLM_NO_LOGITS &&
           step->rows[*r + n].logits_row == step->rows[*r].logits_row + n)
        n++;
    return n;
}

/* Rows that want logits are moved together, and multiplied in runs of consecutive target rows. */
static void op_head(void *backend, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_model *m = cpu->model;
    const slm_step *step = cpu->step;
    size_t d = m->config.d_model, n_vocab = m->config.n_vocab;
    uint32_t r, at, n, first, last;
    int is_single = step->n_logits == 1;
    if (step->n_logits == 0)
        return;
    for (r = at = 0; (n = next_run(step, &r)) > 0; r += n, at += n)
        for (uint32_t i = 0; i < n; i++)
            if (is_single || (at + i) % cpu->n_lanes == (uint32_t)lane)
                prepare_row(cpu, cpu->x + (r + i) * d, d, m->output_norm, act_bit(&m->head), at, i,
                            n, is_single, lane);
    if (!is_single)
        barrier(cpu);

    begin_rows(cpu, &m->head, lane);
    while (next_rows(cpu, lane, &first, &last))
        for (r = at = 0; (n = next_run(step, &r)) > 0; r += n, at += n)
            multiply(cpu, &m->head, cpu->logits + step->rows[r].logits_row * n_vocab, n_vocab,
                     first, last, at, n, is_single, lane);
    end_op(cpu, lane, SLM_OP_HEAD, bytes_of(&m->head), macs_of(&m->head, step->n_logits));
}

static const slm_ops ops = {
    .embed = op_embed,
    .qkv = op_qkv,
    .attend = op_attend,
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
