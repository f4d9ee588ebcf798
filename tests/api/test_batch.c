/* What batches promise beside equal results: order, stalls, prefixes, memory, one last event. */
#include "api/batch_group.h"
#include "support/fail_alloc.h"

#include <math.h>
#include <pthread.h>

static slm_model *model;
static int32_t ids[TINY_CTX];

static int setup(void **state) {
    (void)state;
    model = tiny_open(NULL, NULL);
    for (uint32_t i = 0; i < TINY_CTX; i++)
        ids[i] = (int32_t)((i * 2654435761u >> 16) % TINY_VOCAB);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    slm_model_close(&model);
    return 0;
}

/* n_cells 0: the default. */
static slm_batch *open_batch(slm_model *m, uint32_t max_running, uint32_t n_prefixes,
                             uint32_t n_cells) {
    slm_cache_options co = {.struct_size = sizeof co, .page_tokens = 16, .n_threads = 1,
                            .max_rows = 32, .n_cells = n_cells};
    slm_batch_options bo = {.struct_size = sizeof bo, .max_running = max_running, .step_rows = 8,
                            .n_prefixes = n_prefixes, .max_requests = 8, .cache = &co};
    slm_batch *b = NULL;
    OK(slm_batch_open(m, &bo, &b, &golden_err));
    return b;
}

/* A request for n tokens of text behind the first n_ids ids. */
static slm_request *add(slm_batch *b, size_t n_ids, uint64_t n, int32_t priority, outcome *o) {
    slm_generate_options g = {.struct_size = sizeof g, .max_tokens = n,
                              .flags = SLM_GENERATE_IGNORE_END};
    slm_request_options r = {.struct_size = sizeof r, .kind = SLM_REQUEST_TEXT, .ids = ids,
                             .n_ids = n_ids, .generate = &g, .priority = priority, .user = o,
                             .flags = SLM_REQUEST_TOKENS};
    slm_request *request = NULL;
    memset(o, 0, sizeof *o);
    OK(slm_batch_add(b, &r, &request, &golden_err));
    return request;
}

static slm_batch_report step(slm_batch *b) {
    slm_batch_report report = {.struct_size = sizeof report};
    OK(slm_batch_step(b, &report, &golden_err));
    pull_all(b);
    return report;
}

static slm_batch_info info_of(const slm_batch *b) {
    slm_batch_info info = {.struct_size = sizeof info};
    OK(slm_batch_get_info(b, &info, &golden_err));
    return info;
}

/* ---- order ------------------------------------------------------------------------------------ */

static void higher_priority_goes_first(void **state) {
    (void)state;
    static outcome o[3];
    slm_batch *b = open_batch(model, 1, SLM_BATCH_NO_PREFIXES, 0);
    add(b, 4, 2, 0, &o[0]);
    add(b, 5, 2, 0, &o[1]);
    add(b, 6, 2, 7, &o[2]);
    step(b);
    assert_int_equal(o[2].n_begin, 1);
    assert_int_equal(o[0].n_begin + o[1].n_begin, 0);
    while (o[2].n_last == 0)
        step(b);
    step(b);
    assert_int_equal(o[0].n_begin, 1); /* the older of equals */
    assert_int_equal(o[1].n_begin, 0);
    run_all(b);
    assert_int_equal(o[1].n_tokens, 2);
    slm_batch_close(&b); /* with its requests */
}

static void higher_priority_takes_a_place(void **state) {
    (void)state;
    static outcome low, high, alone;
    slm_batch *b = open_batch(model, 1, 2, 0);
    add(b, 20, 10, 0, &alone);
    run_all(b);
    slm_batch_close(&b);
    b = open_batch(model, 1, 2, 0);
    add(b, 20, 10, 0, &low);
    while (low.n_tokens < 4)
        step(b);
    add(b, 6, 3, 1, &high);
    step(b);
    assert_int_equal(info_of(b).n_preempted, 1);
    assert_int_equal(high.n_begin, 1);
    assert_int_equal(low.n_tokens, 4);
    run_all(b);
    assert_int_equal(low.n_begin, 1);
    same_outcome("preempted", 0, &low, &alone, SLM_REQUEST_TEXT);
    /* what it had evaluated was still there */
    assert_true(info_of(b).n_evaluated < 20 + 10 + 6 + 3 + 16);
    slm_batch_close(&b);
}

/* While an answer runs, it has a token in every step, and prompts have step_rows of them. */
static void prompts_do_not_stall_answers(void **state) {
    (void)state;
    static outcome o[4];
    slm_batch *b = open_batch(model, 4, SLM_BATCH_NO_PREFIXES, 0);
    add(b, 3, 100, 0, &o[0]);
    step(b);
    for (int32_t *at = ids; at < ids + 3; at++)
        *at ^= 1; /* no prefix in common */
    add(b, 100, 5, 0, &o[1]);
    ids[0] ^= 1;
    add(b, 12, 5, 0, &o[2]);
    ids[1] ^= 1;
    add(b, 90, 5, 0, &o[3]);
    ids[2] ^= 1;
    uint32_t n_steps = 0;
    while (o[1].n_tokens == 0 || o[3].n_tokens == 0) {
        size_t before = o[0].n_tokens;
        slm_batch_report r = step(b);
        assert_int_equal(o[0].n_tokens, before + 1);
        assert_true(r.n_rows - r.n_decode <= 8);
        n_steps++;
        assert_true(o[2].n_tokens > 0 || n_steps < 4); /* the short one has half of the rows */
        if (o[1].n_tokens == 0)
            assert_int_equal(o[3].n_tokens, 0); /* the oldest has the other half */
    }
    assert_in_range(n_steps, (100 + 12 + 90) / 8, (100 + 12 + 90) / 8 + 4);
    run_all(b);
    slm_batch_close(&b);
}

/* By time: steps grow to what fits, and shrink when they took too long. */
static void steps_follow_the_time_they_take(void **state) {
    (void)state;
    static outcome o[2];
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1, .max_rows = 64};
    slm_batch_options bo = {.struct_size = sizeof bo, .stall_ms = 60000, .cache = &co};
    slm_batch *b = NULL;
    OK(slm_batch_open(model, &bo, &b, &golden_err));
    add(b, 3, 50, 0, &o[0]);
    step(b);
    ids[0] ^= 1;
    add(b, 120, 1, 0, &o[1]);
    ids[0] ^= 1;
    slm_batch_report r = step(b);
    for (uint32_t before; o[1].n_tokens == 0;) {
        before = r.n_rows;
        r = step(b);
        assert_true(r.n_rows >= before || o[1].n_tokens > 0);
        assert_true(r.n_rows <= 64 && r.ns > 0);
    }
    assert_true(info_of(b).longest_ns > 0 && info_of(b).step_ns >= info_of(b).longest_ns);
    slm_batch_close(&b);
}

/* ---- prefixes --------------------------------------------------------------------------------- */

static void prefixes_are_shared(void **state) {
    (void)state;
    static outcome o[4];
    slm_batch *b = open_batch(model, 2, 2, 0);
    slm_request *first = add(b, 60, 2, 0, &o[0]);
    run_all(b);
    assert_int_equal(o[0].n_reused, 0);
    slm_request_end(&first);
    add(b, 60, 2, 0, &o[1]); /* the same: all but the last token */
    add(b, 80, 2, 0, &o[2]);
    run_all(b);
    assert_int_equal(o[1].n_reused, 59);
    assert_int_equal(o[2].n_reused, 60);
    ids[30] ^= 1;
    add(b, 80, 2, 0, &o[3]);
    ids[30] ^= 1;
    run_all(b);
    assert_int_equal(o[3].n_reused, 30);
    slm_batch_info info = info_of(b);
    assert_int_equal(info.n_reused, 59 + 60 + 30);
    assert_int_equal(info.n_prompt, 60 + 60 + 80 + 80);
    assert_int_equal(info.n_running, 0);
    assert_true(info.n_prefixes >= 2 && info.n_pages_kept > 0);
    slm_batch_close(&b);
}

/* Several answers to one prompt: it is evaluated once. */
static void a_prompt_that_is_being_evaluated_is_waited_for(void **state) {
    (void)state;
    static outcome o[3];
    slm_batch *b = open_batch(model, 3, 1, 0);
    for (int i = 0; i < 3; i++)
        add(b, 100, 2, 0, &o[i]);
    run_all(b);
    for (int i = 1; i < 3; i++) /* for the last page it is not worth it */
        assert_in_range(o[i].n_reused, 99 - 16, 99);
    assert_true(info_of(b).n_evaluated <= 100 + 2 * 16 + 3 * 2);
    for (int i = 1; i < 3; i++)
        same_outcome("the same prompt", 0, &o[i], &o[0], SLM_REQUEST_TEXT);
    slm_batch_close(&b);
}

static void what_is_to_be_forgotten_is_not_shared(void **state) {
    (void)state;
    static outcome o[2];
    slm_generate_options g = {.struct_size = sizeof g, .max_tokens = 2};
    slm_request_options r = {.struct_size = sizeof r, .kind = SLM_REQUEST_TEXT, .ids = ids,
                             .n_ids = 50, .generate = &g, .user = &o[0],
                             .flags = SLM_REQUEST_FORGET};
    slm_request *request;
    slm_batch *b = open_batch(model, 2, 2, 0);
    OK(slm_batch_add(b, &r, &request, &golden_err));
    add(b, 50, 2, 0, &o[1]);
    run_all(b);
    assert_int_equal(o[1].n_reused, 0);
    assert_int_equal(info_of(b).n_prefixes, 1);
    slm_batch_close(&b);
}

/* Kept prefixes go when their pages are wanted, the longest unused first. */
static void kept_prefixes_make_room(void **state) {
    (void)state;
    static outcome o[4];
    slm_batch *b = open_batch(model, 2, 4, 144); /* nine pages */
    for (int i = 0; i < 2; i++) {
        ids[0] ^= i;
        add(b, 48, 2, 0, &o[i]);
        run_all(b);
    }
    assert_int_equal(info_of(b).n_prefixes, 2);
    ids[0] ^= 1; /* the first again: now the second is the longest unused */
    add(b, 48, 2, 0, &o[2]);
    run_all(b);
    assert_int_equal(o[2].n_reused, 47);
    ids[0] ^= 2;
    add(b, 64, 2, 0, &o[3]);
    run_all(b);
    assert_true(info_of(b).n_evicted > 0);
    ids[0] ^= 2;
    add(b, 48, 2, 0, &o[2]);
    run_all(b);
    assert_int_equal(o[2].n_reused, 47);
    slm_batch_close(&b);
}

/* Too few pages for all: some wait again, and all get theirs. One that alone is too long fails. */
static void pages_run_out(void **state) {
    (void)state;
    static outcome o[3], alone[3];
    for (int i = 0; i < 3; i++) {
        slm_batch *b = open_batch(model, 1, 1, 0);
        ids[0] = i;
        add(b, 40, 30, 0, &alone[i]);
        run_all(b);
        slm_batch_close(&b);
    }
    slm_batch *b = open_batch(model, 3, 1, 160);
    for (int i = 0; i < 3; i++) {
        ids[0] = i;
        add(b, 40, 30, 0, &o[i]);
    }
    run_all(b);
    assert_true(info_of(b).n_preempted > 0);
    for (int i = 0; i < 3; i++)
        same_outcome("few pages", (size_t)i, &o[i], &alone[i], SLM_REQUEST_TEXT);
    slm_batch_close(&b);

    b = open_batch(model, 1, 1, 48);
    add(b, 40, 30, 0, &o[0]);
    run_all(b);
    assert_int_equal(o[0].status, SLM_ERR_LIMIT);
    assert_true(o[0].n_tokens >= 8);
    slm_batch_close(&b);
}

/* ---- ends ------------------------------------------------------------------------------------- */

static void cancelled_requests_say_so_once(void **state) {
    (void)state;
    static outcome o[3];
    slm_batch *b = open_batch(model, 1, 1, 0);
    slm_request *running = add(b, 40, 50, 0, &o[0]), *waiting = add(b, 6, 50, 0, &o[1]);
    slm_request *unseen = add(b, 7, 3, 0, &o[2]);
    step(b);
    slm_request_cancel(running);
    slm_request_cancel(waiting);
    slm_request_cancel(waiting);
    step(b);
    assert_int_equal(o[0].status, SLM_ERR_CANCEL);
    assert_int_equal(o[1].status, SLM_ERR_CANCEL);
    assert_int_equal(o[1].n_begin, 0);
    assert_int_equal(o[2].n_begin, 1);
    run_all(b);
    slm_request_cancel(unseen); /* it has ended: nothing more comes */
    step(b);
    assert_int_equal(o[2].status, SLM_OK);
    assert_int_equal(o[2].n_tokens, 3);
    assert_int_equal(info_of(b).n_waiting + info_of(b).n_running, 0);
    slm_request_end(&running);
    assert_null(running);
    slm_batch_close(&b);
}

static void *cancel(void *request) {
    slm_request_cancel(request);
    return NULL;
}

static void cancelling_races_with_the_end(void **state) {
    (void)state;
    static outcome o;
    slm_batch *b = open_batch(model, 1, 1, 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        slm_request *r = add(b, 4, 2, 0, &o);
        assert_int_equal(pthread_create(&thread, NULL, cancel, r), 0);
        run_all(b);
        pthread_join(thread, NULL);
        assert_int_equal(o.n_last, 1);
        assert_true(o.status == SLM_ERR_CANCEL || o.n_tokens == 2);
        slm_request_end(&r);
    }
    slm_batch_close(&b);
}

/* Requests may be closed at any time, and those whose events nobody pulls stand still. */
static void ending_and_not_pulling(void **state) {
    (void)state;
    static outcome o[2];
    slm_batch_report report = {.struct_size = sizeof report};
    slm_batch *b = open_batch(model, 2, 1, 0);
    slm_request *r = add(b, 8, 10, 0, &o[0]), *other = add(b, 9, 4, 0, &o[1]);
    for (int i = 0; i < 20; i++)
        OK(slm_batch_step(b, &report, &golden_err));
    assert_int_equal(report.n_rows, 0);
    assert_int_equal(report.n_open, 2);
    pull_all(b);
    assert_int_equal(o[0].n_tokens, 1);
    slm_request_end(&r);
    assert_int_equal(info_of(b).n_running, 1);
    run_all(b);
    assert_int_equal(o[1].n_tokens, 4);
    slm_request_end(&other);
    step(b);
    slm_batch_close(&b);
    slm_batch_close(&b);
    slm_batch_close(NULL);
    slm_request_end(NULL);
    slm_request_cancel(NULL);
}

enum { ODD_TOKEN = 7 };

/* Only the embedding of one token is odd, and the output matrix is another. */
static void odd_embedding(gb *b) {
    static float rows[TINY_VOCAB][32];
    for (uint32_t i = 0; i < TINY_VOCAB * 32; i++)
        rows[i / 32][i % 32] = (float)(i * 2654435761u >> 16) * 1e-4f - 3;
    gb_tensor(b, "output.weight", 0, 2, (uint64_t[]){32, TINY_VOCAB}, rows);
    rows[ODD_TOKEN][3] = (float)INFINITY;
    gb_tensor(b, "token_embd.weight", 0, 2, (uint64_t[]){32, TINY_VOCAB}, rows);
}

/* It is the failure of the one request that has them. */
static void logits_that_are_not_finite(void **state) {
    (void)state;
    static outcome o[2], alone;
    const tiny_tweak tweak = {.name = "token_embd.weight", .emit = odd_embedding};
    slm_model *m = tiny_open(&tweak, NULL);
    for (int32_t i = 0; i < 20; i++)
        ids[i] = 20 + i;
    slm_batch *b = open_batch(m, 1, 1, 0);
    add(b, 6, 1, 0, &alone);
    run_all(b);
    slm_batch_close(&b);
    b = open_batch(m, 2, 2, 0);
    add(b, 6, 1, 0, &o[0]);
    ids[3] = ODD_TOKEN;
    add(b, 20, 1, 0, &o[1]);
    run_all(b);
    same_outcome("beside the odd one", 0, &o[0], &alone, SLM_REQUEST_TEXT);
    assert_int_equal(o[1].status, SLM_ERR_NUMERIC);
    assert_int_equal(o[1].n_tokens, 0);
    assert_int_equal(info_of(b).n_prefixes, 1); /* nobody goes on from that */
    slm_batch_close(&b);
    slm_model_close(&m);
}

static void answers_can_be_read(void **state) {
    (void)state;
    static outcome o;
    slm_generate_options g = {.struct_size = sizeof g, .max_tokens = 6};
    slm_answer_options a = {.struct_size = sizeof a, .generate = &g};
    slm_request_options r = {.struct_size = sizeof r, .ids = ids, .n_ids = 5, .answer = &a,
                             .user = &o};
    slm_batch *b = open_batch(model, 1, 1, 0);
    slm_request *request = NULL;
    slm_answer *answer = NULL;
    const char *json;
    size_t len;
    OK(slm_batch_add(b, &r, &request, &golden_err));
    OK(slm_request_get_answer(request, &answer, &golden_err));
    run_all(b);
    OK(slm_answer_get_message(answer, &json, &len, &golden_err));
    assert_memory_equal(json, "{\"role\":\"assistant\"", 19);
    slm_request_end(&request);
    request = add(b, 4, 1, 0, &o);
    REFUSED(slm_request_get_answer(request, &answer, &golden_err), SLM_ERR_ARG, "kind 1");
    slm_batch_close(&b);
}

/* ---- refused ---------------------------------------------------------------------------------- */

static void options_that_make_no_sense(void **state) {
    (void)state;
    slm_batch *b = NULL;
    slm_plan plan = {.struct_size = sizeof plan};
    slm_cache_options co = {.struct_size = sizeof co};
    slm_batch_options o = {.struct_size = sizeof o, .cache = &co};
#define BAD(field, value, status, ...)                                                             \
    do {                                                                                           \
        slm_batch_options bad = o;                                                                 \
        bad.field = value;                                                                         \
        REFUSED(slm_batch_open(model, &bad, &b, &golden_err), status, __VA_ARGS__);                \
        REFUSED(slm_batch_plan(model, &bad, &plan, &golden_err), status, __VA_ARGS__);             \
        assert_null(b);                                                                            \
    } while (0)
    BAD(max_running, 257, SLM_ERR_RANGE, "max_running", "257", "1 to 256");
    BAD(max_requests, 65537, SLM_ERR_RANGE, "max_requests");
    BAD(n_prefixes, 1025, SLM_ERR_RANGE, "n_prefixes");
    BAD(stall_ms, 60001, SLM_ERR_RANGE, "stall_ms");
    co.max_sessions = 2;
    BAD(max_running, 2, SLM_ERR_ARG, "max_sessions");
    co.max_sessions = 0;
    co.max_logits = 2;
    BAD(max_running, 2, SLM_ERR_ARG, "max_logits");
    co.max_logits = 0;
    co.max_rows = 9;
    BAD(max_running, 2, SLM_ERR_RANGE, "max_rows", "10");
    co.max_rows = 0;
    co.n_ctx = 1000000;
    BAD(max_running, 2, SLM_ERR_LIMIT, "n_ctx");
#undef BAD
    REFUSED(slm_batch_open(NULL, NULL, &b, &golden_err), SLM_ERR_ARG, "model");
    REFUSED(slm_batch_step(NULL, NULL, &golden_err), SLM_ERR_ARG, "batch");
}

static void requests_that_make_no_sense(void **state) {
    (void)state;
    static outcome o;
    static int32_t many[TINY_CTX + 1];
    slm_batch *b = open_batch(model, 1, 1, 64);
    slm_request *r = NULL;
    slm_generate_options g = {.struct_size = sizeof g};
    slm_request_options good = {.struct_size = sizeof good, .kind = SLM_REQUEST_TEXT, .ids = ids,
                                .n_ids = 3, .generate = &g};
#define BAD(change, status, ...)                                                                   \
    do {                                                                                           \
        slm_request_options bad = good;                                                            \
        change;                                                                                    \
        REFUSED(slm_batch_add(b, &bad, &r, &golden_err), status, __VA_ARGS__);                     \
        assert_null(r);                                                                            \
    } while (0)
    slm_answer_options a = {.struct_size = sizeof a, .flags = 1u << 30};
    slm_sampling hot = {.struct_size = sizeof hot};
    OK(slm_sampling_init(&hot));
    hot.temperature = -1;
    slm_generate_options hotter = {.struct_size = sizeof hotter, .sampling = &hot};
    BAD(bad.kind = 3, SLM_ERR_RANGE, "kind", "got 3");
    BAD(bad.flags = 4, SLM_ERR_ARG, "flags");
    BAD(bad.pooling = 2, SLM_ERR_RANGE, "pooling");
    BAD(bad.n_ids = 0, SLM_ERR_ARG, "no tokens");
    BAD(bad.ids = NULL, SLM_ERR_ARG, "no tokens");
    BAD(bad.kind = SLM_REQUEST_ANSWER, SLM_ERR_ARG, "generate");
    BAD((bad.kind = SLM_REQUEST_ANSWER, bad.generate = NULL, bad.answer = &a), SLM_ERR_ARG, "flags");
    BAD(bad.generate = &hotter, SLM_ERR_RANGE, "temperature");
    BAD((bad.ids = many, bad.n_ids = TINY_CTX + 1), SLM_ERR_CTX, "129", "128");
    BAD((bad.ids = many, bad.n_ids = TINY_CTX), SLM_ERR_CTX, "room for an answer");
    BAD((bad.ids = many, bad.n_ids = 64), SLM_ERR_LIMIT, "64");
    many[1] = TINY_VOCAB;
    BAD((bad.ids = many, bad.n_ids = 3), SLM_ERR_RANGE, "token 1");
#undef BAD
    for (int i = 0; i < 8; i++)
        add(b, 3, 1, 0, &o);
    REFUSED(slm_batch_add(b, &good, &r, &golden_err), SLM_ERR_BUSY, "8 requests");
    slm_batch_close(&b);
}

static void structs_of_older_programs(void **state) {
    (void)state;
    slm_batch_options bo = {.struct_size = END(slm_batch_options, max_running), .max_running = 3};
    slm_batch *b = NULL;
    OK(slm_batch_open(model, &bo, &b, &golden_err));
    slm_request_options ro = {.struct_size = END(slm_request_options, n_ids), .ids = ids,
                              .n_ids = 2};
    ro.user = &bo; /* beyond what it knows of */
    slm_request *r = NULL;
    OK(slm_batch_add(b, &ro, &r, &golden_err));
    slm_batch_report report = {.struct_size = END(slm_batch_report, n_rows), .n_decode = 77};
    OK(slm_batch_step(b, &report, &golden_err));
    assert_int_equal(report.n_rows, 2);
    assert_int_equal(report.n_decode, 77);
    slm_batch_event e = {.struct_size = END(slm_batch_event, request), .n_embedding = 99};
    OK(slm_batch_next(b, &e, &golden_err));
    assert_int_equal(e.type, SLM_BATCH_BEGIN);
    assert_ptr_equal(e.request, r);
    assert_int_equal(e.n_embedding, 99);
    slm_batch_info info = {.struct_size = END(slm_batch_info, n_running), .n_pages = 5};
    OK(slm_batch_get_info(b, &info, &golden_err));
    assert_int_equal(info.n_running, 1);
    assert_int_equal(info.n_pages, 5);
    report.struct_size = 3;
    REFUSED(slm_batch_step(b, &report, &golden_err), SLM_ERR_ARG, "slm_batch_report");
    e.struct_size = 3;
    REFUSED(slm_batch_next(b, &e, &golden_err), SLM_ERR_ARG, "slm_batch_event");
    slm_batch_close(&b);
}

/* ---- memory ----------------------------------------------------------------------------------- */

/* Whichever allocation fails, nothing is lost and nobody else notices. */
static void allocations_fail(void **state) {
    (void)state;
    static outcome o[2], want;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_batch *b = open_batch(model, 1, 1, 0);
    add(b, 9, 5, 0, &want);
    run_all(b);
    slm_batch_close(&b);
    for (fa.fail_at = 0;; fa.fail_at++) {
        uint64_t fail_at = fa.fail_at;
        fa.fail_at = 0;
        slm_allocator a = fail_alloc_start(&fa);
        slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
        slm_model *m = tiny_open(NULL, &mo);
        slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1, .page_tokens = 16};
        slm_batch_options bo = {.struct_size = sizeof bo, .max_running = 1, .cache = &co};
        slm_generate_options g = {.struct_size = sizeof g, .max_tokens = 5,
                                  .flags = SLM_GENERATE_IGNORE_END};
        slm_answer_options ao = {.struct_size = sizeof ao, .generate = &g};
        slm_request_options r[2] = {
            {.struct_size = sizeof r[0], .kind = SLM_REQUEST_TEXT, .ids = ids, .n_ids = 9,
             .generate = &g, .flags = SLM_REQUEST_TOKENS, .user = &o[0]},
            {.struct_size = sizeof r[0], .ids = ids, .n_ids = 12, .answer = &ao, .user = &o[1],
             .priority = 1}};
        slm_request *request = NULL;
        memset(o, 0, sizeof o);
        fa.calls = 0;
        fa.fail_at = fail_at;
        slm_status status = slm_batch_open(m, &bo, &b, &golden_err);
        if (status == SLM_OK)
            status = slm_batch_add(b, &r[0], &request, &golden_err);
        if (status == SLM_OK) {
            for (int i = 0; i < 3; i++)
                step(b);
            status = slm_batch_add(b, &r[1], &request, &golden_err);
        }
        int was_reached = fail_at != 0 && fa.calls >= fail_at;
        if (status != SLM_OK)
            assert_true(was_reached && status == SLM_ERR_NOMEM);
        if (b != NULL)
            run_all(b);
        if (o[0].n_last > 0)
            same_outcome("memory refused", 0, &o[0], &want, SLM_REQUEST_TEXT);
        was_reached = fail_at == 0 || fa.calls >= fail_at;
        slm_batch_close(&b);
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
        fa.fail_at = fail_at;
        if (!was_reached)
            break;
    }
}

/* What opening allocates is what was planned, but for a few kilobytes of its own; and tokens of text
 * allocate nothing. */
static void memory_is_planned(void **state) {
    (void)state;
    static outcome o[2];
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
    slm_model *m = tiny_open(NULL, &mo);
    slm_plan plan = {.struct_size = sizeof plan};
    slm_batch *b = NULL;
    int64_t before = fa.bytes;
    OK(slm_batch_plan(m, NULL, &plan, &golden_err));
    OK(slm_batch_open(m, NULL, &b, &golden_err));
    assert_in_range(fa.bytes - before, plan.kv_bytes + plan.scratch_bytes,
                    plan.kv_bytes + plan.scratch_bytes + 8192);
    add(b, 40, 60, 0, &o[0]);
    ids[0] ^= 1;
    add(b, 40, 60, 0, &o[1]);
    ids[0] ^= 1;
    uint64_t calls = fa.calls;
    run_all(b);
    assert_int_equal(fa.calls, calls);
    slm_batch_close(&b);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(higher_priority_goes_first),
        cmocka_unit_test(higher_priority_takes_a_place),
        cmocka_unit_test(prompts_do_not_stall_answers),
        cmocka_unit_test(steps_follow_the_time_they_take),
        cmocka_unit_test(prefixes_are_shared),
        cmocka_unit_test(a_prompt_that_is_being_evaluated_is_waited_for),
        cmocka_unit_test(what_is_to_be_forgotten_is_not_shared),
        cmocka_unit_test(kept_prefixes_make_room),
        cmocka_unit_test(pages_run_out),
        cmocka_unit_test(cancelled_requests_say_so_once),
        cmocka_unit_test(cancelling_races_with_the_end),
        cmocka_unit_test(ending_and_not_pulling),
        cmocka_unit_test(logits_that_are_not_finite),
        cmocka_unit_test(answers_can_be_read),
        cmocka_unit_test(options_that_make_no_sense),
        cmocka_unit_test(requests_that_make_no_sense),
        cmocka_unit_test(structs_of_older_programs),
        cmocka_unit_test(allocations_fail),
        cmocka_unit_test(memory_is_planned),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
