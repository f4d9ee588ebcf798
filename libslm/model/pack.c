/* Packing: weights are read from the file once, by all cores, and laid out panel by panel. Spans of
 * the memory are handed out in the order of the file, so that a cold file is read from its beginning
 * to its end, and what loading brought into the system's memory is dropped behind. */
#include "model/pack.h"

#include "base/load_rule.h"
#include "packed.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)256 << 10) /* of the file at a time: fits the L2 cache of a core */

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
    size_t most = (size_t)m->config.n_layers * SLM_LAYER_LINEARS + 1;
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
    for (uint32_t i = 0; i < m->config.n_layers; i++)
        for (uint32_t j = 0; j < SLM_LAYER_LINEARS; j++) {
            slm_linear *l = slm_layer_linear(&m->layers[i], j);
            if (l->n_out > 0 && can_pack(m, l))
                list->all[list->n++] = l;
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
        m->kernels.pack_panel(l->type, to, (const uint8_t *)buffer + r * l->row_bytes,
                              l->row_bytes,
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

uint64_t slm_pack_place(slm_pack_list *list) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        const slm_linear *l = list->all[i];
        list->at[i] = bytes;
        bytes += slm_pack_panels(l) * (uint64_t)slm_panel_bytes(l->type, l->n_in);
    }
    return bytes;
}

/* Panels [first, last) of matrix i, a chunk at a time. */
static slm_status pack_panels(const slm_packer *p, uint8_t *buffer, uint32_t i, uint32_t first,
                              uint32_t last, slm_error *error) {
    const slm_linear *l = p->list->all[i];
    const uint8_t *resident = p->resident != NULL ? p->resident[l->part] : NULL;
    size_t panel_bytes = slm_panel_bytes(l->type, l->n_in);
    for (uint32_t n; first < last; first += n) {
        uint8_t *to = p->memory + p->list->at[i] + first * panel_bytes;
        uint64_t offset;
        size_t size;
        n = slm_pack_chunk(l) < last - first ? slm_pack_chunk(l) : last - first;
        SLM_TRY(slm_pack_panels_at(p->model, l, first, n, buffer, to, &offset, &size, error));
        slm_file_drop(file_of(p->model, l), resident, offset, size);
    }
    return SLM_OK;
}

slm_status slm_pack_span(void *context, uint8_t *buffer, uint64_t from, uint64_t to,
                         slm_error *error) {
    const slm_packer *p = context;
    const slm_pack_list *list = p->list;
    for (uint32_t i = 0; i < list->n && list->at[i] < to; i++) {
        const slm_linear *l = list->all[i];
        uint64_t bytes = slm_panel_bytes(l->type, l->n_in), n = slm_pack_panels(l);
        uint64_t first = from > list->at[i] ? (from - list->at[i] + bytes - 1) / bytes : 0;
        uint64_t last = (to - list->at[i] + bytes - 1) / bytes;
        if (first < n)
            SLM_TRY(pack_panels(p, buffer, i, (uint32_t)first, (uint32_t)(last < n ? last : n),
                                error));
    }
    return SLM_OK;
}

int slm_pack_fits(uint64_t bytes) { return slm_load_packs(bytes, slm_memory_available()); }

/* The rule of SLM_LOAD_AUTO, as slm.h states it. */
static int worth_it(const slm_packer *p) {
    const slm_model *m = p->model;
    if (!m->kernels.prefers_packed || m->read_bytes > 0)
        return 0;
    for (uint32_t i = 0; i < p->list->n; i++)
        if (file_of(m, p->list->all[i])->kind != SLM_FILE_MAPPED)
            return 0;
    return slm_pack_fits(p->bytes);
}

static slm_status fill(slm_model *m, slm_packer *p, const slm_model_options *o, slm_error *error) {
    uint32_t n_parts = slm_gguf_n_parts(m->gguf);
    slm_fill f = {.verb = "packing",
                  .body = slm_pack_span,
                  .context = p,
                  .memory = p->memory,
                  .bytes = p->bytes,
                  .progress = o->progress,
                  .progress_user = o->progress_user};
    for (uint32_t i = 0; i < p->list->n; i++)
        if (slm_pack_chunk_rows(p->list->all[i]) > f.buffer_bytes)
            f.buffer_bytes = slm_pack_chunk_rows(p->list->all[i]);
    p->resident = slm_calloc(&m->host, n_parts, sizeof *p->resident);
    if (p->resident == NULL)
        return slm_fail_nomem(error, n_parts * sizeof *p->resident, "a list of files");
    for (uint32_t i = 0; i < n_parts; i++)
        p->resident[i] = slm_file_resident(&m->host, slm_gguf_part(m->gguf, i));
    slm_status status = slm_fill_run(&m->host, &f, error);
    for (uint32_t i = 0; i < n_parts; i++)
        slm_free(&m->host, p->resident[i]);
    slm_free(&m->host, p->resident);
    return status;
}

static slm_status pack_list(slm_model *m, slm_pack_list *list, const slm_model_options *o,
                            slm_error *error) {
    slm_packer p = {.model = m, .list = list, .bytes = slm_pack_place(list)};
    slm_error why = SLM_ERROR_INIT;
    if (o->load == SLM_LOAD_AUTO && !worth_it(&p))
        return SLM_OK;
    p.memory = slm_fill_alloc(m, list, p.bytes);
    slm_status status = p.memory != NULL ? fill(m, &p, o, &why)
                                         : slm_fail_nomem(&why, p.bytes, "packed weights");
    if (status == SLM_OK)
        slm_fill_take(m, list, p.memory, p.bytes);
    else if (p.memory != NULL)
        slm_fill_free(m, list, p.memory);
    if (status == SLM_OK || (status == SLM_ERR_NOMEM && o->load == SLM_LOAD_AUTO))
        return SLM_OK; /* the rows do where they lie */
    return slm_fail(error, status, why.subject, why.offset, "%s", why.message);
}

/* ---------------------------------------------------------------- saved before --------------- */

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
        status = slm_packed_use(m, list, path, o, &why);
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
    int is_named = o->packed_path != NULL && o->packed_path[0] != 0;
    int may_pack = o->load == SLM_LOAD_AUTO || o->load == SLM_LOAD_PACK;
    if (!may_pack && !(is_named && o->load == SLM_LOAD_MAP))
        return SLM_OK;
    SLM_TRY(slm_pack_list_open(m, &list, error));
    slm_status status = SLM_OK;
    if (is_named)
        status = slm_packed_use(m, &list, o->packed_path, o, error);
    else if (o->packed_path == NULL)
        status = use_beside(m, &list, model_path, o, error);
    if (status == SLM_OK && m->packed == NULL && m->packed_file == NULL && list.n > 0)
        status = pack_list(m, &list, o, error);
    slm_pack_list_close(m, &list);
    return status;
}
