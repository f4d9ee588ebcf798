#include "queue.h"

#include <stdlib.h>
#include <string.h>

message *message_text(int type, uint32_t id, const char *text, size_t n) {
    message *m = calloc(1, sizeof *m + n);
    if (!m)
        return NULL;
    m->type = type;
    m->id = id;
    m->n = text ? n : 0;
    if (m->n > 0)
        memcpy(m->data.text, text, n);
    return m;
}

message *message_samples(int type, uint32_t id, size_t n) {
    message *m = calloc(1, sizeof *m + n * sizeof(int16_t));
    if (!m)
        return NULL;
    m->type = type;
    m->id = id;
    m->n = n;
    return m;
}

bool queue_open(queue *q, size_t cap) {
    *q = (queue){.cap = cap, .ring = calloc(cap, sizeof *q->ring)};
    if (!q->ring)
        return false;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, NULL);
    return true;
}

void queue_close(queue *q) {
    if (!q->ring)
        return;
    for (; q->n > 0; q->n--)
        free(q->ring[q->first++ % q->cap]);
    free(q->ring);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    *q = (queue){0};
}

bool queue_put(queue *q, message *m) {
    if (!m)
        return false;
    pthread_mutex_lock(&q->lock);
    bool fits = q->n < q->cap;
    if (fits) {
        q->ring[(q->first + q->n++) % q->cap] = m;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    if (!fits)
        free(m);
    return fits;
}

static message *take_first(queue *q) {
    message *m = q->ring[q->first];
    q->first = (q->first + 1) % q->cap;
    q->n--;
    return m;
}

message *queue_take(queue *q, int64_t by_us) {
    message *m = NULL;
    pthread_mutex_lock(&q->lock);
    if (q->n > 0 && q->ring[q->first]->due_us <= by_us)
        m = take_first(q);
    pthread_mutex_unlock(&q->lock);
    return m;
}

message *queue_wait(queue *q) {
    pthread_mutex_lock(&q->lock);
    while (q->n == 0)
        pthread_cond_wait(&q->filled, &q->lock);
    message *m = take_first(q);
    pthread_mutex_unlock(&q->lock);
    return m;
}
