/* The threads of the steps: that they run, are as many as is said, sleep, and end. */
#include "base/lanes.h"
#include "base/threads.h"

#include <dirent.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_LANES 8u
#ifdef SLM_EMULATED
#define N_RUNS 50u
#else
#define N_RUNS 500u
#endif

/* What one lane writes in a run, and what it reads of another: plain words, so that a sanitizer
 * sees what is not ordered. */
typedef struct tally {
    slm_lanes lanes;
    slm_barrier barrier;
    uint32_t input;
    uint32_t seen[MAX_LANES], n_runs[MAX_LANES], n_wrong[MAX_LANES];
    uint64_t thread[MAX_LANES];
} tally;

static tally *new_tally(uint32_t n) {
    static tally all[2];
    static int next;
    tally *t = &all[next++ % 2];
    memset(t, 0, sizeof *t);
    slm_barrier_init(&t->barrier);
    slm_lanes_open(&t->lanes, n);
    assert_int_equal(t->lanes.n, n);
    return t;
}

static void count(void *context, uint32_t lane) {
    tally *t = context;
    t->seen[lane] = t->input;
    t->n_runs[lane]++;
    slm_barrier_wait(&t->barrier, t->lanes.n);
    for (uint32_t i = 0; i < t->lanes.n; i++)
        t->n_wrong[lane] += t->seen[i] != t->input;
}

static void run_counts(tally *t, uint32_t n_runs) {
    for (uint32_t i = 0; i < n_runs; i++) {
        t->input++;
        slm_lanes_run(&t->lanes, count, t);
        for (uint32_t j = 0; j < t->lanes.n; j++)
            assert_int_equal(t->seen[j], t->input);
    }
}

static void expect_counts(const tally *t, uint32_t n_runs) {
    for (uint32_t i = 0; i < MAX_LANES; i++) {
        assert_int_equal(t->n_runs[i], i < t->lanes.n ? n_runs : 0);
        assert_int_equal(t->n_wrong[i], 0);
    }
}

static void test_every_lane_once(void **state) {
    (void)state;
    for (uint32_t n = 1; n <= MAX_LANES; n++) {
        tally *t = new_tally(n);
        run_counts(t, N_RUNS);
        expect_counts(t, N_RUNS);
        slm_lanes_close(&t->lanes);
    }
}

static void nap(long ms) {
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* Runs that find the lanes awake, letting others go first, and asleep. */
static void test_pauses_between_runs(void **state) {
    (void)state;
    static const long pauses_us[] = {0, 5, 50, 300, 2000};
    tally *t = new_tally(3);
    for (uint32_t i = 0; i < N_RUNS / 10; i++) {
        nanosleep(&(struct timespec){0, pauses_us[i % 5] * 1000}, NULL);
        run_counts(t, 2);
    }
    expect_counts(t, N_RUNS / 10 * 2);
    slm_lanes_close(&t->lanes);
}

static void note_thread(void *context, uint32_t lane) {
    tally *t = context;
    t->thread[lane] = (uint64_t)(uintptr_t)pthread_self();
}

static void *run_elsewhere(void *arg) {
    tally *t = arg;
    slm_lanes_run(&t->lanes, note_thread, t);
    return NULL;
}

/* Lane 0 is whoever calls; the others stay the same threads. */
static void test_callers(void **state) {
    (void)state;
    tally *t = new_tally(4);
    uint64_t before[4];
    slm_lanes_run(&t->lanes, note_thread, t);
    memcpy(before, t->thread, sizeof before);
    assert_int_equal(before[0], (uint64_t)(uintptr_t)pthread_self());
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, run_elsewhere, t), 0);
    pthread_join(other, NULL);
    assert_int_not_equal(t->thread[0], before[0]);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(t->thread[i], before[i]);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(before[i], before[j]);
    }
    slm_lanes_close(&t->lanes);
}

/* A caller that is itself in a parallel region gets all its lanes. */
static void test_inside_a_region(void **state) {
    (void)state;
    tally *t = new_tally(3);
#pragma omp parallel num_threads(2)
    {
        if (omp_get_thread_num() == 0)
            run_counts(t, 3);
    }
    run_counts(t, 3);
    expect_counts(t, 6);
    slm_lanes_close(&t->lanes);
}

static int count_threads(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* OpenMP may keep threads for later, but does not start new ones for ever. */
static void test_threads_end(void **state) {
    (void)state;
    int before = count_threads();
    for (int i = 0; i < 20; i++) {
        tally *t = new_tally(4);
        run_counts(t, 2);
        assert_true(count_threads() >= before + 3);
        slm_lanes_close(&t->lanes);
    }
    for (int i = 0; i < 500 && count_threads() > before + 3; i++)
        nap(10);
    assert_true(count_threads() <= before + 3);
}

static void test_two_at_once(void **state) {
    (void)state;
    tally *a = new_tally(3), *b = new_tally(2);
    run_counts(a, 5);
    run_counts(b, 7);
    run_counts(a, 1);
    expect_counts(a, 6);
    expect_counts(b, 7);
    slm_lanes_close(&a->lanes);
    slm_lanes_close(&a->lanes); /* there is nothing to close any more */
    run_counts(a, 1);           /* and the caller alone is left */
    assert_int_equal(a->n_runs[0], 7);
    assert_int_equal(a->n_runs[1], 6);
    run_counts(b, 1);
    slm_lanes_close(&b->lanes);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_idle_lanes_sleep(void **state) {
    (void)state;
    tally *t = new_tally(3);
    run_counts(t, 1);
    nap(400);
    double start = cpu_seconds();
    nap(300);
    assert_true(cpu_seconds() - start < 0.1);
    slm_lanes_close(&t->lanes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* First: it counts threads, and OpenMP keeps those of a region of the caller's. */
        cmocka_unit_test(test_threads_end),     cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_every_lane_once), cmocka_unit_test(test_pauses_between_runs),
        cmocka_unit_test(test_callers),         cmocka_unit_test(test_idle_lanes_sleep),
        cmocka_unit_test(test_inside_a_region),
    };
    return cmocka_run_group_tests_name("threads_lanes", tests, NULL, NULL);
}
