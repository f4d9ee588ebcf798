/* The prediction against figures worked out by hand, and the table of devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/predict.h"

#include <math.h>
#include <string.h>

static slm_device_profile device(const char *name) {
    slm_device_profile p = {.struct_size = sizeof p};
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_device_profile_find(name, &p, &error), SLM_OK);
    return p;
}

static void near(double got, double wanted, double within) {
    if (!(fabs(got - wanted) <= within))
        fail_msg("got %g, wanted %g", got, wanted);
}

/* An Orin NX at 918 MHz and a token of 640 MB: 102.4 GB/s give 93.2 to 77.8, so 6.87 to 8.22 ms.
 * 2 instructions a byte are 1.28 x 10^9, at 128 x 8 x 918 x 10^6 a second 1.36 ms; 1.5 integer ones
 * take 2.04 ms on half the slots, and 2.66 with the margin of 1.3. L2 gives 41.7 x 8 x 918 x 10^6
 * bytes a second, 2.09 ms. 100 kernels of 1 to 4 us and 50 to 150 us are 0.15 to 0.55 ms. */
static void by_hand(void **state) {
    (void)state;
    slm_device_profile p = device("orin-nx-16:maxn");
    slm_traffic t = {640e6, 2 * 640e6, 1.5 * 640e6, 100};
    slm_prediction r = {.struct_size = sizeof r};
    slm_predict_traffic(&p, &t, &r);
    near(r.memory_ms[0], 6.868, 0.001);
    near(r.memory_ms[1], 8.224, 0.001);
    near(r.issue_ms[0], 2.042, 0.001);
    near(r.issue_ms[1], 2.655, 0.001);
    near(r.cache_ms[0], 2.090, 0.001);
    near(r.overhead_ms[0], 0.150, 1e-9);
    near(r.overhead_ms[1], 0.550, 1e-9);
    near(r.tokens_per_second[0], 1e3 / (6.868 + 0.150), 0.03);
    near(r.tokens_per_second[1], 1e3 / (8.224 + 0.550), 0.03);
    near(1e3 / r.memory_ms[0], 145, 1); /* without overhead */
    near(1e3 / r.memory_ms[1], 122, 1);
    near(r.instruction_budget, 9.2, 0.05);
    near(r.instructions_per_byte[1], 2.6, 1e-9);
    assert_int_equal(r.bound[0], SLM_BOUND_MEMORY);
    assert_int_equal(r.bound[1], SLM_BOUND_MEMORY);
    assert_int_equal(r.bytes_per_token, 640000000);
}

/* The same kernel in other modes, and a token so small that starting kernels is most of it. */
static void what_binds(void **state) {
    (void)state;
    static const struct {
        const char *device;
        double bytes, instructions, integer;
        slm_bound best, worst;
    } cases[] = {
        {"agx-orin-64", 640e6, 2.0, 1.0, SLM_BOUND_MEMORY, SLM_BOUND_MEMORY},
        {"orin-nx-16:15w", 640e6, 3.2, 1.0, SLM_BOUND_MEMORY, SLM_BOUND_ISSUE},
        {"orin-nx-16:15w", 640e6, 2.5, 1.75, SLM_BOUND_ISSUE, SLM_BOUND_ISSUE},
        {"agx-orin-32:15w", 640e6, 1.0, 0.5, SLM_BOUND_CACHE, SLM_BOUND_CACHE},
        {"orin-nx-16:25w", 640e6, 8.0, 1.0, SLM_BOUND_ISSUE, SLM_BOUND_ISSUE},
        {"orin-nx-16", 1e6, 2.0, 1.0, SLM_BOUND_OVERHEAD, SLM_BOUND_OVERHEAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slm_device_profile p = device(cases[i].device);
        double b = cases[i].bytes;
        slm_traffic t = {b, b * cases[i].instructions, b * cases[i].integer, 132};
        slm_prediction r = {.struct_size = sizeof r};
        slm_predict_traffic(&p, &t, &r);
        if (r.bound[0] != cases[i].best || r.bound[1] != cases[i].worst)
            fail_msg("case %zu: got %d and %d, wanted %d and %d", i, r.bound[0], r.bound[1],
                     cases[i].best, cases[i].worst);
        assert_true(r.token_ms[0] < r.token_ms[1]);
    }
}

/* Bytes that each multiprocessor has to take in a clock, and instructions there is time for. */
static void modes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double need, budget;
        uint32_t n_sm;
    } known[] = {
        {"orin-nx-16:maxn-super", 10.9, 11.7, 8},
        {"orin-nx-16", 13.9, 9.2, 8},
        {"orin-nano-8:25w", 13.9, 9.2, 8},
        {"orin-nano-8:maxn-super", 12.5, 10.2, 8},
        {"orin-nano-8", 13.7, 9.4, 8},
        {"orin-nx-8:maxn", 16.7, 7.6, 8},
        {"agx-orin-64:maxn", 9.8, 13.0, 16},
        {"agx-orin-32:maxn", 15.7, 8.1, 14},
        {"agx-orin-32:40w", 17.9, 7.1, 14},
        {"orin-nx-16:10w", 27.9, 4.6, 4},
        {"orin-nx-16:25w", 31.4, 4.1, 8},
        {"orin-nx-16:15w", 41.8, 3.1, 4},
        {"agx-orin-32:30w", 41.8, 3.1, 8},
        {"agx-orin-32:15w", 55.8, 2.3, 6},
        {"agx-orin-industrial", 10.8, 11.9, 16},
        {"orin-nano-4:10w", 13.7, 9.4, 4},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        slm_device_profile p = device(known[i].name);
        slm_traffic t = {1e9, 1e9, 1e9, 1};
        slm_prediction r = {.struct_size = sizeof r};
        slm_predict_traffic(&p, &t, &r);
        near(p.dram_gbps * 1e3 / (p.n_sm * (double)p.sm_mhz), known[i].need, 0.07);
        near(r.instruction_budget, known[i].budget, 0.07);
        assert_int_equal(p.n_sm, known[i].n_sm);
    }
}

static void names(void **state) {
    (void)state;
    slm_device_profile p = {.struct_size = sizeof p}, again = p;
    slm_error error = SLM_ERROR_INIT;
    size_t n = 0;
    for (; slm_device_profile_get(n, &p, NULL) == SLM_OK; n++) {
        assert_int_equal(slm_device_profile_find(p.name, &again, NULL), SLM_OK);
        assert_string_equal(again.name, p.name);
        assert_string_equal(again.mode, p.mode);
        assert_non_null(strchr(p.name, ':'));
    }
    assert_true(n >= 30);
    assert_int_equal(slm_device_profile_get(n, &p, &error), SLM_ERR_RANGE);
    assert_string_equal(device("orin-nx-16").name, "orin-nx-16:maxn");
    assert_string_equal(device("orin-nano-8").name, "orin-nano-8:15w");
    static const char *const wrong[][3] = {
        {"warp-drive", "orin-nano-4", "agx-orin-industrial"},
        {"", "orin-nx-8", "orin-nx-16:25w"},
        {"orin-nx", "orin-nx-16", "agx-orin-32"},
        {"orin-nx-16:", "maxn, 10w, 15w, 25w", "40w"},
        {"orin-nx-16:99w", "\"99w\" of orin-nx-16", "maxn-super"},
        {"agx-orin-64:25w", "maxn, 15w, 30w, 50w", "25w"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(slm_device_profile_find(wrong[i][0], &p, &error), SLM_ERR_MISSING);
        assert_non_null(strstr(error.message, wrong[i][1]));
        assert_non_null(strstr(error.message, wrong[i][2]));
    }
    assert_int_equal(slm_device_profile_find(NULL, &p, &error), SLM_ERR_ARG);
    assert_int_equal(slm_device_profile_find("orin-nx-16", NULL, &error), SLM_ERR_ARG);
}

/* The kernels take at most 60 % of what an Orin NX has time for at 918 MHz, in all and on a pipe of
 * integers. Every type that can be run has a figure. */
static void aims(void **state) {
    (void)state;
    static const uint32_t bounded[] = {SLM_DTYPE_Q8_0, SLM_DTYPE_Q4_K, SLM_DTYPE_Q6_K,
                                       SLM_DTYPE_Q3_K};
    slm_device_profile p = device("orin-nx-16:maxn");
    double budget = 128.0 * p.n_sm * p.sm_mhz / (p.dram_gbps * 1e3);
    for (size_t i = 0; i < sizeof bounded / sizeof *bounded; i++) {
        slm_instruction_cost c = slm_predict_cost(bounded[i]);
        assert_true(c.all <= 0.6 * budget);
        assert_true(c.integer <= 0.6 * budget / 2);
    }
    for (uint32_t type = 0; type < SLM_DTYPE_LIMIT; type++) {
        slm_instruction_cost c = slm_predict_cost(type);
        assert_int_equal(c.all > 0, slm_dtype_get(type)->supported);
        assert_true(c.integer <= c.all);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand), cmocka_unit_test(what_binds), cmocka_unit_test(modes),
        cmocka_unit_test(names),   cmocka_unit_test(aims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
