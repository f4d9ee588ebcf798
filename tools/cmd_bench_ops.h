/* Where the time of a step goes: the report of slm bench --ops. */
#ifndef SLM_TOOLS_CMD_BENCH_OPS_H
#define SLM_TOOLS_CMD_BENCH_OPS_H

#include "slm.h"

typedef struct slm_bench_ops {
    slm_op_info sum[SLM_OP_COUNT];   /* of the runs so far                                           */
    slm_op_info begin[SLM_OP_COUNT]; /* of the cache, when the run began                             */
    double seconds;                  /* of the runs so far                                           */
    uint64_t n_steps;                /* calls of the embedding, of which each step has one           */
} slm_bench_ops;

/* Forgets; begins a run; ends it after seconds. */
void slm_bench_ops_clear(slm_bench_ops *ops);
void slm_bench_ops_begin(slm_bench_ops *ops, const slm_session *session);
void slm_bench_ops_end(slm_bench_ops *ops, const slm_session *session, double seconds);

/* 10^9 int8 multiply-accumulates a second that threads can do with the best instruction for it, in
 * loops that do nothing else; 0 where that is not known. */
double slm_int8_peak(uint32_t threads);

/* Prints a line for each op, or objects; read_gbps and int8_gmacs may be 0: not known. */
void slm_bench_ops_print(const slm_bench_ops *ops, const char *test, uint32_t n, uint32_t depth,
                         double read_gbps, double int8_gmacs, int json);

#endif
