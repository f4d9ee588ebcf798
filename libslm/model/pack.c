/* Packing: weights are read from the file once, by all cores, and laid out panel by panel. Chunks are
 * handed out in the order of the file, so that a cold file is read from its beginning to its end,
 * and what loading brought into the system's memory is dropped behind. */
#include "model/model.h"

#include "base/checked.h"
#include "base/parallel.h"
#include "packed.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)256 << 10) /* of the file at a time: fits the L2 cache of a core */
#define LEAVE_BYTES ((uint64_t)256 << 20)

typedef struct slm_packer {
    slm_model *model;
    slm_linear **all;       /* [n] in the order of the file                                          */
    uint32_t n;
    uint32_t *first_chunk;  /* [n + 1]                                                               */
    size_t *at;             /* [n] place in the packed block                                         */
    uint8_t **resident;     /* [n_parts] pages in memory before, or NULL                             */
    size_t most_rows_bytes; /* longest chunk                                                         */
    uint64_t source_bytes, packed_bytes;
    _Atomic uint32_t next;
    _Atomic uint64_t done;
    _Atomic int has_failed;
    slm_status status;
    slm_error error;
    uint8_t *buffers;       /* [n_threads] a chunk of the file each                                  */
    slm_progress_fn progress;
    void *progress_user;
} slm_packer;

static const slm_file *file_of(const slm_model *m, const slm_linear *l) {
    return slm_gguf_part(m->gguf, l->part);
}

static uint32_t n_panels(const slm_linear *l) {
    return (l->n_out + SLM_PANEL_ROWS - 1) / SLM_PANEL_ROWS;
}

static uint32_t panels_per_chunk(const slm_linear *l) {
    size_t n = CHUNK_BYTES / (SLM_PANEL_ROWS * l->row_bytes);
    return n > 0 ? (uint32_t)n : 1;
}

static int can_pack(const slm_model *m, const slm_linear *l) {
    slm_act tile = slm_act_packed(l->act);
    return tile != l->act && slm_packs(l->type) && m->kernels.matmul[l->type][tile] != NULL;
}

static int by_place(const void *a, const void *b) {
    const slm_linear *x = *(slm_linear *const *)a, *y = *(slm_linear *const *)b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->w < y->w ? -1 : x->w > y->w;
}

static void collect(slm_packer *p) {
    slm_model *m = p->model;
    if (can_pack(m, &m->head))
        p->all[p->n++] = &m->head;
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        slm_layer *l = &m->layers[i];
        slm_linear *const of_layer[] = {&l->q,    &l->k,  &l->v,   &l->attn_output,
                                        &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof of_layer / sizeof of_layer[0]; j++)
            if (can_pack(m, of_layer[j]))
                p->all[p->n++] = of_layer[j];
    }
    qsort(p->all, p->n, sizeof *p->all, by_place);
    uint32_t chunks = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        const slm_linear *l = p->all[i];
        uint32_t per = panels_per_chunk(l);
        p->at[i] = (size_t)p->packed_bytes;
        p->first_chunk[i] = chunks;
        chunks += (n_panels(l) + per - 1) / per;
        p->source_bytes += (uint64_t)l->n_out * l->row_bytes;
        p->packed_bytes += n_panels(l) * (uint64_t)slm_panel_bytes(l->type, l->n_in);
        size_t rows = (size_t)per * SLM_PANEL_ROWS * l->row_bytes;
        if (rows > p->most_rows_bytes)
            p->most_rows_bytes = rows;
    }
    p->first_chunk[p->n] = chunks;
}

/* One chunk of linear i, through the buffer of a thread. */
static slm_status pack_chunk(slm_packer *p, uint32_t i, uint32_t chunk, uint8_t *buffer,
                             slm_error *error) {
    const slm_linear *l = p->all[i];
    const slm_file *file = file_of(p->model, l);
    uint32_t per = panels_per_chunk(l), first = (chunk - p->first_chunk[i]) * per;
    uint32_t row0 = first * SLM_PANEL_ROWS, rows = per * SLM_PANEL_ROWS;
    size_t panel_bytes = slm_panel_bytes(l->type, l->n_in);
    if (rows > l->n_out - row0)
        rows = l->n_out - row0;
    uint64_t offset = (uint64_t)(l->w - file->data) + (uint64_t)row0 * l->row_bytes;
    size_t size = rows * l->row_bytes;
    SLM_TRY(slm_file_read_at(file, buffer, size, offset, error));
    uint8_t *to = p->model->packed + p->at[i] + first * panel_bytes;
    for (uint32_t r = 0; r < rows; r += SLM_PANEL_ROWS, to += panel_bytes)
        slm_pack_panel(l->type, to, buffer + r * l->row_bytes, l->row_bytes,
                       rows - r < SLM_PANEL_ROWS ? rows - r : SLM_PANEL_ROWS, l->n_in);
    slm_file_drop(file, p->resident[l->part], offset, size);
    atomic_fetch_add(&p->done, size);
    return SLM_OK;
}

static slm_status report(slm_packer *p, slm_error *error) {
    if (p->progress == NULL ||
        p->progress(p->progress_user, atomic_load(&p->done), p->source_bytes) == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "packing the weights was stopped at %llu of %llu bytes",
                    (unsigned long long)atomic_load(&p->done), (unsigned long long)p->source_bytes);
}

static void pack_lane(void *context, uint32_t lane) {
    slm_packer *p = context;
    uint8_t *buffer = p->buffers + lane * slm_round_up(p->most_rows_bytes, 64);
    uint32_t i = 0, chunk;
    while ((chunk = atomic_fetch_add(&p->next, 1)) < p->first_chunk[p->n] &&
           !atomic_load(&p->has_failed)) {
        slm_error error = SLM_ERROR_INIT;
        while (chunk >= p->first_chunk[i + 1])
            i++;
        slm_status status = pack_chunk(p, i, chunk, buffer, &error);
        if (status == SLM_OK && lane == 0)
            status = report(p, &error);
        if (status != SLM_OK && atomic_exchange(&p->has_failed, 1) == 0) {
            p->status = status; /* of the first that failed */
            p->error = error;
        }
    }
}

/* The rule of SLM_LOAD_AUTO, as slm.h states it. */
static int worth_it(const slm_packer *p) {
    const slm_model *m = p->model;
    uint64_t available = slm_memory_available();
    if (!m->kernels.prefers_packed || m->read_bytes > 0)
        return 0;
    for (uint32_t i = 0; i < p->n; i++)
        if (file_of(m, p->all[i])->kind != SLM_FILE_MAPPED)
            return 0;
    return available > LEAVE_BYTES &&
           p->packed_bytes + p->packed_bytes / 4 <= available - LEAVE_BYTES;
}

/* What was packed is no longer used in the file's place. */
static void rebind(slm_packer *p) {
    slm_model *m = p->model;
    int tied = m->embed.w == m->head.w;
    for (uint32_t i = 0; i < p->n; i++) {
        slm_linear *l = p->all[i];
        l->w = m->packed + p->at[i];
        l->panel_bytes = slm_panel_bytes(l->type, l->n_in);
        l->act = slm_act_packed(l->act);
    }
    if (tied)
        m->embed = m->head;
}

static slm_status pack(slm_packer *p, slm_load load, slm_error *error) {
    slm_model *m = p->model;
    slm_host *host = &m->host;
    if (p->n == 0 || (load == SLM_LOAD_AUTO && !worth_it(p)))
        return SLM_OK;
    uint32_t n_threads = slm_cpu_count();
    size_t stride = slm_round_up(p->most_rows_bytes, 64), total;
    uint64_t in_place = 0; /* of the mapping that will not be needed */
    for (uint32_t i = 0; i < p->n; i++)
        if (file_of(m, p->all[i])->kind == SLM_FILE_MAPPED)
            in_place += (uint64_t)p->all[i]->n_out * p->all[i]->row_bytes;
    if (host->limit != 0)
        host->limit += in_place;
    total = (size_t)p->packed_bytes;
    m->packed = total == p->packed_bytes ? slm_alloc(host, total) : NULL;
    p->buffers = slm_alloc(host, n_threads * stride);
    slm_status status = SLM_OK;
    if (m->packed == NULL || p->buffers == NULL) {
        slm_free(host, m->packed);
        m->packed = NULL;
        if (host->limit != 0)
            host->limit -= in_place;
        if (load != SLM_LOAD_AUTO)
            status = slm_fail_nomem(error, p->packed_bytes, "packed weights");
    } else {
        slm_advise_huge(m->packed, total);
        for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf); i++)
            p->resident[i] = slm_file_resident(host, slm_gguf_part(m->gguf, i));
        slm_parallel(n_threads, pack_lane, p);
        if (p->status != SLM_OK)
            status = slm_fail(error, p->status, p->error.subject, p->error.offset, "%s",
                              p->error.message);
        for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf); i++)
            slm_free(host, p->resident[i]);
        if (status == SLM_OK) {
            rebind(p);
            m->packed_bytes = p->packed_bytes + SLM_ALLOC_HEADER;
            m->mapped_bytes -= in_place;
        }
    }
    slm_free(host, p->buffers);
    return status;
}

slm_status slm_weights_pack(slm_model *m, slm_load load, slm_progress_fn progress,
                            void *progress_user, slm_error *error) {
    if (load != SLM_LOAD_AUTO && load != SLM_LOAD_PACK)
        return SLM_OK;
    size_t most = (size_t)m->config.n_layers * 7 + 1;
    slm_packer p = {.model = m, .progress = progress, .progress_user = progress_user};
    p.all = slm_calloc(&m->host, most, sizeof *p.all);
    p.first_chunk = slm_calloc(&m->host, most + 1, sizeof *p.first_chunk);
    p.at = slm_calloc(&m->host, most, sizeof *p.at);
    p.resident = slm_calloc(&m->host, slm_gguf_n_parts(m->gguf), sizeof *p.resident);
    slm_status status;
    if (p.all == NULL || p.first_chunk == NULL || p.at == NULL || p.resident == NULL) {
        status = slm_fail_nomem(error, most * sizeof *p.all, "a list of matrices");
    } else {
        collect(&p);
        status = pack(&p, load, error);
    }
    slm_free(&m->host, p.resident);
    slm_free(&m->host, p.at);
    slm_free(&m->host, p.first_chunk);
    slm_free(&m->host, p.all);
    return status;
}
