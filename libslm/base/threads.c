#include "base/os.h"
#include "base/threads.h"

#include <pthread.h>
#include <sys/mman.h>

#define MAX_PROBE 1024u
/* Address space that the threads leave to the process where that is limited: a thread that allocates
 * gets a heap of its own, for which C libraries set up to twice 64 MiB aside. */
#define RESERVE ((size_t)136 << 20)

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
    void *reserve = mmap(NULL, RESERVE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserve == MAP_FAILED)
        return 1;
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
    munmap(reserve, RESERVE);
    return started + 1;
}
