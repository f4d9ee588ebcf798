/* The engine of the server without its sockets: what waits for a guide holds up nobody, and what is asked
 * to stop stops at the next step. Counted in tokens, whatever the machine does meanwhile. */
#define _GNU_SOURCE

#include "model/golden.h"

#include "../../tools/serve/engine.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LONG = 1 << 20, N_CTX = 1 << 15 };

/* ---- a model whose guides take as long as a test wants ---- */

static pthread_t main_thread, engine_thread;
static _Atomic int learns, holds, is_held, refuses;
static sem_t go_on;

static void *take(void *user, size_t size, size_t align) {
    (void)user;
    int is_main = pthread_equal(pthread_self(), main_thread) != 0;
    if (!is_main && atomic_exchange(&learns, 0))
        engine_thread = pthread_self();
    if (!is_main && !pthread_equal(pthread_self(), engine_thread)) { /* it compiles */
        if (atomic_load(&refuses))
            return NULL;
        if (atomic_exchange(&holds, 0)) {
            atomic_store(&is_held, 1);
            sem_wait(&go_on);
        }
    }
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void give(void *user, void *ptr, size_t size, size_t align) {
    (void)user;
    (void)size;
    (void)align;
    free(ptr);
}

static slm_model *model;
static serve_engine *engine;

/* The demo model with a context that nothing here fills. */
static slm_model *open_model(void) {
    static const slm_allocator allocator = {take, give, NULL};
    static const char key[] = "llama.context_length";
    const slm_model_options options = {.struct_size = sizeof options, .allocator = &allocator,
                                       .load = SLM_LOAD_READ};
    slm_model *m = NULL;
    FILE *f = fopen(SLM_SOURCE_DIR "/examples/models/hearth.gguf", "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(f);
    char *bytes = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(bytes);
    rewind(f);
    assert_int_equal(fread(bytes, 1, size, f), size);
    fclose(f);
    char *at = memmem(bytes, size, key, sizeof key - 1);
    assert_non_null(at);
    memcpy(at + sizeof key - 1 + 4, &(uint32_t){N_CTX}, 4); /* behind the type of the value */
    OK(slm_model_open_memory(bytes, size, &options, &m, &golden_err));
    free(bytes);
    return m;
}

/* ---- tasks ---- */

typedef struct seen {
    serve_task *task;
    uint64_t n_tokens;
    int n_begin, n_last;
    slm_status status;
    char text[512];
    size_t len;
} seen;

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[\"x\",\"y\"]}},"
                             "\"required\":[\"a\"],\"additionalProperties\":false}";
static const char other[] = "{\"enum\":[\"never\",\"ever\"]}";
static const char broken[] = "{\"type\":\"strange\"}";

static int submit(seen *s, const char *guide, uint64_t max_tokens) {
    const slm_span prompt = {.text = "The light", .len = 9};
    serve_want want = {.kind = SLM_REQUEST_TEXT, .max_tokens = max_tokens, .want_tokens = 1};
    memset(s, 0, sizeof *s);
    want.ids = malloc(16 * sizeof *want.ids);
    assert_non_null(want.ids);
    OK(slm_tokenize(model, &prompt, 1, SLM_BOS_DEFAULT, want.ids, 16, &want.n_ids, &golden_err));
    want.sampling.struct_size = sizeof want.sampling;
    OK(slm_sampling_init(&want.sampling));
    want.sampling.seed = 7;
    if (guide) {
        want.guide.kind = SERVE_SCHEMA;
        want.guide.text = strdup(guide);
    } else { /* goes on as long as it may */
        want.bias = malloc(sizeof *want.bias);
        assert_non_null(want.bias);
        want.bias[0] = (slm_logit_bias){.id = want.ids[0], .bias = 100};
        want.sampling.logit_bias = want.bias;
        want.sampling.n_logit_bias = 1;
    }
    return serve_engine_submit(engine, &want, 1, s, &s->task);
}

/* Takes what events there are, after waiting for some. */
static void pull(void) {
    struct pollfd fd = {.fd = serve_engine_fd(engine), .events = POLLIN};
    poll(&fd, 1, 100);
    for (serve_event *e = serve_engine_events(engine), *next; e; e = next) {
        seen *s = serve_task_user(e->task);
        serve_task *task = e->task;
        int is_last = e->type == SERVE_END || e->type == SERVE_FAILED;
        next = e->next;
        assert_int_equal(s->n_last, 0);
        s->n_begin += e->type == SERVE_BEGIN;
        s->n_tokens += e->type == SERVE_TOKEN;
        s->n_last += is_last;
        if (e->type == SERVE_FAILED)
            s->status = e->status;
        if (e->type == SERVE_TEXT && s->len + e->text_len < sizeof s->text) {
            memcpy(s->text + s->len, e->text, e->text_len);
            s->len += e->text_len;
        }
        serve_event_free(e);
        if (is_last)
            serve_task_free(task);
    }
}

static void pull_until_ended(seen *s) {
    while (s->n_last == 0)
        pull();
}

static void pull_tokens(seen *s, uint64_t n) {
    for (uint64_t wanted = s->n_tokens + n; s->n_tokens < wanted; pull())
        assert_int_equal(s->n_last, 0);
}

static void stop(seen *s) {
    serve_engine_cancel(engine, s->task);
    pull_until_ended(s);
    assert_int_equal(s->status, SLM_ERR_CANCEL);
}

static int setup(void **state) {
    (void)state;
    const serve_engine_options engine_options = {
        .cache = {.struct_size = sizeof engine_options.cache, .n_threads = 1, .n_ctx = N_CTX,
                  .n_cells = N_CTX},
        .n_running = 4, .n_waiting = 4, .stall_ms = 200};
    main_thread = pthread_self();
    sem_init(&go_on, 0, 0);
    model = open_model();
    OK(serve_engine_open(model, &engine_options, &engine, &golden_err));
    seen first;
    atomic_store(&learns, 1);
    assert_true(submit(&first, NULL, 1));
    pull_until_ended(&first);
    assert_false(atomic_load(&learns));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    serve_engine_close(&engine);
    slm_model_close(&model);
    return 0;
}

/* ---- tests ---- */

static void guides_hold_up_nobody(void **state) {
    (void)state;
    seen running, known, held, same, left, late;
    assert_true(submit(&running, NULL, LONG));
    pull_tokens(&running, 3);
    assert_true(submit(&known, other, 0)); /* is compiled, and kept */
    pull_until_ended(&known);
    assert_int_equal(known.status, SLM_OK);
    stop(&running);

    assert_true(submit(&running, NULL, LONG));
    pull_tokens(&running, 1);
    atomic_store(&holds, 1);
    assert_true(submit(&held, schema, 0));
    assert_true(submit(&same, schema, 0));
    assert_true(submit(&left, "{\"type\":\"integer\"}", 0));
    while (!atomic_load(&is_held))
        pull();
    pull_tokens(&running, 40);
    assert_true(submit(&known, other, 0)); /* needs no compiling */
    pull_until_ended(&known);
    assert_int_equal(known.status, SLM_OK);
    stop(&left); /* at once, though it waits for what is not compiled */
    assert_int_equal(left.n_begin, 0);
    assert_int_equal(held.n_begin + same.n_begin, 0);
    stop(&running);
    sem_post(&go_on);
    pull_until_ended(&held);
    pull_until_ended(&same);
    assert_string_equal(held.text[6] == 'x' ? "{\"a\": \"x\"}" : held.text, held.text);
    assert_string_equal(held.text, same.text);
    atomic_store(&is_held, 0);
    assert_true(submit(&late, "{\"type\":\"boolean\"}", 0)); /* the thread goes on */
    pull_until_ended(&late);
    assert_int_equal(late.status, SLM_OK);
}

/* One that was being compiled for a task that is gone is forgotten, whatever came of it. */
static void failures_are_told_and_forgotten(void **state) {
    (void)state;
    seen gone, bad, good;
    atomic_store(&holds, 1);
    assert_true(submit(&gone, broken, 0));
    while (!atomic_load(&is_held))
        pull();
    stop(&gone);
    assert_true(submit(&good, "{\"enum\":[1,2]}", 0));
    assert_true(submit(&bad, broken, 0));
    sem_post(&go_on);
    pull_until_ended(&good);
    pull_until_ended(&bad);
    assert_int_equal(good.status, SLM_OK);
    assert_int_equal(bad.status, SLM_ERR_GRAMMAR);
    atomic_store(&is_held, 0);

    atomic_store(&refuses, 1);
    assert_true(submit(&bad, "{\"enum\":[3,4]}", 0));
    pull_until_ended(&bad);
    assert_int_equal(bad.status, SLM_ERR_NOMEM);
    atomic_store(&refuses, 0);
    assert_true(submit(&good, "{\"enum\":[3,4]}", 0));
    pull_until_ended(&good);
    assert_int_equal(good.status, SLM_OK);
}

/* All places and all of the queue are taken: the next is refused at once, without asking the thread that
 * steps; and one that is cancelled makes room within a step. */
static void full_and_free_again(void **state) {
    (void)state;
    seen tasks[8], more;
    serve_engine_state s;
    for (int i = 0; i < 8; i++)
        assert_true(submit(&tasks[i], NULL, LONG));
    pull_tokens(&tasks[0], 1);
    assert_false(submit(&more, NULL, LONG));
    assert_null(more.task);
    serve_engine_get_state(engine, &s);
    assert_int_equal(s.n_running + s.n_waiting, 8);
    uint64_t steps = s.batch.n_steps, before = tasks[1].n_tokens;
    serve_engine_cancel(engine, tasks[0].task);
    pull_until_ended(&tasks[0]);
    serve_engine_get_state(engine, &s);
    assert_true(s.batch.n_steps - steps <= tasks[1].n_tokens - before + 2);
    assert_true(submit(&more, NULL, 1));
    for (int i = 1; i < 8; i++)
        stop(&tasks[i]);
    pull_until_ended(&more);
    assert_int_equal(more.status, SLM_OK);
}

/* The end of the engine while a guide is being compiled: the tasks go with it. */
static void closing_while_compiling(void **state) {
    (void)state;
    seen held;
    atomic_store(&holds, 1);
    assert_true(submit(&held, "{\"enum\":[5,6]}", 0));
    while (!atomic_load(&is_held))
        pull();
    sem_post(&go_on);
    serve_engine_close(&engine);
    assert_null(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guides_hold_up_nobody),
        cmocka_unit_test(failures_are_told_and_forgotten),
        cmocka_unit_test(full_and_free_again),
        cmocka_unit_test(closing_while_compiling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
