/* Snapshots of sessions with recurrent state: their checkpoints come back with the pages of their
 * windows, in caches of any pages and any number of checkpoints, and forged ones are refused. */
#include "api/tiny_open.h"
#include "base/rng.h"
#include "support/snapshot_bytes.h"

#define DIR  "golden-sambay/phi4flash-like:"
#define GGUF "phi4flash-like-f32.gguf"
#define MARK 20 /* bytes of one */
enum { N_CTX = 448, N_IDS = 400 };

static slm_model *model;
static size_t n_vocab;
static int32_t ids[N_CTX];
static char path[700];

static int open_model(void **state) {
    (void)state;
    slm_model_info info = {.struct_size = sizeof info};
    model = golden_open(DIR, GGUF, 0);
    OK(slm_model_get_info(model, &info, &golden_err));
    n_vocab = info.n_vocab;
    uint32_t x = 99;
    for (size_t i = 0; i < N_CTX; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % n_vocab);
    }
    snprintf(path, sizeof path, "%s", temp_path("session"));
    return 0;
}

static int close_model(void **state) {
    (void)state;
    slm_model_close(&model);
    temp_clear();
    return 0;
}

static slm_cache_options options(uint32_t page_tokens, uint32_t n_checkpoints) {
    slm_cache_options o = {.struct_size = sizeof o,
                           .n_ctx = N_CTX,
                           .n_threads = 1,
                           .page_tokens = page_tokens,
                           .max_rows = 64,
                           .n_checkpoints = n_checkpoints,
                           .kv_type = SLM_KV_F32};
    return o;
}

static slm_session *open_session(uint32_t page_tokens, uint32_t n_checkpoints) {
    slm_cache_options o = options(page_tokens, n_checkpoints);
    slm_session *s = NULL;
    OK(slm_session_open(model, &o, &s, &golden_err));
    return s;
}

static void eval(slm_session *s, size_t from, size_t to) {
    OK(slm_session_eval(s, ids + from, to - from, SLM_LOGITS_NONE, &golden_err));
}

/* Turns, an answer, and a turn: of the checkpoints four are left, the first at 80. */
static slm_session *talk(uint32_t page_tokens) {
    slm_session *s = open_session(page_tokens, 4);
    eval(s, 0, 16);
    eval(s, 16, 100);
    for (size_t i = 100; i < 150; i++)
        eval(s, i, i + 1);
    eval(s, 150, 200);
    for (size_t i = 200; i < 210; i++)
        eval(s, i, i + 1);
    return s;
}

static uint64_t reevaluated(const slm_session *s) {
    slm_session_info info = {.struct_size = sizeof info};
    OK(slm_session_get_info(s, &info, &golden_err));
    return info.n_reevaluated;
}

/* The logits of a session, and of a fresh one on the same tokens. */
static void as_fresh(slm_session *s) {
    const int32_t *now;
    const float *got, *want;
    size_t n;
    OK(slm_session_eval(s, ids + 5, 2, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_tokens(s, &now, &n, &golden_err));
    OK(slm_session_get_logits(s, 0, &got, &golden_err));
    slm_session *fresh = open_session(16, 1);
    OK(slm_session_eval(fresh, now, n, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(fresh, 0, &want, &golden_err));
    assert_memory_equal(got, want, n_vocab * sizeof *got);
    slm_session_close(&fresh);
}

/* Nothing of a cache is held but by its session. */
static void close_last(slm_session **session) {
    slm_session *s = *session;
    slm_cache *c = s->cache;
    slm_session_cut(s, 0);
    for (uint32_t g = 0; g < model->n_groups; g++)
        assert_int_equal(c->pools[g].n_free, c->pools[g].n_pages);
    for (uint32_t i = 0; i < c->options.n_checkpoints * c->options.max_sessions; i++)
        assert_int_equal(c->checkpoints[i].n_refs, 0);
    slm_session_close(session);
}

/* What going back costs is what it cost before. */
static void checkpoints_come_back(void **state) {
    (void)state;
    for (uint32_t page = 16; page <= 64; page *= 2)
        for (size_t back = 209; back > 21; back -= 21) {
            slm_session *s = talk(page);
            OK(slm_session_save(s, path, NULL, &golden_err));
            uint64_t before = reevaluated(s);
            OK(slm_session_truncate(s, back, &golden_err));
            as_fresh(s);
            uint64_t cost = reevaluated(s) - before;
            for (uint32_t other = 16; other <= 256; other *= 4)
                for (uint32_t n_checkpoints = 1; n_checkpoints <= 6; n_checkpoints += 5) {
                    slm_session *t = open_session(other, n_checkpoints);
                    eval(t, 30, 90); /* what it held before */
                    OK(slm_session_load(t, path, NULL, NULL, &golden_err));
                    assert_int_equal(held(t), 210);
                    before = reevaluated(t);
                    OK(slm_session_truncate(t, back, &golden_err));
                    as_fresh(t);
                    if (other <= page && n_checkpoints > 4)
                        assert_int_equal(reevaluated(t) - before, cost);
                    close_last(&t);
                }
            close_last(&s);
        }
}

/* Sessions that go to and fro through files, with forks beside them. */
static void random_walks(void **state) {
    (void)state;
    slm_rng rng;
    for (uint32_t walk = 0; walk < 60; walk++) {
        slm_rng_seed(&rng, walk + 1);
#define DRAW(n) ((size_t)(slm_rng_double(&rng) * (double)(n)))
        slm_cache_options o = options(walk % 2 ? 16 : 32, 1 + (uint32_t)DRAW(5));
        slm_session *s = NULL, *fork = NULL;
        slm_cache *c = NULL;
        int has_file = 0;
        o.max_sessions = 2;
        OK(slm_cache_open(model, &o, &c, &golden_err));
        OK(slm_session_open_on(c, NULL, &s, &golden_err));
        for (int step = 0; step < 14; step++) {
            size_t n = held(s), more = 1 + DRAW(60);
            switch (DRAW(6)) {
            case 0:
                OK(slm_session_save(s, path, NULL, &golden_err));
                has_file = 1;
                break;
            case 1:
                if (has_file)
                    OK(slm_session_load(s, path, NULL, NULL, &golden_err));
                break;
            case 2:
                OK(slm_session_truncate(s, DRAW(n + 1), &golden_err));
                break;
            case 3:
                slm_session_close(&fork);
                OK(slm_session_fork(s, &fork, &golden_err));
                break;
            default:
                if (n + more < N_CTX - 2) {
                    size_t from = DRAW(N_CTX - more);
                    eval(s, from, from + more);
                }
                break;
            }
        }
        if (held(s) > N_CTX - 2)
            OK(slm_session_truncate(s, N_CTX - 2, &golden_err));
        as_fresh(s);
        if (fork != NULL && held(fork) <= N_CTX - 2)
            as_fresh(fork);
        slm_session_close(&fork);
        slm_session *last = s;
        slm_cache_close(&c);
        close_last(&last);
#undef DRAW
    }
}

/* A cache whose pages this session holds all, with checkpoints: they are given up for the file. */
static void room_is_made(void **state) {
    (void)state;
    slm_session *s = open_session(16, 4), *t = open_session(16, 4), *f = NULL;
    eval(s, 0, N_IDS);
    OK(slm_session_save(s, path, NULL, &golden_err));
    eval(t, 20, 20 + N_IDS);
    OK(slm_session_load(t, path, NULL, NULL, &golden_err));
    as_fresh(t);
    close_last(&t);
    /* pages that a fork needs too are not this session's to give */
    slm_cache_options o = options(16, 4);
    slm_cache *c = NULL;
    o.max_sessions = 2;
    o.n_cells = N_CTX;
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &t, &golden_err));
    eval(t, 20, 20 + N_IDS);
    OK(slm_session_fork(t, &f, &golden_err));
    REFUSED(slm_session_load(t, path, NULL, NULL, &golden_err), SLM_ERR_LIMIT, "pages");
    assert_int_equal(held(t), N_IDS);
    slm_session_close(&f);
    OK(slm_session_load(t, path, NULL, NULL, &golden_err));
    as_fresh(t);
    slm_cache_close(&c);
    close_last(&t);
    close_last(&s);
}

/* ---------------------------------------------------------------- forged files --------------- */

typedef struct forgery {
    const char *section;
    size_t at;
    uint32_t value;
    slm_status status;
    const char *part;
} forgery;

static size_t bytes_of_section(const uint8_t *bytes, const char *name) {
    for (size_t i = 0; i < get_u32(bytes + AT_SECTIONS); i++)
        if (strncmp((const char *)bytes + HEADER + i * SECTION, name, 8) == 0)
            return (size_t)get_u64(bytes + HEADER + i * SECTION + 16);
    return 0;
}

static uint8_t *entry_of(uint8_t *bytes, const char *name) {
    for (size_t i = 0; i < get_u32(bytes + AT_SECTIONS); i++)
        if (strncmp((const char *)bytes + HEADER + i * SECTION, name, 8) == 0)
            return bytes + HEADER + i * SECTION;
    fail_msg("there is no section \"%s\"", name);
    return NULL;
}

static void refuse(slm_session *live, uint8_t *bytes, size_t size, slm_status status,
                   const char *part) {
    seal(bytes, size);
    golden_err = (slm_error)SLM_ERROR_INIT;
    slm_status got = load_bytes(live, bytes, size, &golden_err);
    if (got != status || message_flaw(&golden_err) || strstr(golden_err.message, part) == NULL)
        fail_msg("got %s (%s), wanted %s with \"%s\"", slm_status_name(got), golden_err.message,
                 slm_status_name(status), part);
    assert_int_equal(live->n_tokens, 30);
    assert_int_equal(live->n_valid, 30);
}

static void forged(void **state) {
    (void)state;
    static const forgery all[] = {
        {"marks", 0, 0, SLM_ERR_RANGE, "the place of mark 0 is 0, wanted 1"},
        {"marks", 0, 210, SLM_ERR_RANGE, "the place of mark 0"},
        {"marks", 0, UINT32_MAX, SLM_ERR_RANGE, "the place of mark 0"},
        {"marks", MARK, 80, SLM_ERR_RANGE, "the place of mark 1"},
        {"marks", MARK, 81, SLM_ERR_RANGE, "page of mark 1"},
        {"marks", 4, 1, SLM_ERR_RANGE, "section \"pages.0\" has"},
        {"marks", 4, UINT32_MAX, SLM_ERR_RANGE, "page of mark 0"},
        {"marks", 8, 2, SLM_ERR_RANGE, "page of mark 0"},
        {"marks", 8, UINT32_MAX, SLM_ERR_RANGE, "page of mark 0"},
        {"marks", 12, 1, SLM_ERR_RANGE, "page of mark 0"},
        {"marks", 16, 1, SLM_ERR_RANGE, "page of mark 0"},
        {"marks", 3 * MARK + 4, 0, SLM_ERR_RANGE, "the first page of mark 3"},
        {"session", 24, 200, SLM_ERR_RANGE, ""},
        {"session", 32, 0, SLM_ERR_RANGE, ""},
        {"session", 44, 0, SLM_ERR_RANGE, ""},
    };
    size_t size;
    slm_session *s = talk(16), *live = open_session(16, 4);
    eval(live, 0, 30);
    OK(slm_session_save(s, path, NULL, &golden_err));
    uint8_t *good = temp_read(path, &size), *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(bytes_of_section(good, "marks"), 4 * MARK);
    assert_int_equal(bytes_of_section(good, "states") / (5 * sizeof(float)),
                     model->n_scans * slm_scan_floats(&model->config));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        memcpy(bytes, good, size);
        memcpy(bytes + section_at(good, all[i].section) + all[i].at, &all[i].value, 4);
        refuse(live, bytes, size, all[i].status, all[i].part);
    }
    static const char *const names[] = {"marks", "states"};
    for (size_t i = 0; i < 2;
         i++) { /* missing; and of other sizes, which the next one makes up for */
        uint64_t now = bytes_of_section(good, names[i]), next;
        memcpy(bytes, good, size);
        memset(entry_of(bytes, names[i]), 0, 12);
        refuse(live, bytes, size, SLM_ERR_MISSING, names[i]);
        for (size_t off = 1; off <= MARK; off += MARK - 1) {
            memcpy(bytes, good, size);
            uint8_t *entry = entry_of(bytes, names[i]);
            now = get_u64(entry + 16) - off;
            next = get_u64(entry + SECTION + 16) + off;
            memcpy(entry + 16, &now, 8);
            memcpy(entry + SECTION + 16, &next, 8);
            refuse(live, bytes, size, SLM_ERR_RANGE, off == 1 ? names[i] : "");
        }
    }
    OK(load_bytes(live, good, size, &golden_err));
    as_fresh(live);
    free(bytes);
    free(good);
    close_last(&live);
    close_last(&s);
}

int main(void) {
    golden_need_data();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_come_back),
        cmocka_unit_test(random_walks),
        cmocka_unit_test(room_is_made),
        cmocka_unit_test(forged),
    };
    return cmocka_run_group_tests_name("snapshot_recurrent", tests, open_model, close_model);
}
