#ifndef SLM_CUDA_PTX_CUH
#define SLM_CUDA_PTX_CUH

// The instructions that CUDA C++ has no word for, each with two bodies: PTX, and the SIMT
// machine's. Included by device.cuh only. Nothing here needs more than sm_87 has; what sm_75 lacks
// is composed from what it has, but for bfloat16 matrices.

#ifdef __CUDACC__
#define SLM_SITE
#else
#define SLM_SITE , SIMT_SITE
#endif

// How far L2 fetches beyond a load; sm_75 cannot be told.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define SLM_STREAM "ld.global.nc.L1::no_allocate.L2::256B."
#else
#define SLM_STREAM "ld.global.nc.L1::no_allocate."
#endif

#ifdef __CUDACC__
SLM_DEVICE unsigned shared_address(const void *shared) {
    return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}
#endif

// ---------------------------------------------------------------- loads that pass by the cache

// Global memory that no thread writes while the kernel runs and that is read once: not kept in L1,
// and L2 fetches the 256 bytes around it. Aligned to what is loaded.
SLM_DEVICE uint4 load_stream_16(const void *global SLM_SITE) {
#ifdef __CUDACC__
    uint4 v;
    asm(SLM_STREAM "v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
        : "l"(global));
    return v;
#else
    simt::check_aligned(global, 16, SIMT_HERE);
    return *static_cast<const uint4 *>(global);
#endif
}

SLM_DEVICE uint2 load_stream_8(const void *global SLM_SITE) {
#ifdef __CUDACC__
    uint2 v;
    asm(SLM_STREAM "v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(global));
    return v;
#else
    simt::check_aligned(global, 8, SIMT_HERE);
    return *static_cast<const uint2 *>(global);
#endif
}

SLM_DEVICE unsigned load_stream_4(const void *global SLM_SITE) {
#ifdef __CUDACC__
    unsigned v;
    asm(SLM_STREAM "u32 %0, [%1];" : "=r"(v) : "l"(global));
    return v;
#else
    simt::check_aligned(global, 4, SIMT_HERE);
    return *static_cast<const unsigned *>(global);
#endif
}

// ---------------------------------------------------------------- copies into shared memory

// Start a copy from global to shared memory, both aligned to its size. Its target may not be
// touched before a cp_async_wait that covers it, and by other threads not before a barrier after
// that. Of the 16 bytes only the first from_global are read, the rest is filled with zeros.
SLM_DEVICE void cp_async_16_fill(void *shared, const void *global, unsigned from_global SLM_SITE) {
#ifndef __CUDACC__
    simt::copy_async(shared, global, 16, from_global, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile(
        "cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
        "l"(global), "r"(from_global)
        : "memory");
#else
    for (unsigned i = 0; i < 16; i++) {
        static_cast<char *>(shared)[i] =
            i < from_global ? static_cast<const char *>(global)[i] : static_cast<char>(0);
    }
#endif
}

SLM_DEVICE void cp_async_16(void *shared, const void *global SLM_SITE) {
#ifndef __CUDACC__
    simt::copy_async(shared, global, 16, 16, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(shared_address(shared)),
                 "l"(global)
                 : "memory");
#else
    *static_cast<uint4 *>(shared) = *static_cast<const uint4 *>(global);
#endif
}

SLM_DEVICE void cp_async_8(void *shared, const void *global SLM_SITE) {
#ifndef __CUDACC__
    simt::copy_async(shared, global, 8, 8, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 8;" ::"r"(shared_address(shared)),
                 "l"(global)
                 : "memory");
#else
    *static_cast<uint2 *>(shared) = *static_cast<const uint2 *>(global);
#endif
}

SLM_DEVICE void cp_async_4(void *shared, const void *global SLM_SITE) {
#ifndef __CUDACC__
    simt::copy_async(shared, global, 4, 4, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 4;" ::"r"(shared_address(shared)),
                 "l"(global)
                 : "memory");
#else
    *static_cast<unsigned *>(shared) = *static_cast<const unsigned *>(global);
#endif
}

// Closes the group of the copies that this thread has started since the last commit.
SLM_DEVICE void cp_async_commit() {
#ifndef __CUDACC__
    simt::copy_async_commit();
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most n_pending of this thread's groups are under way, the youngest.
template <int n_pending> SLM_DEVICE void cp_async_wait() {
#ifndef __CUDACC__
    simt::copy_async_wait(n_pending);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(n_pending) : "memory");
#endif
}

// ---------------------------------------------------------------- matrices of a warp

// Lane l of the warp: group g = l / 4, place t = l % 4 in it. All 32 lanes take part.

// Loads n 8x8 matrices of 16-bit elements from shared memory. Lane 8 i + r brings the address of
// row r of matrix i, aligned to 16. The lane gets in r[i] the elements (g, 2 t) and (g, 2 t + 1) of
// matrix i, or, transposed, (2 t, g) and (2 t + 1, g).
SLM_DEVICE void ldmatrix_x4(unsigned (&r)[4], const void *row SLM_SITE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
#else
    simt::load_matrices(r, row, 4, false, SIMT_HERE);
#endif
}

SLM_DEVICE void ldmatrix_x2(unsigned (&r)[2], const void *row SLM_SITE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(row))
                 : "memory");
#else
    simt::load_matrices(r, row, 2, false, SIMT_HERE);
#endif
}

SLM_DEVICE void ldmatrix_x4_trans(unsigned (&r)[4], const void *row SLM_SITE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
#else
    simt::load_matrices(r, row, 4, true, SIMT_HERE);
#endif
}

SLM_DEVICE void ldmatrix_x2_trans(unsigned (&r)[2], const void *row SLM_SITE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(row))
                 : "memory");
#else
    simt::load_matrices(r, row, 2, true, SIMT_HERE);
#endif
}

// d += a b with a 16 x 16 and b 16 x 8 halves, d 16 x 8 floats. A register holds two neighbours in
// k:
//     a[0] (g, 2t)  a[1] (g + 8, 2t)  a[2] (g, 2t + 8)  a[3] (g + 8, 2t + 8)
//     b[0] (2t, g)  b[1] (2t + 8, g)
//     d[0] (g, 2t)  d[1] (g, 2t + 1)  d[2] (g + 8, 2t)  d[3] (g + 8, 2t + 1)
SLM_DEVICE void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2] SLM_SITE) {
#ifndef __CUDACC__
    simt::mma_f16(d, a, b, d, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    for (int k = 0; k < 2; k++) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
            "{%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
    }
#endif
}

// The same with bfloat16; from sm_80 on.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
SLM_DEVICE void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2] SLM_SITE) {
#ifdef __CUDACC__
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    simt::mma_bf16(d, a, b, d, SIMT_HERE);
#endif
}
#endif

// d += a b with a 16 x 32 and b 32 x 8 signed bytes, d 16 x 8 int32. A register holds four
// neighbours in k:
//     a[0] (g, 4t)  a[1] (g + 8, 4t)  a[2] (g, 4t + 16)  a[3] (g + 8, 4t + 16)
//     b[0] (4t, g)  b[1] (4t + 16, g)
//     d as above
SLM_DEVICE void mma_s8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2] SLM_SITE) {
#ifndef __CUDACC__
    simt::mma_s8(d, a, b, d, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    for (int k = 0; k < 2; k++) {
        for (int half = 0; half < 2; half++) {
            asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, "
                "{%0, %1};"
                : "+r"(d[2 * half]), "+r"(d[2 * half + 1])
                : "r"(a[2 * k + half]), "r"(b[k]));
        }
    }
#endif
}

// d += a b with a 16 x 16 and b 16 x 8 signed bytes: a0 (g, 4t), a1 (g + 8, 4t), b0 (4t, g).
SLM_DEVICE void mma_s8_k16(int (&d)[4], unsigned a0, unsigned a1, unsigned b0 SLM_SITE) {
#ifndef __CUDACC__
    const unsigned a[4] = {a0, a1, 0, 0}, b[2] = {b0, 0};
    simt::mma_s8(d, a, b, d, SIMT_HERE);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, "
        "{%6}, {%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a0), "r"(a1), "r"(b0));
#else
    for (int half = 0; half < 2; half++) {
        asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, "
            "{%0, %1};"
            : "+r"(d[2 * half]), "+r"(d[2 * half + 1])
            : "r"(half ? a1 : a0), "r"(b0));
    }
#endif
}

// The same with unsigned bytes in b.
SLM_DEVICE void mma_s8_u8_k16(int (&d)[4], unsigned a0, unsigned a1, unsigned b0 SLM_SITE) {
#ifndef __CUDACC__
    const unsigned a[4] = {a0, a1, 0, 0};
    const unsigned low[2] = {b0 & 0x7f7f7f7fu, 0}, top[2] = {b0 >> 7 & 0x01010101u, 0};
    int tops[4] = {0, 0, 0, 0};
    simt::mma_s8(d, a, low, d, SIMT_HERE);
    simt::mma_s8(tops, a, top, tops, SIMT_HERE);
    for (int i = 0; i < 4; i++) {
        d[i] = simt::wrap(d[i] + std::int64_t{128} * tops[i]);
    }
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.u8.s32 {%0, %1, %2, %3}, {%4, %5}, "
        "{%6}, {%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a0), "r"(a1), "r"(b0));
#else
    for (int half = 0; half < 2; half++) {
        asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.u8.s32 {%0, %1}, {%2}, {%3}, "
            "{%0, %1};"
            : "+r"(d[2 * half]), "+r"(d[2 * half + 1])
            : "r"(half ? a1 : a0), "r"(b0));
    }
#endif
}

// ---------------------------------------------------------------- sums and maxima of a warp

// Of all 32 lanes, in every lane. The order of summation is that of a butterfly from 16 down to 1.
SLM_DEVICE float warp_sum(float x SLM_SITE) {
#ifdef __CUDACC__
    SLM_UNROLL
    for (int bits = 16; bits > 0; bits >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, bits);
    }
    return x;
#else
    *simt::lane_in() = __float_as_uint(x);
    simt::collective("warp_sum", simt::full_mask, simt::combine_sum_f32, SIMT_HERE);
    return __uint_as_float(*simt::lane_out());
#endif
}

SLM_DEVICE float warp_max(float x SLM_SITE) {
#ifdef __CUDACC__
    SLM_UNROLL
    for (int bits = 16; bits > 0; bits >>= 1) {
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, bits));
    }
    return x;
#else
    *simt::lane_in() = __float_as_uint(x);
    simt::collective("warp_max", simt::full_mask, simt::combine_max_f32, SIMT_HERE);
    return __uint_as_float(*simt::lane_out());
#endif
}

// One instruction from sm_80 on.
SLM_DEVICE int warp_sum_int(int x SLM_SITE) {
#ifndef __CUDACC__
    *simt::lane_in() = static_cast<std::uint32_t>(x);
    simt::collective("warp_sum_int", simt::full_mask, simt::combine_add, SIMT_HERE);
    return static_cast<int>(*simt::lane_out());
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    int sum;
    asm volatile("redux.sync.add.s32 %0, %1, 0xffffffff;" : "=r"(sum) : "r"(x));
    return sum;
#else
    for (int bits = 16; bits > 0; bits >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, bits);
    }
    return x;
#endif
}

SLM_DEVICE int warp_max_int(int x SLM_SITE) {
#ifndef __CUDACC__
    *simt::lane_in() = static_cast<std::uint32_t>(x);
    simt::collective("warp_max_int", simt::full_mask, simt::combine_max, SIMT_HERE);
    return static_cast<int>(*simt::lane_out());
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    int most;
    asm volatile("redux.sync.max.s32 %0, %1, 0xffffffff;" : "=r"(most) : "r"(x));
    return most;
#else
    for (int bits = 16; bits > 0; bits >>= 1) {
        x = max(x, __shfl_xor_sync(0xffffffffu, x, bits));
    }
    return x;
#endif
}

// ---------------------------------------------------------------- arithmetic

// c + the sum of four products of unsigned bytes of a and signed bytes of b.
SLM_DEVICE int dp4a_us(unsigned a, int b, int c) {
#ifdef __CUDACC__
    int sum;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
    return sum;
#else
    return simt::wrap(simt::dot4<std::uint8_t, std::int8_t>(a, static_cast<unsigned>(b)) + c);
#endif
}

// Four of the eight bytes of a (0 to 3) and b (4 to 7): nibble i of the selectors says which is byte
// i of the result, and with 8 added, that its sign is in all bits.
SLM_DEVICE unsigned prmt(unsigned a, unsigned b, unsigned selectors) {
#ifdef __CUDACC__
    unsigned result;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(selectors));
    return result;
#else
    return __byte_perm(a, b, selectors);
#endif
}

// The upper 16 bits; a product, for where shifts are short.
SLM_DEVICE unsigned upper_half(unsigned v) {
#ifdef __CUDACC__
    unsigned half;
    asm("dp2a.lo.u32.u32 %0, %1, 0x0100, 0;" : "=r"(half) : "r"(v));
    return half;
#else
    return v >> 16;
#endif
}

// Any function of three bits, bit by bit: table is the function applied to 0xf0, 0xcc and 0xaa.
template <int table> SLM_DEVICE unsigned lop3(unsigned a, unsigned b, unsigned c) {
#ifdef __CUDACC__
    unsigned result;
    asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(result) : "r"(a), "r"(b), "r"(c), "n"(table));
    return result;
#else
    unsigned result = 0;
    for (int i = 0; i < 8; i++) {
        if (table >> i & 1) {
            result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
        }
    }
    return result;
#endif
}

// x, which from here on stays in its register: the compiler does not compute it anew where it is used.
SLM_DEVICE unsigned keep(unsigned x) {
#ifdef __CUDACC__
    asm volatile("" : "+r"(x));
#endif
    return x;
}

// Approximations of the special function unit, good to about 2^-22.
SLM_DEVICE float exp2_fast(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

SLM_DEVICE float rcp_fast(float x) {
#ifdef __CUDACC__
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1.0f / x;
#endif
}

SLM_DEVICE float rsqrt_fast(float x) {
#ifdef __CUDACC__
    float y;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1.0f / sqrtf(x);
#endif
}

// Two halves of a word, the lower one first.
SLM_DEVICE float2 halves_to_float2(unsigned halves) {
#ifdef __CUDACC__
    return __half22float2(*reinterpret_cast<const __half2 *>(&halves));
#else
    return make_float2(simt::half_to_float(static_cast<std::uint16_t>(halves)),
                       simt::half_to_float(static_cast<std::uint16_t>(halves >> 16)));
#endif
}

// ---------------------------------------------------------------- between blocks

// What was stored before a release is seen after an acquire that reads what it stored.
SLM_DEVICE unsigned load_acquire(const unsigned *global) {
#ifdef __CUDACC__
    unsigned v;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(global) : "memory");
    return v;
#else
    return *global;
#endif
}

SLM_DEVICE void store_release(unsigned *global, unsigned v) {
#ifdef __CUDACC__
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(global), "r"(v) : "memory");
#else
    *global = v;
#endif
}

SLM_DEVICE unsigned add_acq_rel(unsigned *global, unsigned v) {
#ifdef __CUDACC__
    unsigned old;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
                 : "=r"(old)
                 : "l"(global), "r"(v)
                 : "memory");
    return old;
#else
    return atomicAdd(global, v);
#endif
}

// All threads of all blocks of a cooperative launch.
#ifdef __CUDACC__
SLM_DEVICE void grid_sync() {
    cooperative_groups::this_grid().sync();
}
#else
inline void grid_sync(SIMT_SITE) {
    simt::grid_barrier(SIMT_HERE);
}
#endif

// In a loop that waits for another block's store; of a cooperative launch, or it never comes.
#ifdef __CUDACC__
SLM_DEVICE void spin_pause() {
    __nanosleep(32);
}
#else
inline void spin_pause(SIMT_SITE) {
    simt::pause(SIMT_HERE);
}
#endif

#endif
