/* Threads of libslm/base: the barrier, the work that lanes share, how many there can be. */
#include "base/barrier.h"
#include "base/threads.h"
#include "base/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MAX_LANES 8u
#ifdef SLM_EMULATED
#define N_ROUNDS 50u
#else
#define N_ROUNDS 500u
#endif

/* ---- lanes ---- */

typedef struct team {
    slm_barrier barrier;
    slm_work_lane lanes[MAX_LANES];
    slm_work work;
    uint32_t n;
    void (*run)(struct team *t, uint32_t lane);
    uint32_t slots[MAX_LANES]; /* plain words: a sanitizer sees what the barrier does not order */
    uint32_t n_wrong[MAX_LANES];
    double cpu_seconds[MAX_LANES];
} team;

typedef struct member {
    team *team;
    uint32_t lane;
} member;

static void *enter(void *arg) {
    member *m = arg;
    m->team->run(m->team, m->lane);
    return NULL;
}

static void run_team(team *t, uint32_t n, void (*run)(team *t, uint32_t lane)) {
    pthread_t threads[MAX_LANES];
    member members[MAX_LANES];
    t->n = n;
    t->run = run;
    memset(t->n_wrong, 0, sizeof t->n_wrong);
    for (uint32_t i = 0; i < n; i++) {
        members[i] = (member){t, i};
        assert_int_equal(pthread_create(&threads[i], NULL, enter, &members[i]), 0);
    }
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(t->n_wrong[i], 0);
}

static team *new_team(void) {
    static team t;
    memset(&t, 0, sizeof t);
    slm_barrier_init(&t.barrier);
    t.work.lanes = t.lanes;
    return &t;
}

/* ---- the barrier ---- */

static void meet(team *t, uint32_t lane) {
    for (uint32_t round = 1; round <= N_ROUNDS; round++) {
        t->slots[lane] = round;
        slm_barrier_wait(&t->barrier, t->n);
        for (uint32_t i = 0; i < t->n; i++)
            t->n_wrong[lane] += t->slots[i] != round;
        slm_barrier_wait(&t->barrier, t->n);
    }
}

/* One barrier for regions of many sizes, one after the other. */
static void test_barrier_orders(void **state) {
    (void)state;
    team *t = new_team();
    assert_true(t->barrier.n_spins > 0);
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t n = 1; n <= MAX_LANES; n++)
            run_team(t, n, meet);
        t->barrier.n_spins = 0; /* the second time every lane sleeps that has to wait */
    }
}

static void test_barrier_of_one(void **state) {
    (void)state;
    team *t = new_team();
    for (int i = 0; i < 3; i++)
        slm_barrier_wait(&t->barrier, 1);
    assert_int_equal(atomic_load(&t->barrier.word), 0);
}

/* The phase in the word comes round to 0 and goes on. */
static void test_barrier_comes_round(void **state) {
    (void)state;
    team *t = new_team();
    uint32_t one_phase = (SLM_BARRIER_MAX + 1) * 2;
    atomic_store(&t->barrier.word, 0u - one_phase * (N_ROUNDS / 2));
    run_team(t, 3, meet);
    assert_int_equal(atomic_load(&t->barrier.word), one_phase * (2 * N_ROUNDS - N_ROUNDS / 2));
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void come_late(team *t, uint32_t lane) {
    double start = cpu_seconds();
    if (lane == 0)
        nanosleep(&(struct timespec){0, 300000000}, NULL);
    slm_barrier_wait(&t->barrier, t->n);
    t->cpu_seconds[lane] = cpu_seconds() - start;
}

static void test_barrier_sleeps(void **state) {
    (void)state;
    team *t = new_team();
    run_team(t, 3, come_late);
    for (uint32_t i = 1; i < 3; i++)
        assert_true(t->cpu_seconds[i] < 0.1);
}

/* ---- shared work ---- */

static const uint32_t sizes[] = {0, 1, 2, 5, 64, 100, 1000, 3001};
static const uint32_t chunks[] = {1, 7, 16, 4096};
#define N_SIZES  (sizeof sizes / sizeof sizes[0])
#define N_CHUNKS (sizeof chunks / sizeof chunks[0])

static uint8_t taken[N_SIZES * N_CHUNKS][3001]; /* plain: two lanes at one item are a race */

/* All ops without a barrier between them, twice: the second time from the far end of the lists. */
static void work_all(team *t, uint32_t lane) {
    for (int turn = 0; turn < 2; turn++) {
        if (lane == 0)
            slm_work_start(&t->work, t->n);
        slm_barrier_wait(&t->barrier, t->n);
        for (uint32_t i = 0; i < N_SIZES * N_CHUNKS; i++) {
            uint32_t op = turn == 0 ? i : (uint32_t)(N_SIZES * N_CHUNKS) - 1 - i, first, last;
            uint32_t n_items = sizes[op / N_CHUNKS], chunk = chunks[op % N_CHUNKS];
            uint32_t most = turn == 0 ? 1 : 1 + op % 9, give = turn == 0 ? 1 : 1 + op % 5;
            slm_work_begin_runs(&t->work, lane, n_items, chunk, most, give);
            while (slm_work_next(&t->work, lane, &first, &last)) {
                t->n_wrong[lane] += first % chunk != 0 || first >= last || last > n_items ||
                                    (last != n_items && (last - first) % chunk != 0) ||
                                    (last - first + chunk - 1) / chunk > (give < most ? give : most);
                for (uint32_t item = first; item < last && last <= n_items; item++)
                    taken[op][item]++;
            }
        }
        slm_barrier_wait(&t->barrier, t->n);
    }
}

static void test_work_once_each(void **state) {
    (void)state;
    team *t = new_team();
    for (uint32_t round = 0; round < N_ROUNDS / 50; round++) {
        for (uint32_t n = 1; n <= MAX_LANES; n++) {
            memset(taken, 0, sizeof taken);
            run_team(t, n, work_all);
            for (uint32_t op = 0; op < N_SIZES * N_CHUNKS; op++)
                for (uint32_t i = 0; i < sizeof taken[op]; i++)
                    assert_int_equal(taken[op][i], i < sizes[op / N_CHUNKS] ? 2 : 0);
        }
    }
}

static void expect(slm_work *w, uint32_t lane, uint32_t first, uint32_t last) {
    uint32_t a, b;
    assert_int_equal(slm_work_next(w, lane, &a, &b), 1);
    assert_int_equal(a, first);
    assert_int_equal(b, last);
}

static void expect_none(slm_work *w, uint32_t lane) {
    uint32_t a, b;
    for (int i = 0; i < 2; i++)
        assert_int_equal(slm_work_next(w, lane, &a, &b), 0);
}

/* Its own share from the beginning, then the others' from their ends, then nothing for them. */
static void test_work_of_late_lanes(void **state) {
    (void)state;
    slm_work *w = &new_team()->work;
    slm_work_start(w, 3);
    slm_work_begin(w, 1, 58, 10);
    expect(w, 1, 20, 30);
    slm_work_begin(w, 0, 58, 10);
    expect(w, 0, 0, 10);
    expect(w, 1, 30, 40);
    expect(w, 1, 50, 58);
    expect(w, 1, 40, 50);
    expect(w, 1, 10, 20);
    expect_none(w, 1);
    expect_none(w, 0);
    slm_work_begin(w, 2, 58, 10);
    expect_none(w, 2);
}

/* Runs of chunks of its own share, which get shorter; single ones of others'. */
static void test_work_in_runs(void **state) {
    (void)state;
    slm_work *w = &new_team()->work;
    slm_work_start(w, 2);
    slm_work_begin_runs(w, 0, 39, 2, 4, 4); /* twenty chunks: ten each */
    slm_work_begin_runs(w, 1, 39, 2, 4, 4);
    expect(w, 0, 0, 8);
    expect(w, 0, 8, 14);
    expect(w, 0, 14, 18);
    expect(w, 0, 18, 20);
    expect(w, 0, 38, 39);
    expect(w, 1, 20, 28);
    expect(w, 0, 36, 38);
    expect(w, 1, 28, 32);
    expect(w, 1, 32, 34);
    expect(w, 1, 34, 36);
    expect_none(w, 0);
    expect_none(w, 1);
}

/* Runs that are given in pieces: what a lane has taken nobody else gets. */
static void test_work_in_pieces(void **state) {
    (void)state;
    slm_work *w = &new_team()->work;
    slm_work_start(w, 2);
    slm_work_begin_runs(w, 0, 39, 2, 5, 2); /* twenty chunks: ten each */
    slm_work_begin_runs(w, 1, 39, 2, 5, 2);
    expect(w, 0, 0, 4); /* of five */
    expect(w, 1, 20, 24);
    expect(w, 1, 24, 28);
    expect(w, 1, 28, 30);
    expect(w, 1, 30, 34); /* of three */
    expect(w, 0, 4, 8);
    expect(w, 0, 8, 10);
    expect(w, 0, 10, 14);
    expect(w, 1, 34, 36);
    expect(w, 1, 36, 38);
    expect(w, 1, 38, 39);
    expect(w, 1, 18, 20); /* one at a time */
    expect(w, 0, 14, 16);
    expect(w, 1, 16, 18);
    expect_none(w, 0);
    expect_none(w, 1);
    slm_work_begin_runs(w, 0, 39, 2, 5, 2);
    slm_work_begin(w, 1, 39, 2);
    expect(w, 0, 0, 4);
    expect(w, 1, 20, 22);
    slm_work_start(w, 2); /* a step that was given up: nothing of it is left for the next */
    slm_work_begin(w, 0, 39, 2);
    expect(w, 0, 0, 2);
}

/* A lane goes on for several ops while another still holds a chunk of the first. */
static void test_work_of_lanes_ahead(void **state) {
    (void)state;
    slm_work *w = &new_team()->work;
    slm_work_start(w, 2);
    slm_work_begin(w, 1, 4, 1);
    expect(w, 1, 2, 3);
    slm_work_begin(w, 0, 4, 1);
    expect(w, 0, 0, 1);
    expect(w, 0, 1, 2);
    expect(w, 0, 3, 4);
    expect_none(w, 0);
    for (uint32_t op = 0; op < 3; op++) {
        slm_work_begin(w, 0, 2, 1);
        expect(w, 0, 0, 1);
        expect(w, 0, 1, 2);
        expect_none(w, 0);
    }
    slm_work_begin(w, 0, 9, 2); /* five chunks: two and three */
    expect(w, 0, 0, 2);
    expect_none(w, 1);
    for (uint32_t op = 0; op < 3; op++) {
        slm_work_begin(w, 1, 2, 1);
        expect_none(w, 1);
    }
    slm_work_begin(w, 1, 9, 2);
    expect(w, 1, 4, 6);
    expect(w, 0, 2, 4);
    expect(w, 0, 8, 9);
    expect(w, 1, 6, 8);
    expect_none(w, 0);
    expect_none(w, 1);
}

/* More ops than a share's word can number. */
static void test_work_of_many_ops(void **state) {
    (void)state;
    slm_work *w = &new_team()->work;
    slm_work_start(w, 2);
    for (uint32_t op = 0; op < 140000; op++) {
        uint32_t a = op / 5 % 2, b = 1 - a;
        slm_work_begin(w, a, 3, 1);
        expect(w, a, a, a + 1);
        slm_work_begin(w, b, 3, 1);
        expect(w, b, b, b + 1);
        expect(w, b, 2, 3);
        expect_none(w, a);
        expect_none(w, b);
    }
}

static void test_shares(void **state) {
    (void)state;
    static const uint32_t n_items[] = {0, 1, 100, 1 << 24, (1 << 24) - 1, UINT32_MAX};
    static const uint32_t chunk[] = {1, 3, 64, UINT32_MAX};
    slm_work *w = &new_team()->work;
    for (uint32_t i = 0; i < sizeof n_items / sizeof n_items[0] * 4; i++) {
        uint32_t n = n_items[i / 4], c = chunk[i % 4], at = 0, first, last, a, b;
        for (uint32_t lane = 0; lane < 3; lane++) {
            slm_work_start(w, 3);
            slm_work_share(n, c, 3, lane, &first, &last);
            assert_int_equal(first, at);
            assert_true(first <= last && (first % c == 0 || first == n));
            slm_work_begin(w, lane, n, c);
            if (first < last) {
                assert_int_equal(slm_work_next(w, lane, &a, &b), 1);
                assert_int_equal(a, first);
                assert_true(a < b && b <= last && (b % c == 0 || b == n));
                if (b < last)
                    expect(w, lane, b, last - b < b - a ? last : b + (b - a));
            }
            at = last;
        }
        assert_int_equal(at, n);
    }
}

/* ---- how many ---- */

static void test_numbers(void **state) {
    (void)state;
    assert_int_equal(slm_threads_probe(1), 1);
    assert_int_equal(slm_threads_probe(5), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barrier_orders),
        cmocka_unit_test(test_barrier_of_one),
        cmocka_unit_test(test_barrier_comes_round),
        cmocka_unit_test(test_barrier_sleeps),
        cmocka_unit_test(test_work_once_each),
        cmocka_unit_test(test_work_of_late_lanes),
        cmocka_unit_test(test_work_in_runs),
        cmocka_unit_test(test_work_in_pieces),
        cmocka_unit_test(test_work_of_lanes_ahead),
        cmocka_unit_test(test_work_of_many_ops),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
