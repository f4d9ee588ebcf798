/* Messages between the line and the stages, and the bounded queues that carry them. */
#ifndef SLM_VOICE_QUEUE_H
#define SLM_VOICE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One allocation, owned by whoever holds it: the sender until it is put, the taker afterwards. What
 * the numbers mean, each type says (hearing.h, thinking.h, talking.h). */
typedef struct message {
    int type;
    uint32_t id;         /* the utterance, answer or clause that it belongs to */
    int64_t due_us;      /* when it was sent, or when what it tells came to be */
    double measured_ms;  /* what the work behind it really took */
    uint64_t begin, end; /* bytes of an answer */
    int64_t value;
    size_t n;            /* bytes of data, or samples */
    union {
        char text[1]; /* NUL-terminated */
        int16_t samples[1];
    } data;
} message;

/* A message with a copy of n bytes of text, which may be NULL for none, or with room for n samples.
 * NULL: no memory. */
message *message_text(int type, uint32_t id, const char *text, size_t n);
message *message_samples(int type, uint32_t id, size_t n);

typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    message **ring;
    size_t cap, first, n;
} queue;

bool queue_open(queue *q, size_t cap);
/* Frees what was not taken. */
void queue_close(queue *q);
/* Takes the message over; where the queue is full, or m is NULL, it is freed and the result false. */
bool queue_put(queue *q, message *m);
/* The oldest message that was due by then; NULL: none. */
message *queue_take(queue *q, int64_t by_us);
/* Waits for one. */
message *queue_wait(queue *q);

#endif
