/* The CUDA backend: memory, ops and steps. */
#include "run/backend_cuda_ops.h"

#ifdef SLM_HAVE_CUDA

#include "base/checked.h"

#include <string.h>

/* Steps of at most so many rows are replayed from a graph; larger ones take long enough that putting
 * their kernels on the stream one by one is hidden. */
#define GRAPH_ROWS 16u

static const slm_ops ops;

/* ---------------------------------------------------------------- memory ----------------------- */

/* Places what a step takes in a block, without gaps: a step of few rows copies little. The same for the
 * host and the device, and for all steps of as many rows and logits. */
static size_t place_block(const slm_model *m, uint32_t n_rows, uint32_t n_logits, uint32_t n_runs,
                          slm_step_block *b, uint8_t *memory) {
    size_t used = 0, angles = n_rows * (size_t)(m->config.n_rot / 2) * sizeof(float);
    b->rows = slm_cuda_carve(memory, &used, n_rows * sizeof *b->rows);
    b->wanted = slm_cuda_carve(memory, &used, n_logits * sizeof *b->wanted);
    b->pick = slm_cuda_carve(memory, &used, n_logits * sizeof *b->pick);
    b->logits = slm_cuda_carve(memory, &used, n_logits * sizeof *b->logits);
    b->runs = slm_cuda_carve(memory, &used, n_runs * sizeof *b->runs);
    b->cos = slm_cuda_carve(memory, &used, angles);
    b->sin = slm_cuda_carve(memory, &used, angles);
    return used;
}

/* Places for runs in a step: as many sessions as it can have. */
static uint32_t most_runs(const slm_model *m, const slm_cuda_shape *shape, uint32_t n_rows) {
    return m->n_scans == 0 ? 0 : n_rows < shape->n_slots ? n_rows : shape->n_slots;
}

/* Heads of keys and values that lie as one. */
static uint32_t span_of(const slm_model *m) { return m->config.arch->differential ? 2 : 1; }

static size_t longer(size_t a, size_t b) { return a > b ? a : b; }

static uint32_t most_chunks(const slm_cuda_shape *shape) {
    return (shape->n_ctx + SLM_CUDA_CHUNK - 1) / SLM_CUDA_CHUNK;
}

static size_t tables_bytes(const slm_cuda_shape *shape) {
    return (size_t)shape->n_slots * shape->table_stride * sizeof(uint32_t);
}

static size_t place_device(slm_backend_cuda *b, const slm_model *m, const slm_cuda_shape *s,
                           uint8_t *memory) {
    const slm_config *c = &m->config;
    size_t rows = s->max_rows, f = sizeof(float), used = 0;
    size_t n_q = (size_t)c->n_heads * c->d_head, n_kv = (size_t)c->n_kv_heads * c->d_head;
    size_t d_pair = (size_t)span_of(m) * c->d_head, widest = slm_widest_row(c);
    size_t records = (widest + 255) / 256;
    used += place_block(m, s->max_rows, s->n_logits, most_runs(m, s, s->max_rows), &b->on_device,
                        memory);
    for (uint32_t g = 0; g < m->n_groups; g++)
        b->device_tables[g] = slm_cuda_carve(memory, &used, tables_bytes(s));
    b->x = slm_cuda_carve(memory, &used, rows * c->d_model * f);
    b->raw = slm_cuda_carve(memory, &used, rows * longer(n_q + 2 * n_kv, c->d_inner) * f);
    b->q = slm_cuda_carve(memory, &used, rows * c->n_heads * d_pair * f);
    b->attended = slm_cuda_carve(memory, &used, rows * longer(n_q, c->d_inner) * f);
    b->gate = slm_cuda_carve(memory, &used, rows * longer(c->d_ff, 2 * (size_t)c->d_inner) * f);
    b->up = slm_cuda_carve(memory, &used, rows * longer(c->d_ff, c->d_inner) * f);
    b->pairs = slm_cuda_carve(memory, &used, span_of(m) > 1 ? rows * c->n_heads * d_pair * f : 0);
    b->memory = slm_cuda_carve(memory, &used, rows * c->d_inner * f);
    b->bc = slm_cuda_carve(memory, &used, rows * (c->dt_rank + 2 * (size_t)c->d_state) * f);
    b->acts[SLM_FRAG_K] = slm_cuda_carve(memory, &used, rows * records * sizeof(slm_frag_act));
    b->acts[SLM_FRAG_32] = slm_cuda_carve(memory, &used, rows * records * sizeof(slm_frag_act));
    b->acts[SLM_FRAG_FLOATS] = slm_cuda_carve(memory, &used, rows * widest * f);
    b->partial = slm_cuda_carve(memory, &used,
                       slm_cuda_attend_bytes(s->max_rows, c->n_heads, (uint32_t)d_pair, most_chunks(s)));
    slm_cuda_logits_place_device(&b->logits, c->n_vocab, s, memory, &used);
    used += slm_cublas_place(&b->cublas, m, s, memory == NULL ? NULL : memory + used);
    return used;
}

static size_t place_pinned(slm_backend_cuda *b, const slm_model *m, const slm_cuda_shape *s,
                           uint8_t *memory) {
    size_t used = place_block(m, s->max_rows, s->n_logits, most_runs(m, s, s->max_rows), &b->block,
                              memory);
    for (uint32_t g = 0; g < m->n_groups; g++)
        b->tables[g] = slm_cuda_carve(memory, &used, tables_bytes(s));
    slm_cuda_logits_place_pinned(&b->logits, m->config.n_vocab, s, memory, &used);
    return used;
}

void slm_backend_cuda_bytes(const slm_model *m, const slm_cuda_shape *shape, uint64_t *on_device,
                            uint64_t *in_system) {
    slm_backend_cuda b;
    *on_device = place_device(&b, m, shape, NULL);
    *in_system = place_pinned(&b, m, shape, NULL) + sizeof b + SLM_ALLOC_HEADER;
    if (shape->flags & SLM_CACHE_TIME_OPS)
        *in_system += slm_op_times_bytes(m);
}

/* A page that two sessions hold, for the one that is about to write. A failure shows at the step. */
static void copy_page(void *context, slm_kv_pool *pool, uint32_t to, uint32_t from) {
    slm_backend_cuda *b = context;
    int code = slm_cuda_copy(&b->stream, pool->memory + (size_t)to * pool->page_bytes,
                             pool->memory + (size_t)from * pool->page_bytes, pool->page_bytes);
    b->code = b->code == 0 ? code : b->code;
}

static slm_status allocate(slm_backend_cuda *b, slm_error *error) {
    slm_model *m = b->model;
    int code = slm_cuda_stream_open(&b->stream, m->device->device, 0);
    if (code != 0)
        return slm_device_fail(code, "a stream for the cache", error);
    SLM_TRY(slm_device_alloc(m, &b->on_device_memory, place_device(b, m, &b->shape, NULL), 0,
                             "the cache", error));
    SLM_TRY(slm_device_alloc(m, &b->pinned_memory, place_pinned(b, m, &b->shape, NULL), 1,
                             "the cache", error));
    place_device(b, m, &b->shape, b->on_device_memory.at);
    place_pinned(b, m, &b->shape, b->pinned_memory.at);
    for (uint32_t g = 0; g < m->n_groups; g++) {
        slm_kv_pool *pool = &b->pools[g];
        uint64_t bytes = (uint64_t)pool->n_pages * pool->page_bytes;
        SLM_TRY(slm_device_alloc(m, &b->pages[g], bytes, 0, "keys and values", error));
        pool->memory = b->pages[g].at;
        pool->copy = copy_page;
        pool->copy_context = b;
        memset(b->tables[g], 0xff, tables_bytes(&b->shape)); /* SLM_NO_PAGE */
        code = code == 0 ? slm_cuda_to_device(&b->stream, b->device_tables[g], b->tables[g],
                                              tables_bytes(&b->shape)) : code;
        /* Keys and values that no row has written are multiplied with zeros. */
        code = code == 0 ? slm_cuda_zero(&b->stream, pool->memory, (size_t)bytes) : code;
    }
    if (b->shape.recurrent_bytes > 0) { /* zero is the state of a session that holds nothing */
        uint64_t bytes = b->shape.recurrent_bytes;
        SLM_TRY(slm_device_alloc(m, &b->recurrent, bytes, 0, "recurrent state", error));
        code = code == 0 ? slm_cuda_zero(&b->stream, b->recurrent.at, (size_t)bytes) : code;
    }
    code = code == 0 ? slm_cuda_logits_clear(&b->logits, &b->stream) : code;
    code = code == 0 ? slm_cuda_wait(&b->stream) : code;
    return code == 0 ? SLM_OK : slm_device_fail(code, "clearing the cache", error);
}

slm_status slm_backend_cuda_open(slm_model *m, const slm_cuda_shape *shape,
                                 const slm_kv_layout *layout, slm_kv_pool *pools,
                                 const slm_seq *seqs, slm_backend_cuda **out, slm_error *error) {
    slm_backend_cuda *b = slm_calloc(&m->host, 1, sizeof *b);
    *out = NULL;
    if (b == NULL)
        return slm_fail_nomem(error, sizeof *b, "the backend");
    b->model = m;
    b->host = &m->host;
    b->shape = *shape;
    b->layout = layout;
    b->pools = pools;
    b->seqs = seqs;
    slm_status status = allocate(b, error);
    if (status == SLM_OK && (shape->flags & SLM_CACHE_TIME_OPS)) {
        b->times = (slm_op_times){.ops = &ops, .backend = b, .stream = &b->stream,
                                  .layout = layout, .sums = b->sums};
        status = slm_op_times_open(&b->times, m, error);
    }
    if (status == SLM_OK)
        *out = b;
    else
        slm_backend_cuda_close(b);
    return status;
}

void slm_backend_cuda_close(slm_backend_cuda *b) {
    if (b == NULL)
        return;
    if (b->stream.stream != NULL)
        (void)slm_cuda_wait(&b->stream); /* copies of pages may be under way */
    for (uint32_t i = 0; i < SLM_CUDA_GRAPHS; i++)
        slm_cuda_graph_close(&b->recorded[i].graph);
    slm_op_times_close(&b->times, b->model);
    slm_cublas_close(&b->cublas);
    for (uint32_t g = 0; g < b->model->n_groups; g++) {
        slm_device_free(b->model, &b->pages[g]);
        b->pools[g].memory = NULL;
    }
    slm_device_free(b->model, &b->recurrent);
    slm_device_free(b->model, &b->on_device_memory);
    slm_device_free(b->model, &b->pinned_memory);
    slm_cuda_stream_close(&b->stream);
    slm_free(b->host, b);
}

/* ---------------------------------------------------------------- ops --------------------------- */

/* by_row: the integers of a row have one scale. */
static void prepare(slm_backend_cuda *b, const float *x, uint32_t stride, uint32_t n,
                    slm_cuda_norm norm, uint32_t formats, int by_row) {
    slm_cuda_prepare p = {.x = x, .stride = stride, .n = n, .eps = b->model->config.norm_eps,
                          .norm = slm_device_vector(b->model, norm.weight),
                          .norm_bias = slm_device_vector(b->model, norm.bias),
                          .by_row = (uint32_t)by_row, .pick = x == b->x ? b->pick : NULL};
    if (formats & 1u << SLM_FRAG_K)
        p.k = b->acts[SLM_FRAG_K];
    if (formats & 1u << SLM_FRAG_32)
        p.b32 = b->acts[SLM_FRAG_32];
    if (formats & 1u << SLM_FRAG_FLOATS)
        p.floats = (float *)(void *)b->acts[SLM_FRAG_FLOATS];
    TRY(b, slm_cuda_prepare_rows(&b->stream, &p, b->n_rows));
}

void slm_cuda_prepare_for(slm_backend_cuda *b, const float *x, uint32_t stride, uint32_t n,
                          slm_cuda_norm norm, uint32_t formats) {
    prepare(b, x, stride, n, norm, formats, b->model->config.arch->act_i8_row);
}

void slm_cuda_multiply_by(slm_backend_cuda *b, const slm_linear *const *w, float *const *y, uint32_t n,
                          slm_cuda_then then, uint32_t y_stride, const uint32_t *out_rows) {
    slm_cuda_matrix matrices[3];
    slm_cuda_product p = {.n_matrices = n, .then = then, .y_stride = y_stride, .out_rows = out_rows,
                          .a = b->acts[slm_frag_format_of(w[0]->type)]};
    for (uint32_t i = 0; i < n; i++) {
        matrices[i] = slm_device_matrix(w[i]);
        p.w[i] = &matrices[i];
        p.y[i] = y[i];
    }
    int done = 0;
    TRY(b, slm_cublas_multiply(&b->cublas, b->model, &b->stream, &p, b->n_rows, &done));
    if (!done)
        TRY(b, slm_cuda_multiply(&b->stream, &p, b->n_rows));
}

static void op_embed(void *backend, int lane) {
    slm_backend_cuda *b = backend;
    (void)lane;
    slm_cuda_matrix e = slm_device_matrix(&b->model->embed);
    b->rows = b->on_device.rows;
    b->pick = NULL;
    b->n_rows = b->step->n_rows;
    TRY(b, slm_cuda_to_device(&b->stream, b->on_device.rows, b->block.rows, b->block_bytes));
    TRY(b, slm_cuda_embed(&b->stream, b->x, &e, b->on_device.rows, b->step->n_rows));
}

static slm_cuda_cache cache_of(const slm_backend_cuda *b, const slm_layer *l) {
    const slm_kv_pool *pool = &b->pools[l->kv_group];
    return (slm_cuda_cache){.memory = pool->memory, .tables = b->device_tables[l->kv_group],
                            .table_stride = b->shape.table_stride,
                            .page_shift = b->layout->page_shift, .page_bytes = pool->page_bytes,
                            .plane_bytes = b->layout->plane_bytes,
                            .head_bytes = span_of(b->model) * b->layout->head_bytes,
                            .type = (uint32_t)b->layout->type,
                            .window = b->model->groups[l->kv_group].window};
}

static slm_cuda_heads heads_of(const slm_backend_cuda *b, const slm_layer *l) {
    const slm_model *m = b->model;
    const slm_config *c = &m->config;
    return (slm_cuda_heads){.n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .d = c->d_head,
                            .n_rot = c->n_rot, .interleaved = c->arch->rope_interleaved,
                            .eps = c->norm_eps, .q_norm = slm_device_vector(m, l->q_norm),
                            .k_norm = slm_device_vector(m, l->k_norm),
                            .q_bias = slm_device_vector(m, l->q.bias),
                            .k_bias = slm_device_vector(m, l->k.bias),
                            .v_bias = slm_device_vector(m, l->v.bias), .cos = b->on_device.cos,
                            .sin = b->on_device.sin, .kv_index = l->kv_index,
                            .is_paired = c->arch->differential};
}

/* A layer that reads the keys and values of another one has queries alone. */
static void op_qkv(void *backend, const slm_layer *l, int lane) {
    slm_backend_cuda *b = backend;
    const slm_config *c = &b->model->config;
    (void)lane;
    slm_cuda_heads heads = heads_of(b, l);
    slm_cuda_cache cache = cache_of(b, l);
    uint32_t n_parts = l->mixer == SLM_MIXER_CROSS ? 1 : 3, formats = 0;
    if (n_parts == 1)
        heads.n_kv_heads = 0;
    uint32_t n_q = c->n_heads * c->d_head, n_kv = heads.n_kv_heads * c->d_head;
    const slm_linear *const w[] = {&l->q, &l->k, &l->v};
    float *const y[] = {b->raw, b->raw + n_q, b->raw + n_q + n_kv};
    for (uint32_t i = 0; i < n_parts; i++)
        formats |= slm_cuda_format_bit(w[i]);
    slm_cuda_prepare_for(b, b->x, c->d_model, c->d_model,
                         (slm_cuda_norm){l->attn_norm, l->attn_norm_bias}, formats);
    for (uint32_t i = 0, n; i < n_parts; i += n) { /* neighbours of one type together */
        for (n = 1; i + n < n_parts && w[i + n]->type == w[i]->type; n++)
            ;
        slm_cuda_multiply_by(b, w + i, y + i, n, SLM_CUDA_STORE, n_q + 2 * n_kv, NULL);
    }
    TRY(b, slm_cuda_finish_qkv(&b->stream, b->q, b->raw, &heads, &cache, b->rows, b->n_rows));
}

/* Rows that want logits move together at the front; those of x stay where they are. */
static uint32_t op_narrow(void *backend, int lane) {
    slm_backend_cuda *b = backend;
    const slm_model *m = b->model;
    const slm_config *c = &m->config;
    uint32_t n = b->step->n_logits, n_q = c->n_heads * span_of(m) * c->d_head;
    (void)lane;
    if (n == 0 || n == b->n_rows)
        return n;
    b->rows = b->on_device.wanted;
    b->pick = b->on_device.pick;
    b->n_rows = n;
    TRY(b, slm_cuda_keep_rows(&b->stream, b->q, n_q, b->pick, n));
    if (m->n_scans > 0)
        TRY(b, slm_cuda_keep_rows(&b->stream, b->memory, c->d_inner, b->pick, n));
    return n;
}

static void op_attend(void *backend, const slm_layer *l, int lane) {
    slm_backend_cuda *b = backend;
    const slm_model *m = b->model;
    const slm_config *c = &m->config;
    (void)lane;
    slm_cuda_heads heads = heads_of(b, l);
    slm_cuda_cache cache = cache_of(b, l);
    float *out = heads.is_paired ? b->pairs : b->attended;
    TRY(b, slm_cuda_attend(&b->stream, out, b->q, &heads, &cache, b->rows, b->n_rows, b->n_chunks,
                           b->partial));
    if (heads.is_paired)
        TRY(b, slm_cuda_join_pairs(&b->stream, b->attended, out, slm_device_vector(m, l->pair_norm),
                                   l->lambda, c->pair_norm_eps, 2 * c->d_head, c->n_heads / 2,
                                   b->n_rows));
}

static void op_gate_up(void *backend, const slm_layer *l, int lane) {
    slm_backend_cuda *b = backend;
    const slm_config *c = &b->model->config;
    (void)lane;
    static const slm_cuda_then then[] = {[SLM_ACTIVATION_SILU] = SLM_CUDA_SILU,
                                         [SLM_ACTIVATION_GELU] = SLM_CUDA_GELU,
                                         [SLM_ACTIVATION_RELU2] = SLM_CUDA_RELU2};
    const slm_linear *const w[] = {&l->gate, &l->up};
    float *const y[] = {b->gate, b->up};
    slm_cuda_prepare_for(b, b->x, c->d_model, c->d_model,
                         (slm_cuda_norm){l->ffn_norm, l->ffn_norm_bias},
                         slm_cuda_format_bit(w[0]) | slm_cuda_format_bit(w[1]));
    if (l->gate.type == l->up.type) {
        slm_cuda_multiply_by(b, w, y, 2, then[c->arch->activation], c->d_ff, NULL);
        return;
    }
    slm_cuda_multiply_by(b, w, y, 1, SLM_CUDA_STORE, c->d_ff, NULL);
    slm_cuda_multiply_by(b, w + 1, y + 1, 1, SLM_CUDA_STORE, c->d_ff, NULL);
    TRY(b, slm_cuda_gate(&b->stream, b->gate, b->up, (size_t)b->n_rows * c->d_ff,
                         then[c->arch->activation]));
}

static void op_project_add(void *backend, const slm_linear *w, slm_branch branch,
                           const float *sub_norm, int lane) {
    slm_backend_cuda *b = backend;
    uint32_t d = b->model->config.d_model;
    (void)lane;
    const float *from = branch == SLM_BRANCH_MIXER ? b->attended : b->gate;
    float *const y = b->x;
    slm_cuda_prepare_for(b, from, w->n_in, w->n_in, (slm_cuda_norm){sub_norm, NULL},
                         slm_cuda_format_bit(w));
    slm_cuda_multiply_by(b, &w, &y, 1, SLM_CUDA_ADD, d, b->pick);
    if (w->bias != NULL)
        TRY(b, slm_cuda_add_bias(&b->stream, y, slm_device_vector(b->model, w->bias), d, b->pick,
                                 b->n_rows));
}

static void op_head(void *backend, int lane) {
    slm_backend_cuda *b = backend;
    const slm_model *m = b->model;
    const slm_linear *w = &m->head;
    uint32_t d = m->config.d_model;
    (void)lane;
    prepare(b, b->x, d, d, (slm_cuda_norm){m->output_norm, m->output_norm_bias},
            slm_cuda_format_bit(w), 0);
    slm_cuda_multiply_by(b, &w, &b->logits.device_rows, 1, SLM_CUDA_STORE, m->config.n_vocab,
                         b->on_device.logits);
    TRY(b, slm_cuda_logits_choose(&b->logits, &b->stream, b->on_device.logits, b->n_rows));
}

static const slm_ops ops = {
    .embed = op_embed,
    .qkv = op_qkv,
    .narrow = op_narrow,
    .attend = op_attend,
    .scan = slm_cuda_op_scan,
    .gate_memory = slm_cuda_op_gate_memory,
    .gate_up = op_gate_up,
    .project_add = op_project_add,
    .head = op_head,
};

/* ---------------------------------------------------------------- steps ------------------------- */

static void fill_runs(slm_backend_cuda *b, const slm_step *step) {
    memset(b->block.runs, 0, b->n_runs * sizeof *b->block.runs);
    for (uint32_t r = 0, i = 0; b->n_runs > 0 && r < step->n_rows; r++) {
        i += r > 0 && step->rows[r - 1].slot != step->rows[r].slot;
        if (b->block.runs[i].n++ == 0)
            b->block.runs[i].row = r;
    }
}

static void fill_block(slm_backend_cuda *b, const slm_step *step) {
    const slm_model *m = b->model;
    size_t n_half = m->config.n_rot / 2;
    uint32_t last = 0, n_logits = 0;
    b->n_runs = most_runs(m, &b->shape, step->n_rows);
    b->block_bytes = place_block(m, step->n_rows, step->n_logits, b->n_runs, &b->block,
                                 b->pinned_memory.at);
    place_block(m, step->n_rows, step->n_logits, b->n_runs, &b->on_device, b->on_device_memory.at);
    fill_runs(b, step);
    for (uint32_t r = 0; r < step->n_rows; r++) {
        const slm_row *row = &step->rows[r];
        b->block.rows[r] = (slm_cuda_row){row->token, row->slot, row->position, row->logits_row};
        slm_rope_angles(b->block.cos + r * n_half, b->block.sin + r * n_half,
                        m->inv_freq[b->seqs[row->slot].rope_long], n_half, row->position,
                        m->config.rope_attn_factor);
        last = row->position > last ? row->position : last;
        if (row->logits_row != SLM_NO_LOGITS) {
            b->block.pick[n_logits] = r;
            b->block.wanted[n_logits] = b->block.rows[r];
            b->block.logits[n_logits++] = row->logits_row;
        }
    }
    /* As many chunks as a power of two covers, so that few graphs serve a long session. */
    uint32_t needed = last / SLM_CUDA_CHUNK + 1, most = most_chunks(&b->shape);
    for (b->n_chunks = 1; b->n_chunks < needed; b->n_chunks *= 2)
        ;
    b->n_chunks = b->n_chunks < most ? b->n_chunks : most;
}

/* Tells the device of pages that were taken or given back. */
static void send_tables(slm_backend_cuda *b, const slm_step *step) {
    for (uint32_t r = 0; r < step->n_rows; r++) {
        uint32_t slot = step->rows[r].slot;
        if (r > 0 && step->rows[r - 1].slot == slot)
            continue;
        for (uint32_t g = 0; g < b->model->n_groups; g++) {
            const slm_kv_table *table = &b->seqs[slot].tables[g];
            uint32_t *known = b->tables[g] + (size_t)slot * b->shape.table_stride;
            uint32_t first = UINT32_MAX, end = 0;
            for (uint32_t i = table->begin; i < table->end; i++) {
                if (known[i] == table->pages[i])
                    continue;
                known[i] = table->pages[i];
                first = first < i ? first : i;
                end = i + 1;
            }
            if (end > 0)
                TRY(b, slm_cuda_to_device(&b->stream,
                                          b->device_tables[g] +
                                              (size_t)slot * b->shape.table_stride + first,
                                          known + first, (end - first) * sizeof *known));
        }
    }
}

/* The place of the step's graph, or of the one that was longest unused. */
static slm_recorded *find_recorded(slm_backend_cuda *b) {
    slm_recorded *oldest = &b->recorded[0];
    for (uint32_t i = 0; i < SLM_CUDA_GRAPHS; i++) {
        slm_recorded *r = &b->recorded[i];
        if (r->graph.exec != NULL && r->n_rows == b->step->n_rows && r->n_logits == b->step->n_logits &&
            r->n_chunks == b->n_chunks)
            return r;
        if (r->last_use < oldest->last_use)
            oldest = r;
    }
    slm_cuda_graph_close(&oldest->graph);
    *oldest = (slm_recorded){0};
    return oldest;
}

static void replay(slm_backend_cuda *b) {
    slm_recorded *r = find_recorded(b);
    r->last_use = ++b->n_steps;
    if (r->graph.exec == NULL) {
        TRY(b, slm_cuda_record(&b->stream));
        if (b->code != 0)
            return;
        slm_forward(b->model, &ops, b, 0);
        int code = slm_cuda_record_end(&b->stream, &r->graph);
        TRY(b, code);
        if (b->code != 0) {
            slm_cuda_graph_close(&r->graph);
            return;
        }
        r->n_rows = b->step->n_rows;
        r->n_logits = b->step->n_logits;
        r->n_chunks = b->n_chunks;
    }
    TRY(b, slm_cuda_replay(&b->stream, &r->graph));
}

static void put_step(slm_backend_cuda *b, const slm_step *step) {
    int before;
    TRY(b, slm_cuda_enter(b->model->device->device, &before));
    if (b->code != 0)
        return;
    b->step = step;
    fill_block(b, step);
    send_tables(b, step);
    TRY(b, slm_cuda_logits_begin(&b->logits, &b->stream, step, b->seqs));
    if (b->times.events != NULL)
        TRY(b, slm_op_times_run(&b->times, step));
    else if (step->n_rows <= GRAPH_ROWS)
        replay(b);
    else
        slm_forward(b->model, &ops, b, 0);
    TRY(b, slm_cuda_logits_end(&b->logits, &b->stream, step, b->seqs));
    slm_cuda_leave(before);
}

/* Waits for what is on the stream, also after an error: nothing is left under way. */
static slm_status finish(slm_backend_cuda *b, const char *what, slm_error *error) {
    int code = slm_cuda_wait(&b->stream);
    TRY(b, code);
    if (b->code == 0)
        return SLM_OK;
    /* Where waiting does not work either, nobody knows when the device is done with the memory. */
    b->is_lost = (uint8_t)(slm_cuda_is_lost(b->code) ||
                           (code != 0 && slm_cuda_wait(&b->stream) != 0));
    code = b->code;
    b->code = 0;
    for (uint32_t g = 0; g < b->model->n_groups; g++) /* what arrived is not known */
        memset(b->tables[g], 0xff, tables_bytes(&b->shape));
    slm_cuda_logits_forget(&b->logits);
    return slm_device_fail(code, what, error);
}

static slm_status check_lost(const slm_backend_cuda *b, slm_error *error) {
    if (!b->is_lost)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_DEVICE, "device", SLM_NO_OFFSET,
                    "the device was lost in an earlier step: this cache can compute no more");
}

slm_status slm_backend_cuda_run(slm_backend_cuda *b, const slm_step *step, slm_error *error) {
    SLM_TRY(check_lost(b, error));
    if (b->code == 0)
        put_step(b, step);
    SLM_TRY(finish(b, "a step on the device", error));
    int code = slm_op_times_take(&b->times);
    return code == 0 ? SLM_OK : slm_device_fail(code, "times of ops", error);
}

/* ---------------------------------------------------------------- pages ------------------------- */

static uint8_t *place_in(const slm_kv_pool *pool, uint32_t page, size_t offset) {
    return pool->memory + (size_t)page * pool->page_bytes + offset;
}

slm_status slm_backend_cuda_read_page(slm_backend_cuda *b, const slm_kv_pool *pool, uint32_t page,
                                      size_t offset, size_t n, void *to, slm_error *error) {
    SLM_TRY(check_lost(b, error));
    TRY(b, slm_cuda_from_device(&b->stream, to, place_in(pool, page, offset), n));
    return finish(b, "keys and values from the device", error);
}

slm_status slm_backend_cuda_write_page(slm_backend_cuda *b, const slm_kv_pool *pool, uint32_t page,
                                       size_t offset, size_t n, const void *from,
                                       slm_error *error) {
    SLM_TRY(check_lost(b, error));
    TRY(b, slm_cuda_to_device(&b->stream, place_in(pool, page, offset), from, n));
    return finish(b, "keys and values to the device", error);
}

/* ---------------------------------------------------------------- recurrent state --------------- */

slm_status slm_backend_cuda_read_state(slm_backend_cuda *b, const uint8_t *from, size_t n, void *to,
                                       slm_error *error) {
    SLM_TRY(check_lost(b, error));
    TRY(b, slm_cuda_from_device(&b->stream, to, from, n));
    return finish(b, "recurrent state from the device", error);
}

slm_status slm_backend_cuda_write_state(slm_backend_cuda *b, uint8_t *to, size_t n, const void *from,
                                        slm_error *error) {
    SLM_TRY(check_lost(b, error));
    TRY(b, slm_cuda_to_device(&b->stream, to, from, n));
    return finish(b, "recurrent state to the device", error);
}

/* ---------------------------------------------------------------- logits ------------------------ */

slm_status slm_backend_cuda_fetch(slm_backend_cuda *b, uint32_t row, slm_error *error) {
    if (b->logits.is_here[row])
        return SLM_OK;
    SLM_TRY(check_lost(b, error));
    TRY(b, slm_cuda_logits_fetch(&b->logits, &b->stream, row, 1));
    slm_status status = finish(b, "logits from the device", error);
    b->logits.is_here[row] = status == SLM_OK;
    return status;
}

void slm_backend_cuda_set_row(slm_backend_cuda *b, uint32_t row) { b->logits.is_here[row] = 1; }

int slm_backend_cuda_best(const slm_backend_cuda *b, uint32_t slot, slm_best *best) {
    return slm_cuda_logits_best(&b->logits, slot, best);
}

float *slm_backend_cuda_rows(const slm_backend_cuda *b) { return b->logits.rows; }
const slm_op_sum *slm_backend_cuda_sums(const slm_backend_cuda *b) { return b->sums; }

#endif
