#include "run/op_times.h"

#ifdef SLM_HAVE_CUDA

#include "base/checked.h"

/* Of a layer at most: qkv, attend, attn_output, gate_up, down. Around them: embed, head. */
static uint32_t most_ops(const slm_model *m) { return 5 * m->config.n_layers + 2; }

size_t slm_op_times_bytes(const slm_model *m) {
    return (most_ops(m) + 1) * sizeof(slm_cuda_event) + most_ops(m) * sizeof(slm_op) +
           2 * SLM_ALLOC_HEADER;
}

slm_status slm_op_times_open(slm_op_times *t, slm_model *m, slm_error *error) {
    int code = 0;
    t->model = m;
    t->most = most_ops(m);
    t->events = slm_calloc(&m->host, t->most + 1, sizeof *t->events);
    t->kinds = slm_calloc(&m->host, t->most, sizeof *t->kinds);
    if (t->events == NULL || t->kinds == NULL)
        return slm_fail_nomem(error, slm_op_times_bytes(m), "events between ops");
    for (uint32_t i = 0; code == 0 && i <= t->most; i++)
        code = slm_cuda_event_open(&t->events[i], m->device->device);
    return code == 0 ? SLM_OK : slm_device_fail(code, "events between ops", error);
}

void slm_op_times_close(slm_op_times *t, slm_model *m) {
    for (uint32_t i = 0; t->events != NULL && i <= t->most; i++)
        slm_cuda_event_close(&t->events[i]);
    slm_free(&m->host, t->events);
    slm_free(&m->host, t->kinds);
    *t = (slm_op_times){0};
}

/* ---------------------------------------------------------------- ops -------------------------- */

static void mark(slm_op_times *t) {
    if (t->code == 0)
        t->code = slm_cuda_mark(t->stream, &t->events[t->n]);
}

/* The end of an op, which is the beginning of the next. */
static void end_op(slm_op_times *t, slm_op op, uint64_t bytes, uint64_t macs) {
    slm_op_sum *sum = &t->sums[op];
    sum->calls++;
    sum->bytes += bytes;
    sum->macs += macs;
    t->kinds[t->n++] = op;
    mark(t);
}

static uint64_t bytes_of(const slm_linear *w) { return (uint64_t)w->n_out * w->row_bytes; }

static uint64_t macs_of(const slm_linear *w, uint32_t n_rows) {
    return (uint64_t)w->n_out * w->n_in * n_rows;
}

static void op_embed(void *backend, int lane) {
    slm_op_times *t = backend;
    t->ops->embed(t->backend, lane);
    end_op(t, SLM_OP_EMBED, 0, 0);
}

static void op_qkv(void *backend, const slm_layer *l, int lane) {
    slm_op_times *t = backend;
    uint32_t n = t->n_rows;
    t->ops->qkv(t->backend, l, lane);
    end_op(t, SLM_OP_QKV, bytes_of(&l->q) + bytes_of(&l->k) + bytes_of(&l->v),
           macs_of(&l->q, n) + macs_of(&l->k, n) + macs_of(&l->v, n));
}

/* Its time is that of the op behind it. */
static uint32_t op_narrow(void *backend, int lane) {
    slm_op_times *t = backend;
    t->n_rows = t->ops->narrow(t->backend, lane);
    return t->n_rows;
}

/* A session's keys and values are read once for its rows of a step. */
static void op_attend(void *backend, const slm_layer *l, int lane) {
    slm_op_times *t = backend;
    const slm_config *c = &t->model->config;
    const slm_row *rows = t->step->rows;
    uint64_t window = t->model->groups[l->kv_group].window, read = 0, pairs = 0;
    uint32_t slot = UINT32_MAX; /* of the row before */
    t->ops->attend(t->backend, l, lane);
    for (uint32_t r = 0; r < t->step->n_rows; r++) {
        if (t->n_rows < t->step->n_rows && rows[r].logits_row == SLM_NO_LOGITS)
            continue;
        uint64_t keys = rows[r].position + 1u;
        keys = window != 0 && window < keys ? window : keys;
        pairs += keys;
        read += rows[r].slot == slot ? 1 : keys;
        slot = rows[r].slot;
    }
    end_op(t, SLM_OP_ATTEND, 2 * read * c->n_kv_heads * t->layout->row_bytes,
           pairs * slm_attend_macs(c));
}

static void op_scan(void *backend, const slm_layer *l, int lane) {
    slm_op_times *t = backend;
    const slm_config *c = &t->model->config;
    const slm_linear *const w[] = {&l->in, &l->scan_x, &l->scan_dt};
    uint64_t bytes = slm_scan_floats(c) * sizeof(float), macs = slm_scan_macs(c) * t->n_rows;
    t->ops->scan(t->backend, l, lane);
    for (int i = 0; i < 3; i++) {
        bytes += bytes_of(w[i]);
        macs += macs_of(w[i], t->n_rows);
    }
    end_op(t, SLM_OP_SCAN, bytes, macs);
}

static void op_gate_memory(void *backend, const slm_layer *l, int lane) {
    slm_op_times *t = backend;
    t->ops->gate_memory(t->backend, l, lane);
    end_op(t, SLM_OP_GATE_MEMORY, bytes_of(&l->in), macs_of(&l->in, t->n_rows));
}

static void op_gate_up(void *backend, const slm_layer *l, int lane) {
    slm_op_times *t = backend;
    uint32_t n = t->n_rows;
    t->ops->gate_up(t->backend, l, lane);
    end_op(t, SLM_OP_GATE_UP, bytes_of(&l->gate) + bytes_of(&l->up),
           macs_of(&l->gate, n) + macs_of(&l->up, n));
}

static void op_project_add(void *backend, const slm_linear *w, slm_branch branch,
                           const float *sub_norm, int lane) {
    slm_op_times *t = backend;
    t->ops->project_add(t->backend, w, branch, sub_norm, lane);
    end_op(t, branch == SLM_BRANCH_MIXER ? SLM_OP_ATTN_OUTPUT : SLM_OP_DOWN, bytes_of(w),
           macs_of(w, t->n_rows));
}

static void op_head(void *backend, int lane) {
    slm_op_times *t = backend;
    const slm_linear *w = &t->model->head;
    t->ops->head(t->backend, lane);
    end_op(t, SLM_OP_HEAD, bytes_of(w), macs_of(w, t->n_rows));
}

static const slm_ops timed = {
    .embed = op_embed,
    .qkv = op_qkv,
    .narrow = op_narrow,
    .attend = op_attend,
    .scan = op_scan,
    .gate_memory = op_gate_memory,
    .gate_up = op_gate_up,
    .project_add = op_project_add,
    .head = op_head,
};

int slm_op_times_run(slm_op_times *t, const slm_step *step) {
    t->step = step;
    t->n_rows = step->n_rows;
    t->n = 0;
    t->code = 0;
    mark(t);
    slm_forward(t->model, &timed, t, 0);
    return t->code;
}

int slm_op_times_take(slm_op_times *t) {
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < t->n; i++) {
        float ms = 0;
        code = slm_cuda_elapsed(&t->events[i], &t->events[i + 1], &ms);
        t->sums[t->kinds[i]].ns += (uint64_t)(1e6f * ms);
    }
    t->n = 0;
    return code;
}

#endif
