/* Writing snapshots: from the first byte to the last, each of them once. */
#include "run/snapshot.h"

#include <inttypes.h>
#include <string.h>

typedef struct slm_snapshot_writer {
    slm_session *session;
    slm_cache *cache;
    slm_out *out;
    const slm_snapshot_options *options;
    slm_snapshot_header header;
    slm_snapshot_section sections[6 + SLM_MAX_KV_GROUPS];
    slm_snapshot_model model;
    slm_snapshot_session state;
    slm_snapshot_mark *marks; /* [n_marks] of recurrent state */
    uint32_t n_marks;
    struct {
        slm_snapshot_range *ranges; /* [n_marks + 1] */
        uint32_t n;
    } groups[SLM_MAX_KV_GROUPS]; /* pages that are written */
    uint64_t at;                 /* bytes written */
    uint32_t check;              /* of the block so far */
    uint32_t n_blocks;           /* that are complete */
    uint32_t *checks;            /* [n_blocks of the file + 1] */
    uint8_t *group;              /* keys or values of SLM_KV_GROUP tokens */
    slm_snapshot_buffers buffers;
    slm_crc32c_table crc;
} slm_snapshot_writer;

/* ---------------------------------------------------------------- bytes ---------------------- */

static slm_status report(const slm_snapshot_writer *w, slm_error *error) {
    const slm_snapshot_options *o = w->options;
    if (o->progress == NULL || o->progress(o->progress_user, w->at, w->header.file_bytes) == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "saving the session was stopped at %" PRIu64 " of %" PRIu64 " bytes", w->at,
                    w->header.file_bytes);
}

static slm_status end_block(slm_snapshot_writer *w, slm_error *error) {
    w->checks[w->n_blocks++] = w->check;
    w->check = 0;
    return report(w, error);
}

/* Bytes of blocks. */
static slm_status put(slm_snapshot_writer *w, const void *data, uint64_t size, slm_error *error) {
    const uint8_t *p = data;
    while (size > 0) {
        size_t left = SLM_SNAPSHOT_BLOCK - (size_t)(w->at % SLM_SNAPSHOT_BLOCK);
        size_t n = size < left ? (size_t)size : left;
        SLM_TRY(slm_out_write(w->out, p, n, error));
        w->check = slm_crc32c(&w->crc, p, n, w->check);
        w->at += n;
        p += n;
        size -= n;
        if (n == left)
            SLM_TRY(end_block(w, error));
    }
    return SLM_OK;
}

/* ---------------------------------------------------------------- pages ---------------------- */

static slm_status fetch(slm_snapshot_writer *w, const slm_kv_pool *pool, uint32_t page,
                        size_t offset, size_t n, const uint8_t **at, slm_error *error) {
#ifdef SLM_HAVE_CUDA
    if (w->cache->cuda != NULL) {
        *at = w->buffers.at;
        slm_status status =
            slm_backend_cuda_read_page(w->cache->cuda, pool, page, offset, n, w->buffers.at, error);
        if (status != SLM_OK)
            slm_cache_give_up(w->cache);
        return status;
    }
#endif
    (void)w;
    (void)n;
    (void)error;
    *at = pool->memory + (size_t)page * pool->page_bytes + offset;
    return SLM_OK;
}

static slm_status put_whole_page(slm_snapshot_writer *w, const slm_kv_pool *pool, uint32_t page,
                                 slm_error *error) {
    /* of a device as much as the buffer holds */
    size_t most = w->cache->cuda != NULL ? SLM_SNAPSHOT_BLOCK : pool->page_bytes;
    for (size_t at = 0, n; at < pool->page_bytes; at += n) {
        const uint8_t *bytes;
        n = pool->page_bytes - at < most ? pool->page_bytes - at : most;
        SLM_TRY(fetch(w, pool, page, at, n, &bytes, error));
        SLM_TRY(put(w, bytes, n, error));
    }
    return SLM_OK;
}

/* A group of tokens with zeros in the place of those from n on. */
static void clear_rest(slm_snapshot_writer *w, uint32_t n, size_t row_bytes, int is_v) {
    const slm_kv_layout *l = &w->cache->layout;
    uint8_t *zeros = w->group + SLM_KV_GROUP * row_bytes;
    size_t d = w->cache->model->config.d_head;
#ifdef SLM_HAVE_CUDA
    if (w->cache->cuda != NULL) {
        d *= slm_snapshot_span(w->cache, is_v);
        for (uint32_t t = n; t < SLM_KV_GROUP; t++)
            slm_cuda_clear_token(w->group, (uint32_t)l->type, d, t, is_v);
        return;
    }
#endif
    for (uint32_t t = n; t < SLM_KV_GROUP; t++)
        if (is_v)
            memset(w->group + t * row_bytes, 0, row_bytes);
        else
            slm_kv_put_key(l->type, w->group, t, zeros, d);
}

/* The last page: what lies behind the tokens may be another session's. */
static slm_status put_page_of(slm_snapshot_writer *w, const slm_kv_pool *pool, uint32_t page,
                              uint32_t n_tokens, slm_error *error) {
    const slm_kv_layout *l = &w->cache->layout;
    for (uint32_t plane = 0; plane < pool->page_bytes / l->plane_bytes; plane++) {
        uint32_t span = slm_snapshot_span(w->cache, plane & 1);
        size_t row_bytes = span * l->row_bytes, group_bytes = SLM_KV_GROUP * row_bytes;
        for (uint32_t h = 0; h < w->model.n_kv_heads; h += span)
            for (uint32_t t = 0; t < l->page_tokens; t += SLM_KV_GROUP) {
                size_t at = plane * l->plane_bytes + h * l->head_bytes + t * row_bytes;
                const uint8_t *bytes;
                if (t >= n_tokens) {
                    memset(w->group, 0, group_bytes);
                } else {
                    SLM_TRY(fetch(w, pool, page, at, group_bytes, &bytes, error));
                    memcpy(w->group, bytes, group_bytes);
                    clear_rest(w, n_tokens - t, row_bytes, plane & 1);
                }
                SLM_TRY(put(w, w->group, group_bytes, error));
            }
    }
    return SLM_OK;
}

/* Page i of a group's text, from whoever has most of it; *n receives the tokens there are in it. */
static uint32_t find_page(const slm_snapshot_writer *w, uint32_t g, uint32_t i, uint32_t *n) {
    const slm_session *s = w->session;
    const slm_kv_table *table = &w->cache->seqs[s->slot].tables[g];
    uint32_t before = i * w->cache->layout.page_tokens;
    *n = s->n_valid - before;
    for (uint32_t c = s->n_checkpoints; (i < table->begin || i >= table->end) && c-- > 0;) {
        table = &slm_state_checkpoint(s, c)->tables[g];
        *n = slm_state_checkpoint(s, c)->n - before;
    }
    return table->pages[i];
}

static slm_status put_pages(slm_snapshot_writer *w, uint32_t g, slm_error *error) {
    const slm_kv_pool *pool = &w->cache->pools[g];
    for (uint32_t r = 0; r < w->groups[g].n; r++) {
        slm_snapshot_range range = w->groups[g].ranges[r];
        for (uint32_t i = range.begin; i < range.end; i++) {
            uint32_t n, page = find_page(w, g, i, &n);
            if (n >= w->cache->layout.page_tokens)
                SLM_TRY(put_whole_page(w, pool, page, error));
            else
                SLM_TRY(put_page_of(w, pool, page, n, error));
        }
    }
    return SLM_OK;
}

static slm_status put_state(slm_snapshot_writer *w, const float *state, slm_error *error) {
    size_t bytes = slm_state_floats(w->cache->model) * sizeof *state;
#ifdef SLM_HAVE_CUDA
    for (size_t at = 0, n; w->cache->cuda != NULL && at < bytes; at += n) {
        const uint8_t *from = (const uint8_t *)state + at;
        n = bytes - at < SLM_SNAPSHOT_BLOCK ? bytes - at : SLM_SNAPSHOT_BLOCK;
        slm_status status =
            slm_backend_cuda_read_state(w->cache->cuda, from, n, w->buffers.at, error);
        if (status != SLM_OK) {
            slm_cache_give_up(w->cache);
            return status;
        }
        SLM_TRY(put(w, w->buffers.at, n, error));
    }
    if (w->cache->cuda != NULL)
        return SLM_OK;
#endif
    return put(w, state, bytes, error);
}

static slm_status put_states(slm_snapshot_writer *w, slm_error *error) {
    const slm_session *s = w->session;
    SLM_TRY(put(w, w->marks, w->n_marks * sizeof *w->marks, error));
    for (uint32_t i = 0; i < w->n_marks; i++)
        SLM_TRY(put_state(w, slm_state_checkpoint(s, i)->recurrent, error));
    return put_state(w, w->cache->seqs[s->slot].recurrent, error);
}

/* ---------------------------------------------------------------- file ----------------------- */

static void add_section(slm_snapshot_writer *w, const char *name, uint64_t bytes) {
    slm_snapshot_section *s = &w->sections[w->header.n_sections++];
    size_t len = strlen(name);
    memcpy(s->name, name, len < sizeof s->name ? len : sizeof s->name);
    s->flags = SLM_SNAPSHOT_REQUIRED;
    s->bytes = bytes;
}

/* All sizes are known before the first byte is written. */
static void lay_out(slm_snapshot_writer *w) {
    slm_snapshot_header *h = &w->header;
    *h = (slm_snapshot_header){.magic = "SLMSNAP",
                               .version = SLM_SNAPSHOT_VERSION,
                               .byte_order = SLM_SNAPSHOT_ORDER,
                               .block_bytes = SLM_SNAPSHOT_BLOCK};
    add_section(w, "model", sizeof w->model);
    add_section(w, "session", sizeof w->state);
    add_section(w, "tokens", w->session->n_tokens * sizeof *w->session->tokens);
    if (w->options->attachment != NULL)
        add_section(w, "attached", w->options->attachment_len);
    if (w->cache->model->n_scans > 0) {
        add_section(w, "marks", w->n_marks * sizeof *w->marks);
        add_section(w, "states",
                    (w->n_marks + (uint64_t)1) * slm_state_floats(w->cache->model) * sizeof(float));
    }
    for (uint32_t g = 0; g < w->model.n_groups; g++) {
        char name[8];
        uint64_t n = 0;
        for (uint32_t i = 0; i < w->groups[g].n; i++)
            n += w->groups[g].ranges[i].end - w->groups[g].ranges[i].begin;
        slm_snapshot_pages_name(g, name);
        add_section(w, name, n * w->cache->pools[g].page_bytes);
    }
    h->checks_offset = sizeof *h + h->n_sections * sizeof *w->sections;
    for (uint32_t i = 0; i < h->n_sections; i++)
        h->checks_offset += w->sections[i].bytes;
    uint64_t n_blocks = (h->checks_offset - 1) / SLM_SNAPSHOT_BLOCK + 1;
    h->file_bytes = h->checks_offset + (n_blocks + 1) * sizeof *w->checks;
    h->check = slm_crc32c(&w->crc, h, offsetof(slm_snapshot_header, check), 0);
}

static slm_status put_all(slm_snapshot_writer *w, slm_error *error) {
    const slm_session *s = w->session;
    SLM_TRY(put(w, &w->header, sizeof w->header, error));
    SLM_TRY(put(w, w->sections, w->header.n_sections * sizeof *w->sections, error));
    SLM_TRY(put(w, &w->model, sizeof w->model, error));
    SLM_TRY(put(w, &w->state, sizeof w->state, error));
    SLM_TRY(put(w, s->tokens, s->n_tokens * sizeof *s->tokens, error));
    if (w->options->attachment != NULL)
        SLM_TRY(put(w, w->options->attachment, w->options->attachment_len, error));
    if (w->cache->model->n_scans > 0)
        SLM_TRY(put_states(w, error));
    for (uint32_t g = 0; g < w->model.n_groups; g++)
        SLM_TRY(put_pages(w, g, error));
    if (w->at % SLM_SNAPSHOT_BLOCK != 0)
        SLM_TRY(end_block(w, error));
    size_t size = w->n_blocks * sizeof *w->checks;
    w->checks[w->n_blocks] = slm_crc32c(&w->crc, w->checks, size, 0);
    SLM_TRY(slm_out_write(w->out, w->checks, size + sizeof *w->checks, error));
    w->at = w->header.file_bytes;
    return report(w, error);
}

/* Which pages there are to write. */
static slm_status find_pages(slm_snapshot_writer *w, slm_error *error) {
    size_t most = w->session->n_checkpoints + (size_t)1;
    w->marks = slm_alloc(w->cache->host, most * sizeof *w->marks);
    if (w->marks == NULL)
        return slm_fail_nomem(error, most * sizeof *w->marks, "a snapshot");
    w->n_marks = slm_snapshot_list_marks(w->session, w->marks);
    for (uint32_t g = 0; g < w->model.n_groups; g++) {
        slm_snapshot_range *ranges = slm_alloc(w->cache->host, most * sizeof *ranges);
        if (ranges == NULL)
            return slm_fail_nomem(error, most * sizeof *ranges, "a snapshot");
        w->groups[g].ranges = ranges;
        w->groups[g].n = slm_snapshot_ranges(w->marks, w->n_marks, w->state.groups[g], g, ranges);
    }
    return SLM_OK;
}

static slm_status write_all(slm_snapshot_writer *w, slm_error *error) {
    slm_host *host = w->cache->host;
    SLM_TRY(slm_snapshot_describe(w->session, &w->model, &w->state, error));
    SLM_TRY(find_pages(w, error));
    slm_crc32c_init(&w->crc, w->cache->model->kernels.crc32c);
    lay_out(w);
    size_t n_blocks = (size_t)((w->header.checks_offset - 1) / SLM_SNAPSHOT_BLOCK + 1);
    size_t rows = (SLM_KV_GROUP + 1) * slm_snapshot_span(w->cache, 1) *
                  w->cache->layout.row_bytes; /* the last stays zero */
    w->checks = slm_alloc(host, (n_blocks + 1) * sizeof *w->checks);
    w->group = slm_calloc(host, 1, rows);
    if (w->checks == NULL || w->group == NULL)
        return slm_fail_nomem(error, rows + (n_blocks + 1) * sizeof *w->checks, "a snapshot");
    if (w->cache->cuda != NULL)
        SLM_TRY(slm_snapshot_buffers_open(w->cache, 1, &w->buffers, error));
    return put_all(w, error);
}

slm_status slm_snapshot_write(slm_session *session, slm_out *out, const slm_snapshot_options *o,
                              slm_error *error) {
    slm_host *host = session->cache->host;
    slm_snapshot_writer *w = slm_calloc(host, 1, sizeof *w);
    if (w == NULL)
        return slm_fail_nomem(error, sizeof *w, "a snapshot");
    w->session = session;
    w->cache = session->cache;
    w->out = out;
    w->options = o;
    slm_status status = write_all(w, error);
    slm_snapshot_buffers_close(&w->buffers);
    for (uint32_t g = 0; g < SLM_MAX_KV_GROUPS; g++)
        slm_free(host, w->groups[g].ranges);
    slm_free(host, w->marks);
    slm_free(host, w->checks);
    slm_free(host, w->group);
    slm_free(host, w);
    return status;
}

slm_status slm_snapshot_save(slm_session *s, const char *path, const slm_snapshot_options *o,
                             slm_error *error) {
    slm_out *out;
    if (slm_path_is_link(path))
        return slm_fail(error, SLM_ERR_IO, slm_path_name(path), SLM_NO_OFFSET,
                        "%s is a link, wanted a file or nothing", slm_path_name(path));
    SLM_TRY(slm_out_open(s->cache->host, path, &out, error));
    slm_status status = slm_snapshot_write(s, out, o, error);
    if (status == SLM_OK)
        return slm_out_commit(&out, error);
    slm_out_abandon(&out);
    return status;
}
