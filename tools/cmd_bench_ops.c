#define _GNU_SOURCE

#include "cmd_bench_ops.h"

#include "cli.h"
#include "peaks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PEAKS   8
#define PEAK_RUNS   5
#define PEAK_TIMES  20

void slm_bench_ops_clear(slm_bench_ops *ops) { memset(ops, 0, sizeof *ops); }

static void take(slm_op_info *info, const slm_session *session) {
    for (slm_op op = 0; op < SLM_OP_COUNT; op++) {
        info[op] = (slm_op_info){.struct_size = sizeof info[op]};
        slm_session_get_op(session, op, &info[op], NULL);
    }
}

void slm_bench_ops_begin(slm_bench_ops *ops, const slm_session *session) {
    take(ops->begin, session);
}

void slm_bench_ops_end(slm_bench_ops *ops, const slm_session *session, double seconds) {
    slm_op_info now[SLM_OP_COUNT];
    take(now, session);
    ops->seconds += seconds;
    ops->n_steps += now[SLM_OP_EMBED].calls - ops->begin[SLM_OP_EMBED].calls;
    for (int i = 0; i < SLM_OP_COUNT; i++) {
        memcpy(ops->sum[i].name, now[i].name, sizeof now[i].name);
        ops->sum[i].calls += now[i].calls - ops->begin[i].calls;
        ops->sum[i].ns += now[i].ns - ops->begin[i].ns;
        ops->sum[i].bytes += now[i].bytes - ops->begin[i].bytes;
        ops->sum[i].macs += now[i].macs - ops->begin[i].macs;
    }
}

/* ---- the peak of int8 products ---- */

typedef struct runner {
    const peak *peak;
    pthread_barrier_t *step;
    double begun[PEAK_RUNS], done[PEAK_RUNS], macs;
    pthread_t thread;
} runner;

static void *run_peak(void *arg) {
    runner *r = arg;
    for (int i = 0; i < PEAK_RUNS; i++) {
        pthread_barrier_wait(r->step);
        r->begun[i] = slm_cli_now();
        for (int j = 0; j < PEAK_TIMES; j++)
            r->macs = r->peak->run();
        r->done[i] = slm_cli_now();
    }
    return NULL;
}

static double measure(const peak *p, runner *runners, uint32_t threads) {
    pthread_barrier_t step;
    uint32_t n = 1;
    double best = 0;
    pthread_barrier_init(&step, NULL, threads);
    for (uint32_t i = 0; i < threads; i++)
        runners[i] = (runner){.peak = p, .step = &step};
    for (; n < threads; n++)
        if (pthread_create(&runners[n].thread, NULL, run_peak, &runners[n]) != 0)
            return 0; /* those that wait do so until the program ends */
    run_peak(&runners[0]);
    for (uint32_t i = 1; i < n; i++)
        pthread_join(runners[i].thread, NULL);
    for (int k = 0; k < PEAK_RUNS; k++) {
        double begun = runners[0].begun[k], done = runners[0].done[k];
        for (uint32_t i = 1; i < n; i++) {
            begun = runners[i].begun[k] < begun ? runners[i].begun[k] : begun;
            done = runners[i].done[k] > done ? runners[i].done[k] : done;
        }
        double rate = runners[0].macs * PEAK_TIMES * n * 1e-9 / (done - begun);
        best = rate > best ? rate : best;
    }
    pthread_barrier_destroy(&step);
    return best;
}

double slm_int8_peak(uint32_t threads) {
    peak peaks[MAX_PEAKS];
    size_t n = find_peaks(peaks);
    const peak *last = NULL;
    for (size_t i = 0; i < n; i++)
        if (peaks[i].here && strncmp(peaks[i].name, "int8", 4) == 0)
            last = &peaks[i];
    runner *runners = last != NULL ? calloc(threads, sizeof *runners) : NULL;
    double best = runners != NULL ? measure(last, runners, threads) : 0;
    free(runners);
    return best;
}

/* ---- the report ---- */

static void share_of(char text[16], double part, double whole) {
    if (whole > 0)
        snprintf(text, 16, "%.1f %%", 100 * part / whole);
    else
        snprintf(text, 16, "-");
}

void slm_bench_ops_print(const slm_bench_ops *ops, const char *test, uint32_t n, uint32_t depth,
                         double read_gbps, double int8_gmacs, int json) {
    double steps = ops->n_steps > 0 ? (double)ops->n_steps : 1, rest = ops->seconds;
    if (!json)
        slm_cli_print("     %-12s %10s %8s %9s %8s %9s %8s\n", "op", "ms/step", "time", "GB/s",
                      "of read", "GMAC/s", "of int8");
    for (int i = 0; i <= SLM_OP_COUNT; i++) {
        const slm_op_info *o = &ops->sum[i < SLM_OP_COUNT ? i : 0];
        double seconds = i < SLM_OP_COUNT ? (double)o->ns * 1e-9 : rest;
        double gbps = 0, gmacs = 0;
        const char *name = i < SLM_OP_COUNT ? o->name : "between";
        char time[16], read[16], int8[16];
        if (i < SLM_OP_COUNT && o->calls == 0)
            continue; /* of another kind of layer */
        if (i < SLM_OP_COUNT) {
            rest -= seconds;
            if (seconds > 0) {
                gbps = (double)o->bytes * 1e-9 / seconds;
                gmacs = (double)o->macs * 1e-9 / seconds;
            }
        }
        if (json) {
            slm_cli_print("{\"op\":\"%s\",\"test\":\"%s\",\"n\":%u,\"depth\":%u,"
                          "\"ms_per_step\":%.5f,\"share_of_time\":%.4f,\"gbps\":%.3f,"
                          "\"read_gbps\":%.3f,\"gmacs\":%.3f,\"int8_gmacs\":%.3f}\n",
                          name, test, n, depth, 1e3 * seconds / steps,
                          ops->seconds > 0 ? seconds / ops->seconds : 0, gbps, read_gbps, gmacs,
                          int8_gmacs);
            continue;
        }
        share_of(time, seconds, ops->seconds);
        share_of(read, gbps, read_gbps);
        share_of(int8, gmacs, int8_gmacs);
        if (gbps > 0)
            slm_cli_print("     %-12s %10.4f %8s %9.2f %8s %9.2f %8s\n", name,
                          1e3 * seconds / steps, time, gbps, read, gmacs, int8);
        else
            slm_cli_print("     %-12s %10.4f %8s\n", name, 1e3 * seconds / steps, time);
    }
}
