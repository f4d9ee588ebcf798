/* Attention of the CPU backend: tasks of a few rows and one head of keys and values each. In
 * differential attention a task is a pair of heads, whose softmaxes go over the same values. */
#include "base/checked.h"
#include "run/backend_cpu_ops.h"

#include <string.h>

/* Queries of an attention task: their sums stay in the L2 cache while keys and values pass by. */
#define QUERIES_PER_TASK 96u
#define MAX_SPAN         2u

/* Rows of one session that follow one another, with the query heads of one head of keys and
 * values, or of a pair: they go over the same tokens together. */
typedef struct slm_attend_task {
    uint32_t row, n_rows, kv_head;
} slm_attend_task;

static uint32_t group_of(const slm_config *c) { return c->n_heads / c->n_kv_heads; }

/* Bytes of the queries and sums of one softmax, for attend_queries of them. */
static size_t softmax_bytes(const slm_backend_cpu *cpu) {
    const slm_config *c = &cpu->model->config;
    size_t most = cpu->attend_queries, stride = slm_round_up(c->d_head, 16);
    size_t o_stride = slm_round_up(slm_cpu_span(cpu->model) * c->d_head, 16);
    return slm_round_up((most * (stride + o_stride + 16) + slm_round_up(most, 16)) * sizeof(float) +
                            most * slm_act_row_bytes(SLM_ACT_Q8_0, c->d_head), 64);
}

static size_t wide_floats(const slm_backend_cpu *cpu) {
    return SLM_ATTEND_WIDE(cpu->attend_queries,
                           slm_cpu_span(cpu->model) * slm_round_up(cpu->model->config.d_head, 16));
}

/* What kernels work in, and the tokens that queries take. */
static size_t shared_bytes(const slm_backend_cpu *cpu) {
    return slm_round_up(wide_floats(cpu) * sizeof(float) + 2 * (size_t)cpu->attend_queries, 64);
}

void slm_cpu_attend_layout(slm_backend_cpu *cpu) {
    uint32_t group = group_of(&cpu->model->config);
    size_t most = cpu->shape.max_rows * (size_t)group;
    if (most > QUERIES_PER_TASK)
        most = group > QUERIES_PER_TASK ? group : QUERIES_PER_TASK;
    cpu->attend_queries = (uint32_t)most;
    cpu->lane_attend_bytes = slm_cpu_span(cpu->model) * softmax_bytes(cpu) + shared_bytes(cpu);
}

/* Tokens [begin, end) that a row sees. */
static void visible(const slm_backend_cpu *cpu, const slm_layer *l, uint32_t row, uint32_t *begin,
                    uint32_t *end) {
    uint32_t window = cpu->model->groups[l->kv_group].window;
    *end = cpu->step->rows[row].position + 1;
    *begin = window != 0 && *end > window ? *end - window : 0;
}

/* Where the j-th query of a softmax is in a row of queries, and its result in a row of results. */
static size_t head_at(const slm_backend_cpu *cpu, const slm_attend_task *task, uint32_t j) {
    const slm_config *c = &cpu->model->config;
    uint32_t group = group_of(c), span = slm_cpu_span(cpu->model);
    return ((task->row + j / group) * (size_t)c->n_heads + task->kv_head * group +
            j % group * span) * c->d_head;
}

/* The softmax over the keys of head kv_head + part of the task. */
static slm_attention begin_attention(slm_backend_cpu *cpu, const slm_attend_task *task,
                                     uint32_t part, int lane) {
    const slm_config *c = &cpu->model->config;
    uint32_t d = c->d_head, d_v = slm_cpu_span(cpu->model) * d, n = task->n_rows * group_of(c);
    size_t stride = slm_round_up(d, 16), o_stride = slm_round_up(d_v, 16);
    size_t most = cpu->attend_queries;
    float scale = 1.0f / __builtin_sqrtf((float)d);
    uint8_t *at = cpu->lane_attend + (size_t)lane * cpu->lane_attend_bytes +
                  part * softmax_bytes(cpu);
    float *q = (float *)(void *)at, *o = q + most * stride, *l = o + most * o_stride;
    float *m = l + most * 16;
    uint8_t *q8 = (uint8_t *)(m + slm_round_up(most, 16));
    slm_attention a = {.d = d, .d_v = d_v, .stride = stride, .o_stride = o_stride, .q = q, .o = o,
                       .l = l, .m = m, .q8 = q8, .q8_bytes = slm_act_row_bytes(SLM_ACT_Q8_0, d)};
    memset(o, 0, n * o_stride * sizeof *o);
    memset(l, 0, n * 16 * sizeof *l);
    for (uint32_t j = 0; j < n; j++) {
        const float *from = cpu->q + head_at(cpu, task, j) + part * (size_t)d;
        float *to = q + j * stride;
        for (uint32_t i = 0; i < d; i++)
            to[i] = from[i] * scale;
        m[j] = -__builtin_inff();
        if (cpu->layout->type == SLM_KVT_Q8_0)
            cpu->model->kernels.quantize[SLM_ACT_Q8_0](q8 + j * a.q8_bytes, to, d);
    }
    return a;
}

/* What turns the sums of query j into a mean. */
static float weight_of(const slm_attention *a, uint32_t j) {
    const float *l = a->l + (size_t)j * 16;
    float sum = 0;
    for (int i = 0; i < 16; i++)
        sum += l[i];
    return 1.0f / sum;
}

static void end_attention(slm_backend_cpu *cpu, const slm_layer *layer, const slm_attend_task *task,
                          const slm_attention *a) {
    const slm_config *c = &cpu->model->config;
    uint32_t n = task->n_rows * group_of(c), d = (uint32_t)a->d_v;
    for (uint32_t j = 0; j < n; j++) {
        float *to = cpu->attended + head_at(cpu, task, j);
        const float *o = a->o + j * a->o_stride;
        float inv = weight_of(a, j);
        for (uint32_t i = 0; i < d; i++)
            to[i] = o[i] * inv;
        if (!c->arch->differential)
            continue;
        const float *second = a[1].o + j * a->o_stride;
        float factor = weight_of(&a[1], j) * layer->lambda;
        for (uint32_t i = 0; i < d; i++)
            to[i] -= second[i] * factor;
        cpu->model->kernels.rms_norm(to, to, layer->pair_norm, d, c->pair_norm_eps);
    }
}

/* The groups of a block: keys by softmax, and values. NULL where the session holds no page or ends
 * before. */
typedef struct slm_attend_block {
    const void *k[MAX_SPAN * 4], *v[4];
} slm_attend_block;

/* The groups of a page lie one behind the other, so that it is looked up once. */
static void find_block(const slm_backend_cpu *cpu, const slm_layer *l, const slm_attend_task *task,
                       uint32_t base, uint32_t end, slm_attend_block *block) {
    uint32_t slot = cpu->step->rows[task->row].slot, span = slm_cpu_span(cpu->model);
    const slm_kv_table *table = &cpu->seqs[slot].tables[l->kv_group];
    size_t bytes = SLM_KV_GROUP * cpu->layout->row_bytes;
    uint32_t found = UINT32_MAX; /* the page of the group before */
    for (uint32_t g = 0; g < SLM_KV_BLOCK / SLM_KV_GROUP; g++) {
        uint32_t position = base + g * SLM_KV_GROUP, page = position >> cpu->layout->page_shift;
        if (position >= end || page < table->begin || page >= table->end) {
            block->v[g] = NULL;
            for (uint32_t p = 0; p < span; p++)
                block->k[4 * p + g] = NULL;
        } else if (page == found) {
            block->v[g] = (const uint8_t *)block->v[g - 1] + span * bytes;
            for (uint32_t p = 0; p < span; p++)
                block->k[4 * p + g] = (const uint8_t *)block->k[4 * p + g - 1] + bytes;
        } else {
            found = page;
            block->v[g] = slm_cpu_kv_group(cpu, l, slot, position, 1, task->kv_head);
            for (uint32_t p = 0; p < span; p++)
                block->k[4 * p + g] =
                    slm_cpu_kv_group(cpu, l, slot, position, 0, task->kv_head + p);
        }
    }
}

/* The tokens [t0, t1) of the block at base that each query of a task takes, and some query. */
static void find_range(const slm_backend_cpu *cpu, const slm_layer *l, const slm_attend_task *task,
                       uint32_t base, uint8_t (*range)[2], size_t *t0, size_t *t1) {
    uint32_t group = group_of(&cpu->model->config);
    *t0 = SLM_KV_BLOCK, *t1 = 0;
    for (uint32_t r = 0; r < task->n_rows; r++) {
        uint32_t from, to;
        visible(cpu, l, task->row + r, &from, &to);
        from = from < base ? 0 : from - base < SLM_KV_BLOCK ? from - base : SLM_KV_BLOCK;
        to = to < base ? 0 : to - base < SLM_KV_BLOCK ? to - base : SLM_KV_BLOCK;
        if (from < to) {
            *t0 = from < *t0 ? from : *t0;
            *t1 = to > *t1 ? to : *t1;
        }
        for (uint32_t j = r * group; j < (r + 1) * group; j++) {
            range[j][0] = (uint8_t)from;
            range[j][1] = (uint8_t)to;
        }
    }
}

static void attend_task(slm_backend_cpu *cpu, const slm_layer *l, const slm_attend_task *task,
                        int lane) {
    slm_attend_fn attend = cpu->model->kernels.attend[cpu->layout->type];
    uint32_t span = slm_cpu_span(cpu->model);
    size_t n = task->n_rows * (size_t)group_of(&cpu->model->config);
    uint32_t begin, end, last_begin, first_end, last = task->row + task->n_rows - 1;
    visible(cpu, l, task->row, &begin, &first_end);
    visible(cpu, l, last, &last_begin, &end);
    float *wide = (float *)(void *)(cpu->lane_attend + (size_t)lane * cpu->lane_attend_bytes +
                                    span * softmax_bytes(cpu));
    uint8_t(*range)[2] = (void *)(wide + wide_floats(cpu));
    slm_attention a[MAX_SPAN];
    for (uint32_t p = 0; p < span; p++) {
        a[p] = begin_attention(cpu, task, p, lane);
        a[p].wide = wide;
    }
    if (span > 1)
        a[0].second = &a[1];
    size_t bytes = cpu->layout->row_bytes * span;
    slm_attend_block blocks[2]; /* this one and the next */
    uint32_t base = begin / SLM_KV_BLOCK * SLM_KV_BLOCK, turn = 0;
    find_block(cpu, l, task, base, end, &blocks[0]);
    for (; base < end; base += SLM_KV_BLOCK, turn ^= 1) {
        const slm_attend_block *now = &blocks[turn];
        find_block(cpu, l, task, base + SLM_KV_BLOCK, end, &blocks[turn ^ 1]);
        for (uint32_t p = 0; p < span; p++)
            a[p].next_k = &blocks[turn ^ 1].k[4 * p];
        size_t t0 = begin > base ? begin - base : 0;
        size_t t1 = end - base < SLM_KV_BLOCK ? end - base : SLM_KV_BLOCK;
        int all_see_all = base >= last_begin && base + SLM_KV_BLOCK <= first_end;
        a[0].range = NULL;
        if (!all_see_all && task->n_rows > 1) {
            find_range(cpu, l, task, base, range, &t0, &t1);
            a[0].range = (const uint8_t(*)[2])range;
        }
        attend(&a[0], 0, n, now->k, now->v, bytes, t0, t1);
    }
    end_attention(cpu, l, task, a);
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
            macs += slm_attend_macs(c) * (end - begin);
        }
    }
    slm_cpu_end_op(cpu, lane, SLM_OP_ATTEND, bytes, macs);
}

void slm_cpu_attend(void *backend, const slm_layer *l, int lane) {
    slm_backend_cpu *cpu = backend;
    const slm_step *step = cpu->step;
    const slm_config *c = &cpu->model->config;
    uint32_t span = slm_cpu_span(cpu->model), n_heads = c->n_kv_heads / span;
    uint32_t n_runs = 0, at = 0, run = 0, length, u, end;
    uint32_t most = cpu->attend_queries / group_of(c);
    for (uint32_t r = 0; r < step->n_rows; r += run_of_rows(step, r, most))
        n_runs++;
    length = run_of_rows(step, 0, most);
    slm_work_begin(&cpu->work, (uint32_t)lane, n_runs * n_heads, 1);
    while (slm_work_next(&cpu->work, (uint32_t)lane, &u, &end)) {
        if (u / n_heads < run)
            at = run = 0, length = run_of_rows(step, 0, most);
        for (; run < u / n_heads; run++) {
            at += length;
            length = run_of_rows(step, at, most);
        }
        slm_attend_task task = {at, length, u % n_heads * span};
        attend_task(cpu, l, &task, lane);
    }
    count_attention(cpu, l, lane, most);
}
