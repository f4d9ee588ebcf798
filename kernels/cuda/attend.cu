/* Attention over the pages. Tokens are taken in segments (attend_tile.cuh), segments in chunks of
 * SLM_CUDA_CHUNK, chunks in order, in two ways that give the same bits:
 *
 *   few queries    a block has one tile and one chunk, a warp a segment of it; chunks are put
 *                  together by a kernel of their own
 *   many           a warp has one tile and goes over all its tokens; warps of a block read the same
 *                  keys and values at about the same time
 *
 * Caches of floats are for exact comparisons: there a warp has one query and plain arithmetic.
 *
 * Differential attention is this with keys and values of two heads as those of one, and queries
 * whose half for the other key is zero: both softmaxes of a pair read each value once. */
#include "attend_tile.cuh"

namespace {

using namespace slm;

constexpr int n_warps = 4;
constexpr int d_most = 256;
constexpr uint32_t chunk_segments = SLM_CUDA_CHUNK / segment_tokens;
static_assert(chunk_segments == n_warps, "a warp takes a segment of a chunk");

/* Rows times heads up to which queries are few. */
constexpr uint32_t few_queries = 512;

/* Segments of a tile: [first, last]. */
__device__ uint32_t first_segment(const Tile &tile) {
    return tile.first / segment_tokens;
}
__device__ uint32_t last_segment(const Tile &tile) {
    return (tile.last - 1) / segment_tokens;
}

/* ---------------------------------------------------------------- few queries ---------------- */

/* Adds what other warps of the block had before, and leaves the sum for the next; they lie as the
 * lanes hold them. */
template <int Most>
__device__ void join_before(Sums<Most> &sums, const float4 *shared, const float4 *heads, int d,
                            int lane) {
    const float4 before = heads[lane];
    const Join join[2] = {Join(before.x, sums.largest[0]), Join(before.y, sums.largest[1])};
    sums.weight[0] = join[0](before.z, sums.weight[0]);
    sums.weight[1] = join[1](before.w, sums.weight[1]);
    SLM_UNROLL
    for (int i = 0; i < 2; i++)
        sums.largest[i] = join[i].largest;
    SLM_UNROLL
    for (int j = 0; j < Most / 8; j++) {
        if (8 * j >= d)
            break;
        const float4 x = shared[j * 32 + lane];
        sums.of[j][0] = join[0](x.x, sums.of[j][0]);
        sums.of[j][1] = join[0](x.y, sums.of[j][1]);
        sums.of[j][2] = join[1](x.z, sums.of[j][2]);
        sums.of[j][3] = join[1](x.w, sums.of[j][3]);
    }
}

template <int Most>
__device__ void leave(const Sums<Most> &sums, float4 *shared, float4 *heads, int d, int lane) {
    heads[lane] = make_float4(sums.largest[0], sums.largest[1], sums.weight[0], sums.weight[1]);
    SLM_UNROLL
    for (int j = 0; j < Most / 8; j++) {
        if (8 * j >= d)
            break;
        const float *x = sums.of[j];
        shared[j * 32 + lane] = make_float4(x[0], x[1], x[2], x[3]);
    }
}

/* Sums of query i to d floats each, times `factor`. */
template <int Most>
__device__ void store(float *to, const Sums<Most> &sums, int i, float factor, int d, int lane) {
    SLM_UNROLL
    for (int j = 0; j < Most / 8; j++) {
        if (8 * j >= d)
            break;
        *(float2 *)(to + 8 * j + lane % 4 * 2) = make_float2(
            __fmul_rn(sums.of[j][2 * i], factor), __fmul_rn(sums.of[j][2 * i + 1], factor));
    }
}

template <int Type, int D>
SLM_KERNEL(32 * n_warps, D == 64 || D == 80 ? 3 : 2)
attend_chunk(Attend a) {
    SLM_DYNAMIC_SHARED(uint4, staged);
    SLM_SHARED(float4[32], heads);
    const uint32_t row = blockIdx.x, chunk = blockIdx.y;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, d = head_size<D>(a);
    constexpr int Most = D ? D : d_most;
    /* A tile begins at each multiple of its rows, and where the session changes. */
    if (row % a.tile_rows != 0 && a.rows[row - 1].slot == a.rows[row].slot)
        return;
    const uint32_t row_end = min(a.n_rows, row + a.tile_rows - row % a.tile_rows);
    const Tile tile(a, row, row_end, blockIdx.z);
    const uint32_t first = max(first_segment(tile), chunk * chunk_segments);
    const uint32_t last = min(last_segment(tile), chunk * chunk_segments + chunk_segments - 1);
    if (first > last)
        return;

    stage_queries<D>(staged, a, tile, warp, n_warps, lane);
    __syncthreads();
    const uint32_t segment = chunk * chunk_segments + warp;
    Sums<Most> sums;
    if (segment >= first && segment <= last)
        take_segment<Type, D, Most, false>(sums, a, tile, staged, segment * segment_tokens,
                                           Columns{0, d}, lane);
    float4 *shared = (float4 *)staged;
    for (uint32_t turn = first; turn <= last; turn++) {
        __syncthreads();
        if (turn == segment && turn > first)
            join_before(sums, shared, heads, d, lane);
        if (turn == segment && turn < last)
            leave(sums, shared, heads, d, lane);
    }
    if (segment != last)
        return;
    SLM_UNROLL
    for (int i = 0; i < 2; i++) {
        const Query query(a, tile, lane / 4 + 8 * i);
        if (!query.is_real)
            continue;
        if (a.n_chunks == 1) {
            store(a.out + query.at * d, sums, i, __frcp_rn(sums.weight[i]), d, lane);
            continue;
        }
        const size_t at = query.at * a.n_chunks + chunk;
        store(a.sums + at * d, sums, i, 1.0f, d, lane);
        if (lane % 4 == 0)
            a.maxima[at] = make_float2(sums.largest[i], sums.weight[i]);
    }
}

/* An element of a head of a row a thread. */
SLM_KERNEL(d_most, 1) join_chunks(Attend a) {
    const uint32_t head = blockIdx.x, row = blockIdx.y, i = threadIdx.x;
    const Span span(a.rows[row], a.cache.window);
    const uint32_t first = span.begin / SLM_CUDA_CHUNK;
    const uint32_t last = min((span.end - 1) / SLM_CUDA_CHUNK, a.n_chunks - 1);
    const size_t query = (size_t)row * a.n_heads + head;
    if (i >= a.d)
        return;
    float2 of = make_float2(-INFINITY, 0);
    float sum = 0;
    for (uint32_t chunk = first; chunk <= last; chunk++) {
        const size_t at = query * a.n_chunks + chunk;
        const float2 next = a.maxima[at];
        const Join join(of.x, next.x);
        sum = join(sum, a.sums[at * a.d + i]);
        of = make_float2(join.largest, join(of.y, next.y));
    }
    a.out[query * a.d + i] = __fmul_rn(sum, __frcp_rn(of.y));
}

/* ---------------------------------------------------------------- many ----------------------- */

/* Columns of a block: as many as registers can hold. Where there are more, several blocks take
 * them, each with all of the scores. */
__host__ __device__ constexpr int columns_for(int d) {
    return d == 0 ? 96 : d;
}

/* Adds the sums of a chunk to those before it, which stand in the result: the same as join_chunks.
 */
template <int Most>
__device__ void add_chunk(const Attend &a, const Query &query, const Sums<Most> &sums, int i,
                          float2 *before, bool is_first, bool is_last, Columns columns, int lane) {
    const Join join(before->x, sums.largest[i]);
    const float weight = join(before->y, sums.weight[i]);
    *before = make_float2(join.largest, weight);
    if (!query.is_real)
        return;
    const float factor = is_last ? __frcp_rn(weight) : 1.0f;
    float *to = a.out + query.at * a.d + columns.first + lane % 4 * 2;
    SLM_UNROLL
    for (int j = 0; j < Most / 8; j++) {
        if (8 * j >= columns.n)
            break;
        float2 x = is_first ? make_float2(0, 0) : *(const float2 *)(to + 8 * j);
        x.x = join(x.x, sums.of[j][2 * i]);
        x.y = join(x.y, sums.of[j][2 * i + 1]);
        *(float2 *)(to + 8 * j) = make_float2(__fmul_rn(x.x, factor), __fmul_rn(x.y, factor));
    }
}

/* before: [2][32], what the chunks before had of largest scores and weights. */
template <int Type, int D>
__device__ __forceinline__ void attend_tile(const Attend &a, const Tile &tile, uint4 *staged,
                                            float2 *before, Columns columns, int lane) {
    __syncwarp();
    stage_queries<D>(staged, a, tile, 0, 1, lane);
    __syncwarp();
    before[lane] = before[32 + lane] = make_float2(-INFINITY, 0);
    for (uint32_t segment = first_segment(tile); segment <= last_segment(tile);) {
        const bool is_first = segment == first_segment(tile);
        const uint32_t last = min(last_segment(tile), segment | (chunk_segments - 1));
        Sums<columns_for(D)> sums;
        for (; segment <= last; segment++)
            take_segment<Type, D, columns_for(D), true>(sums, a, tile, staged,
                                                        segment * segment_tokens, columns, lane);
        SLM_UNROLL
        for (int i = 0; i < 2; i++)
            add_chunk(a, Query(a, tile, lane / 4 + 8 * i), sums, i, &before[32 * i + lane],
                      is_first, segment > last_segment(tile), columns, lane);
    }
}

template <int Type, int D> SLM_KERNEL(32 * n_warps, 2) attend_rows(Attend a) {
    SLM_DYNAMIC_SHARED(uint4, staged);
    SLM_SHARED(float2[n_warps][2 * 32], before);
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, d = head_size<D>(a);
    const int column = columns_for(D) == D ? 0 : (int)blockIdx.z * columns_for(D);
    const Columns columns = {column, min(d - column, columns_for(D))};
    /* The last rows have the most to do: they begin. */
    const uint32_t tile_index = (gridDim.x - 1 - blockIdx.x) * (blockDim.x / 32) + warp;
    const uint32_t row_end = min(a.n_rows, (tile_index + 1) * a.tile_rows);
    for (uint32_t row = tile_index * a.tile_rows; row < row_end;) {
        const Tile tile(a, row, row_end, blockIdx.y);
        attend_tile<Type, D>(a, tile, staged + warp * (staged_bytes(d) / sizeof *staged),
                             before[warp], columns, lane);
        row += tile.n_rows;
    }
}

/* ---------------------------------------------------------------- floats --------------------- */

SLM_KERNEL(32, 1) attend_floats(Attend a) {
    SLM_SHARED(float[d_most], q);
    const uint32_t head = blockIdx.x, row = blockIdx.y, d = a.d;
    const int lane = (int)threadIdx.x;
    const uint32_t kv_head = head / (a.n_heads / a.n_kv_heads);
    const Span span(a.rows[row], a.cache.window);
    const Plane keys(a.cache, a.rows[row].slot, a.kv_index, 0, kv_head);
    const size_t query = ((size_t)row * a.n_heads + head) * d;
    for (uint32_t i = lane; i < d; i += 32)
        q[i] = a.q[query + i] * a.scale;
    __syncwarp();

    float largest = -INFINITY, weight = 0, sums[d_most / 32] = {0};
    for (uint32_t start = span.begin & ~31u; start < span.end; start += 32) {
        const uint32_t token = start + lane;
        float s = -INFINITY;
        if (token >= span.begin && token < span.end) {
            const float *k = (const float *)keys.group_of(token) + token % group_tokens * d;
            s = 0;
            for (uint32_t i = 0; i < d; i++)
                s = __fmaf_rn(q[i], k[i], s);
        }
        const float before = largest;
        largest = fmaxf(largest, warp_max(s));
        const float factor = exp2f(before - largest), p = exp2f(s - largest);
        weight = __fmaf_rn(weight, factor, p);
        SLM_UNROLL
        for (int j = 0; j < d_most / 32; j++)
            sums[j] *= factor;
        for (uint32_t t = max(start, span.begin); t < min(start + 32, span.end); t++) {
            const float of_token = __shfl_sync(0xffffffffu, p, (int)(t - start));
            const float *v = (const float *)(keys.group_of(t) + a.cache.plane_bytes);
            SLM_UNROLL
            for (int j = 0; j < d_most / 32; j++) {
                const uint32_t i = 32 * j + lane;
                if (i < d)
                    sums[j] = __fmaf_rn(of_token, v[i * group_tokens + place_of(t % group_tokens)],
                                        sums[j]);
            }
        }
    }
    weight = warp_sum(weight);
    SLM_UNROLL
    for (int j = 0; j < d_most / 32; j++) {
        if (32 * j + lane < (int)d)
            a.out[query + 32 * j + lane] = sums[j] / weight;
    }
}

/* ---------------------------------------------------------------- pairs ---------------------- */

/* A pair of a row a warp. */
SLM_KERNEL(32 * n_warps, 1)
join_pairs(float *y, const float *x, const float *norm, float lambda, float eps, uint32_t n,
           uint32_t n_pairs) {
    const uint32_t pair = blockIdx.x * n_warps + threadIdx.x / 32, lane = threadIdx.x % 32;
    const size_t at = ((size_t)blockIdx.y * n_pairs + pair) * n;
    if (pair >= n_pairs)
        return;
    float difference[d_most / 32], sum = 0;
    SLM_UNROLL
    for (uint32_t j = 0; j < d_most / 32; j++) {
        const uint32_t i = 32 * j + lane;
        difference[j] = i < n ? x[2 * at + i] - lambda * x[2 * at + n + i] : 0.0f;
        sum = fmaf(difference[j], difference[j], sum);
    }
    const float scale = 1.0f / sqrtf(warp_sum(sum) / (float)n + eps);
    SLM_UNROLL
    for (uint32_t j = 0; j < d_most / 32; j++) {
        const uint32_t i = 32 * j + lane;
        if (i < n)
            y[at + i] = difference[j] * scale * norm[i];
    }
}

/* ---------------------------------------------------------------- launches ------------------- */

bool are_few(uint32_t n_rows, uint32_t n_heads) {
    return (uint64_t)n_rows * n_heads <= few_queries;
}

template <int Type, int D> cudaError_t launch(cudaStream_t stream, const Attend &a) {
    const uint32_t n_units = a.n_kv_heads * a.head_tiles;
    if (!are_few(a.n_rows, a.n_heads)) {
        const uint32_t warps = a.d <= 128 ? n_warps : n_warps / 2; /* 32 KiB */
        const uint32_t rows = warps * a.tile_rows;
        const uint32_t parts = (a.d + columns_for(D) - 1) / columns_for(D);
        const slm_launch_shape shape = {dim3((a.n_rows + rows - 1) / rows, n_units, parts),
                                        dim3(32 * warps), warps * staged_bytes((int)a.d), stream};
        return SLM_LAUNCH((attend_rows<Type, D>), shape, a);
    }
    const slm_launch_shape shape = {dim3(a.n_rows, a.n_chunks, n_units), dim3(32 * n_warps),
                                    staged_bytes((int)a.d), stream};
    const cudaError_t error = SLM_LAUNCH((attend_chunk<Type, D>), shape, a);
    if (error != cudaSuccess || a.n_chunks == 1)
        return error;
    const slm_launch_shape join = {dim3(a.n_heads, a.n_rows), dim3((a.d + 31) & ~31u), 0, stream};
    return SLM_LAUNCH(join_chunks, join, a);
}

template <int Type> cudaError_t launch_for(cudaStream_t stream, const Attend &a) {
    switch (a.d) {
    case 64:
        return launch<Type, 64>(stream, a);
    case 80:
        return launch<Type, 80>(stream, a);
    case 96:
        return launch<Type, 96>(stream, a);
    case 128:
        return launch<Type, 128>(stream, a);
    default:
        return launch<Type, 0>(stream, a);
    }
}

} /* namespace */

size_t slm_cuda_attend_bytes(uint32_t n_rows, uint32_t n_heads, uint32_t d, uint32_t n_chunks) {
    uint64_t queries = (uint64_t)n_rows * n_heads;
    if (queries > few_queries)
        queries = few_queries;
    return (size_t)queries * n_chunks * (d * sizeof(float) + sizeof(float2));
}

int slm_cuda_attend(slm_cuda_stream *s, float *out, const float *q, const slm_cuda_heads *h,
                    const slm_cuda_cache *cache, const slm_cuda_row *rows, uint32_t n_rows,
                    uint32_t n_chunks, void *partial) {
    const uint32_t span = h->is_paired ? 2 : 1, d = span * h->d, n_kv_heads = h->n_kv_heads / span;
    if (d == 0 || d > d_most || h->d % (16 * span) != 0 || n_kv_heads == 0 ||
        h->n_kv_heads % span != 0 || h->n_heads % n_kv_heads != 0 || cache->page_shift < 4 ||
        n_chunks == 0)
        return (int)cudaErrorInvalidValue;
    if (n_rows == 0)
        return 0;
    const uint32_t group = h->n_heads / n_kv_heads;
    Attend a = {};
    a.out = out;
    a.q = q;
    a.maxima = (float2 *)partial;
    a.sums = (float *)(a.maxima + (size_t)n_rows * h->n_heads * n_chunks);
    a.cache = *cache;
    a.rows = rows;
    a.n_rows = n_rows;
    a.n_chunks = n_chunks;
    a.n_heads = h->n_heads;
    a.n_kv_heads = n_kv_heads;
    a.d = d;
    a.kv_index = h->kv_index;
    a.tile_heads = group < tile_queries ? group : tile_queries;
    a.head_tiles = (group + tile_queries - 1) / tile_queries;
    a.tile_rows = tile_queries / a.tile_heads;
    const float log2_e = 1.44269504f;
    a.scale = log2_e / sqrtf((float)h->d);
    switch (cache->type) {
    case SLM_KVT_F16:
        return (int)launch_for<SLM_KVT_F16>(s->stream, a);
    case SLM_KVT_Q8_0:
        return (int)launch_for<SLM_KVT_Q8_0>(s->stream, a);
    case SLM_KVT_F32: {
        const slm_launch_shape shape = {dim3(a.n_heads, n_rows), dim3(32), 0, s->stream};
        return (int)SLM_LAUNCH(attend_floats, shape, a);
    }
    default:
        return (int)cudaErrorInvalidValue;
    }
}

int slm_cuda_join_pairs(slm_cuda_stream *s, float *y, const float *x, const float *norm,
                        float lambda, float eps, uint32_t n, uint32_t n_pairs, uint32_t n_rows) {
    const slm_launch_shape shape = {dim3((n_pairs + n_warps - 1) / n_warps, n_rows),
                                    dim3(32 * n_warps), 0, s->stream};
    if (n == 0 || n > d_most || n_pairs == 0)
        return (int)cudaErrorInvalidValue;
    return n_rows == 0 ? 0
                       : (int)SLM_LAUNCH(join_pairs, shape, y, x, norm, lambda, eps, n, n_pairs);
}
