/* Snapshots as files: what they must look like, whatever session they hold. */
#include "run/snapshot.h"

#include <inttypes.h>
#include <string.h>

#define MAX_PAGE_TOKENS 1024u /* as for a cache */

static const char magic[8] = "SLMSNAP";

/* ---------------------------------------------------------------- header --------------------- */

static slm_status check_first_bytes(const slm_file *file, slm_error *error) {
    char first[sizeof magic];
    size_t size = file->size < sizeof first ? (size_t)file->size : sizeof first;
    SLM_TRY(slm_file_read_at(file, first, size, 0, error));
    if (memcmp(first, magic, size) != 0)
        return slm_fail(error, SLM_ERR_FORMAT, file->name, 0,
                        "%s is no snapshot: its first bytes are \"%.*s\", wanted \"%s\"",
                        file->name, (int)size, first, magic);
    if (file->size < sizeof(slm_snapshot_header))
        return slm_fail(error, SLM_ERR_TRUNC, file->name, file->size,
                        "%s ends in its header: got %" PRIu64 " bytes, wanted %zu", file->name,
                        file->size, sizeof(slm_snapshot_header));
    return SLM_OK;
}

static slm_status check_order(const slm_file *file, const slm_snapshot_header *h, uint32_t check,
                              slm_error *error) {
    if (h->byte_order == __builtin_bswap32(SLM_SNAPSHOT_ORDER) &&
        h->check == __builtin_bswap32(check))
        return slm_fail(error, SLM_ERR_CHANGED, "byte_order",
                        offsetof(slm_snapshot_header, byte_order),
                        "%s was saved by a machine of the other order of bytes: byte_order is "
                        "%08" PRIx32 ", wanted %08" PRIx32,
                        file->name, h->byte_order, SLM_SNAPSHOT_ORDER);
    if (h->check != check)
        return slm_fail(error, SLM_ERR_FORMAT, "header", offsetof(slm_snapshot_header, check),
                        "%s: the header has checksum %08" PRIx32 ", wanted %08" PRIx32, file->name,
                        check, h->check);
    if (h->byte_order != SLM_SNAPSHOT_ORDER)
        return slm_fail(error, SLM_ERR_CHANGED, "byte_order",
                        offsetof(slm_snapshot_header, byte_order),
                        "%s: byte_order is %08" PRIx32 ", wanted %08" PRIx32, file->name,
                        h->byte_order, SLM_SNAPSHOT_ORDER);
    if (h->version != SLM_SNAPSHOT_VERSION)
        return slm_fail(error, SLM_ERR_CHANGED, "version", offsetof(slm_snapshot_header, version),
                        "%s was saved by another version of the library: version is %" PRIu32
                        ", wanted %" PRIu32,
                        file->name, h->version, SLM_SNAPSHOT_VERSION);
    return SLM_OK;
}

static slm_status bad_field(const slm_file *file, const char *field, uint64_t got, uint64_t least,
                            uint64_t most, slm_error *error) {
    return slm_fail(error, SLM_ERR_RANGE, field, SLM_NO_OFFSET,
                    "%s: %s is %" PRIu64 ", wanted %" PRIu64 " to %" PRIu64, file->name, field, got,
                    least, most);
}

/* Numbers of a header with the right checksum, which its author may have made up. */
static slm_status check_sizes(slm_snapshot_reader *r, slm_error *error) {
    const slm_snapshot_header *h = &r->header;
    const slm_file *file = r->file;
    if (h->file_bytes > file->size)
        return slm_fail(error, SLM_ERR_TRUNC, file->name, file->size,
                        "%s ends early: got %" PRIu64 " bytes, wanted %" PRIu64, file->name,
                        file->size, h->file_bytes);
    if (h->file_bytes < file->size)
        return slm_fail(error, SLM_ERR_FORMAT, file->name, h->file_bytes,
                        "%s has bytes behind its end: got %" PRIu64 " bytes, wanted %" PRIu64,
                        file->name, file->size, h->file_bytes);
    if (h->block_bytes != SLM_SNAPSHOT_BLOCK)
        return bad_field(file, "block_bytes", h->block_bytes, SLM_SNAPSHOT_BLOCK,
                         SLM_SNAPSHOT_BLOCK, error);
    if (h->n_sections > SLM_SNAPSHOT_SECTIONS)
        return bad_field(file, "n_sections", h->n_sections, 0, SLM_SNAPSHOT_SECTIONS, error);
    uint64_t least = sizeof *h + h->n_sections * sizeof *r->sections;
    if (h->checks_offset < least || h->checks_offset > h->file_bytes)
        return bad_field(file, "checks_offset", h->checks_offset, least, h->file_bytes, error);
    uint64_t n = (h->checks_offset - 1) / SLM_SNAPSHOT_BLOCK + 1;
    uint64_t wanted = h->checks_offset + (n + 1) * sizeof *r->checks;
    if (n >= UINT32_MAX || h->file_bytes != wanted)
        return bad_field(file, "file_bytes", h->file_bytes, wanted, wanted, error);
    r->n_blocks = r->block = (uint32_t)n;
    return SLM_OK;
}

static slm_status read_header(slm_snapshot_reader *r, slm_error *error) {
    slm_snapshot_header *h = &r->header;
    SLM_TRY(check_first_bytes(r->file, error));
    SLM_TRY(slm_file_read_at(r->file, h, sizeof *h, 0, error));
    uint32_t check = slm_crc32c(&r->crc, h, offsetof(slm_snapshot_header, check), 0);
    SLM_TRY(check_order(r->file, h, check, error));
    return check_sizes(r, error);
}

/* ---------------------------------------------------------------- blocks --------------------- */

static slm_status read_checks(slm_snapshot_reader *r, slm_error *error) {
    size_t size = (size_t)r->n_blocks * sizeof *r->checks;
    r->checks = slm_alloc(r->host, size + sizeof *r->checks);
    if (r->checks == NULL)
        return slm_fail_nomem(error, size, "checksums of a snapshot");
    uint64_t at = r->header.checks_offset;
    SLM_TRY(slm_file_read_at(r->file, r->checks, size + sizeof *r->checks, at, error));
    uint32_t check = slm_crc32c(&r->crc, r->checks, size, 0);
    if (check != r->checks[r->n_blocks])
        return slm_fail(error, SLM_ERR_FORMAT, "checks", at,
                        "%s: the checksums of blocks have checksum %08" PRIx32
                        ", wanted %08" PRIx32,
                        r->file->name, check, r->checks[r->n_blocks]);
    return SLM_OK;
}

void slm_snapshot_find_block(const slm_snapshot_reader *r, uint32_t block, uint64_t *offset,
                             size_t *size) {
    uint64_t at = (uint64_t)block * SLM_SNAPSHOT_BLOCK, left = r->header.checks_offset - at;
    *offset = at;
    *size = left < SLM_SNAPSHOT_BLOCK ? (size_t)left : SLM_SNAPSHOT_BLOCK;
}

slm_status slm_snapshot_check_block(const slm_snapshot_reader *r, uint32_t block, uint32_t check,
                                    slm_error *error) {
    uint64_t at;
    size_t n;
    if (check == r->checks[block])
        return SLM_OK;
    slm_snapshot_find_block(r, block, &at, &n);
    return slm_fail(error, SLM_ERR_FORMAT, "block", at,
                    "%s: block %" PRIu32 " (bytes %" PRIu64 " to %" PRIu64
                    ") has checksum %08" PRIx32 ", wanted %08" PRIx32,
                    r->file->name, block, at, at + n - 1, check, r->checks[block]);
}

/* Makes a block the one in the buffer. */
static slm_status read_block(slm_snapshot_reader *r, uint32_t block, slm_error *error) {
    uint64_t offset;
    size_t size;
    r->block = r->n_blocks;
    slm_snapshot_find_block(r, block, &offset, &size);
    SLM_TRY(slm_file_read_at(r->file, r->buffer, size, offset, error));
    uint32_t check = slm_crc32c(&r->crc, r->buffer, size, 0);
    SLM_TRY(slm_snapshot_check_block(r, block, check, error));
    r->block = block;
    return SLM_OK;
}

static slm_status read_span(slm_snapshot_reader *r, uint64_t from, uint64_t n, uint8_t *to,
                            slm_error *error) {
    while (n > 0) {
        uint32_t block = (uint32_t)(from / SLM_SNAPSHOT_BLOCK);
        size_t in = (size_t)(from % SLM_SNAPSHOT_BLOCK), some = SLM_SNAPSHOT_BLOCK - in;
        if (block != r->block)
            SLM_TRY(read_block(r, block, error));
        some = some < n ? some : (size_t)n;
        memcpy(to, r->buffer + in, some);
        from += some;
        n -= some;
        to += some;
    }
    return SLM_OK;
}

/* ---------------------------------------------------------------- sections ------------------- */

static int is_name(const slm_snapshot_section *s, const char *name) {
    return strncmp(s->name, name, sizeof s->name) == 0;
}

static int is_known(const slm_snapshot_section *s) {
    static const char *const names[] = {"model",    "session", "tokens",
                                        "attached", "marks",   "states"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_name(s, names[i]))
            return 1;
    for (uint32_t g = 0; g < SLM_MAX_KV_GROUPS; g++) {
        char name[8];
        slm_snapshot_pages_name(g, name);
        if (is_name(s, name))
            return 1;
    }
    return 0;
}

static slm_status check_section(const slm_snapshot_reader *r, uint32_t i, slm_error *error) {
    const slm_snapshot_section *s = &r->sections[i];
    char name[sizeof s->name + 1] = {0};
    memcpy(name, s->name, sizeof s->name);
    if ((s->flags & SLM_SNAPSHOT_REQUIRED) && !is_known(s))
        return slm_fail(error, SLM_ERR_UNSUP, name, SLM_NO_OFFSET,
                        "%s has section \"%s\", which it cannot be used without and this version "
                        "of the library does not know",
                        r->file->name, name);
    for (uint32_t j = 0; j < i; j++)
        if (memcmp(r->sections[j].name, s->name, sizeof s->name) == 0)
            return slm_fail(error, SLM_ERR_DUP, name, SLM_NO_OFFSET,
                            "%s has section \"%s\" twice, as %" PRIu32 " and %" PRIu32,
                            r->file->name, name, j, i);
    uint64_t left = r->header.checks_offset - r->offsets[i];
    if (s->bytes > left)
        return bad_field(r->file, name, s->bytes, 0, left, error);
    return SLM_OK;
}

static slm_status read_sections(slm_snapshot_reader *r, slm_error *error) {
    uint32_t n = r->header.n_sections;
    uint64_t at = sizeof r->header + n * sizeof *r->sections;
    r->sections = slm_calloc(r->host, n, sizeof *r->sections);
    r->offsets = slm_calloc(r->host, n, sizeof *r->offsets);
    if (r->sections == NULL || r->offsets == NULL)
        return slm_fail_nomem(error, n * sizeof *r->sections, "sections of a snapshot");
    SLM_TRY(read_span(r, sizeof r->header, n * sizeof *r->sections, (uint8_t *)r->sections, error));
    for (uint32_t i = 0; i < n; i++) {
        r->offsets[i] = at;
        SLM_TRY(check_section(r, i, error));
        at += r->sections[i].bytes;
    }
    if (at != r->header.checks_offset)
        return bad_field(r->file, "checks_offset", r->header.checks_offset, at, at, error);
    return SLM_OK;
}

slm_status slm_snapshot_open(slm_host *host, const slm_file *file, slm_crc32c_fn crc32c,
                             slm_snapshot_reader **out, slm_error *error) {
    slm_snapshot_reader *r = slm_calloc(host, 1, sizeof *r);
    *out = NULL;
    if (r == NULL)
        return slm_fail_nomem(error, sizeof *r, "a snapshot");
    r->host = host;
    r->file = file;
    r->buffer = slm_alloc(host, SLM_SNAPSHOT_BLOCK);
    slm_crc32c_init(&r->crc, crc32c);
    slm_status status =
        r->buffer != NULL ? SLM_OK : slm_fail_nomem(error, SLM_SNAPSHOT_BLOCK, "a snapshot");
    if (status == SLM_OK)
        status = read_header(r, error);
    if (status == SLM_OK)
        status = read_checks(r, error);
    if (status == SLM_OK)
        status = read_sections(r, error);
    if (status == SLM_OK)
        *out = r;
    else
        slm_snapshot_close(r);
    return status;
}

void slm_snapshot_close(slm_snapshot_reader *r) {
    if (r == NULL)
        return;
    slm_free(r->host, r->sections);
    slm_free(r->host, r->offsets);
    slm_free(r->host, r->checks);
    slm_free(r->host, r->buffer);
    slm_free(r->host, r);
}

slm_status slm_snapshot_find(const slm_snapshot_reader *r, const char *name, uint32_t *index,
                             slm_error *error) {
    for (*index = 0; *index < r->header.n_sections; ++*index)
        if (is_name(&r->sections[*index], name))
            return SLM_OK;
    return slm_fail(error, SLM_ERR_MISSING, name, SLM_NO_OFFSET,
                    "%s has no section \"%.8s\", wanted one", r->file->name, name);
}

slm_status slm_snapshot_read(slm_snapshot_reader *r, uint32_t section, void *data,
                             slm_error *error) {
    return slm_snapshot_read_part(r, section, 0, r->sections[section].bytes, data, error);
}

slm_status slm_snapshot_read_part(slm_snapshot_reader *r, uint32_t section, uint64_t from,
                                  uint64_t n, void *data, slm_error *error) {
    return read_span(r, r->offsets[section] + from, n, data, error);
}

void slm_snapshot_pages_name(uint32_t group, char name[8]) {
    memcpy(name, "pages.0", 8);
    name[6] = (char)('0' + group);
}

uint64_t slm_snapshot_page_bytes(const slm_kv_layout *layout, uint32_t page_tokens,
                                 uint32_t n_layers) {
    uint64_t n_heads = layout->plane_bytes / layout->head_bytes;
    return 2 * n_layers * n_heads * page_tokens * layout->row_bytes;
}

/* ---------------------------------------------------------------- state ---------------------- */

static slm_status read_struct(slm_snapshot_reader *r, const char *name, void *data, size_t size,
                              slm_error *error) {
    uint32_t i;
    SLM_TRY(slm_snapshot_find(r, name, &i, error));
    if (r->sections[i].bytes != size)
        return bad_field(r->file, name, r->sections[i].bytes, size, size, error);
    return slm_snapshot_read(r, i, data, error);
}

static slm_status check_session(const slm_snapshot_reader *r, const slm_snapshot_model *m,
                                const slm_snapshot_session *s, slm_error *error) {
    const struct {
        const char *name;
        uint32_t got, least, most;
    } fields[] = {
        {"n_groups", m->n_groups, 1, SLM_MAX_KV_GROUPS},
        {"kv_type", s->kv_type, SLM_KV_F16, SLM_KV_F32},
        {"device", s->device, SLM_DEVICE_CPU, SLM_DEVICE_CUDA},
        {"page_tokens", s->page_tokens, SLM_KV_GROUP, MAX_PAGE_TOKENS},
        {"n_ctx", s->n_ctx, 1, m->n_ctx_train},
        {"rope_factors", s->rope_factors, SLM_ROPE_AUTO, SLM_ROPE_LONG},
        {"rope_long", s->rope_long, 0, 1},
        {"n_tokens", s->n_tokens, 0, s->n_ctx},
        {"n_seen", s->n_seen, 0, s->n_tokens},
        {"n_valid", s->n_valid, 0, s->n_seen},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].got < fields[i].least || fields[i].got > fields[i].most)
            return bad_field(r->file, fields[i].name, fields[i].got, fields[i].least,
                             fields[i].most, error);
    if (s->page_tokens & (s->page_tokens - 1))
        return slm_fail(error, SLM_ERR_RANGE, "page_tokens", SLM_NO_OFFSET,
                        "%s: page_tokens is %" PRIu32 ", wanted a power of two", r->file->name,
                        s->page_tokens);
    uint32_t n_pages = (uint32_t)(((uint64_t)s->n_valid + s->page_tokens - 1) / s->page_tokens);
    for (uint32_t g = 0; g < m->n_groups; g++) {
        uint32_t begin = s->groups[g].begin, end = s->groups[g].end;
        int has_none = begin == 0 && end == 0 && (n_pages == 0 || m->groups[g].window != 0);
        if (has_none || (end == n_pages && begin < end && (begin == 0 || m->groups[g].window != 0)))
            continue;
        return slm_fail(error, SLM_ERR_RANGE, "pages", SLM_NO_OFFSET,
                        "%s: group %" PRIu32 " has pages %" PRIu32 " to %" PRIu32
                        ", wanted all %" PRIu32 "%s",
                        r->file->name, g, begin, end, n_pages,
                        m->groups[g].window != 0 ? ", the last of them or none" : "");
    }
    return SLM_OK;
}

slm_status slm_snapshot_read_state(slm_snapshot_reader *r, slm_snapshot_model *model,
                                   slm_snapshot_session *session, slm_error *error) {
    uint32_t i;
    SLM_TRY(read_struct(r, "model", model, sizeof *model, error));
    SLM_TRY(read_struct(r, "session", session, sizeof *session, error));
    SLM_TRY(check_session(r, model, session, error));
    SLM_TRY(slm_snapshot_find(r, "tokens", &i, error));
    uint64_t wanted = (uint64_t)session->n_tokens * sizeof(int32_t);
    if (r->sections[i].bytes != wanted)
        return bad_field(r->file, "tokens", r->sections[i].bytes, wanted, wanted, error);
    return SLM_OK;
}

static void copy_name(char to[32], const char from[32]) {
    const char *end = memchr(from, 0, 32);
    slm_escape(to, 32, from, end != NULL ? (size_t)(end - from) : 32);
}

void slm_snapshot_fill_info(const slm_snapshot_reader *r, const slm_snapshot_model *model,
                            const slm_snapshot_session *session, slm_snapshot_info *info) {
    uint32_t i;
    *info = (slm_snapshot_info){.struct_size = sizeof *info,
                                .version = r->header.version,
                                .file_bytes = r->header.file_bytes,
                                .n_tokens = session->n_tokens,
                                .n_evaluated = session->n_valid,
                                .fingerprint = model->fingerprint,
                                .n_ctx = session->n_ctx,
                                .device = (slm_device)session->device,
                                .kv_type = (slm_kv_type)session->kv_type,
                                .rope_factors = (slm_rope_factors)session->rope_factors};
    if (slm_snapshot_find(r, "attached", &i, NULL) == SLM_OK)
        info->attachment_len = r->sections[i].bytes;
    copy_name(info->architecture, model->architecture);
    copy_name(info->quantization, model->quantization);
}
