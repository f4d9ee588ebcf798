#include "base/os.h"
#include "base/threads.h"

#include <pthread.h>

#define MAX_PROBE 1024u

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    int is_open;
} gate;

static void *wait_at_gate(void *arg) {
    gate *g = arg;
    pthread_mutex_lock(&g->mutex);
    while (!g->is_open)
        pthread_cond_wait(&g->opened, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

uint32_t slm_threads_probe(uint32_t n) {
    pthread_t threads[MAX_PROBE];
    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    uint32_t started = 0;
    if (n > MAX_PROBE)
        n = MAX_PROBE;
    while (started + 1 < n && pthread_create(&threads[started], NULL, wait_at_gate, &g) == 0)
        started++;
    pthread_mutex_lock(&g.mutex);
    g.is_open = 1;
    pthread_cond_broadcast(&g.opened);
    pthread_mutex_unlock(&g.mutex);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&g.opened);
    pthread_mutex_destroy(&g.mutex);
    return started + 1;
}
