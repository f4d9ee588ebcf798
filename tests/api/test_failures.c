/* Evaluations that fail after some of their work was done: the tokens are those of before, and
 * logits are the right ones or none. */
#include "api/tiny_group.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

/* Some text: token i of conversation k. */
static int32_t token(uint32_t k, uint32_t i) { return (int32_t)(3 + (k * 97 + i * 31) % 250); }

static const int32_t *tokens(uint32_t k, uint32_t first) {
    static int32_t ids[2][128];
    static int next;
    next = !next;
    for (uint32_t i = 0; i < 128; i++)
        ids[next][i] = token(k, first + i);
    return ids[next];
}

/* The logits after the first n tokens of conversation k, from a session of their own. */
static void reference(slm_model *m, uint32_t k, uint32_t n, float *row) {
    slm_cache_options o = {.struct_size = sizeof o, .n_threads = 1};
    slm_session *s = NULL;
    const float *logits;
    OK(slm_session_open(m, &o, &s, &golden_err));
    OK(slm_session_eval(s, tokens(k, 0), n, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &logits, &golden_err));
    memcpy(row, logits, TINY_VOCAB * sizeof *row);
    slm_session_close(&s);
}

static void right(const slm_session *s, size_t row, const float *wanted) {
    const float *logits;
    OK(slm_session_get_logits(s, row, &logits, &golden_err));
    assert_memory_equal(logits, wanted, TINY_VOCAB * sizeof *logits);
}

/* Returns whether they are there at all. */
static int right_or_none(const slm_session *s, size_t row, const float *wanted) {
    const float *logits = NULL;
    slm_status status = slm_session_get_logits(s, row, &logits, &golden_err);
    if (status == SLM_OK)
        assert_memory_equal(logits, wanted, TINY_VOCAB * sizeof *logits);
    else
        assert_int_equal(status, SLM_ERR_RANGE);
    assert_true((status == SLM_OK) == (logits != NULL));
    return status == SLM_OK;
}

/* Session s holds n tokens of conversation k, as if nothing had happened, and goes on. */
static void as_before(slm_session *s, uint32_t k, uint32_t n) {
    float row[TINY_VOCAB];
    const int32_t *ids;
    size_t n_ids;
    reference(model, k, n, row);
    OK(slm_session_get_tokens(s, &ids, &n_ids, &golden_err));
    assert_int_equal(n_ids, n);
    assert_memory_equal(ids, tokens(k, 0), n * sizeof *ids);
    (void)right_or_none(s, 0, row);
    OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    right(s, 0, row);
    OK(slm_session_eval(s, tokens(k, n), 2, SLM_LOGITS_LAST, &golden_err));
    reference(model, k, n + 2, row);
    right(s, 0, row);
}

static void open_two(const slm_cache_options *o, slm_cache **c, slm_session **a, slm_session **b,
                     int32_t logits) {
    OK(slm_cache_open(model, o, c, &golden_err));
    OK(slm_session_open_on(*c, NULL, a, &golden_err));
    OK(slm_session_open_on(*c, NULL, b, &golden_err));
    OK(slm_session_eval(*a, tokens(0, 0), 6, logits, &golden_err));
    OK(slm_session_eval(*b, tokens(1, 0), 6, logits, &golden_err));
}

/* One session's part fits, the other's does not, and that shows only after some steps. */
static void pages_run_out(void **state) {
    (void)state;
    int n_stepped = 0;
    for (uint32_t max_rows = 1; max_rows <= 32; max_rows *= 2)
        for (int swapped = 0; swapped < 2; swapped++)
            for (int32_t before = SLM_LOGITS_NONE; before <= SLM_LOGITS_LAST; before++)
                for (int32_t wanted = SLM_LOGITS_NONE; wanted <= SLM_LOGITS_ALL; wanted++) {
                    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 64, .n_cells = 32,
                                           .max_sessions = 2, .page_tokens = 16,
                                           .max_rows = max_rows, .max_logits = 32, .n_threads = 1};
                    slm_cache *c = NULL;
                    slm_session *a = NULL, *b = NULL;
                    open_two(&o, &c, &a, &b, before);
                    slm_eval_item items[2] = {{sizeof items[0], wanted, a, tokens(0, 6), 8},
                                              {sizeof items[0], wanted, b, tokens(1, 6), 20}};
                    if (swapped) {
                        slm_eval_item first = items[0];
                        items[0] = items[1];
                        items[1] = first;
                    }
                    slm_session_info info = {.struct_size = sizeof info};
                    REFUSED(slm_cache_eval(c, items, 2, &golden_err), SLM_ERR_LIMIT, "pages");
                    OK(slm_session_get_info(a, &info, &golden_err));
                    n_stepped += info.n_evaluated > 6;
                    as_before(a, 0, 6);
                    as_before(b, 1, 6);
                    slm_session_close(&a);
                    slm_session_close(&b);
                    slm_cache_close(&c);
                }
    assert_true(n_stepped > 10);
}

/* ---------------------------------------------------------------- cancelled in the middle ---- */

static struct {
    sem_t start, done;
    slm_session *session;
    long nanoseconds;
    int stop;
} canceller;

static void *cancel_later(void *nothing) {
    for (;;) {
        sem_wait(&canceller.start);
        if (canceller.stop)
            return nothing;
        nanosleep(&(struct timespec){0, canceller.nanoseconds}, NULL);
        slm_session_cancel(canceller.session);
        sem_post(&canceller.done);
    }
}

/* Evaluates items and cancels session meanwhile. Returns whether that came after a step, which
 * the first of the items then knows of. */
static int cancelled_midway(slm_cache *c, slm_eval_item *items, size_t n, slm_session *session) {
    slm_session_info info = {.struct_size = sizeof info};
    OK(slm_session_get_info(items[0].session, &info, &golden_err));
    uint64_t before = info.n_evaluated;
    size_t had[2] = {held(items[0].session), held(items[n - 1].session)};
    canceller.session = session;
    sem_post(&canceller.start);
    slm_status status = slm_cache_eval(c, items, n, &golden_err);
    sem_wait(&canceller.done);
    if (status == SLM_OK) { /* too late: back, and use up the flag */
        canceller.nanoseconds = canceller.nanoseconds * 2 / 3;
        for (size_t i = 0; i < n; i++)
            OK(slm_session_truncate(items[i].session, had[i], &golden_err));
        assert_int_equal(slm_session_eval(session, tokens(9, 0), 1, SLM_LOGITS_NONE, NULL),
                         SLM_ERR_CANCEL);
        return 0;
    }
    assert_int_equal(status, SLM_ERR_CANCEL);
    OK(slm_session_get_info(items[0].session, &info, &golden_err));
    if (info.n_evaluated > before)
        return 1;
    if (canceller.nanoseconds < 50000000)
        canceller.nanoseconds = canceller.nanoseconds * 3 / 2 + 1000;
    return 0;
}

static void cancelled(void **state) {
    (void)state;
    pthread_t thread;
    float wanted[3][TINY_VOCAB];
    slm_cache_options o = {.struct_size = sizeof o, .max_sessions = 2, .page_tokens = 16,
                           .max_rows = 1, .max_logits = 128, .n_threads = 1};
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL;
    for (uint32_t i = 0; i < 3; i++)
        reference(model, 0, 4 + i, wanted[i]);
    assert_int_equal(sem_init(&canceller.start, 0, 0) | sem_init(&canceller.done, 0, 0), 0);
    canceller.stop = 0;
    canceller.nanoseconds = 20000;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, NULL), 0);
    int n_common = 0, n_rows = 0;
    for (int round = 0; round < 400 && (n_common < 3 || n_rows < 3); round++) {
        open_two(&o, &c, &a, &b, SLM_LOGITS_LAST);
        slm_eval_item both[2] = {{sizeof both[0], SLM_LOGITS_LAST, a, tokens(0, 6), 8},
                                 {sizeof both[0], SLM_LOGITS_LAST, b, tokens(1, 6), 100}};
        n_common += cancelled_midway(c, both, 2, round % 2 == 0 ? a : b);
        as_before(a, 0, 6);
        as_before(b, 1, 6);
        /* rows of an evaluation of one session, the older ones being of another kind */
        OK(slm_session_truncate(a, 3, &golden_err));
        OK(slm_session_eval(a, tokens(0, 3), 3, SLM_LOGITS_ALL, &golden_err));
        for (size_t i = 0; i < 3; i++)
            right(a, i, wanted[i]);
        slm_eval_item one = {sizeof one, SLM_LOGITS_ALL, a, tokens(0, 6), 100};
        if (cancelled_midway(c, &one, 1, a)) {
            n_rows++;
            for (size_t i = 0; i < 3; i++)
                (void)right_or_none(a, i, wanted[i]);
            const float *logits;
            REFUSED(slm_session_get_logits(a, 3, &logits, &golden_err), SLM_ERR_RANGE);
            as_before(a, 0, 6);
        }
        slm_session_close(&a);
        slm_session_close(&b);
        slm_cache_close(&c);
    }
    canceller.stop = 1;
    sem_post(&canceller.start);
    pthread_join(thread, NULL);
    sem_destroy(&canceller.start);
    sem_destroy(&canceller.done);
    assert_true(n_common >= 3 && n_rows >= 3);
}

/* ---------------------------------------------------------------- rows of all tokens --------- */

static void rows_change_hands(void **state) {
    (void)state;
    float of_a[4][TINY_VOCAB], of_b[4][TINY_VOCAB];
    slm_cache_options o = {.struct_size = sizeof o, .max_sessions = 3, .max_logits = 4,
                           .max_rows = 2, .n_threads = 1};
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL, *other = NULL;
    const float *logits;
    for (uint32_t i = 0; i < 4; i++) {
        reference(model, 0, i + 1, of_a[i]);
        reference(model, 1, i + 1, of_b[i]);
    }
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    OK(slm_session_open_on(c, NULL, &b, &golden_err));
    OK(slm_session_open_on(c, NULL, &other, &golden_err));
    OK(slm_session_eval(other, tokens(0, 0), 2, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_eval(a, tokens(0, 0), 3, SLM_LOGITS_ALL, &golden_err));
    for (size_t i = 0; i < 3; i++)
        right(a, i, of_a[i]);
    REFUSED(slm_session_get_logits(a, 3, &logits, &golden_err), SLM_ERR_RANGE, "row 3", "3 rows");
    OK(slm_session_eval(b, tokens(1, 0), 2, SLM_LOGITS_ALL, &golden_err));
    for (size_t i = 0; i < 2; i++)
        right(b, i, of_b[i]);
    for (size_t i = 0; i < 3; i++) /* taken from a, all of them */
        REFUSED(slm_session_get_logits(a, i, &logits, &golden_err), SLM_ERR_RANGE);
    right(other, 0, of_a[1]); /* a last row stays */
    OK(slm_session_eval(a, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    right(a, 0, of_a[2]);
    REFUSED(slm_session_get_logits(a, 1, &logits, &golden_err), SLM_ERR_RANGE);
    right(b, 1, of_b[1]); /* which takes nothing from b */
    OK(slm_session_eval(a, tokens(0, 3), 1, SLM_LOGITS_ALL, &golden_err));
    right(a, 0, of_a[3]);
    REFUSED(slm_session_get_logits(b, 0, &logits, &golden_err), SLM_ERR_RANGE);
    /* Rows of two sessions in one call lie beside each other. */
    OK(slm_session_truncate(a, 2, &golden_err));
    OK(slm_session_truncate(b, 2, &golden_err));
    REFUSED(slm_session_get_logits(a, 0, &logits, &golden_err), SLM_ERR_RANGE);
    slm_eval_item items[2] = {{sizeof items[0], SLM_LOGITS_ALL, b, tokens(1, 2), 2},
                              {sizeof items[0], SLM_LOGITS_ALL, a, tokens(0, 2), 2}};
    OK(slm_cache_eval(c, items, 2, &golden_err));
    for (size_t i = 0; i < 2; i++) {
        right(a, i, of_a[2 + i]);
        right(b, i, of_b[2 + i]);
    }
    /* A refusal takes nothing. */
    REFUSED(slm_session_eval(other, tokens(0, 2), 5, SLM_LOGITS_ALL, &golden_err), SLM_ERR_RANGE,
            "max_logits");
    right(a, 1, of_a[3]);
    right(other, 0, of_a[1]);
    /* The fork has the last row, and its own evaluation takes the others. */
    slm_session_close(&other);
    OK(slm_session_fork(a, &other, &golden_err));
    right(other, 0, of_a[3]);
    right(a, 0, of_a[2]);
    OK(slm_session_eval(other, tokens(0, 4), 1, SLM_LOGITS_ALL, &golden_err));
    REFUSED(slm_session_get_logits(a, 0, &logits, &golden_err), SLM_ERR_RANGE);
    slm_session_close(&other);
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&c);
}

/* ---------------------------------------------------------------- numbers that are none ------ */

#define ODD_TOKEN 5
static float odd_value;
/* Only the row of one token has odd_value, and the output matrix is another. */
static void odd_embedding(gb *b) {
    static float rows[TINY_VOCAB][32], output[TINY_VOCAB][32];
    uint32_t seed = 7;
    for (uint32_t i = 0; i < TINY_VOCAB; i++)
        for (uint32_t j = 0; j < 32; j++) {
            seed = seed * 1664525u + 1013904223u;
            rows[i][j] = (float)(int32_t)seed * 1e-10f;
            seed = seed * 1664525u + 1013904223u;
            output[i][j] = (float)(int32_t)seed * 1e-10f;
        }
    rows[ODD_TOKEN][3] = odd_value;
    gb_tensor(b, "token_embd.weight", 0, 2, (uint64_t[]){32, TINY_VOCAB}, rows);
    gb_tensor(b, "output.weight", 0, 2, (uint64_t[]){32, TINY_VOCAB}, output);
}

static void not_a_number(slm_kv_type kv, float value) {
    static const int32_t odd = ODD_TOKEN;
    float wanted[2][TINY_VOCAB];
    odd_value = value;
    slm_model *m = tiny_open(&(tiny_tweak){.name = "token_embd.weight", .emit = odd_embedding},
                             NULL);
    slm_cache_options o = {.struct_size = sizeof o, .kv_type = kv, .max_sessions = 2,
                           .max_logits = 4, .page_tokens = 16};
    slm_cache *c = NULL;
    slm_session *s = NULL, *t = NULL;
    const float *logits;
    OK(slm_cache_open(m, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &t, &golden_err));
    for (uint32_t i = 0; i < 2; i++) { /* the model is fine but for one token */
        OK(slm_session_eval(t, i == 0 ? tokens(0, 0) : tokens(0, 4), i == 0 ? 4 : 3,
                            SLM_LOGITS_LAST, &golden_err));
        OK(slm_session_get_logits(t, 0, &logits, &golden_err));
        memcpy(wanted[i], logits, sizeof wanted[i]);
    }
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    OK(slm_session_eval(s, tokens(0, 0), 4, SLM_LOGITS_LAST, &golden_err));
    right(s, 0, wanted[0]);
    for (int32_t rows = SLM_LOGITS_LAST; rows <= SLM_LOGITS_ALL; rows++) {
        REFUSED(slm_session_eval(s, &odd, 1, rows, &golden_err), SLM_ERR_NUMERIC, "finite");
        assert_int_equal(held(s), 4);
        (void)right_or_none(s, 0, wanted[0]);
        OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
        right(s, 0, wanted[0]);
    }
    /* In a common step it fails for both, and harms neither. */
    OK(slm_session_truncate(t, 4, &golden_err));
    slm_eval_item items[2] = {{sizeof items[0], SLM_LOGITS_LAST, t, tokens(0, 4), 3},
                              {sizeof items[0], SLM_LOGITS_LAST, s, &odd, 1}};
    REFUSED(slm_cache_eval(c, items, 2, &golden_err), SLM_ERR_NUMERIC);
    assert_int_equal(held(t), 4);
    assert_int_equal(held(s), 4);
    OK(slm_session_eval(t, tokens(0, 4), 3, SLM_LOGITS_LAST, &golden_err));
    right(t, 0, wanted[1]);
    /* What lies in the page beyond the tokens is not looked at. */
    OK(slm_session_eval(s, tokens(0, 4), 3, SLM_LOGITS_LAST, &golden_err));
    right(s, 0, wanted[1]);
    /* Without logits nobody looks; the next one that wants some says so, until it is taken back. */
    OK(slm_session_eval(s, &odd, 1, SLM_LOGITS_NONE, &golden_err));
    REFUSED(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err), SLM_ERR_NUMERIC);
    REFUSED(slm_session_eval(s, tokens(0, 7), 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_NUMERIC);
    assert_int_equal(held(s), 8);
    REFUSED(slm_session_get_logits(s, 0, &logits, &golden_err), SLM_ERR_RANGE);
    OK(slm_session_truncate(s, 4, &golden_err));
    OK(slm_session_eval(s, tokens(0, 4), 3, SLM_LOGITS_LAST, &golden_err));
    right(s, 0, wanted[1]);
    /* A prompt may leave the common prefix only. */
    int32_t prompt[6];
    memcpy(prompt, tokens(0, 0), sizeof prompt);
    prompt[5] = odd;
    REFUSED(slm_session_prompt(s, prompt, 6, NULL, &golden_err), SLM_ERR_NUMERIC);
    assert_int_equal(held(s), 5);
    OK(slm_session_prompt(s, tokens(0, 0), 7, NULL, &golden_err));
    right(s, 0, wanted[1]);
    /* A generator that chooses it keeps it, and cannot go on. */
    static const slm_logit_bias only = {ODD_TOKEN, 1e6f};
    slm_sampling greedy = {.struct_size = sizeof greedy};
    OK(slm_sampling_init(&greedy));
    greedy.temperature = 0;
    greedy.logit_bias = &only;
    greedy.n_logit_bias = 1;
    slm_generate_options go = {.struct_size = sizeof go, .sampling = &greedy};
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_generate_begin(s, &go, &g, &golden_err));
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.token, ODD_TOKEN);
    for (int i = 0; i < 2; i++) {
        REFUSED(slm_generate_next(g, &ev, &golden_err), SLM_ERR_NUMERIC);
        assert_int_equal(held(s), 8);
    }
    slm_generate_end(&g);
    OK(slm_session_truncate(s, 4, &golden_err));
    OK(slm_session_eval(s, tokens(0, 4), 3, SLM_LOGITS_LAST, &golden_err));
    right(s, 0, wanted[1]);
    slm_session_close(&s);
    slm_session_close(&t);
    slm_cache_close(&c);
    slm_model_close(&m);
}

static void numeric(void **state) {
    (void)state;
    for (slm_kv_type kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++) {
        not_a_number(kv, INFINITY);
        not_a_number(kv, NAN);
    }
}

/* Every weight is finite, and yet no logit is. */
static void huge_weights(void **state) {
    (void)state;
    slm_model_options o = {.struct_size = sizeof o, .flags = SLM_MODEL_CHECK_TENSORS};
    slm_model *m = tiny_open(&(tiny_tweak){.name = "output_norm.weight", .fill = 3e38f}, &o);
    slm_session *s = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    const float *logits;
    OK(slm_session_open(m, NULL, &s, &golden_err));
    for (size_t n = 0; n < 4; n += 2) {
        REFUSED(slm_session_eval(s, tokens(0, 0), 3, SLM_LOGITS_LAST, &golden_err),
                SLM_ERR_NUMERIC, "finite");
        assert_int_equal(held(s), n);
        REFUSED(slm_session_get_logits(s, 0, &logits, &golden_err), SLM_ERR_RANGE, "0 rows");
        OK(slm_session_eval(s, tokens(0, 0), 2, SLM_LOGITS_NONE, &golden_err));
    }
    OK(slm_generate_begin(s, NULL, &g, &golden_err));
    REFUSED(slm_generate_next(g, &ev, &golden_err), SLM_ERR_NUMERIC, "finite");
    slm_generate_end(&g);
    assert_int_equal(held(s), 4);
    slm_session_close(&s);
    slm_model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_run_out),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(rows_change_hands),
        cmocka_unit_test(numeric),
        cmocka_unit_test(huge_weights),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
