/* Where the keys and values of a head lie in the pages (slm_cuda_cache), for the kernels that write
 * and read them. */
#ifndef SLM_CUDA_ATTEND_CUH
#define SLM_CUDA_ATTEND_CUH

#include "device.cuh"

#include "slm_cuda.h"

namespace slm {

constexpr int group_tokens = 16;

/* The keys or values of one head of one layer. */
struct Plane {
    uint8_t *memory;       /* of page 0 */
    const uint32_t *table; /* of the session */
    size_t page_bytes;
    uint32_t group_bytes, page_shift;

    __device__ Plane(const slm_cuda_cache &c, uint32_t slot, uint32_t kv_index, int is_v,
                     uint32_t kv_head)
        : memory(c.memory + (2 * (size_t)kv_index + is_v) * c.plane_bytes + kv_head * c.head_bytes),
          table(c.tables + (size_t)slot * c.table_stride), page_bytes(c.page_bytes),
          group_bytes((uint32_t)(c.head_bytes >> c.page_shift) * group_tokens),
          page_shift(c.page_shift) {}

    /* The group of sixteen tokens that this one is in. */
    __device__ uint8_t *group_of(uint32_t token) const {
        const uint32_t in_page = token & ((1u << page_shift) - 1);
        return memory + __ldg(table + (token >> page_shift)) * page_bytes +
               in_page / group_tokens * group_bytes;
    }
};

/* Where token t of a group stands among its values, and its scales. */
SLM_DEVICE uint32_t place_of(uint32_t t) {
    return t % 8 / 2 * 4 + t / 8 * 2 + t % 2;
}

/* Bytes of a token of Q8_0 without scales: whole blocks. */
SLM_DEVICE int bytes_of(int d) {
    return (d + 31) & ~31;
}

/* The tokens that a row sees: [begin, end). */
struct Span {
    uint32_t begin, end;

    __device__ Span(const slm_cuda_row &row, uint32_t window)
        : begin(window != 0 && row.position >= window ? row.position + 1 - window : 0),
          end(row.position + 1) {}
};

} /* namespace slm */

#endif
