#define _POSIX_C_SOURCE 200809L

#include "guides.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GUIDES = 16, GUIDE_BYTES = 16 << 20 };

typedef struct entry {
    serve_guide_want want; /* with texts of its own */
    slm_guide *guide;      /* NULL: a free place */
    uint64_t used;
} entry;

/* What the thread does. */
typedef enum work { IDLE, COMPILING, COMPILED, STOPPING } work;

struct serve_guides {
    slm_model *model;
    void (*wake)(void *user);
    void *user;
    uint64_t clock;
    entry entries[MAX_GUIDES];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    work work;  /* under the mutex */
    entry next; /* these are the thread's while it is COMPILING */
    slm_error error; /* of next, where it is COMPILED without a guide */
};

static void forget(entry *e) {
    slm_guide_close(&e->guide);
    free(e->want.text);
    free(e->want.schema);
    *e = (entry){0};
}

static int same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int same(const serve_guide_want *a, const serve_guide_want *b) {
    return a->kind == b->kind && a->choice == b->choice && a->one_call == b->one_call &&
           a->after_thinking == b->after_thinking && strcmp(a->tool, b->tool) == 0 &&
           same_text(a->text, b->text) && same_text(a->schema, b->schema);
}

/* ---- the thread ------------------------------------------------------------------------------- */

static slm_status compile(slm_model *model, const serve_guide_want *want, slm_guide **out,
                          slm_error *error) {
    static const slm_span end_of_thinking = {.text = "</think>", .len = 8};
    slm_guide_options options = {.struct_size = sizeof options, .memory_limit = GUIDE_BYTES};
    if (want->kind == SERVE_TOOLS) {
        const slm_tools_options tools = {.struct_size = sizeof tools, .choice = want->choice,
                                         .name = *want->tool ? want->tool : NULL,
                                         .name_len = SLM_NTS, .schema = want->schema,
                                         .schema_len = SLM_NTS};
        options.flags = want->one_call ? SLM_GUIDE_ONE_CALL : 0;
        return slm_guide_compile_tools(model, want->text, strlen(want->text), &tools, &options, out,
                                       error);
    }
    if (want->after_thinking) {
        options.triggers = &end_of_thinking;
        options.n_triggers = 1;
    }
    return (want->kind == SERVE_SCHEMA ? slm_guide_compile_json_schema
                                       : slm_guide_compile_gbnf)(
        model, want->text, strlen(want->text), &options, out, error);
}

static void *run(void *arg) {
    serve_guides *g = arg;
    pthread_mutex_lock(&g->mutex);
    while (g->work != STOPPING) {
        if (g->work != COMPILING) {
            pthread_cond_wait(&g->changed, &g->mutex);
            continue;
        }
        pthread_mutex_unlock(&g->mutex);
        g->error = (slm_error)SLM_ERROR_INIT;
        compile(g->model, &g->next.want, &g->next.guide, &g->error);
        pthread_mutex_lock(&g->mutex);
        if (g->work == COMPILING)
            g->work = COMPILED;
        pthread_mutex_unlock(&g->mutex);
        g->wake(g->user);
        pthread_mutex_lock(&g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

static work get_work(serve_guides *g) {
    pthread_mutex_lock(&g->mutex);
    work w = g->work;
    pthread_mutex_unlock(&g->mutex);
    return w;
}

static void set_work(serve_guides *g, work w) {
    pthread_mutex_lock(&g->mutex);
    g->work = w;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- the engine's side ------------------------------------------------------------------------ */

serve_guides *serve_guides_open(slm_model *model, void (*wake)(void *user), void *user) {
    serve_guides *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->model = model;
    g->wake = wake;
    g->user = user;
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
    if (pthread_create(&g->thread, NULL, run, g) == 0)
        return g;
    pthread_mutex_destroy(&g->mutex);
    pthread_cond_destroy(&g->changed);
    free(g);
    return NULL;
}

void serve_guides_close(serve_guides **out) {
    serve_guides *g = *out;
    if (!g)
        return;
    set_work(g, STOPPING);
    pthread_join(g->thread, NULL);
    forget(&g->next);
    for (size_t i = 0; i < MAX_GUIDES; i++)
        forget(&g->entries[i]);
    pthread_mutex_destroy(&g->mutex);
    pthread_cond_destroy(&g->changed);
    free(g);
    *out = NULL;
}

/* What was compiled takes the place of what was of use longest ago. */
static void take_compiled(serve_guides *g) {
    entry *oldest = &g->entries[0];
    for (size_t i = 1; i < MAX_GUIDES; i++)
        if (g->entries[i].used < oldest->used)
            oldest = &g->entries[i];
    forget(oldest);
    *oldest = g->next;
    oldest->used = ++g->clock;
    g->next = (entry){0};
    set_work(g, IDLE);
}

static slm_status begin_compiling(serve_guides *g, const serve_guide_want *want, slm_error *error) {
    g->next.want = *want;
    g->next.want.text = want->text ? strdup(want->text) : NULL;
    g->next.want.schema = want->schema ? strdup(want->schema) : NULL;
    if (same(&g->next.want, want)) {
        set_work(g, COMPILING);
        return SLM_OK;
    }
    forget(&g->next);
    error->status = SLM_ERR_NOMEM;
    strcpy(error->message, "got no memory for a guide");
    return SLM_ERR_NOMEM;
}

/* Failures are not kept: memory may be there the next time. Whoever asked is told, or is gone. */
static int takes_failure(serve_guides *g, const serve_guide_want *want, slm_error *error) {
    int is_own = same(&g->next.want, want);
    if (is_own)
        *error = g->error;
    forget(&g->next);
    set_work(g, IDLE);
    return is_own;
}

slm_status serve_guides_get(serve_guides *g, const serve_guide_want *want, slm_guide **out,
                            slm_error *error) {
    work w = get_work(g);
    *out = NULL;
    if (w == COMPILED && g->next.guide)
        take_compiled(g);
    else if (w == COMPILED && takes_failure(g, want, error))
        return error->status;
    for (size_t i = 0; i < MAX_GUIDES; i++) {
        entry *e = &g->entries[i];
        if (e->guide && same(&e->want, want)) {
            e->used = ++g->clock;
            *out = e->guide;
            return SLM_OK;
        }
    }
    return w == COMPILING ? SLM_OK : begin_compiling(g, want, error);
}
