// What the threads of a warp, a block and a grid do together, against plain loops.

#include "kernel_test.h"

constexpr unsigned every_lane = 0xffffffffu;

// ---------------------------------------------------------------- shuffles

SLM_KERNEL(64, 1) shuffles(const float *x, float *y) {
    unsigned i = threadIdx.x;
    float v = x[i];
    y[i] = __shfl_xor_sync(every_lane, v, 5);
    y[64 + i] = __shfl_down_sync(every_lane, v, 3);
    y[128 + i] = __shfl_up_sync(every_lane, v, 3);
    y[192 + i] = __shfl_sync(every_lane, v, 7);
    y[256 + i] = __shfl_xor_sync(every_lane, v, 4, 8);
    y[320 + i] = __shfl_down_sync(every_lane, v, 3, 8);
    y[384 + i] = __shfl_up_sync(every_lane, v, 3, 16);
    y[448 + i] = __shfl_sync(every_lane, v, 11, 8); // lane 3 of the segment
    y[512 + i] = __shfl_xor_sync(every_lane, v, 12, 8);
    // Each half of the warp by itself.
    unsigned part = i & 16 ? 0xffff0000u : 0x0000ffffu;
    y[576 + i] = __shfl_xor_sync(part, v, 2);
    y[640 + i] = __shfl_sync(every_lane, static_cast<double>(v) + 0x1p-40, 9) - v > 0 ? 1.0f : 0.0f;
}

static void shuffles_move_values(void **) {
    std::vector<float> x(64);
    for (std::size_t i = 0; i < 64; i++) {
        x[i] = static_cast<float>(i) + 0.5f;
    }
    DeviceArray<float> in(x), out(704);
    auto run = [&] {
        OK(SLM_LAUNCH(shuffles, shape_of(1, 64), in.at, out.at));
        return out.get();
    };
    std::vector<float> y = run();
    for (unsigned i = 0; i < 64; i++) {
        unsigned warp = i & 32, l = i % 32;
        float wanted[11] = {
            x[i ^ 5],
            x[l + 3 < 32 ? i + 3 : i],
            x[l >= 3 ? i - 3 : i],
            x[warp + 7],
            x[i ^ 4],
            x[l % 8 + 3 < 8 ? i + 3 : i],
            x[l % 16 >= 3 ? i - 3 : i],
            x[i / 8 * 8 + 3],
            x[(l ^ 12) < l / 8 * 8 + 8 ? warp + (l ^ 12) : i],
            x[i ^ 2],
            warp + 9 >= i ? 1.0f : 0.0f,
        };
        for (unsigned k = 0; k < 11; k++) {
            if (y[64 * k + i] != wanted[k]) {
                fail_msg("shuffle %u, thread %u: got %g, wanted %g", k, i,
                         static_cast<double>(y[64 * k + i]), static_cast<double>(wanted[k]));
            }
        }
    }
    assert_true(orders_agree(run));
}

// ---------------------------------------------------------------- votes and sums

SLM_KERNEL(96, 1) votes(unsigned *y, float *f) {
    unsigned i = threadIdx.x, warp = i / 32, lane = i % 32;
    y[i] = __ballot_sync(every_lane, lane % 3 == warp);
    y[96 + i] = static_cast<unsigned>(__any_sync(every_lane, i == 40));
    y[192 + i] = static_cast<unsigned>(__all_sync(every_lane, i != 40));
    y[288 + i] = static_cast<unsigned>(warp_sum_int(static_cast<int>(i) - 40));
    y[384 + i] = static_cast<unsigned>(warp_max_int(-static_cast<int>(i * 7 % 96)));
    y[480 + i] = static_cast<unsigned>(__syncthreads_count(i % 5 == 0));
    y[576 + i] = static_cast<unsigned>(__syncthreads_or(i == 95));
    y[672 + i] = static_cast<unsigned>(__syncthreads_or(0));
    float x = 1.0f / static_cast<float>(i + 1);
    f[i] = warp_sum(x);
    f[96 + i] = warp_max(x);
    for (int bits = 16; bits > 0; bits >>= 1) { // the order that warp_sum says it has
        x += __shfl_xor_sync(every_lane, x, bits);
    }
    f[192 + i] = x;
}

static void votes_and_sums(void **) {
    DeviceArray<unsigned> words(768);
    DeviceArray<float> floats(288);
    auto run = [&] {
        OK(SLM_LAUNCH(votes, shape_of(1, 96), words.at, floats.at));
        return words.get();
    };
    std::vector<unsigned> y = run();
    std::vector<float> f = floats.get();
    for (unsigned i = 0; i < 96; i++) {
        unsigned warp = i / 32, ballot = 0;
        int sum = 0, most = -1000;
        float largest = 0;
        for (unsigned l = 0; l < 32; l++) {
            int other = static_cast<int>(32 * warp + l);
            ballot |= (l % 3 == warp ? 1u : 0u) << l;
            sum += other - 40;
            most = -(other * 7 % 96) > most ? -(other * 7 % 96) : most;
            largest = fmaxf(largest, 1.0f / static_cast<float>(other + 1));
        }
        assert_int_equal(y[i], ballot);
        assert_int_equal(y[96 + i], warp == 1);
        assert_int_equal(y[192 + i], warp != 1);
        assert_int_equal(static_cast<int>(y[288 + i]), sum);
        assert_int_equal(static_cast<int>(y[384 + i]), most);
        assert_int_equal(y[480 + i], 20);
        assert_true(y[576 + i] != 0 && y[672 + i] == 0);
        assert_true(f[i] == f[192 + i] && f[96 + i] == largest);
    }
    assert_true(orders_agree(run));
}

// ---------------------------------------------------------------- shared memory and barriers

// Sums of columns through static and dynamic shared memory, with a barrier in a loop.
SLM_KERNEL(128, 1) block_sums(const int *x, int *y, int n) {
    SLM_SHARED(int[4], of_warps);
    SLM_DYNAMIC_SHARED(int, staged);
    int total = 0;
    for (int first = 0; first < n; first += 128) {
        __syncthreads();
        staged[threadIdx.x] =
            x[blockIdx.x * static_cast<unsigned>(n) + static_cast<unsigned>(first) + threadIdx.x];
        __syncthreads();
        total += staged[127 - threadIdx.x] * static_cast<int>(threadIdx.x + 1);
    }
    total = warp_sum_int(total);
    if (threadIdx.x % 32 == 0) {
        of_warps[threadIdx.x / 32] = total;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        y[blockIdx.x] = of_warps[0] + of_warps[1] + of_warps[2] + of_warps[3];
    }
}

static void blocks_share_memory(void **) {
    const int n = 384;
    Numbers numbers{1};
    std::vector<int> x(5 * n);
    for (int &v : x) {
        v = numbers.between(-100, 100);
    }
    DeviceArray<int> in(x), out(5);
    auto run = [&] {
        OK(SLM_LAUNCH(block_sums, shape_of(5, 128, 128 * sizeof(int)), in.at, out.at, n));
        return out.get();
    };
    std::vector<int> y = run();
    for (int b = 0; b < 5; b++) {
        int wanted = 0;
        for (int i = 0; i < n; i++) {
            wanted += x[static_cast<std::size_t>(b * n + i)] * (128 - i % 128);
        }
        assert_int_equal(y[static_cast<std::size_t>(b)], wanted);
    }
    assert_true(orders_agree(run));
}

// ---------------------------------------------------------------- asynchronous copies

// Two buffers: one is filled while the other is worked on.
SLM_KERNEL(32, 1) pipeline(const int *x, int *y, int n_tiles) {
    SLM_SHARED(int[2][128], tile);
    unsigned lane = threadIdx.x;
    cp_async_16(&tile[0][4 * lane], x + 4 * lane);
    cp_async_commit();
    for (int t = 0; t < n_tiles; t++) {
        if (t + 1 < n_tiles) {
            cp_async_16(&tile[(t + 1) & 1][4 * lane],
                        x + 128 * static_cast<unsigned>(t + 1) + 4 * lane);
        }
        cp_async_commit();
        cp_async_wait<1>();
        __syncwarp();
        int sum = 0;
        for (unsigned i = 0; i < 4; i++) {
            sum += tile[t & 1][lane + 32 * i];
        }
        y[32 * static_cast<unsigned>(t) + lane] = sum;
        __syncwarp();
    }
}

SLM_KERNEL(32, 1) small_copies(const unsigned *x, unsigned *y) {
    SLM_SHARED(uint4[3][32], tile);
    unsigned lane = threadIdx.x;
    unsigned *words = &tile[0][0].x;
    cp_async_4(words + lane, x + lane);
    cp_async_8(words + 128 + 2 * lane, x + 2 * lane);
    cp_async_16_fill(&tile[2][lane], x + 4 * lane, lane < 16 ? lane : 16);
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    y[lane] = words[31 - lane];
    y[32 + lane] = words[128 + 63 - lane];
    for (unsigned i = 0; i < 4; i++) {
        y[64 + 4 * lane + i] = words[256 + 4 * (31 - lane) + i];
    }
}

static void copies_arrive(void **) {
    const int n_tiles = 5;
    std::vector<int> x(128 * n_tiles);
    for (std::size_t i = 0; i < x.size(); i++) {
        x[i] = static_cast<int>(i * i % 1009);
    }
    DeviceArray<int> in(x), out(32 * n_tiles);
    auto run = [&] {
        OK(SLM_LAUNCH(pipeline, shape_of(1, 32), in.at, out.at, n_tiles));
        return out.get();
    };
    std::vector<int> y = run();
    for (std::size_t t = 0; t < n_tiles; t++) {
        for (std::size_t lane = 0; lane < 32; lane++) {
            const int *row = &x[128 * t + lane];
            assert_int_equal(y[32 * t + lane], row[0] + row[32] + row[64] + row[96]);
        }
    }
    assert_true(orders_agree(run));
}

static void copies_of_every_size(void **) {
    std::vector<unsigned> x(128);
    for (unsigned i = 0; i < 128; i++) {
        x[i] = 0x01010101u * (i + 1);
    }
    DeviceArray<unsigned> in(x), out(192);
    auto run = [&] {
        OK(SLM_LAUNCH(small_copies, shape_of(1, 32), in.at, out.at));
        return out.get();
    };
    std::vector<unsigned> y = run();
    const unsigned char *got = reinterpret_cast<const unsigned char *>(&y[64]);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(y[i], x[31 - i]);
        assert_int_equal(y[32 + i], x[63 - i]);
        unsigned lane = 31 - i, n_bytes = lane < 16 ? lane : 16;
        for (unsigned byte = 0; byte < 16; byte++) {
            assert_int_equal(got[16 * i + byte], byte < n_bytes ? 4 * lane + byte / 4 + 1 : 0);
        }
    }
    assert_true(orders_agree(run));
}

// ---------------------------------------------------------------- atomics and grids

SLM_KERNEL(64, 1) atomics(unsigned *counters, float *sum, int *most) {
    SLM_SHARED(unsigned, of_block);
    if (threadIdx.x == 0) {
        of_block = 0;
    }
    __syncthreads();
    atomicAdd(&of_block, threadIdx.x);
    atomicAdd(&counters[0], 1);
    atomicAdd(sum, 0.25f);
    atomicMax(most, static_cast<int>(blockIdx.x * 64 + threadIdx.x));
    atomicCAS(&counters[1], 0, 7);
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        // The last block sees what all have done.
        if (add_acq_rel(&counters[2], of_block) == of_block * (gridDim.x - 1)) {
            counters[3] = load_acquire(&counters[0]);
        }
        atomicExch(&counters[4], 9);
    }
}

static void atomics_count(void **) {
    DeviceArray<unsigned> counters(std::vector<unsigned>(5, 0));
    DeviceArray<float> sum(std::vector<float>(1, 0.0f));
    DeviceArray<int> most(std::vector<int>(1, -1));
    OK(SLM_LAUNCH(atomics, shape_of(6, 64), counters.at, sum.at, most.at));
    std::vector<unsigned> y = counters.get();
    assert_int_equal(y[0], 384);
    assert_int_equal(y[1], 7);
    assert_int_equal(y[2], 6 * 2016);
    assert_int_equal(y[3], 384);
    assert_int_equal(y[4], 9);
    assert_true(sum.get()[0] == 96.0f);
    assert_int_equal(most.get()[0], 383);
}

// A sum that goes round the blocks, step by step.
SLM_KERNEL(64, 1) rounds(int *x, int n_rounds) {
    SLM_SHARED(int[64], mine);
    unsigned n = gridDim.x * 64, at = blockIdx.x * 64 + threadIdx.x;
    for (int round = 0; round < n_rounds; round++) {
        mine[threadIdx.x] = x[(at + 1) % n] + x[(at + n - 1) % n];
        grid_sync();
        x[at] = mine[threadIdx.x] & 0xffff;
        grid_sync();
    }
}

// Blocks that wait for the one before them by a word in memory.
SLM_KERNEL(32, 1) chain(unsigned *turn, unsigned *y) {
    if (threadIdx.x == 0) {
        while (load_acquire(turn) != blockIdx.x) {
            spin_pause();
        }
        y[blockIdx.x] = blockIdx.x == 0 ? 1 : 3 * y[blockIdx.x - 1] + 1;
        store_release(turn, blockIdx.x + 1);
    }
    grid_sync();
    if (threadIdx.x == 1) {
        y[gridDim.x + blockIdx.x] = y[gridDim.x - 1 - blockIdx.x];
    }
}

static void grids_wait(void **) {
    std::vector<int> x(8 * 64);
    for (std::size_t i = 0; i < x.size(); i++) {
        x[i] = static_cast<int>(i % 37);
    }
    auto run = [&] {
        DeviceArray<int> values(x);
        OK(SLM_LAUNCH_COOPERATIVE(rounds, shape_of(8, 64), values.at, 4));
        return values.get();
    };
    std::vector<int> wanted = x, y = run();
    for (int round = 0; round < 4; round++) {
        std::vector<int> old = wanted;
        for (std::size_t i = 0; i < old.size(); i++) {
            wanted[i] =
                (old[(i + 1) % old.size()] + old[(i + old.size() - 1) % old.size()]) & 0xffff;
        }
    }
    assert_true(same_bits(y, wanted));
    assert_true(orders_agree(run));
}

static void blocks_take_turns(void **) {
    auto run = [&] {
        DeviceArray<unsigned> turn(std::vector<unsigned>(1, 0)), out(16);
        OK(SLM_LAUNCH_COOPERATIVE(chain, shape_of(8, 32), turn.at, out.at));
        return out.get();
    };
    std::vector<unsigned> y = run();
    for (unsigned i = 0, v = 1; i < 8; i++, v = 3 * v + 1) {
        assert_int_equal(y[i], v);
        assert_int_equal(y[15 - i], v);
    }
    assert_true(orders_agree(run));
}

SLM_KERNEL(60, 1) indices(unsigned *y) {
    unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    y[block * 60 + thread] = 1 + thread + 1000 * block;
}

static void three_dimensions(void **) {
    DeviceArray<unsigned> out(60 * 24);
    slm_launch_shape shape = {dim3(2, 3, 4), dim3(3, 4, 5), 0, nullptr};
    auto run = [&] {
        OK(SLM_LAUNCH(indices, shape, out.at));
        return out.get();
    };
    std::vector<unsigned> y = run();
    for (unsigned i = 0; i < y.size(); i++) {
        assert_int_equal(y[i], 1 + i % 60 + 1000 * (i / 60));
    }
    assert_true(orders_agree(run));
}

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(shuffles_move_values), DEVICE_TEST(votes_and_sums),
        DEVICE_TEST(blocks_share_memory),  DEVICE_TEST(copies_arrive),
        DEVICE_TEST(copies_of_every_size), DEVICE_TEST(atomics_count),
        DEVICE_TEST(grids_wait),           DEVICE_TEST(blocks_take_turns),
        DEVICE_TEST(three_dimensions),
    };
    return cmocka_run_group_tests_name("collectives", tests, nullptr, nullptr);
}
