/* Packing: weights are read from the file once, by all cores, and laid out panel by panel. Chunks are
 * handed out in the order of the file, so that a cold file is read from its beginning to its end,
 * and what loading brought into the system's memory is dropped behind. */
#include "model/pack.h"

#include "base/checked.h"
#include "base/lanes.h"
#include "packed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)256 << 10) /* of the file at a time: fits the L2 cache of a core */
#define LEAVE_BYTES ((uint64_t)256 << 20)

typedef struct slm_packer {
    slm_model *model;
    slm_pack_list *list;
    uint32_t *first_chunk;  /* [n + 1]                                                               */
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

/* ---------------------------------------------------------------- the list ------------------- */

static const slm_file *file_of(const slm_model *m, const slm_linear *l) {
    return slm_gguf_part(m->gguf, l->part);
}

uint32_t slm_pack_panels(const slm_linear *l) {
    return (l->n_out + SLM_PANEL_ROWS - 1) / SLM_PANEL_ROWS;
}

uint32_t slm_pack_chunk(const slm_linear *l) {
    size_t n = CHUNK_BYTES / (SLM_PANEL_ROWS * l->row_bytes);
    return n > 0 ? (uint32_t)n : 1;
}

size_t slm_pack_chunk_rows(const slm_linear *l) {
    return (size_t)slm_pack_chunk(l) * SLM_PANEL_ROWS * l->row_bytes;
}

static int can_pack(const slm_model *m, const slm_linear *l) {
    slm_act tile = slm_act_packed(l->act);
    return l->panel_bytes != 0 ||
           (tile != l->act && slm_packs(l->type) && m->kernels.matmul[l->type][tile] != NULL);
}

static int by_place(const void *a, const void *b) {
    const slm_linear *x = *(slm_linear *const *)a, *y = *(slm_linear *const *)b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

slm_status slm_pack_list_open(slm_model *m, slm_pack_list *list, slm_error *error) {
    size_t most = (size_t)m->config.n_layers * 7 + 1;
    list->n = 0;
    list->all = slm_calloc(&m->host, most, sizeof *list->all);
    list->at = slm_calloc(&m->host, most, sizeof *list->at);
    if (list->all == NULL || list->at == NULL) {
        slm_pack_list_close(m, list);
        return slm_fail_nomem(error, most * (sizeof *list->all + sizeof *list->at),
                              "a list of matrices");
    }
    if (can_pack(m, &m->head))
        list->all[list->n++] = &m->head;
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        slm_layer *l = &m->layers[i];
        slm_linear *const of_layer[] = {&l->q,    &l->k,  &l->v,   &l->attn_output,
                                        &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof of_layer / sizeof of_layer[0]; j++)
            if (can_pack(m, of_layer[j]))
                list->all[list->n++] = of_layer[j];
    }
    qsort(list->all, list->n, sizeof *list->all, by_place);
    return SLM_OK;
}

void slm_pack_list_close(slm_model *m, slm_pack_list *list) {
    slm_free(&m->host, list->all);
    slm_free(&m->host, list->at);
    *list = (slm_pack_list){0};
}

slm_status slm_pack_panels_at(const slm_model *m, const slm_linear *l, uint32_t first, uint32_t n,
                              void *buffer, uint8_t *to, uint64_t *offset, size_t *size,
                              slm_error *error) {
    uint32_t row0 = first * SLM_PANEL_ROWS, rows = n * SLM_PANEL_ROWS;
    size_t panel_bytes = slm_panel_bytes(l->type, l->n_in);
    if (rows > l->n_out - row0)
        rows = l->n_out - row0;
    *offset = l->offset + (uint64_t)row0 * l->row_bytes;
    *size = rows * l->row_bytes;
    SLM_TRY(slm_file_read_at(file_of(m, l), buffer, *size, *offset, error));
    for (uint32_t r = 0; r < rows; r += SLM_PANEL_ROWS, to += panel_bytes)
        slm_pack_panel(l->type, to, (const uint8_t *)buffer + r * l->row_bytes, l->row_bytes,
                       rows - r < SLM_PANEL_ROWS ? rows - r : SLM_PANEL_ROWS, l->n_in);
    return SLM_OK;
}

uint64_t slm_pack_in_place(const slm_model *m, const slm_pack_list *list) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < list->n; i++)
        if (file_of(m, list->all[i])->kind == SLM_FILE_MAPPED)
            bytes += (uint64_t)list->all[i]->n_out * list->all[i]->row_bytes;
    return bytes;
}

void slm_pack_rebind(slm_model *m, const slm_pack_list *list, const uint8_t *base) {
    int tied = m->embed.w == m->head.w;
    for (uint32_t i = 0; i < list->n; i++) {
        slm_linear *l = list->all[i];
        l->w = base + list->at[i];
        l->panel_bytes = slm_panel_bytes(l->type, l->n_in);
        l->act = slm_act_packed(l->act);
    }
    if (tied)
        m->embed = m->head;
}

/* ---------------------------------------------------------------- at load -------------------- */

static void measure(slm_packer *p) {
    const slm_pack_list *list = p->list;
    uint32_t chunks = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        const slm_linear *l = list->all[i];
        uint32_t per = slm_pack_chunk(l);
        list->at[i] = p->packed_bytes;
        p->first_chunk[i] = chunks;
        chunks += (slm_pack_panels(l) + per - 1) / per;
        p->source_bytes += (uint64_t)l->n_out * l->row_bytes;
        p->packed_bytes += slm_pack_panels(l) * (uint64_t)slm_panel_bytes(l->type, l->n_in);
        if (slm_pack_chunk_rows(l) > p->most_rows_bytes)
            p->most_rows_bytes = slm_pack_chunk_rows(l);
    }
    p->first_chunk[list->n] = chunks;
}

/* One chunk of linear i, through the buffer of a thread. */
static slm_status pack_chunk(slm_packer *p, uint32_t i, uint32_t chunk, uint8_t *buffer,
                             slm_error *error) {
    const slm_linear *l = p->list->all[i];
    uint32_t per = slm_pack_chunk(l), first = (chunk - p->first_chunk[i]) * per;
    uint8_t *to = p->model->packed + p->list->at[i] + first * slm_panel_bytes(l->type, l->n_in);
    uint64_t offset;
    size_t size;
    SLM_TRY(slm_pack_panels_at(p->model, l, first, per, buffer, to, &offset, &size, error));
    slm_file_drop(file_of(p->model, l), p->resident[l->part], offset, size);
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
    while ((chunk = atomic_fetch_add(&p->next, 1)) < p->first_chunk[p->list->n] &&
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
    for (uint32_t i = 0; i < p->list->n; i++)
        if (file_of(m, p->list->all[i])->kind != SLM_FILE_MAPPED)
            return 0;
    return available > LEAVE_BYTES &&
           p->packed_bytes + p->packed_bytes / 4 <= available - LEAVE_BYTES;
}

static slm_status pack(slm_packer *p, slm_load load, slm_error *error) {
    slm_model *m = p->model;
    slm_host *host = &m->host;
    if (load == SLM_LOAD_AUTO && !worth_it(p))
        return SLM_OK;
    uint32_t n_threads = slm_cpu_count();
    size_t stride = slm_round_up(p->most_rows_bytes, 64), total = (size_t)p->packed_bytes;
    uint64_t in_place = slm_pack_in_place(m, p->list); /* of the mapping, will not be needed */
    if (host->limit != 0)
        host->limit += in_place;
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
        slm_lanes lanes;
        slm_lanes_open(&lanes, n_threads);
        slm_lanes_run(&lanes, pack_lane, p);
        slm_lanes_close(&lanes);
        if (p->status != SLM_OK)
            status = slm_fail(error, p->status, p->error.subject, p->error.offset, "%s",
                              p->error.message);
        for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf); i++)
            slm_free(host, p->resident[i]);
        if (status == SLM_OK) {
            slm_pack_rebind(m, p->list, m->packed);
            m->packed_bytes = p->packed_bytes + SLM_ALLOC_HEADER;
            m->mapped_bytes -= in_place;
        }
    }
    slm_free(host, p->buffers);
    return status;
}

static slm_status pack_list(slm_model *m, slm_pack_list *list, const slm_model_options *o,
                            slm_error *error) {
    slm_packer p = {
        .model = m, .list = list, .progress = o->progress, .progress_user = o->progress_user};
    slm_status status;
    p.first_chunk = slm_calloc(&m->host, (size_t)list->n + 1, sizeof *p.first_chunk);
    p.resident = slm_calloc(&m->host, slm_gguf_n_parts(m->gguf), sizeof *p.resident);
    if (p.first_chunk == NULL || p.resident == NULL) {
        status = slm_fail_nomem(error, ((size_t)list->n + 1) * sizeof *p.first_chunk,
                                "a list of matrices");
    } else {
        measure(&p);
        status = pack(&p, o->load, error);
    }
    slm_free(&m->host, p.resident);
    slm_free(&m->host, p.first_chunk);
    return status;
}

/* ---------------------------------------------------------------- saved before --------------- */

static slm_status use_saved(slm_model *m, slm_pack_list *list, const char *path,
                            const slm_model_options *o, slm_error *error) {
    return slm_packed_use(m, list, path, (o->flags & SLM_MODEL_CHECK_TENSORS) != 0, o->progress,
                          o->progress_user, error);
}

/* A file beside the model's, where there is one and AUTO may use it. One that does not fit is
 * passed over. */
static slm_status use_beside(slm_model *m, slm_pack_list *list, const char *model_path,
                             const slm_model_options *o, slm_error *error) {
    static const char suffix[] = ".packed";
    if (model_path == NULL || list->n == 0 ||
        (o->load == SLM_LOAD_AUTO && (!m->kernels.prefers_packed || m->read_bytes > 0)))
        return SLM_OK;
    size_t len = strlen(model_path);
    char *path = slm_alloc(&m->host, len + sizeof suffix);
    if (path == NULL)
        return slm_fail_nomem(error, len + sizeof suffix, "a file name");
    memcpy(path, model_path, len);
    memcpy(path + len, suffix, sizeof suffix);
    slm_status status = SLM_OK;
    if (slm_path_exists(path)) {
        slm_error why = SLM_ERROR_INIT;
        status = use_saved(m, list, path, o, &why);
        if (status == SLM_ERR_CANCEL) {
            slm_fail(error, status, why.subject, why.offset, "%s", why.message);
        } else if (status != SLM_OK) {
            slm_log(&m->host, SLM_LOG_WARNING, "%s: passed over", why.message);
            status = SLM_OK;
        }
    }
    slm_free(&m->host, path);
    return status;
}

slm_status slm_weights_pack(slm_model *m, const char *model_path, const slm_model_options *o,
                            slm_error *error) {
    slm_pack_list list;
    if (o->load != SLM_LOAD_AUTO && o->load != SLM_LOAD_PACK)
        return SLM_OK;
    SLM_TRY(slm_pack_list_open(m, &list, error));
    slm_status status = SLM_OK;
    if (o->packed_path == NULL)
        status = use_beside(m, &list, model_path, o, error);
    else if (o->packed_path[0] != 0)
        status = use_saved(m, &list, o->packed_path, o, error);
    if (status == SLM_OK && m->packed_file == NULL && list.n > 0)
        status = pack_list(m, &list, o, error);
    slm_pack_list_close(m, &list);
    return status;
}
