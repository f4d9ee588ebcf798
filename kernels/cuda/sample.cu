/* The best of rows of logits: what the choice of a token mostly needs, so that the rest stays here.
 *
 * A block takes a chunk of a row, or of what blocks before it have kept, and keeps the n_kept
 * largest: it looks for the value from which on there are just so many, bit by bit. What it keeps
 * lies in ascending order of the index, so that of equals those come first that have the lowest.
 * Chunks of 4096 logits, then of 16384 that were kept: two launches for 262144 logits. */
#include "device.cuh"

#include "slm_cuda.h"

namespace {

constexpr int n_first = 256, n_merge = 1024; /* threads of a block                                  */
constexpr int per_thread = 16;
constexpr uint32_t n_kept = SLM_CUDA_BEST, sign = 0x80000000u, inf_bits = 0x7f800000u;
constexpr float log2_e = 1.44269504f;

/* Floats as integers of the same order, both zeros alike; 0 is no float. */
SLM_DEVICE uint32_t order_of(float x) {
    const uint32_t bits = __float_as_uint(x);
    return bits & sign ? 0u - bits : bits | sign;
}

SLM_DEVICE float of_order(uint32_t key) {
    return __uint_as_float(key & sign ? key ^ sign : 0u - key);
}

/* What a thread holds of a chunk: warps have neighbouring pieces of 32 * per_thread, and lanes
 * neighbours. 0: nothing is there. */
typedef uint32_t Keys[per_thread];

SLM_DEVICE uint32_t place_of(int i) {
    return threadIdx.x / 32 * (32 * per_thread) + 32 * (uint32_t)i + threadIdx.x % 32;
}

SLM_DEVICE void load_keys(Keys &key, const float *x, uint32_t n) {
    SLM_UNROLL
    for (int i = 0; i < per_thread; i++)
        key[i] = place_of(i) < n ? order_of(x[place_of(i)]) : 0;
}

/* ---------------------------------------------------------------- of a block's threads --------- */

/* Of a word of each warp; in all threads. `words` may be used again after the next barrier. */
SLM_DEVICE int sum_of_warps(int x, int *words) {
    const uint32_t lane = threadIdx.x % 32;
    x = warp_sum_int(x);
    if (lane == 0)
        words[threadIdx.x / 32] = x;
    __syncthreads();
    return warp_sum_int(lane < blockDim.x / 32 ? words[lane] : 0);
}

SLM_DEVICE uint32_t max_of_warps(uint32_t key, int *words) {
    const uint32_t lane = threadIdx.x % 32;
    const int x = warp_max_int((int)(key ^ sign));
    if (lane == 0)
        words[threadIdx.x / 32] = x;
    __syncthreads();
    return (uint32_t)warp_max_int(lane < blockDim.x / 32 ? words[lane] : (int)sign) ^ sign;
}

SLM_DEVICE float sum_of_warps(float x, float *words) {
    const uint32_t lane = threadIdx.x % 32;
    x = warp_sum(x);
    if (lane == 0)
        words[threadIdx.x / 32] = x;
    __syncthreads();
    return warp_sum(lane < blockDim.x / 32 ? words[lane] : 0.0f);
}

/* Words of shared memory: two sets for what takes turns. */
template <int n_threads> struct Scratch {
    int words[2][n_threads / 32];
    float sums[n_threads / 32];
};

/* ---------------------------------------------------------------- selection -------------------- */

/* What is kept: all that is larger than key, and of those that are equal the first n_equal. */
struct Cut {
    uint32_t key, n_equal;
};

template <int n_threads>
SLM_DEVICE Cut find_cut(const Keys &key, uint32_t n, Scratch<n_threads> &scratch) {
    if (n <= n_kept)
        return {1, n_kept};
    uint32_t cut = 0, n_above = 0;
    for (int bit = 31; bit >= 0; bit--) {
        const uint32_t least = cut | 1u << bit;
        int count = 0;
        SLM_UNROLL
        for (int i = 0; i < per_thread; i++)
            count += key[i] >= least;
        const uint32_t n_from = (uint32_t)sum_of_warps(count, scratch.words[bit % 2]);
        if (n_from == n_kept)
            return {least, n_kept};
        if (n_from > n_kept)
            cut = least;
        else
            n_above = n_from;
    }
    return {cut, n_kept - n_above};
}

/* Where kept elements go: those of the row's chunk x [n], which `index` tells the places of, or that
 * begin at `base`. */
template <int n_threads>
SLM_DEVICE void keep(const Keys &key, const Cut &cut, const float *x, const uint32_t *index,
                     uint32_t base, float *value_out, uint32_t *index_out,
                     Scratch<n_threads> &scratch) {
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, lower = (1u << lane) - 1;
    int n_above = 0, n_equal = 0; /* of the warp */
    SLM_UNROLL
    for (int i = 0; i < per_thread; i++) {
        n_above += __popc(__ballot_sync(0xffffffffu, key[i] > cut.key));
        n_equal += __popc(__ballot_sync(0xffffffffu, key[i] == cut.key));
    }
    __syncthreads(); /* the words were read */
    if (lane == 0) {
        scratch.words[0][warp] = n_above;
        scratch.words[1][warp] = n_equal;
    }
    __syncthreads();
    const bool is_before = lane < warp;
    const uint32_t above = (uint32_t)warp_sum_int(is_before ? scratch.words[0][lane] : 0);
    uint32_t equal = (uint32_t)warp_sum_int(is_before ? scratch.words[1][lane] : 0);
    uint32_t at = above + min(equal, cut.n_equal);
    SLM_UNROLL
    for (int i = 0; i < per_thread; i++) {
        const bool is_equal = key[i] == cut.key;
        const uint32_t equals = __ballot_sync(0xffffffffu, is_equal);
        const bool stays = key[i] > cut.key ||
                           (is_equal && equal + (uint32_t)__popc(equals & lower) < cut.n_equal);
        const uint32_t staying = __ballot_sync(0xffffffffu, stays);
        if (stays) {
            const uint32_t to = at + (uint32_t)__popc(staying & lower), from = place_of(i);
            value_out[to] = x[from];
            index_out[to] = index ? index[from] : base + from;
        }
        at += (uint32_t)__popc(staying);
        equal += (uint32_t)__popc(equals);
    }
}

/* ---------------------------------------------------------------- kernels ---------------------- */

/* Of the chunks of a row. */
struct Chunk {
    float max, sum; /* of exp(x - max)                                                              */
    uint32_t is_finite;
};

/* The scratch of a row: what its chunks are, and the lists of what is kept, values before indices. */
struct Partial {
    uint8_t *memory;
    size_t row_bytes;
};

/* A list of n in a row's scratch. */
struct List {
    size_t at;
    uint32_t n;
};

SLM_DEVICE float *values_of(uint8_t *row, const List &list) {
    return (float *)(row + list.at);
}

SLM_DEVICE uint32_t *indices_of(uint8_t *row, const List &list) {
    return (uint32_t *)(row + list.at) + list.n;
}

SLM_KERNEL(n_first, 3) best_of_chunks(slm_cuda_choice c, Partial partial, List to) {
    SLM_SHARED(Scratch<n_first>, scratch);
    const uint32_t r = c.rows[blockIdx.y], begin = blockIdx.x * (n_first * per_thread);
    if (r >= c.n_slots)
        return;
    const float *x = c.logits + (size_t)r * c.n + begin;
    const uint32_t n = min(c.n - begin, (uint32_t)(n_first * per_thread));
    Keys key;
    load_keys(key, x, n);

    uint32_t most = 0;
    int is_odd = 0;
    SLM_UNROLL
    for (int i = 0; i < per_thread; i++)
        if (key[i]) {
            most = max(most, key[i]);
            is_odd |= (__float_as_uint(of_order(key[i])) & inf_bits) == inf_bits;
        }
    const float max = of_order(max_of_warps(most, scratch.words[0]));
    is_odd = __syncthreads_or(is_odd);
    float sum = 0.0f;
    SLM_UNROLL
    for (int i = 0; i < per_thread; i++)
        if (key[i])
            sum += exp2_fast((of_order(key[i]) - max) * log2_e);
    sum = sum_of_warps(sum, scratch.sums);

    uint8_t *row = partial.memory + r * partial.row_bytes;
    if (threadIdx.x == 0) {
        const Chunk chunk = {max, sum, !is_odd};
        ((Chunk *)row)[blockIdx.x] = chunk;
    }
    const Cut cut = find_cut<n_first>(key, n, scratch);
    keep<n_first>(key, cut, x, nullptr, begin, values_of(row, to) + blockIdx.x * n_kept,
                  indices_of(row, to) + blockIdx.x * n_kept, scratch);
}

/* What chunks of a list keep of it. A single one gives the row's result. */
SLM_KERNEL(n_merge, 1)
merge_best(slm_cuda_choice c, Partial partial, uint32_t n_chunks, List from, List to) {
    SLM_SHARED(Scratch<n_merge>, scratch);
    const uint32_t r = c.rows[blockIdx.y], begin = blockIdx.x * (n_merge * per_thread);
    if (r >= c.n_slots)
        return;
    uint8_t *row = partial.memory + r * partial.row_bytes;
    const float *x = values_of(row, from) + begin;
    const uint32_t *index = indices_of(row, from) + begin;
    const uint32_t n = min(from.n - begin, (uint32_t)(n_merge * per_thread));
    const bool is_last = gridDim.x == 1;
    slm_cuda_best *best = c.best + r;
    Keys key;
    load_keys(key, x, n);
    const Cut cut = find_cut<n_merge>(key, n, scratch);
    keep<n_merge>(key, cut, x, index, 0,
                  is_last ? best->value : values_of(row, to) + blockIdx.x * n_kept,
                  is_last ? best->index : indices_of(row, to) + blockIdx.x * n_kept, scratch);
    if (!is_last)
        return;

    const Chunk *chunks = (const Chunk *)row;
    uint32_t most = 0;
    int is_odd = 0;
    for (uint32_t i = threadIdx.x; i < n_chunks; i += n_merge) {
        most = max(most, order_of(chunks[i].max));
        is_odd |= !chunks[i].is_finite;
    }
    is_odd = __syncthreads_or(is_odd); /* the words were read, too */
    const float max = of_order(max_of_warps(most, scratch.words[0]));
    float sum = 0.0f;
    for (uint32_t i = threadIdx.x; i < n_chunks; i += n_merge)
        sum += chunks[i].sum * exp2_fast((chunks[i].max - max) * log2_e);
    sum = sum_of_warps(sum, scratch.sums);
    for (uint32_t i = threadIdx.x; i < SLM_CUDA_NAMED; i += n_merge)
        best->named[i] = c.logits[(size_t)r * c.n + c.named[r * SLM_CUDA_NAMED + i]];
    if (threadIdx.x == 0) {
        best->n = min(c.n, n_kept);
        best->is_finite = !is_odd;
        best->sum = sum;
    }
}

/* ---------------------------------------------------------------- launches --------------------- */

uint32_t chunks_of(uint32_t n, int n_threads) {
    const uint32_t chunk = (uint32_t)(n_threads * per_thread);
    return n / chunk + (n % chunk != 0);
}

uint32_t kept_of(uint32_t n, int n_threads) {
    const uint32_t chunk = (uint32_t)(n_threads * per_thread), rest = n % chunk;
    return n / chunk * n_kept + (rest < n_kept ? rest : n_kept);
}

/* What follows a list. */
List next_list(const List &list, int n_threads) {
    return {list.at + 2 * sizeof(float) * list.n, kept_of(list.n, n_threads)};
}

List first_list(uint32_t n) {
    return {chunks_of(n, n_first) * sizeof(Chunk), kept_of(n, n_first)};
}

size_t row_bytes(uint32_t n) {
    List list = first_list(n);
    while (chunks_of(list.n, n_merge) > 1)
        list = next_list(list, n_merge);
    return list.at + 2 * sizeof(float) * list.n;
}

} /* namespace */

extern "C" size_t slm_cuda_best_bytes(uint32_t n, uint32_t n_slots) {
    return n_slots * row_bytes(n);
}

extern "C" int slm_cuda_best_of(slm_cuda_stream *s, const slm_cuda_choice *c, uint32_t n_rows) {
    const uint32_t n_chunks = chunks_of(c->n, n_first);
    const Partial partial = {(uint8_t *)c->partial, row_bytes(c->n)};
    List list = first_list(c->n);
    const slm_launch_shape first = {dim3(n_chunks, n_rows), dim3(n_first), 0, s->stream};
    int error = (int)SLM_LAUNCH(best_of_chunks, first, *c, partial, list);
    for (uint32_t n_blocks = 0; error == 0 && n_blocks != 1;) {
        const List to = next_list(list, n_merge);
        n_blocks = chunks_of(list.n, n_merge);
        const slm_launch_shape merge = {dim3(n_blocks, n_rows), dim3(n_merge), 0, s->stream};
        error = (int)SLM_LAUNCH(merge_best, merge, *c, partial, n_chunks, list, to);
        list = to;
    }
    return error;
}
