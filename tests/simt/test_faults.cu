// Kernels with a mistake in each, and how the machine finds it. The same kernel without the mistake
// passes, so that it is the mistake that is found.

#include "kernel_test.h"
#include "fiber.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#ifdef SIMT_ASAN
constexpr bool with_asan = true;
#else
constexpr bool with_asan = false;
#endif

constexpr unsigned every_lane = 0xffffffffu;

// Whether the launch loses the device, with a sentence that has all of these words.
template <typename F> static void finds(F run, std::vector<const char *> words) {
    fake_cuda_catch_faults(true);
    OK(run());
    FAILS(cudaErrorLaunchFailure, cudaDeviceSynchronize());
    for (const char *word : words) {
        if (!std::strstr(fake_cuda_fault(), word)) {
            fail_msg("got \"%s\", wanted \"%s\" in it", fake_cuda_fault(), word);
        }
    }
    fake_cuda_reset(FAKE_CUDA_ORIN_NX_16);
}

// Whether it ends the program, with this on stderr.
template <typename F> static void dies(F run, const char *words) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    std::fflush(nullptr);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        std::signal(SIGABRT, SIG_DFL); // cmocka has its own
        run();
        _exit(0);
    }
    close(ends[1]);
    std::vector<char> text(1 << 16);
    std::size_t n = 0;
    for (ssize_t got; (got = read(ends[0], &text[n], text.size() - 1 - n)) > 0;) {
        n += static_cast<std::size_t>(got);
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        fail_msg("lives, wanted an end with \"%s\"", words);
    }
    if (!std::strstr(text.data(), words)) {
        fail_msg("got \"%s\", wanted \"%s\" in it", text.data(), words);
    }
}

// ---------------------------------------------------------------- what is missing

enum Missing { nothing, first_barrier, second_barrier };

// Each thread reads what another warp has written, twice over the same memory.
template <Missing missing> SLM_KERNEL(128, 1) passes_on(const int *x, int *y) {
    SLM_SHARED(int[128], tile);
    int sum = 0;
    for (unsigned round = 0; round < 2; round++) {
        tile[threadIdx.x] = x[128 * round + threadIdx.x];
        if (missing != first_barrier) {
            __syncthreads();
        }
        sum = 3 * sum + tile[127 - threadIdx.x];
        if (missing != second_barrier) {
            __syncthreads();
        }
    }
    y[threadIdx.x] = sum;
}

template <Missing missing> static bool passes_on_rightly() {
    std::vector<int> x(256);
    for (std::size_t i = 0; i < 256; i++) {
        x[i] = static_cast<int>(i * 7 + 1);
    }
    DeviceArray<int> in(x), out(128);
    auto run = [&] {
        OK(SLM_LAUNCH(passes_on<missing>, shape_of(1, 128), in.at, out.at));
        return out.get();
    };
    bool right = true;
    std::vector<int> y = run();
    for (std::size_t i = 0; i < 128; i++) {
        right = right && y[i] == 3 * x[127 - i] + x[255 - i];
    }
    return right && orders_agree(run);
}

static void a_barrier_is_missing(void **) {
    assert_true(passes_on_rightly<nothing>());
    assert_false(passes_on_rightly<first_barrier>());
    assert_false(passes_on_rightly<second_barrier>());
}

template <bool waits> SLM_KERNEL(32, 1) reads_neighbour(int *y) {
    SLM_SHARED(int[32], tile);
    tile[threadIdx.x] = static_cast<int>(threadIdx.x) + 5;
    if (waits) {
        __syncwarp();
    }
    y[threadIdx.x] = tile[threadIdx.x ^ 1];
}

static void a_syncwarp_is_missing(void **) {
    DeviceArray<int> out(32);
    auto with = [&] {
        OK(SLM_LAUNCH(reads_neighbour<true>, shape_of(1, 32), out.at));
        return out.get();
    };
    auto without = [&] {
        OK(SLM_LAUNCH(reads_neighbour<false>, shape_of(1, 32), out.at));
        return out.get();
    };
    assert_true(orders_agree(with));
    assert_false(orders_agree(without));
}

template <int n_pending> SLM_KERNEL(32, 1) copies_two(const int *x, int *y) {
    SLM_SHARED(int4[2][32], tile);
    unsigned lane = threadIdx.x;
    cp_async_16(&tile[0][lane], x + 4 * lane);
    cp_async_commit();
    cp_async_16(&tile[1][lane], x + 128 + 4 * lane);
    cp_async_commit();
    cp_async_wait<n_pending>();
    __syncwarp();
    y[lane] = tile[0][31 - lane].x + tile[1][31 - lane].y;
}

template <int n_pending> static bool copies_rightly() {
    std::vector<int> x(256);
    for (std::size_t i = 0; i < 256; i++) {
        x[i] = static_cast<int>(i);
    }
    DeviceArray<int> in(x), out(32);
    OK(SLM_LAUNCH(copies_two<n_pending>, shape_of(1, 32), in.at, out.at));
    std::vector<int> y = out.get();
    bool right = true;
    for (std::size_t lane = 0; lane < 32; lane++) {
        std::size_t at = 4 * (31 - lane);
        right = right && y[lane] == x[at] + x[129 + at];
    }
    return right;
}

static void a_wait_is_missing(void **) {
    assert_true(copies_rightly<0>());
    assert_false(copies_rightly<1>()); // the second copy has not been waited for
    assert_false(copies_rightly<2>());
}

template <bool sets> SLM_KERNEL(32, 1) counts(unsigned *y) {
    SLM_SHARED(unsigned, counter);
    if (sets && threadIdx.x == 0) {
        counter = 0;
    }
    __syncwarp();
    atomicAdd(&counter, 1);
    __syncwarp();
    y[threadIdx.x] = counter;
}

static void memory_is_not_set(void **) {
    DeviceArray<unsigned> out(32);
    auto with = [&] {
        OK(SLM_LAUNCH(counts<true>, shape_of(1, 32), out.at));
        return out.get();
    };
    auto without = [&] {
        OK(SLM_LAUNCH(counts<false>, shape_of(1, 32), out.at));
        return out.get();
    };
    assert_true(orders_agree(with));
    assert_false(orders_agree(without));
}

// ---------------------------------------------------------------- stores beyond the end

enum Where { in_dynamic, in_static, in_global };

template <Where where> SLM_KERNEL(32, 1) stores(int *y, int n) {
    SLM_SHARED(int[32], fixed);
    SLM_DYNAMIC_SHARED(int, dynamic);
    int *at = where == in_dynamic ? dynamic : where == in_static ? fixed : y;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) {
        at[i] = i;
    }
}

template <Where where> static void check_stores() {
    DeviceArray<int> out(32);
    OK(SLM_LAUNCH(stores<where>, shape_of(1, 32, 128), out.at, 32));
    OK(cudaDeviceSynchronize());
    dies(
        [&] {
            (void)SLM_LAUNCH(stores<where>, shape_of(1, 32, 128), out.at, 33);
            cudaDeviceSynchronize();
        },
        with_asan ? "AddressSanitizer" : "kernel stores<where>: stores beyond");
}

static void a_store_beyond_dynamic_shared(void **) {
    check_stores<in_dynamic>();
}
static void a_store_beyond_static_shared(void **) {
    check_stores<in_static>();
}
static void a_store_beyond_an_allocation(void **) {
    check_stores<in_global>();
}

// ---------------------------------------------------------------- threads that do not come

SLM_KERNEL(64, 1) diverges(int kind, int *y) {
    unsigned i = threadIdx.x, lane = i % 32;
    int v = static_cast<int>(i);
    if (kind == 0) { // two shuffles for one
        if (lane < 16) {
            v += __shfl_xor_sync(every_lane, v, 1);
        } else {
            v += __shfl_xor_sync(every_lane, v, 2);
        }
    } else if (kind == 1) { // half of the warp has returned
        if (lane >= 16) {
            return;
        }
        v += __shfl_xor_sync(every_lane, v, 1);
    } else if (kind == 2) { // not in its own mask
        v += __shfl_xor_sync(0x0000ffffu, v, 1);
    } else if (kind == 3) { // reads from outside of the mask
        if (lane < 16) {
            v += __shfl_xor_sync(0x0000ffffu, v, 16);
        }
    } else if (kind == 4) { // some go to the barrier of the block
        if (lane == 3) {
            __syncthreads();
        } else {
            __syncwarp();
        }
    } else if (kind == 5) { // a barrier for part of the block
        if (i < 32) {
            __syncthreads();
        }
    } else if (kind == 6) { // two barriers for one
        if (i < 32) {
            __syncthreads();
        } else {
            __syncthreads();
        }
    } else if (kind == 7) { // a barrier after some have returned
        if (i >= 48) {
            return;
        }
        __syncthreads();
    } else if (kind == 8) { // lanes that wait for each other in a circle
        __syncwarp(lane < 16 ? 0x0001ffffu : 0xffff0001u);
    } else if (kind == 9) {
        grid_sync();
    } else if (kind == 10) {
        while (load_acquire(reinterpret_cast<const unsigned *>(y)) != 77) {
            spin_pause();
        }
    } else if (kind == 11) {
        v = __shfl_xor_sync(every_lane, v, 1, 12);
    }
    y[i] = v;
}

static void check_diverges(int kind, std::vector<const char *> words) {
    DeviceArray<int> out(std::vector<int>(64, 0));
    words.push_back("kernel diverges: block (0,0,0) thread (");
    finds([&] { return SLM_LAUNCH(diverges, shape_of(1, 64), kind, out.at); }, words);
}

static void two_collectives_for_one(void **) {
    check_diverges(0, {"comes to __shfl_xor_sync", "waits in __shfl_xor_sync", "test_faults.cu:"});
}
static void a_lane_has_returned(void **) {
    check_diverges(1, {"while lane 0 waits for it in __shfl_xor_sync", "returns"});
}
static void a_lane_is_not_in_its_mask(void **) {
    check_diverges(2, {"lane 16, which is not in its mask 0000ffff"});
}
static void a_source_is_not_in_the_mask(void **) {
    check_diverges(3, {"lane 0 reads lane 16"});
}
static void a_barrier_for_a_syncwarp(void **) {
    check_diverges(4, {"comes to a barrier of the block while lane 0 waits for it in __syncwarp"});
}
static void a_barrier_for_part_of_a_block(void **) {
    check_diverges(5, {"returns while 32 threads of the block wait in __syncthreads"});
}
static void two_barriers_for_one(void **) {
    check_diverges(6, {"comes to __syncthreads while thread (31,0,0) waits in __syncthreads"});
}
static void a_barrier_after_a_return(void **) {
    check_diverges(7, {"returns while 48 threads of the block wait"});
}
static void masks_that_differ(void **) {
    check_diverges(8, {"with mask ffff0001, but lane 0 waits in __syncwarp with mask 0001ffff"});
}
static void a_grid_sync_in_a_plain_launch(void **) {
    check_diverges(9, {"the launch is not cooperative"});
}
static void a_wait_for_nothing(void **) {
    check_diverges(10, {"waits for a store that no running thread makes"});
}
static void a_width_that_is_none(void **) {
    check_diverges(11, {"width is 12"});
}

// ---------------------------------------------------------------- addresses and sizes

SLM_KERNEL(32, 1) misaligned(int kind, const unsigned *x, unsigned *y) {
    SLM_SHARED(unsigned[64], tile);
    unsigned lane = threadIdx.x;
    tile[lane] = tile[32 + lane] = lane;
    __syncwarp();
    if (kind == 0) {
        y[lane] = load_stream_16(x + lane).y;
    } else if (kind == 1) {
        cp_async_16(tile + lane, x);
    } else if (kind == 2) {
        cp_async_4(y, x);
    } else if (kind == 3) {
        unsigned r[4];
        ldmatrix_x4(r, tile + 2 * lane);
        y[lane] = r[0];
    } else {
        y[lane] = reinterpret_cast<const uint2 *>(x + lane)->y;
    }
}

static void check_misaligned(int kind, std::vector<const char *> words) {
    DeviceArray<unsigned> in(std::vector<unsigned>(64, 1)), out(32);
    finds([&] { return SLM_LAUNCH(misaligned, shape_of(1, 32), kind, in.at, out.at); }, words);
}

static void a_load_is_misaligned(void **) {
    check_misaligned(0, {"accesses 16 bytes at an address that is"});
}
static void a_copy_is_misaligned(void **) {
    check_misaligned(1, {"accesses 16 bytes at an address that is"});
}
static void a_copy_to_what_is_not_shared(void **) {
    check_misaligned(2, {"accesses 4 bytes that are not in the block's shared memory"});
}
static void a_matrix_row_is_misaligned(void **) {
    check_misaligned(3, {"accesses 16 bytes at an address that is"});
}
static void a_plain_load_is_misaligned(void **) {
    if (!with_asan) {
        skip(); // it takes UndefinedBehaviorSanitizer
    }
    DeviceArray<unsigned> in(std::vector<unsigned>(64, 1)), out(32);
    dies(
        [&] {
            (void)SLM_LAUNCH(misaligned, shape_of(1, 32), 4, in.at, out.at);
            cudaDeviceSynchronize();
        },
        "misaligned address");
}

static void the_host_reads_device_memory(void **) {
    if (!with_asan) {
        skip();
    }
    DeviceArray<unsigned> in(std::vector<unsigned>(64, 1));
    dies([&] { std::printf("%u", in.at[3]); }, "AddressSanitizer");
}

SLM_KERNEL(32, 1) much_static(unsigned *y) {
    SLM_SHARED(unsigned[12 << 10], first);
    SLM_SHARED(unsigned[32], second);
    first[threadIdx.x] = second[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}

static void too_much_static_shared(void **) {
    DeviceArray<unsigned> out(32);
    finds([&] { return SLM_LAUNCH(much_static, shape_of(1, 32), out.at); },
          {"declares second: 128 bytes of shared memory after 49152"});
}

// Without the catch a fault is the end.
static void a_fault_ends_the_program(void **) {
    DeviceArray<int> out(64);
    dies(
        [&] {
            (void)SLM_LAUNCH(diverges, shape_of(1, 64), 5, out.at);
            cudaDeviceSynchronize();
        },
        "simt: kernel diverges");
}

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(a_barrier_is_missing),
        DEVICE_TEST(a_syncwarp_is_missing),
        DEVICE_TEST(a_wait_is_missing),
        DEVICE_TEST(memory_is_not_set),
        DEVICE_TEST(a_store_beyond_dynamic_shared),
        DEVICE_TEST(a_store_beyond_static_shared),
        DEVICE_TEST(a_store_beyond_an_allocation),
        DEVICE_TEST(two_collectives_for_one),
        DEVICE_TEST(a_lane_has_returned),
        DEVICE_TEST(a_lane_is_not_in_its_mask),
        DEVICE_TEST(a_source_is_not_in_the_mask),
        DEVICE_TEST(a_barrier_for_a_syncwarp),
        DEVICE_TEST(a_barrier_for_part_of_a_block),
        DEVICE_TEST(two_barriers_for_one),
        DEVICE_TEST(a_barrier_after_a_return),
        DEVICE_TEST(masks_that_differ),
        DEVICE_TEST(a_grid_sync_in_a_plain_launch),
        DEVICE_TEST(a_wait_for_nothing),
        DEVICE_TEST(a_width_that_is_none),
        DEVICE_TEST(a_load_is_misaligned),
        DEVICE_TEST(a_copy_is_misaligned),
        DEVICE_TEST(a_copy_to_what_is_not_shared),
        DEVICE_TEST(a_matrix_row_is_misaligned),
        DEVICE_TEST(a_plain_load_is_misaligned),
        DEVICE_TEST(the_host_reads_device_memory),
        DEVICE_TEST(too_much_static_shared),
        DEVICE_TEST(a_fault_ends_the_program),
    };
    return cmocka_run_group_tests_name("faults", tests, nullptr, nullptr);
}
