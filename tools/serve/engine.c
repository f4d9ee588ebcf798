#define _GNU_SOURCE

#include "engine.h"

#include "guides.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct serve_task {
    serve_task *next, *previous; /* in the list of the engine that has it */
    serve_want want;
    void *user;
    size_t index;
    slm_request *request; /* NULL: not yet, or no longer. The engine's thread alone reads it */
    int cancelled;        /* under the mutex */
    serve_event last;     /* so that the last event needs no memory */
    char message[304];    /* of it */
};

typedef struct event_list {
    serve_event *first, **last;
} event_list;

typedef struct task_list {
    serve_task *first, *last;
} task_list;

struct serve_engine {
    slm_model *model;
    slm_batch *batch;
    serve_guides *guides;
    uint32_t max_open; /* from so many tasks on no request is taken; those that stand back count apart */
    pthread_t thread;
    int fd;
    task_list unready; /* these three are the thread's: tasks whose guides are not compiled, */
    task_list open;    /* tasks in the batch, */
    event_list made;   /* and events of this step */
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    serve_task *fresh, **fresh_last; /* handed over; these and what follows under the mutex */
    uint32_t n_open;   /* without a last event */
    uint32_t n_back;   /* of these, tasks that stand back: of a priority below 0 */
    int stop, any_cancelled, any_compiled;
    event_list events;
    serve_engine_state state;
};

/* ---- events ----------------------------------------------------------------------------------- */

static void append(event_list *list, serve_event *event) {
    *list->last = event;
    list->last = &event->next;
}

/* The event with its own copy of what it points to. NULL: no memory. */
static serve_event *copy_event(const serve_event *from) {
    size_t tops = from->n_top * sizeof *from->top, floats = from->n_floats * sizeof *from->floats;
    serve_event *e = malloc(sizeof *e + tops + floats + from->text_len);
    if (!e)
        return NULL;
    *e = *from;
    e->next = NULL;
    char *at = (char *)(e + 1);
    if (tops)
        memcpy(at, from->top, tops);
    e->top = (const slm_token_prob *)(void *)at;
    at += tops;
    if (floats)
        memcpy(at, from->floats, floats);
    e->floats = (const float *)(void *)at;
    at += floats;
    if (from->text_len)
        memcpy(at, from->text, from->text_len);
    e->text = at;
    return e;
}

void serve_event_free(serve_event *event) {
    if (event != &event->task->last)
        free(event);
}

static void link_task(task_list *list, serve_task *task) {
    task->next = NULL;
    task->previous = list->last;
    *(task->previous ? &task->previous->next : &list->first) = task;
    list->last = task;
}

static void unlink_task(task_list *list, serve_task *task) {
    *(task->previous ? &task->previous->next : &list->first) = task->next;
    *(task->next ? &task->next->previous : &list->last) = task->previous;
    task->next = task->previous = NULL;
}

/* Posts the last event of a task, which the thread does not touch again. */
static void finish(serve_engine *engine, serve_task *task, const serve_event *last) {
    size_t n = last->text_len < sizeof task->message ? last->text_len : sizeof task->message;
    if (n > 0)
        memcpy(task->message, last->text, n);
    slm_request_end(&task->request);
    task->last = *last;
    task->last.text = task->message;
    task->last.text_len = n;
    append(&engine->made, &task->last);
}

static void fail(serve_engine *engine, serve_task *task, slm_status status, const char *message) {
    const serve_event e = {.task = task, .type = SERVE_FAILED, .status = status, .text = message,
                           .text_len = strlen(message)};
    finish(engine, task, &e);
}

static void translate(serve_engine *engine, const slm_batch_event *b) {
    serve_task *task = b->user;
    serve_event e = {.task = task, .call = b->call, .text = b->text, .text_len = b->text_len,
                     .count = b->count};
    switch (b->type) {
    case SLM_BATCH_TEXT:
        e.type = SERVE_TEXT;
        break;
    case SLM_BATCH_THINKING_TEXT:
        e.type = SERVE_THINKING;
        break;
    case SLM_BATCH_CALL_BEGIN:
        e.type = SERVE_CALL_BEGIN;
        break;
    case SLM_BATCH_ARGUMENTS:
        e.type = SERVE_ARGUMENTS;
        break;
    case SLM_BATCH_CALL_END:
        e.type = SERVE_CALL_END;
        break;
    case SLM_BATCH_BEGIN:
        e.type = SERVE_BEGIN;
        e.n_reused = b->n_reused;
        break;
    case SLM_BATCH_TOKEN:
        e.type = SERVE_TOKEN;
        e.token = b->token;
        e.logprob = b->logprob;
        e.top = b->top;
        e.n_top = b->n_top;
        break;
    case SLM_BATCH_EMBEDDING:
        e.type = SERVE_EMBEDDING;
        e.floats = b->embedding;
        e.n_floats = b->n_embedding;
        break;
    case SLM_BATCH_END:
        e.type = SERVE_END;
        e.reason = b->reason;
        break;
    case SLM_BATCH_FAILED:
        e.type = SERVE_FAILED;
        e.status = b->status;
        break;
    default:
        return;
    }
    if (e.type == SERVE_FAILED || (e.type == SERVE_END && e.text_len == 0)) {
        unlink_task(&engine->open, task);
        finish(engine, task, &e);
        return;
    }
    if (e.type == SERVE_END) /* a generator's end has the rest of the text */
        e.type = SERVE_TEXT;
    serve_event *copy = copy_event(&e);
    if (copy) {
        append(&engine->made, copy);
        if (b->type == SLM_BATCH_END) {
            e.type = SERVE_END;
            e.text_len = 0;
            unlink_task(&engine->open, task);
            finish(engine, task, &e);
        }
        return;
    }
    unlink_task(&engine->open, task);
    fail(engine, task, SLM_ERR_NOMEM, "got no memory for the answer");
}

/* ---- tasks ------------------------------------------------------------------------------------ */

/* Puts a task into the batch, once its guide is there. */
static void begin(serve_engine *engine, serve_task *task) {
    slm_error error = SLM_ERROR_INIT;
    serve_want *w = &task->want;
    slm_guide *guide = NULL;
    slm_status status = SLM_OK;
    if (w->guide.kind != SERVE_FREE) {
        status = serve_guides_get(engine->guides, &w->guide, &guide, &error);
        if (status == SLM_OK && !guide)
            return;
    }
    unlink_task(&engine->unready, task);
    if (status != SLM_OK) {
        const serve_event e = {.task = task, .type = SERVE_FAILED, .status = status, .of_guide = 1,
                               .text = error.message, .text_len = strlen(error.message)};
        finish(engine, task, &e);
        return;
    }
    const slm_generate_options generate = {.struct_size = sizeof generate,
                                           .max_tokens = w->max_tokens,
                                           .sampling = &w->sampling,
                                           .stop = w->stop,
                                           .n_stop = w->n_stop,
                                           .n_top = w->n_top,
                                           .guide = guide};
    const slm_answer_options answer = {
        .struct_size = sizeof answer,
        .flags = SLM_ANSWER_THINKING | (w->guide.kind == SERVE_TOOLS ? SLM_ANSWER_CALLS : 0),
        .generate = &generate};
    const slm_request_options options = {.struct_size = sizeof options,
                                         .kind = w->kind,
                                         .priority = w->priority,
                                         .flags = w->want_tokens ? SLM_REQUEST_TOKENS : 0,
                                         .ids = w->ids,
                                         .n_ids = w->n_ids,
                                         .answer = w->kind == SLM_REQUEST_ANSWER ? &answer : NULL,
                                         .generate = w->kind == SLM_REQUEST_TEXT ? &generate : NULL,
                                         .pooling = w->pooling,
                                         .user = task};
    if (slm_batch_add(engine->batch, &options, &task->request, &error) != SLM_OK) {
        fail(engine, task, error.status, error.message);
        return;
    }
    link_task(&engine->open, task);
}

static void end_cancelled(serve_engine *engine, task_list *list) {
    for (serve_task *task = list->first, *next; task; task = next) {
        next = task->next;
        pthread_mutex_lock(&engine->mutex);
        int cancelled = task->cancelled;
        pthread_mutex_unlock(&engine->mutex);
        if (cancelled) {
            unlink_task(list, task);
            fail(engine, task, SLM_ERR_CANCEL, "cancelled");
        }
    }
}

/* A step that fails with the device fails for all: nobody knows when another would not. */
static void fail_all(serve_engine *engine, const slm_error *error) {
    for (serve_task *task; (task = engine->open.first);) {
        unlink_task(&engine->open, task);
        fail(engine, task, error->status, error->message);
    }
}

static void step(serve_engine *engine) {
    slm_error error = SLM_ERROR_INIT;
    slm_batch_event event = {.struct_size = sizeof event};
    if (!engine->open.first)
        return;
    if (slm_batch_step(engine->batch, NULL, &error) != SLM_OK) {
        fail_all(engine, &error);
        return;
    }
    while (slm_batch_next(engine->batch, &event, &error) == SLM_OK && event.type != SLM_BATCH_NONE)
        translate(engine, &event);
}

/* Gives what was made to the other thread. */
static void publish(serve_engine *engine) {
    static const uint64_t one = 1;
    uint32_t n_ended = 0, n_back = 0;
    serve_engine_state state = {.batch = {.struct_size = sizeof state.batch}};
    for (serve_event *e = engine->made.first; e; e = e->next) {
        uint32_t is_last = e->type == SERVE_END || e->type == SERVE_FAILED;
        n_ended += is_last;
        n_back += is_last && e->task->want.priority < 0;
    }
    slm_batch_get_info(engine->batch, &state.batch, NULL);
    pthread_mutex_lock(&engine->mutex);
    engine->n_open -= n_ended;
    engine->n_back -= n_back;
    engine->state.batch = state.batch;
    if (engine->made.first) {
        *engine->events.last = engine->made.first;
        engine->events.last = engine->made.last;
    }
    pthread_mutex_unlock(&engine->mutex);
    if (engine->made.first)
        (void)!write(engine->fd, &one, sizeof one);
    engine->made = (event_list){.last = &engine->made.first};
}

/* Called by the thread of the guides. */
static void note_compiled(void *user) {
    serve_engine *engine = user;
    pthread_mutex_lock(&engine->mutex);
    engine->any_compiled = 1;
    pthread_cond_signal(&engine->wanted);
    pthread_mutex_unlock(&engine->mutex);
}

static int has_work(const serve_engine *engine) {
    return engine->stop || engine->fresh || engine->any_cancelled || engine->any_compiled ||
           engine->open.first;
}

static void *run(void *arg) {
    serve_engine *engine = arg;
    for (;;) {
        pthread_mutex_lock(&engine->mutex);
        while (!has_work(engine))
            pthread_cond_wait(&engine->wanted, &engine->mutex);
        int stop = engine->stop, any_cancelled = engine->any_cancelled;
        serve_task *fresh = engine->fresh;
        int any_ready = fresh || engine->any_compiled;
        engine->fresh = NULL;
        engine->fresh_last = &engine->fresh;
        engine->any_cancelled = engine->any_compiled = 0;
        pthread_mutex_unlock(&engine->mutex);
        for (serve_task *next; fresh; fresh = next) {
            next = fresh->next;
            link_task(&engine->unready, fresh);
        }
        if (stop)
            return NULL;
        if (any_cancelled) {
            end_cancelled(engine, &engine->unready);
            end_cancelled(engine, &engine->open);
        }
        for (serve_task *task = any_ready ? engine->unready.first : NULL, *next; task;
             task = next) {
            next = task->next;
            begin(engine, task);
        }
        step(engine);
        publish(engine);
    }
}

/* ---- the other thread's side ------------------------------------------------------------------ */

slm_status serve_engine_open(slm_model *model, const serve_engine_options *options,
                             serve_engine **out, slm_error *error) {
    serve_engine *engine = calloc(1, sizeof *engine);
    *out = NULL;
    if (!engine) {
        error->status = SLM_ERR_NOMEM;
        strcpy(error->message, "got no memory for the engine");
        return SLM_ERR_NOMEM;
    }
    const slm_batch_options batch = {.struct_size = sizeof batch,
                                     .max_running = options->n_running,
                                     .max_requests = 2 * (options->n_running + options->n_waiting +
                                                          SERVE_MAX_TASKS),
                                     .stall_ms = options->stall_ms,
                                     .cache = &options->cache};
    engine->model = model;
    engine->max_open = options->n_running + options->n_waiting;
    engine->fresh_last = &engine->fresh;
    engine->events.last = &engine->events.first;
    engine->made.last = &engine->made.first;
    engine->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_cond_init(&engine->wanted, NULL);
    slm_status status = slm_batch_open(model, &batch, &engine->batch, error);
    sigset_t all, before; /* signals are the other thread's */
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (status == SLM_OK)
        engine->guides = serve_guides_open(model, note_compiled, engine);
    int code = 0;
    if (engine->guides && engine->fd >= 0)
        code = pthread_create(&engine->thread, NULL, run, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == SLM_OK && (!engine->guides || engine->fd < 0 || code != 0)) {
        status = error->status = SLM_ERR_NOMEM;
        strcpy(error->message, "got no thread, descriptor or memory for the engine");
    }
    if (status == SLM_OK) {
        *out = engine;
        return SLM_OK;
    }
    slm_batch_close(&engine->batch);
    serve_guides_close(&engine->guides);
    if (engine->fd >= 0)
        close(engine->fd);
    pthread_mutex_destroy(&engine->mutex);
    pthread_cond_destroy(&engine->wanted);
    free(engine);
    return status;
}

static void free_tasks(task_list *list) {
    for (serve_task *task; (task = list->first);) {
        unlink_task(list, task);
        slm_request_end(&task->request);
        serve_task_free(task);
    }
}

void serve_engine_close(serve_engine **out) {
    serve_engine *engine = *out;
    if (!engine)
        return;
    pthread_mutex_lock(&engine->mutex);
    engine->stop = 1;
    pthread_cond_signal(&engine->wanted);
    pthread_mutex_unlock(&engine->mutex);
    pthread_join(engine->thread, NULL);
    free_tasks(&engine->unready);
    free_tasks(&engine->open);
    publish(engine);
    for (serve_event *e = engine->events.first, *next; e; e = next) {
        serve_task *ended = e->type == SERVE_END || e->type == SERVE_FAILED ? e->task : NULL;
        next = e->next;
        serve_event_free(e);
        if (ended) /* which had the event */
            serve_task_free(ended);
    }
    slm_batch_close(&engine->batch);
    serve_guides_close(&engine->guides);
    close(engine->fd);
    pthread_mutex_destroy(&engine->mutex);
    pthread_cond_destroy(&engine->wanted);
    free(engine);
    *out = NULL;
}

int serve_engine_fd(const serve_engine *engine) { return engine->fd; }

/* Those that stand back keep one another out, and nobody else. */
static int has_room(const serve_engine *engine, size_t n_back) {
    return engine->n_open - engine->n_back < engine->max_open &&
           (n_back == 0 || engine->n_back < engine->max_open);
}

int serve_engine_submit(serve_engine *engine, serve_want *wants, size_t n, void *user,
                        serve_task **out) {
    size_t made = 0, n_back = 0;
    for (; made < n; made++) {
        n_back += wants[made].priority < 0;
        serve_task *task = out[made] = calloc(1, sizeof *task);
        if (!task)
            break;
        *task = (serve_task){.want = wants[made], .user = user, .index = made};
    }
    pthread_mutex_lock(&engine->mutex);
    int room = made == n && has_room(engine, n_back);
    if (room) {
        for (size_t i = 0; i < n; i++) {
            *engine->fresh_last = out[i];
            engine->fresh_last = &out[i]->next;
        }
        engine->n_open += (uint32_t)n;
        engine->n_back += (uint32_t)n_back;
        pthread_cond_signal(&engine->wanted);
    }
    pthread_mutex_unlock(&engine->mutex);
    for (size_t i = 0; i < n && !room; i++) {
        if (i < made)
            free(out[i]);
        serve_want_free(&wants[i]);
        out[i] = NULL;
    }
    return room;
}

void serve_engine_cancel(serve_engine *engine, serve_task *task) {
    pthread_mutex_lock(&engine->mutex);
    task->cancelled = engine->any_cancelled = 1;
    pthread_cond_signal(&engine->wanted);
    pthread_mutex_unlock(&engine->mutex);
}

void *serve_task_user(const serve_task *task) { return task->user; }
size_t serve_task_index(const serve_task *task) { return task->index; }

void serve_want_free(serve_want *want) {
    free(want->ids);
    free(want->bias);
    free(want->stop);
    free(want->guide.text);
    free(want->guide.schema);
    *want = (serve_want){0};
}

void serve_task_free(serve_task *task) {
    serve_want_free(&task->want);
    free(task);
}

serve_event *serve_engine_events(serve_engine *engine) {
    uint64_t count;
    (void)!read(engine->fd, &count, sizeof count);
    pthread_mutex_lock(&engine->mutex);
    serve_event *events = engine->events.first;
    engine->events = (event_list){.last = &engine->events.first};
    pthread_mutex_unlock(&engine->mutex);
    return events;
}

void serve_engine_get_state(serve_engine *engine, serve_engine_state *state) {
    pthread_mutex_lock(&engine->mutex);
    *state = engine->state;
    uint32_t running = state->batch.n_running < engine->n_open ? state->batch.n_running
                                                               : engine->n_open;
    state->n_running = running;
    state->n_waiting = engine->n_open - running;
    pthread_mutex_unlock(&engine->mutex);
}
