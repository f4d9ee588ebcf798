/* Memory of packed weights, filled by all cores. What takes time is not only what fills it: a
 * system clears a large page before it is first written, and two cores that come to the same one at
 * the same time clear it twice. So each core takes a span of whole large pages. */
#include "model/pack.h"

#include "base/checked.h"
#include "base/lanes.h"

#include <inttypes.h>
#include <stdatomic.h>

#define SPAN                                                                                       \
    ((uint64_t)4 << 20) /* two large pages                                                */

typedef struct slm_filling {
    const slm_fill *fill;
    uint8_t *buffers; /* [n lanes][stride] */
    size_t stride;
    uint64_t head; /* bytes before the first place where a span may begin                        */
    _Atomic uint64_t next, done;
    _Atomic int has_failed;
    slm_status status;
    slm_error error;
} slm_filling;

uint8_t *slm_fill_alloc(slm_model *m, const slm_pack_list *list, uint64_t bytes) {
    slm_host *host = &m->host;
    uint64_t in_place = slm_pack_in_place(m, list); /* of the mapping, will not be needed */
    if (host->limit != 0)
        host->limit += in_place;
    uint8_t *memory = (size_t)bytes == bytes ? slm_alloc(host, (size_t)bytes) : NULL;
    if (memory != NULL)
        slm_advise_huge(memory, (size_t)bytes);
    else if (host->limit != 0)
        host->limit -= in_place;
    return memory;
}

void slm_fill_free(slm_model *m, const slm_pack_list *list, uint8_t *memory) {
    slm_free(&m->host, memory);
    if (m->host.limit != 0)
        m->host.limit -= slm_pack_in_place(m, list);
}

static slm_status report(slm_filling *x, slm_error *error) {
    const slm_fill *f = x->fill;
    uint64_t done = atomic_load(&x->done);
    if (f->progress == NULL || f->progress(f->progress_user, done, f->bytes) == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "%s the packed weights was stopped at %" PRIu64 " of %" PRIu64 " bytes",
                    f->verb, done, f->bytes);
}

/* One span; *is_over when there was none left. */
static slm_status fill_span(slm_filling *x, uint32_t lane, int *is_over, slm_error *error) {
    const slm_fill *f = x->fill;
    uint64_t i = atomic_fetch_add(&x->next, 1);
    uint64_t from = i == 0 ? 0 : x->head + (i - 1) * SPAN, to = x->head + i * SPAN;
    *is_over = from >= f->bytes;
    if (*is_over)
        return SLM_OK;
    if (to > f->bytes)
        to = f->bytes;
    SLM_TRY(f->body(f->context, x->buffers + lane * x->stride, from, to, error));
    atomic_fetch_add(&x->done, to - from);
    return SLM_OK;
}

static void fill_lane(void *context, uint32_t lane) {
    slm_filling *x = context;
    for (int is_over = 0; !is_over && !atomic_load(&x->has_failed);) {
        slm_error error = SLM_ERROR_INIT;
        slm_status status = fill_span(x, lane, &is_over, &error);
        if (status == SLM_OK && lane == 0)
            status = report(x, &error);
        if (status != SLM_OK && atomic_exchange(&x->has_failed, 1) == 0) {
            x->status = status; /* of the first that failed */
            x->error = error;
        }
    }
}

slm_status slm_fill_run(slm_host *host, const slm_fill *fill, slm_error *error) {
    uint32_t n_lanes = slm_cpu_count();
    slm_filling x = {.fill = fill,
                     .stride = slm_round_up(fill->buffer_bytes, 64),
                     .head = SPAN - (uintptr_t)fill->memory % SPAN};
    x.buffers = slm_alloc(host, n_lanes * x.stride);
    if (x.buffers == NULL)
        return slm_fail_nomem(error, n_lanes * x.stride, "buffers for packed weights");
    slm_lanes lanes;
    slm_lanes_open(&lanes, n_lanes);
    slm_lanes_run(&lanes, fill_lane, &x);
    slm_lanes_close(&lanes);
    slm_free(host, x.buffers);
    if (x.status == SLM_OK)
        return SLM_OK;
    return slm_fail(error, x.status, x.error.subject, x.error.offset, "%s", x.error.message);
}

void slm_fill_take(slm_model *m, const slm_pack_list *list, uint8_t *memory, uint64_t bytes) {
    m->mapped_bytes -= slm_pack_in_place(m, list);
    slm_pack_rebind(m, list, memory);
    m->packed = memory;
    m->packed_bytes = bytes + SLM_ALLOC_HEADER;
}
