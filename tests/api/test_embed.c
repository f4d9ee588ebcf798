/* Embeddings. What they should be comes from the logits: these are the output matrix times the hidden
 * state, and that matrix has more rows than columns, so no other state gives the same ones. */
#include "api/tiny_group.h"
#include "model/model.h"
#include "support/fail_alloc.h"

#include <math.h>

typedef struct subject {
    const char *dir, *gguf;
    double tolerance; /* of products whose activations are rounded */
} subject;

static const subject subjects[] = {
    {"llama-1b-like", "llama-1b-like-f32.gguf", 1e-5},
    {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf", 1e-5},
    {"qwen2-untied-like", "qwen2-untied-like-f16.gguf", 1e-2},
    {"qwen3-like", "qwen3-like-bf16.gguf", 1e-2},
    {"golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf", 1e-5},
};

enum { N_IDS = 70, MAX_WIDE = 1024 };
static int32_t ids[N_IDS];

static slm_session *open_session(slm_model *m, uint32_t max_rows, uint32_t n_threads) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 96, .max_rows = max_rows,
                           .n_threads = n_threads, .max_logits = N_IDS};
    slm_session *s = NULL;
    OK(slm_session_open(m, &o, &s, &golden_err));
    return s;
}

/* Sums the logits of the last n of all tokens: the output matrix times the sum of their states. */
static void sum_logits(slm_model *m, size_t n, double *sums) {
    uint32_t n_vocab = m->config.n_vocab;
    slm_session *s = open_session(m, 256, 1);
    memset(sums, 0, n_vocab * sizeof *sums);
    OK(slm_session_eval(s, ids, N_IDS, SLM_LOGITS_ALL, &golden_err));
    for (size_t r = N_IDS - n; r < N_IDS; r++) {
        const float *row;
        OK(slm_session_get_logits(s, r, &row, &golden_err));
        for (uint32_t i = 0; i < n_vocab; i++)
            sums[i] += (double)row[i];
    }
    slm_session_close(&s);
}

/* The output matrix times the embedding is the wanted sums but for a factor: the part that is not, over
 * all of them. */
static double part_apart(const slm_model *m, const float *embedding, const double *wanted) {
    const slm_linear *w = &m->head;
    size_t n_vocab = m->config.n_vocab, d = m->config.d_model;
    double *got = calloc(n_vocab, sizeof *got), of_both = 0, of_got = 0, apart = 0, all = 0;
    float row[MAX_WIDE];
    assert_non_null(got);
    assert_true(w->panel_bytes == 0 && d <= MAX_WIDE && d < n_vocab);
    for (size_t i = 0; i < n_vocab; i++) {
        m->kernels.dequantize[w->type](row, w->w + i * w->row_bytes, d);
        for (size_t k = 0; k < d; k++)
            got[i] += (double)row[k] * (double)embedding[k];
        of_both += got[i] * wanted[i];
        of_got += got[i] * got[i];
    }
    for (size_t i = 0; i < n_vocab; i++) {
        double x = wanted[i] - got[i] * of_both / of_got;
        apart += x * x;
        all += wanted[i] * wanted[i];
    }
    free(got);
    assert_true(of_both > 0); /* and not its opposite */
    return sqrt(apart / all);
}

static void embed(slm_session *s, slm_pooling pooling, float *embedding) {
    OK(slm_embed(s, ids, N_IDS, pooling, embedding, MAX_WIDE, &golden_err));
}

static void equals_what_logits_tell(void **state) {
    const subject *s = *state;
    float embedding[MAX_WIDE], again[MAX_WIDE];
    golden_load = SLM_LOAD_MAP; /* the output matrix as it is in the file */
    slm_model *m = golden_open(s->dir, s->gguf, 0);
    golden_load = SLM_LOAD_AUTO;
    double *wanted = calloc(m->config.n_vocab, sizeof *wanted);
    size_t d = m->config.d_model;
    assert_non_null(wanted);
    for (uint32_t i = 0; i < N_IDS; i++)
        ids[i] = (int32_t)((i * 2654435761u >> 16) % m->config.n_vocab);
    for (slm_pooling pooling = SLM_POOLING_MEAN; pooling <= SLM_POOLING_LAST; pooling++) {
        slm_session *session = open_session(m, 256, 1);
        embed(session, pooling, embedding);
        double length = 0;
        for (size_t i = 0; i < d; i++)
            length += (double)embedding[i] * (double)embedding[i];
        assert_true(fabs(length - 1) < 1e-5);
        sum_logits(m, pooling == SLM_POOLING_MEAN ? N_IDS : 1, wanted);
        double apart = part_apart(m, embedding, wanted);
        if (!(apart < s->tolerance))
            fail_msg("%s: pooling %d: %g apart, wanted at most %g", s->gguf, pooling, apart,
                     s->tolerance);
        embed(session, pooling, again); /* what the session held is of no consequence */
        assert_memory_equal(again, embedding, d * sizeof *again);
        slm_session_close(&session);
        session = open_session(m, 7, 3); /* nor are steps and threads */
        embed(session, pooling, again);
        assert_memory_equal(again, embedding, d * sizeof *again);
        slm_session_close(&session);
    }
    free(wanted);
    slm_model_close(&m);
}

/* Afterwards the session holds the text, and can go on with it. */
static void the_session_goes_on(void **state) {
    (void)state;
    static float wanted[TINY_VOCAB];
    float embedding[64];
    const float *logits;
    slm_session *s = session_with(6);
    OK(slm_session_get_logits(s, 0, &logits, &golden_err));
    memcpy(wanted, logits, sizeof wanted);
    slm_session_close(&s);
    s = session_with(3);
    OK(slm_embed(s, some, 4, SLM_POOLING_MEAN, embedding, 64, &golden_err));
    assert_int_equal(held(s), 4);
    REFUSED(slm_session_get_logits(s, 0, &logits, &golden_err), SLM_ERR_RANGE, "row 0");
    OK(slm_session_eval(s, some + 4, 2, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &logits, &golden_err));
    assert_memory_equal(logits, wanted, sizeof wanted);
    slm_session_close(&s);
}

static void refused_calls(void **state) {
    (void)state;
    float embedding[64];
    static int32_t many[200];
    slm_session *s = session_with(3);
    slm_generator *g = NULL;
    REFUSED(slm_embed(NULL, some, 1, 0, embedding, 64, &golden_err), SLM_ERR_ARG, "session");
    REFUSED(slm_embed(s, NULL, 1, 0, embedding, 64, &golden_err), SLM_ERR_ARG, "ids");
    REFUSED(slm_embed(s, some, 0, 0, embedding, 64, &golden_err), SLM_ERR_ARG, "no tokens");
    REFUSED(slm_embed(s, some, 1, 2, embedding, 64, &golden_err), SLM_ERR_RANGE, "pooling");
    REFUSED(slm_embed(s, some, 1, 0, embedding, 31, &golden_err), SLM_ERR_LIMIT, "31", "32");
    REFUSED(slm_embed(s, many, 200, 0, embedding, 64, &golden_err), SLM_ERR_CTX, "200", "128");
    many[1] = -1;
    REFUSED(slm_embed(s, many, 2, 0, embedding, 64, &golden_err), SLM_ERR_RANGE, "token 1");
    OK(slm_generate_begin(s, NULL, &g, &golden_err));
    REFUSED(slm_embed(s, some, 1, 0, embedding, 64, &golden_err), SLM_ERR_BUSY, "generator");
    slm_generate_end(&g);
    assert_int_equal(held(s), 3); /* nothing has changed */
    slm_session_cancel(s);
    REFUSED(slm_embed(s, some, 2, 0, embedding, 64, &golden_err), SLM_ERR_CANCEL, "cancelled");
    OK(slm_embed(s, some, 2, 0, embedding, 64, &golden_err));
    slm_session_close(&s);
}

static void states_that_are_not_finite(void **state) {
    (void)state;
    const tiny_tweak tweak = {.name = "output_norm.weight", .fill = 3e38f}; /* the norm overflows */
    slm_model *broken = tiny_open(&tweak, NULL);
    slm_session *s = open_session(broken, 256, 1);
    float embedding[64];
    REFUSED(slm_embed(s, some, 3, 0, embedding, 64, &golden_err), SLM_ERR_NUMERIC, "finite");
    slm_session_close(&s);
    slm_model_close(&broken);
}

static void memory_is_refused(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
    slm_model *m = tiny_open(NULL, &mo);
    slm_session *s = open_session(m, 256, 1);
    float embedding[64];
    OK(slm_session_eval(s, some, 3, SLM_LOGITS_NONE, &golden_err));
    fa.fail_at = fa.calls + 1;
    REFUSED(slm_embed(s, some, 2, 0, embedding, 64, &golden_err), SLM_ERR_NOMEM, "embedding");
    assert_int_equal(held(s), 3);
    slm_session_close(&s);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
}

int main(void) {
    enum { N = sizeof subjects / sizeof *subjects };
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(the_session_goes_on),
        cmocka_unit_test(refused_calls),
        cmocka_unit_test(states_that_are_not_finite),
        cmocka_unit_test(memory_is_refused),
    };
    struct CMUnitTest golden[N];
    int n_failed = cmocka_run_group_tests(plain, open_model, close_model);
    golden_need_data();
    for (size_t i = 0; i < N; i++)
        golden[i] = (struct CMUnitTest){subjects[i].gguf, equals_what_logits_tell, NULL, NULL,
                                        (void *)(uintptr_t)&subjects[i]};
    return n_failed + cmocka_run_group_tests(golden, NULL, NULL);
}
