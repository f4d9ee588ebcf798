/* What the files of the CPU backend share. */
#ifndef SLM_RUN_BACKEND_CPU_OPS_H
#define SLM_RUN_BACKEND_CPU_OPS_H

#include "run/backend_cpu.h"

/* RMSNorm, or LayerNorm where there is a bias; no norm where weight is NULL. */
typedef struct slm_cpu_norm {
    const float *weight, *bias;
} slm_cpu_norm;

static inline void barrier(slm_backend_cpu *cpu) {
    slm_barrier_wait(&cpu->barrier, cpu->n_lanes);
}

/* The share of n items that a lane has: [*first, *last). */
static inline void share(const slm_backend_cpu *cpu, uint32_t n, int lane, uint32_t *first,
                         uint32_t *last) {
    slm_work_share(n, 1, cpu->n_lanes, (uint32_t)lane, first, last);
}

/* How many rows from r on, at most `most`, belong to the same session. */
static inline uint32_t run_of_rows(const slm_step *step, uint32_t r, uint32_t most) {
    uint32_t n = 1;
    while (n < most && r + n < step->n_rows && step->rows[r + n].slot == step->rows[r].slot)
        n++;
    return n;
}

static inline uint64_t bytes_of(const slm_linear *w) { return (uint64_t)w->n_out * w->row_bytes; }
static inline uint64_t macs_of(const slm_linear *w, uint32_t n_rows) {
    return (uint64_t)w->n_out * w->n_in * n_rows;
}

/* Heads of keys whose values are one row of the cache: differential attention has two. */
static inline uint32_t slm_cpu_span(const slm_model *m) {
    return m->config.arch->differential ? 2 : 1;
}

/* Where a group of keys, or the values of its tokens, are for one head of keys and values. */
static inline uint8_t *slm_cpu_kv_group(const slm_backend_cpu *cpu, const slm_layer *l,
                                        uint32_t slot, uint32_t position, int is_v,
                                        uint32_t kv_head) {
    const slm_kv_table *table = &cpu->seqs[slot].tables[l->kv_group];
    uint32_t page = table->pages[position >> cpu->layout->page_shift];
    uint32_t cell = position & (cpu->layout->page_tokens - 1) & ~(SLM_KV_GROUP - 1);
    uint32_t span = is_v ? slm_cpu_span(cpu->model) : 1;
    return slm_kv_page(&cpu->pools[l->kv_group], cpu->layout, page, l->kv_index, is_v,
                       kv_head / span * span) +
           cell * cpu->layout->row_bytes * span;
}

/* The end of an op, for the report of where time goes. */
void slm_cpu_end_op(slm_backend_cpu *cpu, int lane, slm_op op, uint64_t bytes, uint64_t macs);
/* y[r] = W norm(x[r]) for all rows of the step, without bias. All lanes are done when it returns. */
void slm_cpu_multiply(slm_backend_cpu *cpu, const slm_linear *w, const float *x, size_t x_stride,
                      slm_cpu_norm norm, float *y, size_t y_stride, int lane);

/* Fills attend_queries and lane_attend_bytes (backend_cpu_attend.c). */
void slm_cpu_attend_layout(slm_backend_cpu *cpu);

/* Ops. */
void slm_cpu_attend(void *backend, const slm_layer *l, int lane);
void slm_cpu_scan(void *backend, const slm_layer *l, int lane);
void slm_cpu_gate_memory(void *backend, const slm_layer *l, int lane);

#endif
