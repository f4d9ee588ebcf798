/* Files of packed weights: what packing made, kept for the next start. docs/FORMATS.md is the
 * format.
 *
 * All but the checksums follows from the model: which matrices there are, their shapes, and so
 * every place and size. What a file says is compared with that and never used itself. */
#include "model/pack.h"

#include "base/hash.h"
#include "packed.h"

#include <inttypes.h>
#include <string.h>

#define ALIGN  ((uint64_t)4096) /* of the panels of a matrix */
#define PANELS ALIGN            /* where those of the first begin */
#define READ_BYTES ((uint64_t)1 << 20) /* at a time */
#define N_SAMPLES 16u
#define SAMPLE_BYTES 64u

/* Numbers are in the order of bytes of the machine, which byte_order tells. */
typedef struct slm_packed_header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint64_t fingerprint;  /* of the model                                                          */
    uint64_t model_bytes;  /* of all its files                                                      */
    uint64_t file_bytes;   /* of this file                                                          */
    uint64_t table_offset; /* the table is the end of the file                                      */
    uint32_t n_matrices;
    uint32_t panel_rows;
    uint64_t hash;         /* of the fields above                                                   */
} slm_packed_header;
_Static_assert(sizeof(slm_packed_header) == 64, "the header has no padding");

typedef struct slm_packed_entry {
    uint32_t part; /* where the rows are in the model's files                                       */
    uint32_t type;
    uint64_t row_offset;
    uint32_t n_in;
    uint32_t n_out;
    uint64_t offset; /* of the panels in this file                                                  */
    uint64_t bytes;  /* of them                                                                     */
    uint64_t hash;   /* of them                                                                     */
} slm_packed_entry;
_Static_assert(sizeof(slm_packed_entry) == 48, "an entry has no padding");

static const char magic[8] = "SLMPACK";
static const uint32_t byte_order = 0x01020304;

/* ---------------------------------------------------------------- fingerprint ---------------- */

/* Bytes of a part before its first tensor: its metadata and its table of tensors. */
static uint64_t head_bytes(const slm_gguf *g, uint32_t part) {
    uint64_t least = slm_gguf_part(g, part)->size;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        if (t->part == part && t->offset < least)
            least = t->offset;
    }
    return least;
}

/* By reads and not through the mapping: reading a place of a cold file brings in no more than it. */
static slm_status hash_at(const slm_file *file, uint64_t offset, uint32_t size, uint64_t *hash,
                          slm_error *error) {
    uint8_t bytes[N_SAMPLES * SAMPLE_BYTES];
    SLM_TRY(slm_file_read_at(file, bytes, size, offset, error));
    *hash = slm_hash64(bytes, size, *hash);
    return SLM_OK;
}

static slm_status hash_tensor(const slm_file *file, const slm_gguf_tensor *t, uint64_t *hash,
                              slm_error *error) {
    if (t->bytes <= N_SAMPLES * SAMPLE_BYTES)
        return hash_at(file, t->offset, (uint32_t)t->bytes, hash, error);
    uint64_t last = t->bytes - SAMPLE_BYTES, step = last / (N_SAMPLES - 1);
    for (uint32_t i = 0; i < N_SAMPLES; i++)
        SLM_TRY(hash_at(file, t->offset + (i + 1 < N_SAMPLES ? i * step : last), SAMPLE_BYTES, hash,
                        error));
    return SLM_OK;
}

slm_status slm_packed_fingerprint(const slm_model *m, uint64_t *fingerprint, slm_error *error) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf); i++) {
        const slm_file *file = slm_gguf_part(m->gguf, i);
        hash = slm_hash64(&file->size, sizeof file->size, hash);
        hash = slm_hash64(file->data, (size_t)head_bytes(m->gguf, i), hash);
    }
    for (uint64_t i = 0; i < slm_gguf_n_tensors(m->gguf); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(m->gguf, i);
        SLM_TRY(hash_tensor(slm_gguf_part(m->gguf, t->part), t, &hash, error));
    }
    *fingerprint = hash;
    return SLM_OK;
}

/* ---------------------------------------------------------------- layout --------------------- */

static uint64_t panels_bytes(const slm_linear *l) {
    return slm_pack_panels(l) * (uint64_t)slm_panel_bytes(l->type, l->n_in);
}

static uint64_t header_hash(const slm_packed_header *h) {
    return slm_hash64(h, offsetof(slm_packed_header, hash), 0);
}

/* Places the matrices, counted from where the panels begin, and makes the header that the file of
 * this model has. */
static slm_status lay_out(const slm_model *m, slm_pack_list *list, slm_packed_header *h,
                          slm_error *error) {
    uint64_t at = 0;
    *h = (slm_packed_header){.version = SLM_PACKED_VERSION,
                             .byte_order = byte_order,
                             .model_bytes = slm_gguf_file_bytes(m->gguf),
                             .n_matrices = list->n,
                             .panel_rows = SLM_PANEL_ROWS};
    memcpy(h->magic, magic, sizeof magic);
    for (uint32_t i = 0; i < list->n; i++) {
        list->at[i] = at;
        at = (at + panels_bytes(list->all[i]) + ALIGN - 1) / ALIGN * ALIGN;
    }
    h->table_offset = PANELS + at;
    h->file_bytes = h->table_offset + list->n * sizeof(slm_packed_entry) + sizeof(uint64_t);
    SLM_TRY(slm_packed_fingerprint(m, &h->fingerprint, error));
    h->hash = header_hash(h);
    return SLM_OK;
}

static slm_packed_entry entry_of(const slm_pack_list *list, uint32_t i) {
    const slm_linear *l = list->all[i];
    return (slm_packed_entry){.part = l->part,
                              .type = l->type,
                              .row_offset = l->offset,
                              .n_in = l->n_in,
                              .n_out = l->n_out,
                              .offset = PANELS + list->at[i],
                              .bytes = panels_bytes(l)};
}

static slm_status stopped(slm_error *error, const char *verb, uint64_t done, uint64_t total) {
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "%s the packed weights was stopped at %" PRIu64 " of %" PRIu64 " bytes", verb,
                    done, total);
}

/* ---------------------------------------------------------------- reading -------------------- */

/* What can be told from the header alone: that this is such a file, whole, of this version. */
static slm_status check_header(const slm_file *file, slm_packed_header *h, slm_error *error) {
    if (file->size < sizeof *h)
        return slm_fail(error, SLM_ERR_TRUNC, file->name, 0,
                        "%s has %" PRIu64 " bytes, wanted at least the %zu of a header of packed "
                        "weights",
                        file->name, file->size, sizeof *h);
    SLM_TRY(slm_file_read_at(file, h, sizeof *h, 0, error));
    if (memcmp(h->magic, magic, sizeof magic) != 0)
        return slm_fail(error, SLM_ERR_FORMAT, file->name, 0,
                        "%s is no file of packed weights: its first bytes are not \"%s\"",
                        file->name, magic);
    if (h->byte_order != byte_order)
        return slm_fail(error, SLM_ERR_UNSUP, file->name, offsetof(slm_packed_header, byte_order),
                        "%s was packed on a machine with another order of bytes: got 0x%08" PRIx32
                        ", wanted 0x%08" PRIx32,
                        file->name, h->byte_order, byte_order);
    if (h->version != SLM_PACKED_VERSION)
        return slm_fail(error, SLM_ERR_UNSUP, file->name, offsetof(slm_packed_header, version),
                        "%s holds packed weights of version %" PRIu32 ", wanted version %u",
                        file->name, h->version, SLM_PACKED_VERSION);
    if (h->hash != header_hash(h))
        return slm_fail(error, SLM_ERR_FORMAT, file->name, offsetof(slm_packed_header, hash),
                        "%s: the header has checksum %016" PRIx64 ", wanted %016" PRIx64,
                        file->name, header_hash(h), h->hash);
    if (h->file_bytes != file->size)
        return slm_fail(error, file->size < h->file_bytes ? SLM_ERR_TRUNC : SLM_ERR_FORMAT,
                        file->name, file->size,
                        "%s has %" PRIu64 " bytes, wanted the %" PRIu64 " that its header names",
                        file->name, file->size, h->file_bytes);
    return SLM_OK;
}

static slm_status check_model(const slm_file *file, const slm_packed_header *h,
                              const slm_packed_header *wanted, slm_error *error) {
    if (h->fingerprint != wanted->fingerprint || h->model_bytes != wanted->model_bytes)
        return slm_fail(error, SLM_ERR_CHANGED, file->name,
                        offsetof(slm_packed_header, fingerprint),
                        "%s was packed from another model, or before this one changed: got "
                        "fingerprint %016" PRIx64 " of %" PRIu64 " bytes, wanted %016" PRIx64
                        " of %" PRIu64,
                        file->name, h->fingerprint, h->model_bytes, wanted->fingerprint,
                        wanted->model_bytes);
    if (memcmp(h, wanted, sizeof *h) != 0)
        return slm_fail(error, SLM_ERR_SHAPE, file->name,
                        offsetof(slm_packed_header, table_offset),
                        "%s: got %" PRIu32 " matrices in %" PRIu64 " bytes of panels of %" PRIu32
                        " rows, wanted %" PRIu32 " in %" PRIu64 " of %" PRIu32,
                        file->name, h->n_matrices, h->table_offset, h->panel_rows,
                        wanted->n_matrices, wanted->table_offset, wanted->panel_rows);
    return SLM_OK;
}

static slm_status check_table(const slm_file *file, const slm_pack_list *list,
                              const slm_packed_header *h, slm_packed_entry *table,
                              slm_error *error) {
    uint64_t hash, size = list->n * sizeof *table;
    SLM_TRY(slm_file_read_at(file, table, (size_t)size, h->table_offset, error));
    SLM_TRY(slm_file_read_at(file, &hash, sizeof hash, h->table_offset + size, error));
    uint64_t got = slm_hash64(table, (size_t)size, h->fingerprint);
    if (hash != got)
        return slm_fail(error, SLM_ERR_FORMAT, file->name, h->table_offset,
                        "%s: the table of matrices has checksum %016" PRIx64 ", wanted %016" PRIx64,
                        file->name, got, hash);
    for (uint32_t i = 0; i < list->n; i++) {
        slm_packed_entry wanted = entry_of(list, i);
        wanted.hash = table[i].hash;
        if (memcmp(&wanted, &table[i], sizeof wanted) != 0)
            return slm_fail(error, SLM_ERR_SHAPE, file->name,
                            h->table_offset + i * sizeof *table,
                            "%s: matrix %" PRIu32 ": got %" PRIu32 " x %" PRIu32
                            " of type %" PRIu32 " in %" PRIu64 " bytes at %" PRIu64
                            ", wanted %" PRIu32 " x %" PRIu32 " of type %" PRIu32 " in %" PRIu64
                            " at %" PRIu64,
                            file->name, i, table[i].n_out, table[i].n_in, table[i].type,
                            table[i].bytes, table[i].offset, wanted.n_out, wanted.n_in, wanted.type,
                            wanted.bytes, wanted.offset);
    }
    return SLM_OK;
}

static uint64_t hash_panels(const slm_linear *l, const uint8_t *panels, uint32_t n, uint64_t hash) {
    size_t bytes = slm_panel_bytes(l->type, l->n_in);
    for (uint32_t i = 0; i < n; i++)
        hash = slm_hash64(panels + i * bytes, bytes, hash);
    return hash;
}

/* Compares the panels, in memory or mapped, with the table. */
static slm_status check_data(const slm_file *file, const uint8_t *panels,
                             const slm_pack_list *list, const slm_packed_entry *table,
                             const slm_model_options *o, slm_error *error) {
    for (uint32_t i = 0; i < list->n; i++) {
        const slm_linear *l = list->all[i];
        uint64_t end = table[i].offset + table[i].bytes;
        uint64_t hash = hash_panels(l, panels + list->at[i], slm_pack_panels(l), 0);
        if (hash != table[i].hash)
            return slm_fail(error, SLM_ERR_FORMAT, file->name, table[i].offset,
                            "%s: matrix %" PRIu32 " has checksum %016" PRIx64
                            ", wanted %016" PRIx64,
                            file->name, i, hash, table[i].hash);
        if (o->progress != NULL && o->progress(o->progress_user, end, file->size) != 0)
            return stopped(error, "checking", end, file->size);
    }
    return SLM_OK;
}

/* Read or mapped, the panels take the place of what is mapped of the model's file. */
static slm_status check_limit(slm_model *m, const slm_pack_list *list, const slm_file *file,
                              slm_error *error) {
    const slm_host *host = &m->host;
    uint64_t held = atomic_load(&host->bytes);
    uint64_t room = host->limit + slm_pack_in_place(m, list);
    if (host->limit == 0 || (file->size <= room && held <= room - file->size))
        return SLM_OK;
    return slm_fail(error, SLM_ERR_NOMEM, "memory_limit", SLM_NO_OFFSET,
                    "%s needs %" PRIu64 " bytes, but memory_limit leaves %" PRIu64, file->name,
                    file->size, room - (held < room ? held : room));
}

typedef struct slm_packed_reader {
    const slm_file *file;
    uint8_t *resident; /* pages in memory before, or NULL                                           */
    uint8_t *memory;
    uint64_t bytes;
} slm_packed_reader;

static slm_status read_span(void *context, uint8_t *buffer, uint64_t from, uint64_t to,
                            slm_error *error) {
    const slm_packed_reader *r = context;
    (void)buffer;
    for (uint64_t n; from < to; from += n) {
        n = to - from < READ_BYTES ? to - from : READ_BYTES;
        SLM_TRY(slm_file_read_at(r->file, r->memory + from, (size_t)n, PANELS + from, error));
        slm_file_drop(r->file, r->resident, PANELS + from, n);
    }
    return SLM_OK;
}

static slm_status read_panels(slm_model *m, slm_packed_reader *r, const slm_model_options *o,
                              slm_error *error) {
    slm_fill f = {.verb = "reading",
                  .body = read_span,
                  .context = r,
                  .memory = r->memory,
                  .bytes = r->bytes,
                  .progress = o->progress,
                  .progress_user = o->progress_user};
    r->resident = slm_file_resident(&m->host, r->file);
    slm_status status = slm_fill_run(&m->host, &f, error);
    slm_free(&m->host, r->resident);
    return status == SLM_OK ? slm_file_check(r->file, error) : status;
}

/* What there is to find out before the panels are used. *table is the caller's to free. */
static slm_status check_file(slm_model *m, slm_pack_list *list, const slm_file *file,
                             slm_packed_entry **table, uint64_t *panel_bytes, slm_error *error) {
    slm_packed_header h, wanted;
    SLM_TRY(check_header(file, &h, error));
    SLM_TRY(lay_out(m, list, &wanted, error));
    SLM_TRY(check_model(file, &h, &wanted, error));
    SLM_TRY(check_limit(m, list, file, error));
    *panel_bytes = h.table_offset - PANELS;
    *table = slm_calloc(&m->host, list->n, sizeof **table);
    if (*table == NULL)
        return slm_fail_nomem(error, list->n * sizeof **table, "a table of matrices");
    return check_table(file, list, &h, *table, error);
}

/* Reads the panels where the rule of slm_load says so; memory stays NULL where they are mapped. */
static slm_status load_panels(slm_model *m, const slm_pack_list *list, slm_packed_reader *r,
                              const slm_model_options *o, slm_error *error) {
    if (o->load == SLM_LOAD_MAP || (o->load == SLM_LOAD_AUTO && !slm_pack_fits(r->bytes)))
        return SLM_OK;
    r->memory = slm_fill_alloc(m, list, r->bytes);
    if (r->memory != NULL)
        return read_panels(m, r, o, error);
    return o->load == SLM_LOAD_AUTO ? SLM_OK : slm_fail_nomem(error, r->bytes, "packed weights");
}

/* The mapping from now on counts as the model's. */
static void take_mapping(slm_model *m, const slm_pack_list *list, slm_file *file) {
    uint64_t in_place = slm_pack_in_place(m, list);
    if (m->host.limit != 0)
        m->host.limit = m->host.limit + in_place - file->size;
    m->mapped_bytes += file->size - in_place;
    m->packed_file = file;
    slm_pack_rebind(m, list, file->data + PANELS);
    slm_log(&m->host, SLM_LOG_INFO, "packed weights are mapped from %s", file->name);
}

slm_status slm_packed_use(slm_model *m, slm_pack_list *list, const char *path,
                          const slm_model_options *o, slm_error *error) {
    slm_file *file;
    slm_packed_entry *table = NULL;
    SLM_TRY(slm_file_open(&m->host, path, SLM_LOAD_MAP, NULL, NULL, &file, error));
    slm_packed_reader r = {.file = file};
    slm_status status = check_file(m, list, file, &table, &r.bytes, error);
    if (status == SLM_OK)
        status = load_panels(m, list, &r, o, error);
    if (status == SLM_OK && (o->flags & SLM_MODEL_CHECK_TENSORS))
        status = check_data(file, r.memory != NULL ? r.memory : file->data + PANELS, list, table,
                            o, error);
    slm_free(&m->host, table);
    if (status == SLM_OK && r.memory == NULL) {
        take_mapping(m, list, file);
        return SLM_OK;
    }
    if (status == SLM_OK) {
        slm_fill_take(m, list, r.memory, r.bytes);
        slm_log(&m->host, SLM_LOG_INFO, "packed weights are read from %s", file->name);
    } else if (r.memory != NULL) {
        slm_fill_free(m, list, r.memory);
    }
    slm_file_close(&m->host, file);
    return status;
}

/* ---------------------------------------------------------------- writing -------------------- */

typedef struct slm_packed_writer {
    slm_model *model;
    slm_pack_list *list;
    slm_out *out;
    uint64_t at;             /* bytes written                                                       */
    uint64_t file_bytes;
    slm_packed_entry *table; /* [n]                                                                 */
    uint8_t *rows, *panels;  /* a chunk of each                                                     */
    slm_progress_fn progress;
    void *progress_user;
} slm_packed_writer;

static slm_status put(slm_packed_writer *w, const void *data, uint64_t size, slm_error *error) {
    w->at += size;
    return slm_out_write(w->out, data, (size_t)size, error);
}

static slm_status pad_to(slm_packed_writer *w, uint64_t offset, slm_error *error) {
    static const uint8_t zeros[ALIGN];
    return put(w, zeros, offset - w->at, error);
}

static slm_status report(const slm_packed_writer *w, slm_error *error) {
    if (w->progress == NULL || w->progress(w->progress_user, w->at, w->file_bytes) == 0)
        return SLM_OK;
    return stopped(error, "writing", w->at, w->file_bytes);
}

static slm_status put_matrix(slm_packed_writer *w, uint32_t i, slm_error *error) {
    const slm_linear *l = w->list->all[i];
    uint32_t n = slm_pack_panels(l), per = slm_pack_chunk(l);
    size_t bytes = slm_panel_bytes(l->type, l->n_in);
    w->table[i] = entry_of(w->list, i);
    SLM_TRY(pad_to(w, PANELS + w->list->at[i], error));
    for (uint32_t first = 0; first < n; first += per) {
        uint32_t some = n - first < per ? n - first : per;
        const uint8_t *panels = l->w + first * bytes;
        uint64_t offset;
        size_t size;
        if (l->panel_bytes == 0) {
            SLM_TRY(slm_pack_panels_at(w->model, l, first, some, w->rows, w->panels, &offset, &size,
                                       error));
            panels = w->panels;
        }
        w->table[i].hash = hash_panels(l, panels, some, w->table[i].hash);
        SLM_TRY(put(w, panels, some * bytes, error));
        SLM_TRY(report(w, error));
    }
    return SLM_OK;
}

static slm_status put_all(slm_packed_writer *w, const slm_packed_header *h, slm_error *error) {
    SLM_TRY(put(w, h, sizeof *h, error));
    for (uint32_t i = 0; i < w->list->n; i++)
        SLM_TRY(put_matrix(w, i, error));
    uint64_t size = w->list->n * sizeof *w->table;
    uint64_t hash = slm_hash64(w->table, (size_t)size, h->fingerprint);
    SLM_TRY(pad_to(w, h->table_offset, error));
    SLM_TRY(put(w, w->table, size, error));
    SLM_TRY(put(w, &hash, sizeof hash, error));
    for (uint32_t i = 0; i < slm_gguf_n_parts(w->model->gguf); i++)
        SLM_TRY(slm_file_check(slm_gguf_part(w->model->gguf, i), error));
    return report(w, error);
}

static slm_status write_file(slm_packed_writer *w, const char *path, slm_error *error) {
    slm_host *host = &w->model->host;
    size_t rows = 1, panels = 1;
    slm_packed_header h;
    SLM_TRY(lay_out(w->model, w->list, &h, error));
    w->file_bytes = h.file_bytes;
    for (uint32_t i = 0; i < w->list->n; i++) {
        const slm_linear *l = w->list->all[i];
        size_t p = slm_pack_chunk(l) * slm_panel_bytes(l->type, l->n_in);
        rows = slm_pack_chunk_rows(l) > rows ? slm_pack_chunk_rows(l) : rows;
        panels = p > panels ? p : panels;
    }
    w->table = slm_calloc(host, w->list->n, sizeof *w->table);
    w->rows = slm_alloc(host, rows);
    w->panels = slm_alloc(host, panels);
    if (w->table == NULL || w->rows == NULL || w->panels == NULL)
        return slm_fail_nomem(error, rows + panels + w->list->n * sizeof *w->table,
                              "writing packed weights");
    SLM_TRY(slm_out_open(host, path, &w->out, error));
    slm_status status = put_all(w, &h, error);
    if (status == SLM_OK)
        return slm_out_commit(&w->out, error);
    slm_out_abandon(&w->out);
    return status;
}

/* The model's own files must not be replaced. */
static slm_status check_target(slm_model *m, const char *path, slm_error *error) {
    slm_file *there = NULL;
    if (!slm_path_exists(path) ||
        slm_file_open(&m->host, path, SLM_LOAD_MAP, NULL, NULL, &there, NULL) != SLM_OK)
        return SLM_OK;
    slm_status status = SLM_OK;
    for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf) && status == SLM_OK; i++) {
        const slm_file *part = slm_gguf_part(m->gguf, i);
        if (part->id[0] == there->id[0] && part->id[1] == there->id[1] && part->id[1] != 0)
            status = slm_fail(error, SLM_ERR_ARG, "path", SLM_NO_OFFSET,
                              "%s is the model's own file, wanted another to write",
                              there->name);
    }
    slm_file_close(&m->host, there);
    return status;
}

slm_status slm_packed_save(slm_model *m, const char *path, slm_progress_fn progress,
                           void *progress_user, slm_error *error) {
    slm_pack_list list;
    SLM_TRY(check_target(m, path, error));
    SLM_TRY(slm_pack_list_open(m, &list, error));
    slm_packed_writer w = {
        .model = m, .list = &list, .progress = progress, .progress_user = progress_user};
    slm_status status;
    if (list.n == 0)
        status = slm_fail(error, SLM_ERR_UNSUP, NULL, SLM_NO_OFFSET,
                          "the model has no matrix that can be packed, wanted one of type Q2_K to "
                          "Q6_K, Q4_0 or Q8_0");
    else
        status = write_file(&w, path, error);
    slm_free(&m->host, w.table);
    slm_free(&m->host, w.rows);
    slm_free(&m->host, w.panels);
    slm_pack_list_close(m, &list);
    return status;
}
