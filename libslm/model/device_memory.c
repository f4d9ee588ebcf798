/* Memory of the device and pinned memory of the host, counted like all else that a model holds. */
#include "model/device.h"

#ifdef SLM_HAVE_CUDA

#include "base/checked.h"
#include "base/file.h"

#include <inttypes.h>

/* Of the system's memory, left alone. */
#define LEAVE_BYTES ((uint64_t)128 << 20)

slm_status slm_device_fail(int code, const char *what, slm_error *error) {
    return slm_fail(error, slm_cuda_is_nomem(code) ? SLM_ERR_NOMEM : SLM_ERR_DEVICE, "device",
                    SLM_NO_OFFSET, "%s: %s (CUDA error %d)", what, slm_cuda_error(code), code);
}

slm_status slm_device_alloc(slm_model *m, slm_device_memory *memory, uint64_t bytes, int is_pinned,
                            const char *what, slm_error *error) {
    int device = m->device->device, code;
    void *seen;
    uint64_t held = atomic_fetch_add(&m->host.bytes, bytes), limit = m->host.limit;
    *memory = (slm_device_memory){NULL, bytes, (uint8_t)(is_pinned != 0)};
    if (limit != 0 && (held > limit || bytes > limit - held)) {
        atomic_fetch_sub(&m->host.bytes, bytes);
        return slm_fail_nomem(error, bytes, what);
    }
    code = is_pinned ? slm_cuda_alloc_host(device, &memory->at, &seen, (size_t)bytes)
                     : slm_cuda_alloc(device, &memory->at, (size_t)bytes);
    if (code == 0)
        return SLM_OK;
    atomic_fetch_sub(&m->host.bytes, bytes);
    memory->at = NULL;
    if (!slm_cuda_is_nomem(code))
        return slm_device_fail(code, what, error);
    return slm_fail(error, SLM_ERR_NOMEM, "device", SLM_NO_OFFSET,
                    "the device has not enough %smemory for %s: %" PRIu64
                    " bytes wanted (CUDA error %d)", is_pinned ? "pinned " : "", what, bytes, code);
}

void slm_device_free(slm_model *m, slm_device_memory *memory) {
    int device = m->device->device;
    if (memory->at == NULL)
        return;
    if (memory->is_pinned)
        (void)slm_cuda_free_host(device, memory->at);
    else
        (void)slm_cuda_free(device, memory->at);
    atomic_fetch_sub(&m->host.bytes, memory->bytes);
    memory->at = NULL;
}

uint64_t slm_device_room(const slm_model *m, const char **what) {
    slm_cuda_info now;
    *what = "the device's free memory";
    if (!m->device->info.is_integrated)
        return slm_cuda_open(m->device->device, &now) == 0 ? now.free_bytes : UINT64_MAX;
    *what = "the memory available"; /* the runtime takes what files fill in memory for used */
    uint64_t room = slm_memory_available();
    return room > LEAVE_BYTES ? room - LEAVE_BYTES : 0;
}

/* ---------------------------------------------------------------- chunks ------------------------ */

static slm_status add_chunk(slm_model *m, uint64_t bytes, const char *what, slm_error *error) {
    slm_device_weights *d = m->device;
    SLM_TRY(slm_device_alloc(m, &d->chunks[d->n_chunks], bytes, 0, what, error));
    d->n_chunks++;
    d->bytes += bytes;
    return SLM_OK;
}

/* Bytes of the places from `first` on that a chunk of at most `most` bytes holds; *end behind them. A
 * larger place is alone. */
static uint64_t together(const slm_place *places, uint32_t n, uint32_t first, uint64_t most,
                         uint32_t *end) {
    uint64_t bytes = places[first].bytes;
    uint32_t i = first + 1;
    for (; i < n && bytes + places[i].bytes <= most; i++)
        bytes += places[i].bytes;
    *end = i;
    return bytes;
}

/* A chunk for the places from `first` on. One that is refused is tried again with half as much, which
 * then holds for those that follow too. */
static slm_status place_chunk(slm_model *m, slm_place *places, uint32_t n, uint32_t first,
                              uint32_t *end, uint64_t *most, uint64_t least, slm_error *error) {
    uint64_t bytes = together(places, n, first, *most, end);
    slm_error why = SLM_ERROR_INIT;
    slm_status status = add_chunk(m, bytes, "weights", &why);
    while (status == SLM_ERR_NOMEM && *end > first + 1 && *most / 2 >= least) {
        uint64_t refused = bytes;
        *most /= 2;
        bytes = together(places, n, first, *most, end);
        if (bytes == refused)
            continue;
        slm_log(&m->host, SLM_LOG_INFO,
                "the device refused %" PRIu64 " bytes in one piece: tried again with %" PRIu64,
                refused, bytes);
        status = add_chunk(m, bytes, "weights", &why);
    }
    if (status != SLM_OK)
        return slm_fail(error, status, why.subject, why.offset, "%s", why.message);
    uint8_t *at = m->device->chunks[m->device->n_chunks - 1].at;
    for (uint32_t i = first; i < *end; at += places[i++].bytes)
        places[i].to = at;
    return SLM_OK;
}

slm_status slm_device_place(slm_model *m, slm_place *places, uint32_t n, uint64_t vector_bytes,
                            uint64_t most, uint64_t least, slm_error *error) {
    slm_device_weights *d = m->device;
    d->chunks = slm_calloc(&m->host, (size_t)n + 1, sizeof *d->chunks);
    if (d->chunks == NULL)
        return slm_fail_nomem(error, (n + 1) * sizeof *d->chunks, "a list of device memory");
    for (uint32_t i = 0; i < n;)
        SLM_TRY(place_chunk(m, places, n, i, &i, &most, least, error));
    SLM_TRY(add_chunk(m, vector_bytes, "norms and biases", error));
    d->vectors = d->chunks[d->n_chunks - 1].at;
    return SLM_OK;
}

#endif
