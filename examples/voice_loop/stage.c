#include "stage.h"

#include <stdlib.h>

enum { QUEUE_LENGTH = 4096, LEAVE = -1 };

static void *run_thread(void *context) {
    stage *s = context;
    for (bool busy = false;;) {
        message *m = busy ? queue_take(&s->commands, INT64_MAX) : queue_wait(&s->commands);
        if (!m) {
            busy = s->ops->work(s->self);
            continue;
        }
        if (m->type == LEAVE) {
            free(m);
            return NULL;
        }
        s->ops->command(s->self, m);
        free(m);
        busy = true;
    }
}

bool stage_open(stage *s, const char *name, const stage_ops *ops, void *self, bool is_virtual) {
    *s = (stage){.name = name, .ops = ops, .self = self, .is_virtual = is_virtual};
    if (!queue_open(&s->commands, QUEUE_LENGTH))
        return false;
    if (!queue_open(&s->events, QUEUE_LENGTH)) {
        queue_close(&s->commands);
        return false;
    }
    s->has_thread = !is_virtual && pthread_create(&s->thread, NULL, run_thread, s) == 0;
    if (!is_virtual && !s->has_thread) {
        stage_close(s);
        return false;
    }
    return true;
}

void stage_close(stage *s) {
    if (s->has_thread) {
        message *m;
        while ((m = queue_take(&s->commands, INT64_MAX)))
            free(m); /* there is room for the last one, and nothing before it */
        queue_put(&s->commands, message_text(LEAVE, 0, NULL, 0));
        pthread_join(s->thread, NULL);
        s->has_thread = false;
    }
    queue_close(&s->commands);
    queue_close(&s->events);
}

bool stage_send(stage *s, message *m, int64_t now_us) {
    if (m)
        m->due_us = now_us;
    return queue_put(&s->commands, m);
}

message *stage_receive(stage *s, int64_t now_us) {
    message *m = queue_take(&s->events, s->is_virtual ? now_us : INT64_MAX);
    if (m && !s->is_virtual)
        m->due_us = now_us;
    return m;
}

void stage_run(stage *s, int64_t now_us) {
    for (bool idle = false; s->is_virtual && s->clock_us <= now_us;) {
        message *m = queue_take(&s->commands, idle ? now_us : s->clock_us);
        if (m) {
            if (m->due_us > s->clock_us)
                s->clock_us = m->due_us;
            s->ops->command(s->self, m);
            free(m);
            idle = false;
        } else if (idle) {
            return;
        } else {
            idle = !s->ops->work(s->self);
        }
    }
}

void stage_charge(stage *s, double ms) {
    s->clock_us += (int64_t)(ms * 1000.0);
}

void stage_post(stage *s, message *m) {
    if (m)
        m->due_us = s->clock_us;
    queue_put(&s->events, m);
}
