#include "run/state.h"

#include "base/checked.h"
#include "base/threads.h"
#include "model/device.h"
#include "run/predict.h"
#include "run/sampler.h"

#include <string.h>

#define DEVICE_CHUNK_MS 40u
#define N_CHECKPOINTS   4u

/* ---------------------------------------------------------------- plan ----------------------- */

/* Everything that fixes the memory of a cache. */
typedef struct slm_sizes {
    slm_kv_layout layout;
    uint32_t pages_per_session[SLM_MAX_KV_GROUPS]; /* entries of a page table */
    uint32_t n_pages[SLM_MAX_KV_GROUPS];
    size_t page_bytes[SLM_MAX_KV_GROUPS];
    uint32_t n_checkpoints; /* of all sessions */
    size_t recurrent_bytes; /* of sessions and checkpoints */
    size_t tables_bytes;
    size_t backend_bytes; /* of scratch, in the system's memory */
    size_t sampler_bytes;
    size_t scratch_bytes; /* the two above */
    uint64_t on_device, in_system; /* what a backend on a device has instead */
} slm_sizes;

static slm_status check_u32(const char *name, uint32_t value, uint32_t lo, uint32_t hi,
                            slm_error *error) {
    if (value >= lo && value <= hi)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_RANGE, name, SLM_NO_OFFSET,
                    "slm_cache_options.%s: got %u, wanted %u to %u", name, value, lo, hi);
}

static slm_status fill_options(const slm_model *m, slm_cache_options *o, slm_error *error) {
    uint32_t n_train = m->config.n_ctx_train;
    if (o->n_ctx == 0)
        o->n_ctx = n_train < 4096 ? n_train : 4096;
    if (o->max_sessions == 0)
        o->max_sessions = 1;
    if (o->page_tokens == 0)
        o->page_tokens = 64;
    if (o->max_rows == 0)
        o->max_rows = 256;
    if (o->max_logits == 0)
        o->max_logits = 1;
    if (o->n_threads == 0)
        o->n_threads = slm_cpu_count();
    if (o->n_checkpoints == 0)
        o->n_checkpoints = N_CHECKPOINTS;
    if (o->chunk_ms == 0)
        o->chunk_ms = m->device != NULL ? DEVICE_CHUNK_MS : SLM_CHUNK_WHOLE;
    if (o->kv_type == SLM_KV_DEFAULT)
        o->kv_type = SLM_KV_F16;
    if (o->n_ctx > n_train)
        return slm_fail(error, SLM_ERR_LIMIT, "n_ctx", SLM_NO_OFFSET,
                        "slm_cache_options.n_ctx: got %u, wanted at most the model's %u", o->n_ctx,
                        n_train);
    SLM_TRY(check_u32("max_sessions", o->max_sessions, 1, 4096, error));
    SLM_TRY(check_u32("page_tokens", o->page_tokens, SLM_KV_GROUP, 1024, error));
    SLM_TRY(check_u32("max_rows", o->max_rows, 1, 65535, error));
    SLM_TRY(check_u32("max_logits", o->max_logits, 1, 65536, error));
    SLM_TRY(check_u32("n_threads", o->n_threads, 1, 1024, error));
    SLM_TRY(check_u32("n_checkpoints", o->n_checkpoints, 1, 256, error));
    if (o->chunk_ms != SLM_CHUNK_WHOLE)
        SLM_TRY(check_u32("chunk_ms", o->chunk_ms, 1, 60000, error));
    if (o->flags & ~(uint32_t)(SLM_CACHE_TIME_OPS | SLM_CACHE_CUBLAS))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_cache_options.flags: got 0x%x, which has unknown bits", o->flags);
    if (o->page_tokens & (o->page_tokens - 1))
        return slm_fail(error, SLM_ERR_RANGE, "page_tokens", SLM_NO_OFFSET,
                        "slm_cache_options.page_tokens: got %u, wanted a power of two",
                        o->page_tokens);
    if (o->kv_type < SLM_KV_F16 || o->kv_type > SLM_KV_F32)
        return slm_fail(error, SLM_ERR_RANGE, "kv_type", SLM_NO_OFFSET,
                        "slm_cache_options.kv_type: got %d, wanted 0 to 3", o->kv_type);
    if (o->rope_factors < SLM_ROPE_AUTO || o->rope_factors > SLM_ROPE_LONG)
        return slm_fail(error, SLM_ERR_RANGE, "rope_factors", SLM_NO_OFFSET,
                        "slm_cache_options.rope_factors: got %d, wanted 0 to 2", o->rope_factors);
    uint64_t all = (uint64_t)o->n_ctx * o->max_sessions;
    if (o->n_cells == 0)
        o->n_cells = all > UINT32_MAX ? UINT32_MAX : (uint32_t)all;
    if (o->n_cells > all)
        o->n_cells = (uint32_t)all;
    if (o->max_rows > o->n_cells)
        o->max_rows = o->n_cells;
    if (m->device != NULL && o->max_rows > UINT16_MAX)
        o->max_rows = UINT16_MAX; /* the extent of a grid of kernels */
    return SLM_OK;
}

static uint32_t pages_for(const slm_kv_layout *layout, uint64_t n_tokens) {
    return (uint32_t)((n_tokens + layout->page_tokens - 1) >> layout->page_shift);
}

/* Pages of a windowed group that a session can hold at most. */
static uint64_t window_pages(const slm_model *m, const slm_cache_options *o, const slm_sizes *s,
                             uint32_t g) {
    /* a window, what may be taken back, the rows of a step, and one page cut by an edge */
    uint64_t window = m->groups[g].window;
    uint64_t most = pages_for(&s->layout, window + slm_state_slack(m) + o->max_rows) + 1u;
    if (m->n_scans == 0)
        return most;
    /* Checkpoints hold windows of their own. Of a page that is written while one holds it there are
     * two from then on; all others are pages of one text. */
    most += o->n_checkpoints * (pages_for(&s->layout, window) + (uint64_t)1);
    uint64_t of_text = s->pages_per_session[g] + (uint64_t)o->n_checkpoints;
    return most < of_text ? most : of_text;
}

static void size_groups(const slm_model *m, const slm_cache_options *o, slm_sizes *s) {
    for (uint32_t g = 0; g < m->n_groups; g++) {
        uint64_t cells = o->n_cells;
        s->pages_per_session[g] = pages_for(&s->layout, o->n_ctx);
        s->n_pages[g] = pages_for(&s->layout, cells);
        if (o->n_cells == (uint64_t)o->n_ctx * o->max_sessions)
            s->n_pages[g] = s->pages_per_session[g] * o->max_sessions;
        if (m->groups[g].window != 0) {
            uint64_t most = window_pages(m, o, s, g) * o->max_sessions;
            if (m->n_scans > 0 || most < s->n_pages[g])
                s->n_pages[g] = (uint32_t)(most < UINT32_MAX ? most : UINT32_MAX);
        }
        s->page_bytes[g] = slm_kv_page_bytes(&s->layout, m->groups[g].n_layers);
    }
}

/* Places the tables of a cache in one block; with c NULL only counts. */
static size_t place_tables(const slm_model *m, const slm_cache_options *o, const slm_sizes *s,
                           slm_cache *c, uint8_t *memory) {
    size_t used = 0;
#define PLACE(target, count)                                                  \
    do {                                                                      \
        if (c != NULL)                                                        \
            target = (void *)(memory + used);                                 \
        used += slm_round_up((size_t)(count) * sizeof *(target), 64);         \
    } while (0)
    PLACE(c->seqs, o->max_sessions);
    PLACE(c->sessions, o->max_sessions);
    PLACE(c->rows, o->max_rows);
    PLACE(c->n_before, o->max_sessions);
    PLACE(c->items, o->max_sessions);
    PLACE(c->checkpoints, s->n_checkpoints);
    for (uint32_t g = 0; g < m->n_groups; g++) {
        PLACE(c->pools[g].n_refs, s->n_pages[g]);
        PLACE(c->pools[g].free_list, s->n_pages[g]);
    }
    for (uint32_t i = 0; i < o->max_sessions; i++) {
        PLACE(c->sessions[i].tokens, o->n_ctx);
        PLACE(c->sessions[i].checkpoints, s->n_checkpoints > 0 ? o->n_checkpoints : 0);
        for (uint32_t g = 0; g < m->n_groups; g++)
            PLACE(c->seqs[i].tables[g].pages, s->pages_per_session[g]);
    }
    for (uint32_t i = 0; i < s->n_checkpoints; i++)
        for (uint32_t g = 0; g < m->n_groups; g++)
            if (m->groups[g].window != 0)
                PLACE(c->checkpoints[i].tables[g].pages, s->pages_per_session[g]);
#undef PLACE
    return used;
}

static slm_cpu_shape cpu_shape(const slm_cache_options *o) {
    slm_cpu_shape shape = {o->n_threads, o->max_rows, o->n_ctx, o->max_sessions + o->max_logits};
    return shape;
}

#ifdef SLM_HAVE_CUDA
static slm_cuda_shape cuda_shape(const slm_cache_options *o, const slm_sizes *s) {
    slm_cuda_shape shape = {o->max_rows, o->n_ctx, o->max_sessions, o->max_sessions + o->max_logits,
                            s->pages_per_session[0], o->flags, s->recurrent_bytes};
    return shape;
}
#endif

/* What the backend takes beside the pages. */
static void size_backend(const slm_model *m, const slm_cache_options *o, slm_sizes *s) {
#ifdef SLM_HAVE_CUDA
    if (m->device != NULL) {
        slm_cuda_shape shape = cuda_shape(o, s);
        slm_backend_cuda_bytes(m, &shape, &s->on_device, &s->in_system);
        return;
    }
#endif
    slm_cpu_shape shape = cpu_shape(o);
    slm_backend_cpu cpu;
    s->backend_bytes = slm_round_up(slm_backend_cpu_layout(&cpu, m, &shape, NULL), 64);
}

static slm_status make_plan(const slm_model *m, const slm_cache_options *options,
                            slm_cache_options *o, slm_plan *plan, slm_sizes *s, slm_error *error) {
    static const slm_cache_options defaults = {.struct_size = sizeof(slm_cache_options)};
    if (!m->has_weights)
        return slm_fail(error, SLM_ERR_ARG, "model", SLM_NO_OFFSET,
                        "the model was opened without weights (SLM_MODEL_VOCAB_ONLY)");
    SLM_TRY(slm_copy_options(o, sizeof *o, &defaults, options, "slm_cache_options", error));
    SLM_TRY(fill_options(m, o, error));

    static const slm_kv types[] = {[SLM_KV_F16] = SLM_KVT_F16, [SLM_KV_Q8_0] = SLM_KVT_Q8_0,
                                   [SLM_KV_F32] = SLM_KVT_F32};
    memset(s, 0, sizeof *s);
    slm_kv_layout_init(&s->layout, types[o->kv_type], o->page_tokens, &m->config);
    size_groups(m, o, s);
    memset(plan, 0, sizeof *plan);
    plan->struct_size = sizeof *plan;
    for (uint32_t g = 0; g < m->n_groups; g++) {
        uint64_t bytes;
        if (!slm_mul_u64(s->n_pages[g], s->page_bytes[g], &bytes) ||
            !slm_add_u64(plan->kv_bytes, bytes + (m->device == NULL ? SLM_ALLOC_HEADER : 0),
                         &plan->kv_bytes))
            return slm_fail_nomem(error, UINT64_MAX, "keys and values");
        plan->n_pages += s->n_pages[g];
        plan->kv_bytes_per_token += s->page_bytes[g] >> s->layout.page_shift;
    }
    if (m->n_scans > 0) {
        s->n_checkpoints = o->n_checkpoints * o->max_sessions;
        s->recurrent_bytes = ((size_t)s->n_checkpoints + o->max_sessions) * slm_state_floats(m) *
                             sizeof(float);
        plan->recurrent_bytes = s->recurrent_bytes + (m->device == NULL ? SLM_ALLOC_HEADER : 0);
        plan->checkpoint_tokens = SLM_CHECKPOINT_TOKENS;
    }
    s->tables_bytes = place_tables(m, o, s, NULL, NULL);
    size_backend(m, o, s);
    s->sampler_bytes = slm_sampler_scratch_bytes(m->config.n_vocab, o->n_ctx);
    s->scratch_bytes = s->backend_bytes + s->sampler_bytes;
    plan->scratch_bytes = s->tables_bytes + s->scratch_bytes + sizeof(slm_cache) +
                          3 * SLM_ALLOC_HEADER + s->on_device + s->in_system;
    plan->n_threads = m->device == NULL ? o->n_threads : 1;
    plan->weights_mapped = m->mapped_bytes;
    plan->weights_allocated = m->read_bytes + m->packed_bytes + m->on_device_bytes;
    plan->model_bytes = m->own_bytes;
    slm_plan_token(m, &plan->bytes_per_token, &plan->macs_per_token);
    plan->total_bytes = plan->weights_mapped + plan->weights_allocated + plan->model_bytes +
                        plan->kv_bytes + plan->recurrent_bytes + plan->scratch_bytes;
    return SLM_OK;
}

slm_status slm_cache_make_plan(const slm_model *model, const slm_cache_options *options,
                               slm_cache_options *filled, slm_plan *plan, slm_error *error) {
    slm_sizes sizes;
    return make_plan(model, options, filled, plan, &sizes, error);
}

/* ---------------------------------------------------------------- cache ---------------------- */

static void close_backend(slm_cache *c) {
#ifdef SLM_HAVE_CUDA
    if (c->model->device != NULL) {
        slm_backend_cuda_close(c->cuda);
        return;
    }
#endif
    slm_backend_cpu_close(&c->cpu);
    for (uint32_t g = 0; g < c->model->n_groups; g++)
        slm_free(c->host, c->pools[g].memory);
}

static void destroy(slm_cache *c) {
    slm_model *m = c->model;
    close_backend(c);
    slm_free(c->host, c->recurrent);
    slm_free(c->host, c->scratch);
    slm_free(c->host, c->tables);
    slm_free(c->host, c);
    slm_model_release(m);
}

/* Bytes of a cache. */
static uint64_t bytes_of_cache(const slm_plan *plan) {
    return plan->kv_bytes + plan->recurrent_bytes + plan->scratch_bytes;
}

static slm_status does_not_fit(const slm_plan *plan, uint64_t limit, const char *what,
                               slm_error *error) {
    return slm_fail(error, SLM_ERR_NOMEM, what, SLM_NO_OFFSET,
                    "the cache needs %llu bytes (%llu of keys and values, %llu of scratch), but %s "
                    "is %llu", (unsigned long long)bytes_of_cache(plan),
                    (unsigned long long)plan->kv_bytes, (unsigned long long)plan->scratch_bytes,
                    what, (unsigned long long)limit);
}

/* next: zeros, the state of a session that holds nothing. */
static void place_recurrent(slm_cache *c, const slm_sizes *s, float *next) {
    size_t n = slm_state_floats(c->model);
    for (uint32_t i = 0; i < c->options.max_sessions; i++, next += n)
        c->seqs[i].recurrent = next;
    for (uint32_t i = 0; i < s->n_checkpoints; i++, next += n)
        c->checkpoints[i].recurrent = next;
}

/* The backend with the memory of the pages. */
static slm_status open_backend(slm_cache *c, const slm_sizes *s, slm_error *error) {
    slm_model *m = c->model;
#ifdef SLM_HAVE_CUDA
    if (m->device != NULL) {
        slm_cuda_shape shape = cuda_shape(&c->options, s);
        SLM_TRY(slm_backend_cuda_open(m, &shape, &c->layout, c->pools, c->seqs, &c->cuda, error));
        if (s->recurrent_bytes > 0)
            place_recurrent(c, s, slm_backend_cuda_recurrent(c->cuda));
        c->logits = slm_backend_cuda_rows(c->cuda);
        c->sums = slm_backend_cuda_sums(c->cuda);
        return SLM_OK;
    }
#endif
    for (uint32_t g = 0; g < m->n_groups; g++) {
        c->pools[g].memory = slm_alloc_touched(c->host, s->n_pages[g] * s->page_bytes[g]);
        if (c->pools[g].memory == NULL)
            return slm_fail_nomem(error, bytes_of_cache(&c->plan), "the cache");
    }
    slm_cpu_shape shape = cpu_shape(&c->options);
    slm_backend_cpu_layout(&c->cpu, m, &shape, c->scratch);
    c->cpu.layout = &c->layout;
    c->cpu.pools = c->pools;
    c->cpu.seqs = c->seqs;
    c->logits = c->cpu.logits;
    c->sums = c->cpu.sums;
    slm_backend_cpu_open(&c->cpu);
    c->plan.n_threads = c->cpu.n_lanes;
    if (c->plan.n_threads < c->n_threads_asked)
        slm_log(c->host, SLM_LOG_WARNING, "the system allows %u of the %u threads asked for",
                c->plan.n_threads, c->n_threads_asked);
    return SLM_OK;
}

static slm_status allocate(slm_cache *c, const slm_sizes *s, slm_error *error) {
    slm_model *m = c->model;
    c->tables = slm_calloc(c->host, s->tables_bytes, 1);
    c->scratch = slm_alloc_touched(c->host, s->scratch_bytes);
    if (c->tables == NULL || c->scratch == NULL)
        return slm_fail_nomem(error, bytes_of_cache(&c->plan), "the cache");
    place_tables(m, &c->options, s, c, c->tables);
    if (s->recurrent_bytes > 0 && m->device == NULL) {
        c->recurrent = slm_alloc_touched(c->host, s->recurrent_bytes);
        if (c->recurrent == NULL)
            return slm_fail_nomem(error, bytes_of_cache(&c->plan), "the cache");
        memset(c->recurrent, 0, s->recurrent_bytes);
        place_recurrent(c, s, c->recurrent);
    }
    c->sampler_scratch = (uint8_t *)c->scratch + s->backend_bytes;
    memset(c->sampler_scratch, 0, s->sampler_bytes);
    c->layout = s->layout;
    for (uint32_t g = 0; g < m->n_groups; g++) {
        slm_kv_pool *pool = &c->pools[g];
        pool->page_bytes = s->page_bytes[g];
        pool->n_pages = pool->n_free = s->n_pages[g];
        for (uint32_t i = 0; i < pool->n_pages; i++)
            pool->free_list[i] = pool->n_pages - 1 - i;
    }
    for (uint32_t i = 0; i < c->options.max_sessions; i++) {
        c->sessions[i].cache = c;
        c->sessions[i].slot = i;
    }
    return open_backend(c, s, error);
}

slm_status slm_cache_step(slm_cache *c, const slm_step *step, slm_error *error) {
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL)
        return slm_backend_cuda_run(c->cuda, step, error);
#endif
    (void)error;
    slm_backend_cpu_run(&c->cpu, step);
    return SLM_OK;
}

void slm_cache_copy_state(slm_cache *c, float *to, const float *from) {
    size_t n = slm_state_floats(c->model);
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL) {
        slm_backend_cuda_copy_state(c->cuda, to, from, n);
        return;
    }
#endif
    if (from != NULL)
        memcpy(to, from, n * sizeof *to);
    else
        memset(to, 0, n * sizeof *to);
}

static void set_pace(slm_cache *c) {
    const slm_cache_options *o = &c->options;
    c->pace.max_rows = o->max_rows;
    if (o->chunk_ms != SLM_CHUNK_WHOLE)
        c->pace.limit_ns = o->chunk_ms * 1e6;
#ifdef SLM_HAVE_CUDA
    if (c->model->device != NULL && c->model->device->info.clock_khz >= 1000)
        c->pace.row_ns = slm_predict_row_ns(c->model, c->model->device->info.n_sms,
                                            c->model->device->info.clock_khz / 1000);
#endif
}

slm_status slm_cache_fetch(slm_cache *c, uint32_t row, slm_error *error) {
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL)
        return slm_backend_cuda_fetch(c->cuda, row, error);
#endif
    (void)c;
    (void)row;
    (void)error;
    return SLM_OK;
}

void slm_cache_copy_row(slm_cache *c, uint32_t to, uint32_t from) {
    size_t n_vocab = c->model->config.n_vocab;
    memcpy(c->logits + to * n_vocab, c->logits + from * n_vocab, n_vocab * sizeof(float));
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL)
        slm_backend_cuda_set_row(c->cuda, to);
#endif
}

int slm_cache_best(const slm_cache *c, uint32_t slot, slm_best *best) {
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL)
        return slm_backend_cuda_best(c->cuda, slot, best);
#endif
    (void)c;
    (void)slot;
    (void)best;
    return 0;
}

/* Refuses what memory_limit or the memory there is cannot hold. */
static slm_status check_room(const slm_model *m, const slm_plan *plan, const slm_sizes *s,
                             slm_error *error) {
    uint64_t needed = bytes_of_cache(plan), held = atomic_load(&m->host.bytes);
    if (m->host.limit != 0 && (held > m->host.limit || needed > m->host.limit - held))
        return does_not_fit(plan, m->host.limit > held ? m->host.limit - held : 0,
                            "what memory_limit leaves", error);
#ifdef SLM_HAVE_CUDA
    if (m->device != NULL) {
        const char *what;
        uint64_t on_device = plan->kv_bytes + plan->recurrent_bytes + s->on_device;
        uint64_t room = slm_device_room(m, &what);
        if (on_device > room)
            return does_not_fit(plan, room, what, error);
        if (!m->device->info.is_integrated)
            needed -= on_device;
    }
#endif
    (void)s;
    uint64_t available = slm_memory_available();
    return needed <= available ? SLM_OK
                               : does_not_fit(plan, available, "the memory available", error);
}

/* Scratch is for the threads that the system allows, which its room may decide. */
static slm_status plan_for_allowed(slm_model *m, slm_cache_options *o, slm_plan *plan,
                                   slm_sizes *s, slm_error *error) {
    uint32_t allowed = m->device == NULL ? slm_threads_probe(o->n_threads) : o->n_threads;
    if (allowed >= o->n_threads)
        return SLM_OK;
    slm_cache_options fewer = *o;
    fewer.n_threads = allowed;
    return make_plan(m, &fewer, o, plan, s, error);
}

slm_status slm_cache_create(slm_model *m, const slm_cache_options *options, slm_cache **out,
                            slm_error *error) {
    slm_cache_options filled;
    slm_plan plan;
    slm_sizes sizes;
    SLM_TRY(make_plan(m, options, &filled, &plan, &sizes, error));
    uint32_t n_threads_asked = filled.n_threads;
    SLM_TRY(plan_for_allowed(m, &filled, &plan, &sizes, error));
    for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf); i++)
        if (slm_gguf_part(m->gguf, i)->kind != SLM_FILE_HEAD) /* whatever becomes of it */
            SLM_TRY(slm_file_check(slm_gguf_part(m->gguf, i), error));
    SLM_TRY(check_room(m, &plan, &sizes, error));
    slm_cache *c = slm_calloc(&m->host, 1, sizeof *c);
    if (c == NULL)
        return slm_fail_nomem(error, bytes_of_cache(&plan), "the cache");
    c->model = m;
    c->host = &m->host;
    c->options = filled;
    c->plan = plan;
    c->n_threads_asked = n_threads_asked;
    set_pace(c);
    slm_model_retain(m);
    slm_status status = allocate(c, &sizes, error);
    if (status != SLM_OK) {
        destroy(c);
        return status;
    }
    *out = c;
    return SLM_OK;
}

void slm_cache_drop(slm_cache *c) {
    c->is_closed = 1;
    if (c->n_open == 0)
        destroy(c);
}
