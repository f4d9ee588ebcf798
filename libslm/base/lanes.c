#include "base/os.h"

#include "base/lanes.h"
#include "base/threads.h"

#include <omp.h>

static void *hold(void *arg) {
    slm_lanes *l = arg;
    int n_wanted = (int)l->n - 1;
#pragma omp parallel num_threads(n_wanted)
    {
        uint32_t lane = (uint32_t)omp_get_thread_num() + 1;
        uint32_t n = (uint32_t)omp_get_num_threads() + 1;
        if (lane == 1) {
            l->n = n;
            slm_barrier_wait(&l->ready, 2);
        }
        for (;;) {
            slm_barrier_wait_idle(&l->gate, n);
            if (!l->body)
                break;
            l->body(l->context, lane);
            slm_barrier_wait(&l->gate, n);
        }
    }
    return NULL;
}

void slm_lanes_open(slm_lanes *l, uint32_t n) {
    /* OpenMP ends the program when it is refused a thread. A limit that was met leaves no room for
     * anything else that starts one: not to the end. */
    uint32_t allowed = slm_threads_probe(n), spare = allowed < n ? 2 : 0;
    l->n = allowed > spare ? allowed - spare : 1;
    l->body = NULL;
    slm_barrier_init(&l->gate);
    slm_barrier_init(&l->ready);
    if (l->n <= 1)
        return;
    if (pthread_create(&l->holder, NULL, hold, l) == 0)
        slm_barrier_wait(&l->ready, 2); /* lane 1 has set l->n */
    else
        l->n = 1;
}

void slm_lanes_run(slm_lanes *l, slm_lanes_fn body, void *context) {
    l->body = body;
    l->context = context;
    slm_barrier_wait(&l->gate, l->n);
    body(context, 0);
    slm_barrier_wait(&l->gate, l->n);
}

void slm_lanes_close(slm_lanes *l) {
    if (l->n <= 1)
        return;
    l->body = NULL;
    slm_barrier_wait(&l->gate, l->n);
    pthread_join(l->holder, NULL);
    l->n = 1;
}
