#include "gguf/gguf_internal.h"

#include "base/checked.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Everything that bounds a file, with the SLM_GGUF_MAX_... of gguf_internal.h. */
/* clang-format off */
#define MAX_KV 65536u                    /* keys in a part; keeps the tables within the promise     */
#define MIN_ALIGNMENT 8u                 /* the specification's step                                */
#define MAX_ALIGNMENT (1u << 20)         /*                                                         */
#define MAX_DIMS 4u                      /*                                                         */
#define MAX_STRING ((uint64_t)1 << 30)   /* bytes of a string value                                 */
#define MAX_ITEMS ((uint64_t)1 << 30)    /* elements of an array                                    */
/* clang-format on */

/* The least that a record can take: lengths, type numbers and offset, and one byte of value. */
#define MIN_KV_BYTES     13u
#define MIN_TENSOR_BYTES 24u

#define I2_S_TAIL 32u /* the scale of an I2_S tensor and its padding, after the blocks */

/* A place in the file and what stands there, for messages. */
typedef struct cursor {
    const slm_file *file;
    uint64_t pos; /* never beyond file->size */
    slm_error *error;
    const char *kind; /* "key", "tensor" or "header" */
    uint64_t index;   /* of the key or tensor */
    slm_str name;     /* of the key or tensor, once known */
} cursor;

uint32_t slm_gguf_type_bytes(uint32_t type) {
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

const char *slm_gguf_type_name(slm_gguf_type type) {
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return (uint32_t)type < sizeof names / sizeof names[0] ? names[type] : "unknown";
}

uint64_t slm_gguf_tensor_bytes(uint32_t type, uint64_t n_elements) {
    const slm_dtype_info *info = slm_dtype_get(type);
    return n_elements / info->block * info->bytes + (type == SLM_DTYPE_I2_S ? I2_S_TAIL : 0);
}

/* "file: key 'name': text (at byte offset)" */
static slm_status fail_at(const cursor *c, slm_status status, uint64_t offset, const char *format,
                          ...) SLM_PRINTF(4, 5);
static slm_status fail_at(const cursor *c, slm_status status, uint64_t offset, const char *format,
                          ...) {
    char text[256];
    char what[128];
    va_list ap;
    va_start(ap, format);
    int got = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (got < 0)
        text[0] = 0;
    slm_gguf_label label = slm_gguf_label_of(c->name);
    if (c->name.len > 0)
        snprintf(what, sizeof what, "%s '%s'", c->kind, label.text);
    else if (c->index != SLM_NO_OFFSET)
        snprintf(what, sizeof what, "%s %" PRIu64, c->kind, c->index);
    else
        snprintf(what, sizeof what, "%s", c->kind);
    return slm_fail(c->error, status, label.text, offset, "%s: %s: %s (at byte %" PRIu64 ")",
                    c->file->name, what, text, offset);
}

static uint64_t left(const cursor *c) {
    return c->file->size - c->pos;
}

static slm_status need(const cursor *c, uint64_t bytes, const char *what) {
    if (bytes <= left(c))
        return SLM_OK;
    return fail_at(c, SLM_ERR_TRUNC, c->pos,
                   "the file ends inside the %s: %" PRIu64 " bytes wanted, %" PRIu64 " left", what,
                   bytes, left(c));
}

static slm_status read_u32(cursor *c, const char *what, uint32_t *value) {
    SLM_TRY(need(c, 4, what));
    *value = slm_le32(c->file->data + c->pos);
    c->pos += 4;
    return SLM_OK;
}

static slm_status read_u64(cursor *c, const char *what, uint64_t *value) {
    SLM_TRY(need(c, 8, what));
    *value = slm_le64(c->file->data + c->pos);
    c->pos += 8;
    return SLM_OK;
}

/* ---- header ---- */

/* What a file that is no GGUF file probably is. */
static const char *hint_for(const uint8_t *p, uint64_t size) {
    static const struct {
        const char *bytes;
        uint32_t offset, len;
        const char *hint;
    } known[] = {
        /* clang-format off */
        {"version https://git-lfs", 0, 23, "a Git LFS pointer: fetch the file itself by git lfs pull"},
        {"<!DOCTYPE", 0, 9, "an HTML page: the download gave a web page"},
        {"<!doctype", 0, 9, "an HTML page: the download gave a web page"},
        {"<html", 0, 5, "an HTML page: the download gave a web page"},
        {"<HTML", 0, 5, "an HTML page: the download gave a web page"},
        {"PK\003\004", 0, 4, "a zip archive, perhaps a PyTorch checkpoint: convert it to GGUF"},
        {"{\"", 8, 2, "a safetensors file: convert it to GGUF"},
        {"\x80\x02", 0, 2, "a Python pickle: convert it to GGUF"},
        {"\x80\x03", 0, 2, "a Python pickle: convert it to GGUF"},
        {"\x80\x04", 0, 2, "a Python pickle: convert it to GGUF"},
        {"\x80\x05", 0, 2, "a Python pickle: convert it to GGUF"},
        {"lmgg", 0, 4, "a GGML file from before GGUF: convert it again"},
        {"fmgg", 0, 4, "a GGML file from before GGUF: convert it again"},
        {"tjgg", 0, 4, "a GGML file from before GGUF: convert it again"},
        {"FUGG", 0, 4, "GGUF with its bytes reversed"},
        {"gguf", 0, 4, "GGUF in small letters"},
        {"\x1f\x8b", 0, 2, "a gzip file: unpack it"},
        {"\x28\xb5\x2f\xfd", 0, 4, "a zstd file: unpack it"},
        {"\xfd" "7zXZ", 0, 5, "an xz file: unpack it"},
        {"\0\0\0\0", 0, 4, "zeros: the download may be unfinished"},
        /* clang-format on */
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((uint64_t)known[i].offset + known[i].len <= size &&
            memcmp(p + known[i].offset, known[i].bytes, known[i].len) == 0)
            return known[i].hint;
    }
    return NULL;
}

static slm_status read_magic(cursor *c) {
    SLM_TRY(need(c, 4, "magic"));
    const uint8_t *p = c->file->data;
    if (memcmp(p, "GGUF", 4) != 0) {
        const char *hint = hint_for(p, c->file->size);
        return fail_at(c, SLM_ERR_FORMAT, 0,
                       "the file begins with %02x %02x %02x %02x, wanted 47 47 55 46 (GGUF)%s%s",
                       p[0], p[1], p[2], p[3], hint ? "; it looks like " : "", hint ? hint : "");
    }
    c->pos = 4;
    return SLM_OK;
}

static slm_status read_version(cursor *c, uint32_t *version) {
    SLM_TRY(read_u32(c, "version", version));
    if (*version == 2 || *version == 3)
        return SLM_OK;
    /* Nothing in the format says so, but a swapped small number has its low half zero. */
    if ((*version & 0xffff) == 0 && *version != 0)
        return fail_at(c, SLM_ERR_UNSUP, 4,
                       "version 0x%08" PRIx32 " is that of a big-endian file, wanted a "
                       "little-endian one",
                       *version);
    return fail_at(c, SLM_ERR_UNSUP, 4, "version %" PRIu32 " is not read, wanted 2 or 3", *version);
}

static slm_status check_count(const cursor *c, uint64_t offset, const char *what, uint64_t count,
                              uint64_t max, uint64_t record, uint64_t *bytes) {
    if (count > max)
        return fail_at(c, SLM_ERR_LIMIT, offset,
                       "%" PRIu64 " %s are announced, at most %" PRIu64 " are allowed", count, what,
                       max);
    *bytes += count * record;
    if (*bytes > left(c))
        return fail_at(c, SLM_ERR_TRUNC, offset,
                       "%" PRIu64 " %s are announced, which makes at least %" PRIu64
                       " bytes of metadata, %" PRIu64 " left",
                       count, what, *bytes, left(c));
    return SLM_OK;
}

static slm_status read_header(cursor *c, slm_gguf *g) {
    uint64_t bytes = 0;
    c->kind = "header";
    SLM_TRY(read_magic(c));
    SLM_TRY(read_version(c, &g->version));
    SLM_TRY(read_u64(c, "number of tensors", &g->n_tensors));
    SLM_TRY(read_u64(c, "number of keys", &g->n_kv));
    SLM_TRY(
        check_count(c, 8, "tensors", g->n_tensors, SLM_GGUF_MAX_TENSORS, MIN_TENSOR_BYTES, &bytes));
    return check_count(c, 16, "keys", g->n_kv, MAX_KV, MIN_KV_BYTES, &bytes);
}

/* ---- keys and values ---- */

/* A name is UTF-8 without control characters. */
static slm_status read_name(cursor *c, uint64_t max, slm_str *name) {
    uint64_t start = c->pos;
    uint64_t len;
    c->name = (slm_str){"", 0};
    SLM_TRY(read_u64(c, "length of the name", &len));
    if (len == 0)
        return fail_at(c, SLM_ERR_FORMAT, start, "the name is empty");
    if (len > max)
        return fail_at(c, SLM_ERR_LIMIT, start,
                       "the name has %" PRIu64 " bytes, at most %" PRIu64 " are allowed", len, max);
    SLM_TRY(need(c, len, "name"));
    name->ptr = (const char *)c->file->data + c->pos;
    name->len = (size_t)len;
    c->name = *name;
    const uint8_t *p = c->file->data + c->pos;
    for (size_t i = 0; i < name->len;) {
        uint32_t cp = 0;
        size_t n = slm_utf8_next(p + i, name->len - i, &cp);
        if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
            return fail_at(c, SLM_ERR_FORMAT, c->pos + i, "the name holds %s, byte 0x%02x",
                           n == 0 ? "bytes that are not UTF-8" : "a control character", p[i]);
        i += n;
    }
    c->pos += len;
    return SLM_OK;
}

static slm_status skip_str(cursor *c) {
    uint64_t start = c->pos;
    uint64_t len;
    SLM_TRY(read_u64(c, "length of a string", &len));
    SLM_TRY(need(c, len, "string"));
    if (len > MAX_STRING)
        return fail_at(c, SLM_ERR_LIMIT, start,
                       "a string has %" PRIu64 " bytes, at most %" PRIu64 " are allowed", len,
                       MAX_STRING);
    c->pos += len;
    return SLM_OK;
}

static slm_status skip_bools(cursor *c, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint8_t byte = c->file->data[c->pos + i];
        if (byte > 1)
            return fail_at(c, SLM_ERR_FORMAT, c->pos + i, "a bool is %u, wanted 0 or 1", byte);
    }
    c->pos += count;
    return SLM_OK;
}

/* count values of one type, which is not an array. */
static slm_status skip_values(cursor *c, uint32_t type, uint64_t count) {
    if (type == SLM_GGUF_STRING) {
        for (uint64_t i = 0; i < count; i++)
            SLM_TRY(skip_str(c));
        return SLM_OK;
    }
    uint64_t bytes = count * slm_gguf_type_bytes(type); /* count is below MAX_ITEMS */
    SLM_TRY(need(c, bytes, "value"));
    if (type == SLM_GGUF_BOOL)
        return skip_bools(c, count);
    c->pos += bytes;
    return SLM_OK;
}

static slm_status read_type(cursor *c, const char *what, uint32_t *type) {
    uint64_t start = c->pos;
    SLM_TRY(read_u32(c, what, type));
    if (*type > SLM_GGUF_F64)
        return fail_at(c, SLM_ERR_TYPE, start, "%s %" PRIu32 " is unknown, wanted 0 to %d", what,
                       *type, SLM_GGUF_F64);
    return SLM_OK;
}

static slm_status read_array_head(cursor *c, uint32_t *item_type, uint64_t *count) {
    uint64_t start = c->pos;
    SLM_TRY(read_type(c, "element type", item_type));
    if (*item_type == SLM_GGUF_ARRAY)
        return fail_at(c, SLM_ERR_UNSUP, start, "arrays of arrays are not supported");
    start = c->pos;
    SLM_TRY(read_u64(c, "number of elements", count));
    if (*count > MAX_ITEMS)
        return fail_at(c, SLM_ERR_LIMIT, start,
                       "an array has %" PRIu64 " elements, at most %" PRIu64 " are allowed", *count,
                       MAX_ITEMS);
    uint64_t item = slm_gguf_type_bytes(*item_type);
    return need(c, *count * (item ? item : 8), "array"); /* a string has at least its length */
}

static slm_status read_kv(cursor *c, slm_gguf_kv *kv) {
    uint32_t type;
    uint32_t item_type = 0;
    kv->offset = c->pos;
    kv->count = 1;
    SLM_TRY(read_name(c, SLM_GGUF_MAX_KEY, &kv->key));
    SLM_TRY(read_type(c, "value type", &type));
    if (type == SLM_GGUF_ARRAY)
        SLM_TRY(read_array_head(c, &item_type, &kv->count));
    uint64_t start = c->pos;
    SLM_TRY(skip_values(c, type == SLM_GGUF_ARRAY ? item_type : type, kv->count));
    kv->type = (slm_gguf_type)type;
    kv->item_type = (slm_gguf_type)item_type;
    kv->data = c->file->data + start;
    kv->bytes = c->pos - start;
    return SLM_OK;
}

/* Reads all keys: once to check them, and again into a table that then has just the size needed,
 * however many the header announces. */
static slm_status read_kvs(cursor *c, slm_gguf *g) {
    cursor check = *c;
    slm_gguf_kv kv;
    check.kind = c->kind = "key";
    for (check.index = 0; check.index < g->n_kv; check.index++)
        SLM_TRY(read_kv(&check, &kv));
    size_t bytes = (size_t)g->n_kv * sizeof *g->kv;
    g->kv = slm_alloc(g->host, bytes);
    if (!g->kv)
        return slm_fail_nomem(c->error, bytes, "the table of keys");
    for (c->index = 0; c->index < g->n_kv; c->index++)
        SLM_TRY(read_kv(c, &g->kv[c->index]));

    uint64_t first, twice;
    SLM_TRY(slm_gguf_index_build(g->host, &g->kv_index, g->kv, sizeof *g->kv, g->n_kv, &first,
                                 &twice, c->error));
    if (twice == g->n_kv)
        return SLM_OK;
    c->name = g->kv[twice].key;
    return fail_at(c, SLM_ERR_DUP, g->kv[twice].offset,
                   "the key is there twice, as %s at byte %" PRIu64 " and as %s",
                   slm_gguf_type_name(g->kv[first].type), g->kv[first].offset,
                   slm_gguf_type_name(g->kv[twice].type));
}

static slm_status read_alignment(cursor *c, slm_gguf *g) {
    const slm_gguf_kv *kv = slm_gguf_find(g, "general.alignment");
    g->alignment = SLM_GGUF_DEFAULT_ALIGNMENT;
    if (!kv)
        return SLM_OK;
    c->name = kv->key;
    if (kv->type != SLM_GGUF_U32)
        return fail_at(c, SLM_ERR_TYPE, kv->offset, "the value is of type %s, wanted u32",
                       slm_gguf_type_name(kv->type));
    uint32_t a = slm_le32(kv->data);
    if (a < MIN_ALIGNMENT || a > MAX_ALIGNMENT || (a & (a - 1)) != 0)
        return fail_at(c, SLM_ERR_RANGE, kv->offset,
                       "the value is %" PRIu32 ", wanted a power of two from %u to %u", a,
                       MIN_ALIGNMENT, MAX_ALIGNMENT);
    g->alignment = a;
    return SLM_OK;
}

/* ---- tensors ---- */

static slm_status read_dims(cursor *c, slm_gguf_tensor *t) {
    uint64_t start = c->pos;
    SLM_TRY(read_u32(c, "number of dimensions", &t->n_dims));
    if (t->n_dims < 1 || t->n_dims > MAX_DIMS)
        return fail_at(c, SLM_ERR_RANGE, start,
                       "the tensor has %" PRIu32 " dimensions, wanted 1 to %u", t->n_dims,
                       MAX_DIMS);
    t->n_elements = 1;
    for (uint32_t i = 0; i < MAX_DIMS; i++) {
        start = c->pos;
        t->ne[i] = 1;
        if (i < t->n_dims)
            SLM_TRY(read_u64(c, "dimensions", &t->ne[i]));
        if (t->ne[i] == 0 || t->ne[i] > INT64_MAX)
            return fail_at(c, SLM_ERR_RANGE, start,
                           "dimension %" PRIu32 " is %" PRIu64 ", wanted 1 to 2^63-1", i, t->ne[i]);
        if (!slm_mul_u64(t->n_elements, t->ne[i], &t->n_elements) ||
            t->n_elements > SLM_GGUF_MAX_ELEMENTS)
            return fail_at(c, SLM_ERR_LIMIT, start,
                           "dimension %" PRIu32 ", %" PRIu64
                           ", makes the tensor larger than the %" PRIu64 " elements allowed",
                           i, t->ne[i], SLM_GGUF_MAX_ELEMENTS);
    }
    return SLM_OK;
}

static slm_status check_type(const cursor *c, const slm_gguf *g, const slm_gguf_tensor *t,
                             uint64_t start) {
    const slm_dtype_info *info = slm_dtype_get(t->type);
    if (info->removed)
        return fail_at(c, SLM_ERR_TYPE, start,
                       "the type %s (%" PRIu32 ") was removed from the format", info->name,
                       t->type);
    if (info->block == 0)
        return fail_at(c, SLM_ERR_TYPE, start, "the type %" PRIu32 " is unknown", t->type);
    if (!info->supported && !(g->flags & SLM_GGUF_NO_TENSORS))
        return fail_at(c, SLM_ERR_UNSUP, start,
                       "the type %s (%" PRIu32 ") is not supported by libslm", info->name, t->type);
    if (t->ne[0] % info->block != 0)
        return fail_at(c, SLM_ERR_SHAPE, start,
                       "rows have %" PRIu64 " elements, wanted a multiple of %" PRIu32 " for %s",
                       t->ne[0], info->block, info->name);
    return SLM_OK;
}

static slm_status read_tensor(cursor *c, const slm_gguf *g, slm_gguf_tensor *t) {
    SLM_TRY(read_name(c, SLM_GGUF_MAX_NAME, &t->name));
    SLM_TRY(read_dims(c, t));
    uint64_t start = c->pos;
    SLM_TRY(read_u32(c, "type", &t->type));
    SLM_TRY(check_type(c, g, t, start));
    t->bytes = slm_gguf_tensor_bytes(t->type, t->n_elements);
    start = c->pos;
    SLM_TRY(read_u64(c, "offset", &t->offset));
    if (t->offset % g->alignment != 0)
        return fail_at(c, SLM_ERR_FORMAT, start,
                       "the offset is %" PRIu64 ", wanted a multiple of the alignment, %" PRIu64,
                       t->offset, g->alignment);
    t->part = 0;
    t->data = NULL;
    return SLM_OK;
}

static slm_status read_tensors(cursor *c, slm_gguf *g) {
    cursor check = *c;
    slm_gguf_tensor t;
    check.kind = c->kind = "tensor";
    for (check.index = 0; check.index < g->n_tensors; check.index++)
        SLM_TRY(read_tensor(&check, g, &t));
    size_t bytes = (size_t)g->n_tensors * sizeof *g->tensors;
    g->tensors = slm_alloc(g->host, bytes);
    if (!g->tensors)
        return slm_fail_nomem(c->error, bytes, "the table of tensors");
    for (c->index = 0; c->index < g->n_tensors; c->index++)
        SLM_TRY(read_tensor(c, g, &g->tensors[c->index]));

    uint64_t first, twice;
    SLM_TRY(slm_gguf_index_build(g->host, &g->tensor_index, g->tensors, sizeof *g->tensors,
                                 g->n_tensors, &first, &twice, c->error));
    if (twice == g->n_tensors)
        return SLM_OK;
    c->name = g->tensors[twice].name;
    return fail_at(c, SLM_ERR_DUP, c->pos,
                   "the tensor is there twice, as number %" PRIu64 " and as number %" PRIu64, first,
                   twice);
}

/* Turns offsets into positions in the file and checks that the data are there. *end receives the
 * last byte used. */
static slm_status place_tensors(cursor *c, slm_gguf *g, uint64_t data_start, uint64_t *end) {
    *end = data_start;
    for (c->index = 0; c->index < g->n_tensors; c->index++) {
        slm_gguf_tensor *t = &g->tensors[c->index];
        uint64_t last;
        c->name = t->name;
        if (!slm_add_u64(data_start, t->offset, &t->offset) ||
            !slm_add_u64(t->offset, t->bytes, &last))
            return fail_at(c, SLM_ERR_TRUNC, data_start,
                           "the data lie beyond 2^64 bytes, the file has %" PRIu64, c->file->size);
        if (last > *end)
            *end = last;
        if (g->flags & SLM_GGUF_NO_TENSORS)
            continue;
        if (last > c->file->size)
            return fail_at(c, SLM_ERR_TRUNC, t->offset,
                           "the data, %" PRIu64 " bytes, end at byte %" PRIu64
                           ", the file has %" PRIu64,
                           t->bytes, last, c->file->size);
        t->data = c->file->data + t->offset;
    }
    return SLM_OK;
}

/* Heapsort: in place, without recursion, never quadratic. */
static void sift(uint32_t *order, uint64_t root, uint64_t n, const slm_gguf_tensor *t) {
    for (;;) {
        uint64_t child = 2 * root + 1;
        if (child >= n)
            return;
        if (child + 1 < n && t[order[child + 1]].offset > t[order[child]].offset)
            child++;
        if (t[order[root]].offset >= t[order[child]].offset)
            return;
        uint32_t held = order[root];
        order[root] = order[child];
        order[child] = held;
        root = child;
    }
}

static void sort_by_offset(uint32_t *order, uint64_t n, const slm_gguf_tensor *t) {
    for (uint64_t i = n / 2; i > 0; i--)
        sift(order, i - 1, n, t);
    for (uint64_t i = n; i > 1; i--) {
        uint32_t held = order[0];
        order[0] = order[i - 1];
        order[i - 1] = held;
        sift(order, 0, i - 1, t);
    }
}

static slm_status check_overlap(cursor *c, const slm_gguf *g) {
    const slm_gguf_tensor *t = g->tensors;
    size_t bytes = (size_t)g->n_tensors * sizeof(uint32_t);
    uint32_t *order = slm_alloc(g->host, bytes);
    slm_status status = SLM_OK;
    if (!order)
        return slm_fail_nomem(c->error, bytes, "the order of tensors");
    for (uint64_t i = 0; i < g->n_tensors; i++)
        order[i] = (uint32_t)i;
    sort_by_offset(order, g->n_tensors, t);
    for (uint64_t i = 1; i < g->n_tensors && status == SLM_OK; i++) {
        const slm_gguf_tensor *a = &t[order[i - 1]];
        const slm_gguf_tensor *b = &t[order[i]];
        if (b->offset - a->offset >= a->bytes)
            continue;
        slm_gguf_label label = slm_gguf_label_of(a->name);
        c->name = b->name;
        status = fail_at(c, SLM_ERR_FORMAT, b->offset,
                         "the data begin inside those of '%s', bytes %" PRIu64 " to %" PRIu64,
                         label.text, a->offset, a->offset + a->bytes);
    }
    slm_free(g->host, order);
    return status;
}

static slm_status check_end(cursor *c, const slm_gguf *g, uint64_t end) {
    uint64_t padded;
    if ((g->flags & SLM_GGUF_NO_TENSORS) || !slm_align_u64(end, g->alignment, &padded) ||
        c->file->size <= padded)
        return SLM_OK;
    c->kind = "end";
    c->index = SLM_NO_OFFSET;
    c->name = (slm_str){"", 0};
    if (g->flags & SLM_GGUF_STRICT)
        return fail_at(c, SLM_ERR_FORMAT, padded,
                       "%" PRIu64 " bytes follow the last tensor, wanted none",
                       c->file->size - padded);
    slm_log(g->host, SLM_LOG_WARNING,
            "%s: %" PRIu64 " bytes follow the last tensor at byte %" PRIu64, c->file->name,
            c->file->size - padded, padded);
    return SLM_OK;
}

static slm_status parse(slm_gguf *g, slm_error *error) {
    cursor c = {g->parts[0], 0, error, "header", SLM_NO_OFFSET, {"", 0}};
    uint64_t data_start, end;
    SLM_TRY(read_header(&c, g));
    SLM_TRY(read_kvs(&c, g));
    SLM_TRY(read_alignment(&c, g));
    SLM_TRY(read_tensors(&c, g));
    if (!slm_align_u64(c.pos, g->alignment, &data_start))
        return fail_at(&c, SLM_ERR_TRUNC, c.pos, "the data would begin beyond 2^64 bytes");
    SLM_TRY(place_tensors(&c, g, data_start, &end));
    SLM_TRY(check_overlap(&c, g));
    slm_file_expect_little(c.file, data_start);
    return check_end(&c, g, end);
}

/* ---- the object ---- */

slm_status slm_gguf_parse(slm_host *host, slm_file *file, uint32_t flags, slm_gguf **out,
                          slm_error *error) {
    *out = NULL;
    slm_gguf *g = slm_calloc(host, 1, sizeof *g);
    slm_file **parts = slm_calloc(host, 1, sizeof *parts);
    if (!g || !parts) {
        slm_free(host, g);
        slm_free(host, parts);
        slm_file_close(host, file);
        return slm_fail_nomem(error, sizeof *g, "a GGUF file");
    }
    g->host = host;
    g->flags = flags;
    g->parts = parts;
    g->parts[0] = file;
    g->n_parts = 1;
    slm_status status = parse(g, error);
    if (status != SLM_OK)
        slm_gguf_close(g);
    else
        *out = g;
    return status;
}

slm_status slm_gguf_open_file(slm_host *host, slm_file *file, uint32_t flags, slm_gguf **out,
                              slm_error *error) {
    slm_gguf *g;
    uint64_t count = 0;
    *out = NULL;
    SLM_TRY(slm_gguf_parse(host, file, flags, &g, error));
    slm_status status = slm_gguf_get_u64(g, "split.count", 0, 0, UINT16_MAX, &count, error);
    if (status == SLM_OK && count > 1)
        status = slm_fail(error, SLM_ERR_UNSUP, "split.count", SLM_NO_OFFSET,
                          "%s is one of %" PRIu64 " parts of a model, which can only be opened by "
                          "path",
                          file->name, count);
    if (status != SLM_OK)
        slm_gguf_close(g);
    else
        *out = g;
    return status;
}

slm_status slm_gguf_open(slm_host *host, const char *path, slm_load load, uint32_t flags,
                         slm_progress_fn progress, void *progress_user, slm_gguf **out,
                         slm_error *error) {
    slm_file *file;
    slm_gguf *g;
    uint64_t count = 0;
    *out = NULL;
    SLM_TRY(slm_file_open(host, path, load, progress, progress_user, &file, error));
    SLM_TRY(slm_gguf_parse(host, file, flags, &g, error));
    slm_status status = slm_gguf_get_u64(g, "split.count", 0, 0, UINT16_MAX, &count, error);
    if (status == SLM_OK && count > 1)
        status = slm_gguf_join(g, path, load, progress, progress_user, error);
    if (status != SLM_OK)
        slm_gguf_close(g);
    else
        *out = g;
    return status;
}

void slm_gguf_close(slm_gguf *g) {
    if (!g)
        return;
    for (uint32_t i = 0; i < g->n_parts; i++)
        slm_file_close(g->host, g->parts[i]);
    slm_free(g->host, g->parts);
    slm_free(g->host, g->kv);
    slm_free(g->host, g->tensors);
    slm_free(g->host, g->kv_index.slots);
    slm_free(g->host, g->tensor_index.slots);
    slm_free(g->host, g);
}

uint64_t slm_gguf_n_kv(const slm_gguf *g) {
    return g->n_kv;
}

const slm_gguf_kv *slm_gguf_kv_at(const slm_gguf *g, uint64_t index) {
    return &g->kv[index];
}

const slm_gguf_kv *slm_gguf_find(const slm_gguf *g, const char *key) {
    return slm_gguf_index_find(&g->kv_index, g->kv, sizeof *g->kv, key, strlen(key));
}

uint64_t slm_gguf_n_tensors(const slm_gguf *g) {
    return g->n_tensors;
}

const slm_gguf_tensor *slm_gguf_tensor_at(const slm_gguf *g, uint64_t index) {
    return &g->tensors[index];
}

const slm_gguf_tensor *slm_gguf_find_tensor(const slm_gguf *g, const char *name) {
    return slm_gguf_index_find(&g->tensor_index, g->tensors, sizeof *g->tensors, name,
                               strlen(name));
}

uint32_t slm_gguf_version(const slm_gguf *g) {
    return g->version;
}

uint64_t slm_gguf_alignment(const slm_gguf *g) {
    return g->alignment;
}

uint32_t slm_gguf_n_parts(const slm_gguf *g) {
    return g->n_parts;
}

const slm_file *slm_gguf_part(const slm_gguf *g, uint32_t part) {
    return g->parts[part];
}

uint64_t slm_gguf_file_bytes(const slm_gguf *g) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->n_parts; i++)
        sum += g->parts[i]->size;
    return sum;
}

uint64_t slm_gguf_heap_bytes(const slm_gguf *g) {
    uint64_t slots = g->kv_index.mask + g->tensor_index.mask + 2;
    return sizeof *g + g->n_parts * (sizeof *g->parts + sizeof *g->parts[0]) +
           g->n_kv * sizeof *g->kv + g->n_tensors * sizeof *g->tensors + slots * sizeof(uint32_t) +
           (6u + g->n_parts) * SLM_ALLOC_HEADER;
}
