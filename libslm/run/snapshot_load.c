/* Loading snapshots. Nothing of a file is used before its checksum was compared, and the session
 * keeps what it has until all of the file is known to be good. */
#include "run/snapshot.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#define MOST_LANES 8u /* that read; more only wait for each other */
#define WANTED     (SLM_NO_PAGE - 1)

/* The pages of a group: those in the file, and those of the cache that they go to. */
typedef struct slm_snapshot_group {
    uint64_t offset, bytes;     /* in the file */
    uint64_t page_bytes;        /* of a page there */
    slm_snapshot_range *ranges; /* [n_ranges] of pages there */
    uint32_t n_ranges;
    uint32_t n_wanted, n_taken; /* pages of the pool */
    uint32_t *pages;            /* [n_all] those taken by their places in the text */
    uint32_t n_all;
} slm_snapshot_group;

typedef struct slm_snapshot_loader {
    slm_session *session;
    slm_cache *cache;
    const slm_snapshot_load_options *options;
    slm_snapshot_reader *reader;
    slm_snapshot_model model;
    slm_snapshot_session state;
    int32_t *tokens; /* [n_tokens] */
    slm_snapshot_states states;
    slm_snapshot_group groups[SLM_MAX_KV_GROUPS];
    slm_snapshot_buffers buffers;
    /* of one pass over the blocks */
    int places;   /* what is read goes to its pages */
    int in_place; /* without a buffer in between */
    int reports;  /* to options->progress */
    _Atomic uint32_t next, done;
    _Atomic int has_failed;
    slm_status status;
    slm_error error;
} slm_snapshot_loader;

/* ---------------------------------------------------------------- fit ------------------------ */

static slm_status other(const slm_snapshot_loader *l, const char *field, const char *got,
                        const char *wanted, slm_error *error) {
    return slm_fail(error, SLM_ERR_CHANGED, field, SLM_NO_OFFSET,
                    "%s was saved with another %s: got %s, wanted %s", l->reader->file->name, field,
                    got, wanted);
}

static slm_status other_number(const slm_snapshot_loader *l, const char *field, uint64_t got,
                               uint64_t wanted, slm_error *error) {
    return slm_fail(error, SLM_ERR_CHANGED, field, SLM_NO_OFFSET,
                    "%s was saved with another %s: got %" PRIu64 ", wanted %" PRIu64,
                    l->reader->file->name, field, got, wanted);
}

static slm_status check_text(const slm_snapshot_loader *l, const char *field, const char got[32],
                             const char wanted[32], slm_error *error) {
    char text[33] = {0};
    if (memcmp(got, wanted, 32) == 0)
        return SLM_OK;
    memcpy(text, got, 32);
    return other(l, field, text, wanted, error);
}

static slm_status check_model(const slm_snapshot_loader *l, const slm_snapshot_model *wanted,
                              slm_error *error) {
    const slm_snapshot_model *got = &l->model;
    const struct {
        const char *name;
        uint64_t got, wanted;
    } fields[] = {
        {"n_layers", got->n_layers, wanted->n_layers},
        {"n_kv_heads", got->n_kv_heads, wanted->n_kv_heads},
        {"d_head", got->d_head, wanted->d_head},
        {"n_vocab", got->n_vocab, wanted->n_vocab},
        {"n_ctx_train", got->n_ctx_train, wanted->n_ctx_train},
        {"n_groups", got->n_groups, wanted->n_groups},
        {"window", got->groups[0].window, wanted->groups[0].window},
        {"window", got->groups[1].window, wanted->groups[1].window},
        {"layers of a group", got->groups[0].n_layers, wanted->groups[0].n_layers},
        {"layers of a group", got->groups[1].n_layers, wanted->groups[1].n_layers},
        {"model_bytes", got->model_bytes, wanted->model_bytes},
    };
    SLM_TRY(check_text(l, "architecture", got->architecture, wanted->architecture, error));
    SLM_TRY(check_text(l, "quantization", got->quantization, wanted->quantization, error));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].got != fields[i].wanted)
            return other_number(l, fields[i].name, fields[i].got, fields[i].wanted, error);
    if (got->fingerprint == wanted->fingerprint)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CHANGED, "fingerprint", SLM_NO_OFFSET,
                    "%s was saved with another model, or before this one changed: got fingerprint "
                    "%016" PRIx64 ", wanted %016" PRIx64,
                    l->reader->file->name, got->fingerprint, wanted->fingerprint);
}

static slm_status check_state(const slm_snapshot_loader *l, const slm_snapshot_session *wanted,
                              slm_error *error) {
    static const char *const kv_types[] = {"", "f16", "q8_0", "f32"};
    static const char *const factors[] = {"auto", "short", "long"};
    static const char *const devices[] = {"", "the processor", "a CUDA device"};
    const slm_snapshot_session *got = &l->state;
    if (got->device != wanted->device)
        return other(l, "device", devices[got->device], devices[wanted->device], error);
    if (got->kv_type != wanted->kv_type)
        return other(l, "kv_type", kv_types[got->kv_type], kv_types[wanted->kv_type], error);
    if (got->rope_factors != wanted->rope_factors)
        return other(l, "rope_factors", factors[got->rope_factors], factors[wanted->rope_factors],
                     error);
    if (got->rope_long && l->cache->model->inv_freq[1] == NULL)
        return slm_fail(error, SLM_ERR_RANGE, "rope_long", SLM_NO_OFFSET,
                        "%s: rope_long is 1, but the model has no long factors",
                        l->reader->file->name);
    if (got->n_tokens > wanted->n_ctx)
        return slm_fail(error, SLM_ERR_CHANGED, "n_ctx", SLM_NO_OFFSET,
                        "%s holds %" PRIu32 " tokens and was saved with n_ctx %" PRIu32
                        ", but this session has n_ctx %" PRIu32,
                        l->reader->file->name, got->n_tokens, got->n_ctx, wanted->n_ctx);
    return SLM_OK;
}

/* Pages of the cache that hold, of the first n tokens, those from a page of the file on. Of a
 * window no more is kept than a session keeps; a page of which the beginning is missing is none. */
static slm_snapshot_range own_pages(const slm_snapshot_loader *l, uint32_t g, uint32_t n,
                                    slm_snapshot_range in_file) {
    const slm_kv_layout *layout = &l->cache->layout;
    uint64_t from = in_file.begin * (uint64_t)l->state.page_tokens;
    uint64_t window = l->cache->model->groups[g].window;
    uint64_t keep = window + slm_state_slack(l->cache->model);
    uint32_t least = window != 0 && n > keep ? (uint32_t)(n - keep) >> layout->page_shift : 0;
    slm_snapshot_range own;
    own.begin = (uint32_t)((from + layout->page_tokens - 1) >> layout->page_shift);
    own.begin = own.begin > least ? own.begin : least;
    own.end = (uint32_t)(((uint64_t)n + layout->page_tokens - 1) >> layout->page_shift);
    if (in_file.begin == in_file.end || own.begin >= own.end)
        own = (slm_snapshot_range){0, 0};
    return own;
}

/* Pages of the session, or of a mark: n_marks stands for the session. */
static slm_snapshot_range pages_of(const slm_snapshot_loader *l, uint32_t g, uint32_t mark) {
    if (mark == l->states.n_marks)
        return own_pages(l, g, l->state.n_valid, l->state.groups[g]);
    return own_pages(l, g, l->states.marks[mark].n, l->states.marks[mark].groups[g]);
}

/* Which pages the cache will need. */
static slm_status mark_wanted(slm_snapshot_loader *l, uint32_t g, slm_error *error) {
    slm_snapshot_group *to = &l->groups[g];
    const slm_kv_layout *layout = &l->cache->layout;
    to->n_all =
        (uint32_t)(((uint64_t)l->state.n_valid + layout->page_tokens - 1) >> layout->page_shift);
    to->pages = slm_alloc(l->cache->host, to->n_all * sizeof *to->pages);
    if (to->pages == NULL)
        return slm_fail_nomem(error, to->n_all * sizeof *to->pages, "pages of a snapshot");
    for (uint32_t i = 0; i < to->n_all; i++)
        to->pages[i] = SLM_NO_PAGE;
    for (uint32_t m = l->states.first; m <= l->states.n_marks; m++) {
        slm_snapshot_range r = pages_of(l, g, m);
        for (uint32_t i = r.begin; i < r.end; i++) {
            to->n_wanted += to->pages[i] == SLM_NO_PAGE;
            to->pages[i] = WANTED;
        }
    }
    return SLM_OK;
}

/* Where the pages of a group are in the file, and which of the cache's they make. */
static slm_status lay_out_group(slm_snapshot_loader *l, uint32_t g, slm_error *error) {
    slm_snapshot_group *to = &l->groups[g];
    uint64_t pages = 0;
    uint32_t section;
    size_t size = (l->states.n_marks + (size_t)1) * sizeof *to->ranges;
    char name[8];
    slm_snapshot_pages_name(g, name);
    SLM_TRY(slm_snapshot_find(l->reader, name, &section, error));
    to->offset = l->reader->offsets[section];
    to->bytes = l->reader->sections[section].bytes;
    to->page_bytes = slm_snapshot_page_bytes(&l->cache->layout, l->state.page_tokens,
                                             l->cache->model->groups[g].n_layers);
    to->ranges = slm_alloc(l->cache->host, size);
    if (to->ranges == NULL)
        return slm_fail_nomem(error, size, "pages of a snapshot");
    to->n_ranges =
        slm_snapshot_ranges(l->states.marks, l->states.n_marks, l->state.groups[g], g, to->ranges);
    for (uint32_t i = 0; i < to->n_ranges; i++)
        pages += to->ranges[i].end - to->ranges[i].begin;
    if (to->bytes != pages * to->page_bytes)
        return slm_fail(error, SLM_ERR_RANGE, name, SLM_NO_OFFSET,
                        "%s: section \"%s\" has %" PRIu64 " bytes, wanted %" PRIu64 " for %" PRIu64
                        " pages",
                        l->reader->file->name, name, to->bytes, pages * to->page_bytes, pages);
    return mark_wanted(l, g, error);
}

static slm_status read_tokens(slm_snapshot_loader *l, slm_error *error) {
    uint32_t section, n = l->state.n_tokens, n_vocab = l->model.n_vocab;
    SLM_TRY(slm_snapshot_find(l->reader, "tokens", &section, error));
    l->tokens = slm_alloc(l->cache->host, n * sizeof *l->tokens);
    if (l->tokens == NULL)
        return slm_fail_nomem(error, n * sizeof *l->tokens, "tokens of a snapshot");
    SLM_TRY(slm_snapshot_read(l->reader, section, l->tokens, error));
    for (uint32_t i = 0; i < n; i++)
        if (l->tokens[i] < 0 || (uint32_t)l->tokens[i] >= n_vocab)
            return slm_fail(error, SLM_ERR_RANGE, "tokens", SLM_NO_OFFSET,
                            "%s: token %" PRIu32 " has id %" PRId32 ", wanted 0 to %" PRIu32,
                            l->reader->file->name, i, l->tokens[i], n_vocab - 1);
    return SLM_OK;
}

static slm_status read_attachment(slm_snapshot_loader *l, slm_error *error) {
    const slm_snapshot_load_options *o = l->options;
    uint32_t section;
    if (o->attachment == NULL || slm_snapshot_find(l->reader, "attached", &section, NULL) != SLM_OK)
        return SLM_OK;
    uint64_t bytes = l->reader->sections[section].bytes;
    if (bytes > o->attachment_cap)
        return slm_fail(error, SLM_ERR_LIMIT, "attachment_cap", SLM_NO_OFFSET,
                        "%s has an attachment of %" PRIu64 " bytes, but attachment_cap is %zu",
                        l->reader->file->name, bytes, o->attachment_cap);
    return slm_snapshot_read(l->reader, section, o->attachment, error);
}

/* All that can be known before blocks of pages are read. */
static slm_status check_all(slm_snapshot_loader *l, slm_error *error) {
    slm_snapshot_model model;
    slm_snapshot_session state;
    SLM_TRY(slm_snapshot_describe(l->session, &model, &state, error));
    SLM_TRY(slm_snapshot_read_state(l->reader, &l->model, &l->state, error));
    SLM_TRY(check_model(l, &model, error));
    SLM_TRY(check_state(l, &state, error));
    if (l->cache->model->n_scans > 0)
        SLM_TRY(slm_snapshot_read_states(
            l->reader, l->cache->host, slm_state_floats(l->cache->model) * sizeof(float),
            l->cache->options.n_checkpoints - 1, &l->model, &l->state, &l->states, error));
    for (uint32_t g = 0; g < model.n_groups; g++)
        SLM_TRY(lay_out_group(l, g, error));
    SLM_TRY(read_tokens(l, error));
    return read_attachment(l, error);
}

/* ---------------------------------------------------------------- pages ---------------------- */

/* Page i of the text by a session's own table, or that of a checkpoint. */
static uint32_t page_at(const slm_session *s, const slm_kv_table *own, uint32_t g, uint32_t i,
                        uint32_t table) {
    const slm_checkpoint *c = table > 0 ? slm_state_checkpoint(s, table - 1) : NULL;
    const slm_kv_table *t = c != NULL ? &c->tables[g] : own;
    if ((c != NULL && c->n_refs > 1) || i < t->begin || i >= t->end)
        return SLM_NO_PAGE;
    return t->pages[i];
}

/* How many pages of a group a session gives back when it gives up what it has evaluated: those that
 * neither others nor checkpoints shared with others hold. */
static uint32_t count_own(const slm_session *s, uint32_t g) {
    const slm_cache *c = s->cache;
    const slm_kv_table *own = &c->seqs[s->slot].tables[g];
    uint32_t n = 0, n_tables = 1 + (c->model->groups[g].window != 0 ? s->n_checkpoints : 0);
    uint32_t n_pages = (c->options.n_ctx + c->layout.page_tokens - 1) >> c->layout.page_shift;
    for (uint32_t i = 0; i < n_pages; i++)
        for (uint32_t t = 0; t < n_tables; t++) {
            uint32_t page = page_at(s, own, g, i, t), n_holders = 0, first = t;
            for (uint32_t u = 0; page != SLM_NO_PAGE && u < n_tables; u++)
                if (page_at(s, own, g, i, u) == page) {
                    n_holders++;
                    first = u < first ? u : first;
                }
            n += page != SLM_NO_PAGE && first == t && n_holders == c->pools[g].n_refs[page];
        }
    return n;
}

/* Whether the pools have pages enough; else whether they have with those that only this session
 * holds. */
static slm_status check_pages(const slm_snapshot_loader *l, int *have_room, slm_error *error) {
    const slm_cache *c = l->cache;
    *have_room = 1;
    for (uint32_t g = 0; g < c->model->n_groups; g++) {
        uint32_t wanted = l->groups[g].n_wanted, have = c->pools[g].n_free;
        if (wanted <= have)
            continue;
        *have_room = 0;
        have += count_own(l->session, g);
        if (wanted > have)
            return slm_fail(error, SLM_ERR_LIMIT, "n_cells", SLM_NO_OFFSET,
                            "%s needs %" PRIu32 " pages, but the cache, which was opened for "
                            "%" PRIu32 " tokens, has %" PRIu32 " to give",
                            l->reader->file->name, wanted, c->options.n_cells, have);
    }
    return SLM_OK;
}

static void take_pages(slm_snapshot_loader *l) {
    for (uint32_t g = 0; g < l->cache->model->n_groups; g++) {
        slm_snapshot_group *to = &l->groups[g];
        slm_kv_pool *pool = &l->cache->pools[g];
        for (uint32_t i = 0; i < to->n_all; i++)
            if (to->pages[i] == WANTED) {
                to->pages[i] = pool->free_list[--pool->n_free];
                pool->n_refs[to->pages[i]] = 1;
                to->n_taken++;
            }
    }
}

/* Those taken that nobody else has got meanwhile. */
static void give_back_pages(slm_snapshot_loader *l) {
    for (uint32_t g = 0; g < l->cache->model->n_groups; g++) {
        slm_snapshot_group *to = &l->groups[g];
        slm_kv_pool *pool = &l->cache->pools[g];
        for (uint32_t i = 0; to->n_taken > 0 && i < to->n_all; i++)
            if (to->pages[i] != SLM_NO_PAGE && --pool->n_refs[to->pages[i]] == 0)
                pool->free_list[pool->n_free++] = to->pages[i];
        to->n_taken = 0;
    }
}

static slm_status write_page(slm_cache *c, const slm_kv_pool *pool, uint32_t page, size_t offset,
                             size_t n, const uint8_t *from, slm_error *error) {
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL)
        return slm_backend_cuda_write_page(c->cuda, pool, page, offset, n, from, error);
#endif
    (void)c;
    (void)error;
    memcpy(pool->memory + (size_t)page * pool->page_bytes + offset, from, n);
    return SLM_OK;
}

/* Where byte `at` of a section of pages goes in the pool, and how many bytes from there go with it;
 * *page is SLM_NO_PAGE where the cache has none for it. Pages of the file and of the cache may be
 * of different sizes; both hold, one behind the other, the tokens of each layer's K or V of each
 * head, or of the heads that lie as one. */
static uint64_t run_of(const slm_snapshot_loader *l, uint32_t g, uint64_t at, uint32_t *page,
                       size_t *offset) {
    const slm_snapshot_group *to = &l->groups[g];
    const slm_kv_layout *layout = &l->cache->layout;
    uint64_t head_bytes = l->state.page_tokens * layout->row_bytes;
    uint64_t index = at / to->page_bytes, in = at % to->page_bytes;
    const slm_snapshot_range *range = to->ranges;
    for (; index >= range->end - range->begin; range++)
        index -= range->end - range->begin;
    uint64_t plane = in / (l->model.n_kv_heads * head_bytes);
    uint64_t span = slm_snapshot_span(l->cache, plane & 1);
    uint64_t in_head = in % (span * head_bytes), head = (in - in_head) / head_bytes;
    uint64_t stream = (range->begin + index) * span * head_bytes + in_head;
    uint64_t i = stream / (span * layout->head_bytes);
    uint64_t in_place = stream % (span * layout->head_bytes);
    uint64_t run = span * head_bytes - in_head;
    if (head_bytes == layout->head_bytes)
        run = to->page_bytes - in;
    else if (run > span * layout->head_bytes - in_place)
        run = span * layout->head_bytes - in_place;
    *page = i < to->n_all ? to->pages[i] : SLM_NO_PAGE;
    *offset = (size_t)(head * layout->head_bytes + in_place);
    return run;
}

/* Bytes of a section of pages, from `at` on, to their places. */
static slm_status place(slm_snapshot_loader *l, uint32_t g, uint64_t at, const uint8_t *data,
                        size_t size, slm_error *error) {
    for (size_t n; size > 0; size -= n, at += n, data += n) {
        uint32_t page;
        size_t offset;
        uint64_t run = run_of(l, g, at, &page, &offset);
        n = run < size ? (size_t)run : size;
        if (page != SLM_NO_PAGE)
            SLM_TRY(write_page(l->cache, &l->cache->pools[g], page, offset, n, data, error));
    }
    return SLM_OK;
}

/* ---------------------------------------------------------------- passes --------------------- */

/* Where byte `at` of the file can be read to at once, NULL: nowhere; and how many of *n bytes from
 * there go with it. */
static uint8_t *place_of(const slm_snapshot_loader *l, uint64_t at, size_t *n) {
    uint8_t *found = NULL;
    for (uint32_t g = 0; g < l->cache->model->n_groups; g++) {
        const slm_snapshot_group *to = &l->groups[g];
        const slm_kv_pool *pool = &l->cache->pools[g];
        uint64_t most = to->offset - at; /* up to the section */
        if (at >= to->offset + to->bytes)
            continue;
        if (at >= to->offset) {
            uint32_t page;
            size_t offset;
            most = run_of(l, g, at - to->offset, &page, &offset);
            if (page != SLM_NO_PAGE)
                found = pool->memory + (size_t)page * pool->page_bytes + offset;
        }
        *n = most < *n ? (size_t)most : *n;
    }
    return found;
}

/* Reads a block and compares its checksum. What goes to pages, which nobody has yet, is read there
 * where that takes few calls; the rest to the buffer. */
static slm_status read_block(const slm_snapshot_loader *l, uint32_t block, uint8_t *buffer,
                             slm_error *error) {
    const slm_snapshot_reader *r = l->reader;
    uint64_t offset;
    size_t size;
    uint32_t check = 0;
    slm_snapshot_find_block(r, block, &offset, &size);
    for (size_t at = 0, n; at < size; at += n) {
        uint8_t *to = NULL;
        n = size - at;
        if (l->places && l->in_place)
            to = place_of(l, offset + at, &n);
        if (to == NULL)
            to = buffer + at;
        SLM_TRY(slm_file_read_at(r->file, to, n, offset + at, error));
        check = slm_crc32c(&r->crc, to, n, check);
    }
    return slm_snapshot_check_block(r, block, check, error);
}

static slm_status take_block(slm_snapshot_loader *l, uint32_t block, uint8_t *buffer,
                             slm_error *error) {
    uint64_t offset;
    size_t size;
    slm_snapshot_find_block(l->reader, block, &offset, &size);
    SLM_TRY(read_block(l, block, buffer, error));
    for (uint32_t g = 0; l->places && !l->in_place && g < l->cache->model->n_groups; g++) {
        const slm_snapshot_group *to = &l->groups[g];
        uint64_t from = offset > to->offset ? offset : to->offset;
        uint64_t end = offset + size, last = to->offset + to->bytes;
        end = end < last ? end : last;
        if (from < end)
            SLM_TRY(place(l, g, from - to->offset, buffer + (from - offset), (size_t)(end - from),
                          error));
    }
    atomic_fetch_add(&l->done, 1);
    return SLM_OK;
}

static slm_status report(const slm_snapshot_loader *l, slm_error *error) {
    const slm_snapshot_load_options *o = l->options;
    uint64_t done = atomic_load(&l->done) * (uint64_t)SLM_SNAPSHOT_BLOCK;
    uint64_t total = l->reader->file->size;
    done = done < total ? done : total;
    if (!l->reports || o->progress == NULL || o->progress(o->progress_user, done, total) == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "loading %s was stopped at %" PRIu64 " of %" PRIu64 " bytes",
                    l->reader->file->name, done, total);
}

static void run_lane(void *context, uint32_t lane) {
    slm_snapshot_loader *l = context;
    if (lane >= l->buffers.n)
        return;
    uint8_t *buffer = l->buffers.at + lane * SLM_SNAPSHOT_BLOCK;
    while (!atomic_load(&l->has_failed)) {
        slm_error error = SLM_ERROR_INIT;
        uint32_t block = atomic_fetch_add(&l->next, 1);
        if (block >= l->reader->n_blocks)
            return;
        slm_status status = take_block(l, block, buffer, &error);
        if (status == SLM_OK && lane == 0)
            status = report(l, &error);
        if (status != SLM_OK && atomic_exchange(&l->has_failed, 1) == 0) {
            l->status = status; /* of the first that failed */
            l->error = error;
        }
    }
}

/* Reads and checks every block once. */
static slm_status pass(slm_snapshot_loader *l, int places, int reports, slm_error *error) {
    l->places = places;
    l->reports = reports;
    atomic_store(&l->next, 0);
    atomic_store(&l->done, 0);
    if (l->buffers.n > 1)
        slm_lanes_run(&l->cache->cpu.lanes, run_lane, l);
    else
        run_lane(l, 0);
    if (l->status == SLM_OK)
        return SLM_OK;
    return slm_fail(error, l->status, l->error.subject, l->error.offset, "%s", l->error.message);
}

static uint32_t lanes_for(const slm_snapshot_loader *l) {
    uint32_t n = l->cache->cuda != NULL ? 1 : l->cache->cpu.n_lanes;
    n = n < MOST_LANES ? n : MOST_LANES;
    return n < l->reader->n_blocks ? n : l->reader->n_blocks;
}

/* Where the pools have no room for both, what the session has evaluated is given up, after all of
 * the file was found to be good: should it change or fail meanwhile, the tokens are evaluated
 * again. */
static slm_status read_pages(slm_snapshot_loader *l, slm_error *error) {
    int have_room;
    SLM_TRY(check_pages(l, &have_room, error));
    l->in_place = l->cache->cuda == NULL && l->state.page_tokens == l->cache->layout.page_tokens;
    SLM_TRY(slm_snapshot_buffers_open(l->cache, lanes_for(l), &l->buffers, error));
    if (!have_room) {
        SLM_TRY(pass(l, 0, 1, error));
        slm_session_give_up(l->session);
    }
    take_pages(l);
    return pass(l, 1, have_room, error);
}

/* Gives the session the pages of a mark, or its own. */
static void set_tables(slm_snapshot_loader *l, uint32_t mark) {
    slm_kv_table *tables = l->cache->seqs[l->session->slot].tables;
    for (uint32_t g = 0; g < l->cache->model->n_groups; g++) {
        slm_snapshot_range r = pages_of(l, g, mark);
        tables[g].begin = r.begin;
        tables[g].end = r.end;
        for (uint32_t i = r.begin; i < r.end; i++)
            tables[g].pages[i] = l->groups[g].pages[i];
    }
}

static slm_status write_state(slm_snapshot_loader *l, const float *state, slm_error *error) {
    slm_cache *c = l->cache;
    float *to = c->seqs[l->session->slot].recurrent;
    size_t bytes = slm_state_floats(c->model) * sizeof *state;
#ifdef SLM_HAVE_CUDA
    for (size_t at = 0, n; c->cuda != NULL && at < bytes; at += n) {
        n = bytes - at < SLM_SNAPSHOT_BLOCK ? bytes - at : SLM_SNAPSHOT_BLOCK;
        memcpy(l->buffers.at, (const uint8_t *)state + at, n);
        SLM_TRY(slm_backend_cuda_write_state(c->cuda, (uint8_t *)to + at, n, l->buffers.at, error));
    }
    if (c->cuda != NULL)
        return SLM_OK;
#endif
    (void)error;
    memcpy(to, state, bytes);
    return SLM_OK;
}

/* Recurrent state, and its checkpoints: the session is at each of them for a moment. Where a device
 * fails it is at the tokens of the last. */
static slm_status set_states(slm_snapshot_loader *l, slm_error *error) {
    slm_session *s = l->session;
    size_t n = slm_state_floats(l->cache->model);
    const float *state = l->states.states;
    for (uint32_t m = l->states.first; m <= l->states.n_marks; m++, state += n) {
        SLM_TRY(write_state(l, state, error));
        set_tables(l, m);
        s->n_valid = m < l->states.n_marks ? l->states.marks[m].n : l->state.n_valid;
        slm_state_mark(s);
    }
    return SLM_OK;
}

/* From here on nothing can fail but a device, after which its cache gives up all state. */
static slm_status commit(slm_snapshot_loader *l, slm_error *error) {
    slm_session *s = l->session;
    slm_seq *seq = &l->cache->seqs[s->slot];
    slm_status status = SLM_OK;
    slm_session_cut(s, 0);
    if (l->cache->model->n_scans > 0)
        status = set_states(l, error);
    set_tables(l, l->states.n_marks);
    for (uint32_t g = 0; g < l->cache->model->n_groups; g++)
        for (uint32_t i = seq->tables[g].begin; i < seq->tables[g].end; i++)
            l->cache->pools[g].n_refs[seq->tables[g].pages[i]]++;
    if (l->state.n_tokens > 0)
        memcpy(s->tokens, l->tokens, l->state.n_tokens * sizeof *s->tokens);
    s->n_tokens = l->state.n_tokens;
    s->n_valid = l->state.n_valid;
    s->n_seen = l->state.n_seen;
    seq->rope_long = (uint8_t)l->state.rope_long;
    return status;
}

static slm_status load(slm_snapshot_loader *l, const slm_file *file, slm_error *error) {
    SLM_TRY(slm_snapshot_open(l->cache->host, file, l->cache->model->kernels.crc32c, &l->reader,
                              error));
    SLM_TRY(check_all(l, error));
    slm_status status = read_pages(l, error);
    if (status == SLM_OK)
        status = commit(l, error);
    give_back_pages(l);
    if (status == SLM_ERR_DEVICE)
        slm_cache_give_up(l->cache);
    return status;
}

slm_status slm_snapshot_load(slm_session *session, const slm_file *file,
                             const slm_snapshot_load_options *options, slm_snapshot_info *info,
                             slm_error *error) {
    slm_host *host = session->cache->host;
    slm_snapshot_loader *l = slm_calloc(host, 1, sizeof *l);
    if (l == NULL)
        return slm_fail_nomem(error, sizeof *l, "a snapshot");
    l->session = session;
    l->cache = session->cache;
    l->options = options;
    slm_status status = load(l, file, error);
    if (status == SLM_OK && info != NULL)
        slm_snapshot_fill_info(l->reader, &l->model, &l->state, info);
    slm_snapshot_buffers_close(&l->buffers);
    slm_snapshot_close(l->reader);
    slm_free(host, l->tokens);
    slm_snapshot_free_states(host, &l->states);
    for (uint32_t g = 0; g < SLM_MAX_KV_GROUPS; g++) {
        slm_free(host, l->groups[g].ranges);
        slm_free(host, l->groups[g].pages);
    }
    slm_free(host, l);
    return status;
}
