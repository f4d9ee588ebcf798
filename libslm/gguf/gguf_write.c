#include "gguf/gguf_internal.h"

#include "base/checked.h"

#include <inttypes.h>

/* Bytes that grow. */
typedef struct buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
} buffer;

/* What index_build wants: a name, by its place in a buffer that may still move. */
typedef struct entry {
    slm_str name;
    size_t at;
    uint64_t bytes; /* of a tensor's data */
} entry;

struct slm_gguf_writer {
    slm_host *host;
    slm_out *file;
    buffer kv;           /* records as they stand in the file */
    buffer tensors;      /* likewise */
    buffer keys;         /* entries */
    buffer names;        /* entries */
    uint64_t data_bytes; /* of all tensors, padded                   */
    uint64_t current;    /* tensor whose data come next              */
    uint64_t written;    /* bytes of it                              */
    int begun;
};

#define ALIGNMENT SLM_GGUF_DEFAULT_ALIGNMENT

slm_status slm_gguf_writer_open(slm_host *host, slm_gguf_writer **out, slm_error *error) {
    *out = slm_calloc(host, 1, sizeof **out);
    if (!*out)
        return slm_fail_nomem(error, sizeof **out, "a GGUF writer");
    (*out)->host = host;
    return SLM_OK;
}

void slm_gguf_writer_close(slm_gguf_writer *w) {
    if (!w)
        return;
    slm_free(w->host, w->kv.data);
    slm_free(w->host, w->tensors.data);
    slm_free(w->host, w->keys.data);
    slm_free(w->host, w->names.data);
    slm_free(w->host, w);
}

static slm_status append(slm_gguf_writer *w, buffer *b, const void *data, uint64_t len,
                         slm_error *error) {
    uint64_t want;
    if (!slm_add_u64(b->len, len, &want) || want > SIZE_MAX / 2)
        return slm_fail_nomem(error, UINT64_MAX, "GGUF metadata");
    if (want > b->cap) {
        size_t cap = b->cap > 0 ? b->cap : 1024;
        while (cap < want)
            cap *= 2;
        uint8_t *grown = slm_realloc(w->host, b->data, cap);
        if (!grown)
            return slm_fail_nomem(error, cap, "GGUF metadata");
        b->data = grown;
        b->cap = cap;
    }
    if (len > 0)
        memcpy(b->data + b->len, data, (size_t)len);
    b->len += (size_t)len;
    return SLM_OK;
}

static void store(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static slm_status append_uint(slm_gguf_writer *w, buffer *b, uint64_t value, int bytes,
                              slm_error *error) {
    uint8_t le[8];
    store(le, value, bytes);
    return append(w, b, le, (uint64_t)bytes, error);
}

static slm_status append_str(slm_gguf_writer *w, buffer *b, slm_str str, slm_error *error) {
    SLM_TRY(append_uint(w, b, str.len, 8, error));
    return append(w, b, str.ptr, str.len, error);
}

static slm_status check_open(const slm_gguf_writer *w, slm_str name, uint64_t max,
                             slm_error *error) {
    slm_gguf_label label = slm_gguf_label_of(name);
    if (w->begun)
        return slm_fail(error, SLM_ERR_ARG, label.text, SLM_NO_OFFSET,
                        "'%s' comes after the header was written", label.text);
    if (name.len < 1 || name.len > max)
        return slm_fail(error, SLM_ERR_LIMIT, label.text, SLM_NO_OFFSET,
                        "the name '%s' has %zu bytes, wanted 1 to %" PRIu64, label.text, name.len,
                        max);
    return SLM_OK;
}

/* Notes a name that stands at the given place of a buffer, after its length. */
static slm_status note(slm_gguf_writer *w, buffer *list, size_t at, size_t len, uint64_t bytes,
                       slm_error *error) {
    entry e = {{NULL, len}, at + 8, bytes};
    return append(w, list, &e, sizeof e, error);
}

static slm_status put_kv(slm_gguf_writer *w, slm_str key, slm_gguf_type type, const void *data,
                         uint64_t len, slm_error *error) {
    SLM_TRY(check_open(w, key, SLM_GGUF_MAX_KEY, error));
    SLM_TRY(note(w, &w->keys, w->kv.len, key.len, 0, error));
    SLM_TRY(append_str(w, &w->kv, key, error));
    SLM_TRY(append_uint(w, &w->kv, (uint64_t)type, 4, error));
    return append(w, &w->kv, data, len, error);
}

static slm_str str_of(const char *text) {
    return (slm_str){text, strlen(text)};
}

static int is_key(slm_str key, const char *text) {
    return key.len == strlen(text) && memcmp(key.ptr, text, key.len) == 0;
}

slm_status slm_gguf_writer_copy(slm_gguf_writer *w, const slm_gguf_kv *kv, slm_error *error) {
    if (is_key(kv->key, "general.alignment") ||
        (kv->key.len > 6 && memcmp(kv->key.ptr, "split.", 6) == 0))
        return SLM_OK;
    if (kv->type != SLM_GGUF_ARRAY)
        return put_kv(w, kv->key, kv->type, kv->data, kv->bytes, error);
    uint8_t head[12];
    store(head, (uint64_t)kv->item_type, 4);
    store(head + 4, kv->count, 8);
    SLM_TRY(put_kv(w, kv->key, kv->type, head, sizeof head, error));
    return append(w, &w->kv, kv->data, kv->bytes, error);
}

slm_status slm_gguf_writer_u32(slm_gguf_writer *w, const char *key, uint32_t value,
                               slm_error *error) {
    uint8_t le[4];
    store(le, value, 4);
    return put_kv(w, str_of(key), SLM_GGUF_U32, le, sizeof le, error);
}

slm_status slm_gguf_writer_f32(slm_gguf_writer *w, const char *key, float value, slm_error *error) {
    uint32_t bits;
    uint8_t le[4];
    memcpy(&bits, &value, sizeof bits);
    store(le, bits, 4);
    return put_kv(w, str_of(key), SLM_GGUF_F32, le, sizeof le, error);
}

slm_status slm_gguf_writer_bool(slm_gguf_writer *w, const char *key, int value, slm_error *error) {
    uint8_t byte = value != 0;
    return put_kv(w, str_of(key), SLM_GGUF_BOOL, &byte, 1, error);
}

slm_status slm_gguf_writer_str(slm_gguf_writer *w, const char *key, slm_str value,
                               slm_error *error) {
    uint8_t le[8];
    store(le, value.len, 8);
    SLM_TRY(put_kv(w, str_of(key), SLM_GGUF_STRING, le, sizeof le, error));
    return append(w, &w->kv, value.ptr, value.len, error);
}

slm_status slm_gguf_writer_tensor(slm_gguf_writer *w, slm_str name, uint32_t type, uint32_t n_dims,
                                  const uint64_t ne[4], slm_error *error) {
    const slm_dtype_info *info = slm_dtype_get(type);
    slm_gguf_label label = slm_gguf_label_of(name);
    uint64_t n = 1;
    SLM_TRY(check_open(w, name, SLM_GGUF_MAX_NAME, error));
    if (n_dims < 1 || n_dims > 4 || info->block == 0 || ne[0] % info->block != 0)
        return slm_fail(error, SLM_ERR_SHAPE, label.text, SLM_NO_OFFSET,
                        "tensor '%s' has %" PRIu32 " dimensions and rows of %" PRIu64
                        " elements, wanted 1 to 4 and a multiple of %" PRIu32 " for %s",
                        label.text, n_dims, ne[0], info->block, info->name);
    for (uint32_t i = 0; i < n_dims; i++) {
        if (ne[i] == 0 || !slm_mul_u64(n, ne[i], &n) || n > SLM_GGUF_MAX_ELEMENTS)
            return slm_fail(error, SLM_ERR_LIMIT, label.text, SLM_NO_OFFSET,
                            "dimension %" PRIu32 " of tensor '%s' is %" PRIu64, i, label.text,
                            ne[i]);
    }
    uint64_t bytes = slm_gguf_tensor_bytes(type, n);
    SLM_TRY(note(w, &w->names, w->tensors.len, name.len, bytes, error));
    SLM_TRY(append_str(w, &w->tensors, name, error));
    SLM_TRY(append_uint(w, &w->tensors, n_dims, 4, error));
    for (uint32_t i = 0; i < n_dims; i++)
        SLM_TRY(append_uint(w, &w->tensors, ne[i], 8, error));
    SLM_TRY(append_uint(w, &w->tensors, type, 4, error));
    SLM_TRY(append_uint(w, &w->tensors, w->data_bytes, 8, error));
    w->data_bytes = (w->data_bytes + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return SLM_OK;
}

/* Refuses names that the reader would refuse as given twice. */
static slm_status check_twice(slm_gguf_writer *w, const buffer *list, const buffer *records,
                              const char *kind, slm_error *error) {
    slm_gguf_index index = {NULL, 0, {0, 0}};
    entry *entries = (entry *)(void *)list->data;
    uint64_t n = list->len / sizeof *entries;
    uint64_t first, twice;
    for (uint64_t i = 0; i < n; i++)
        entries[i].name.ptr = (const char *)records->data + entries[i].at;
    SLM_TRY(
        slm_gguf_index_build(w->host, &index, entries, sizeof *entries, n, &first, &twice, error));
    slm_free(w->host, index.slots);
    if (twice == n)
        return SLM_OK;
    slm_gguf_label label = slm_gguf_label_of(entries[twice].name);
    return slm_fail(error, SLM_ERR_DUP, label.text, SLM_NO_OFFSET, "%s '%s' is given twice", kind,
                    label.text);
}

static slm_status pad(slm_gguf_writer *w, uint64_t bytes, slm_error *error) {
    static const uint8_t zeros[ALIGNMENT];
    return slm_out_write(w->file, zeros, (size_t)((0 - bytes) % ALIGNMENT), error);
}

slm_status slm_gguf_writer_begin(slm_gguf_writer *w, slm_out *file, slm_error *error) {
    uint8_t head[24] = "GGUF";
    if (w->begun)
        return slm_fail(error, SLM_ERR_ARG, "writer", SLM_NO_OFFSET,
                        "the header was written already");
    SLM_TRY(check_twice(w, &w->keys, &w->kv, "key", error));
    SLM_TRY(check_twice(w, &w->names, &w->tensors, "tensor", error));
    store(head + 4, 3, 4);
    store(head + 8, w->names.len / sizeof(entry), 8);
    store(head + 16, w->keys.len / sizeof(entry), 8);
    w->begun = 1;
    w->file = file;
    SLM_TRY(slm_out_write(file, head, sizeof head, error));
    SLM_TRY(slm_out_write(file, w->kv.data, w->kv.len, error));
    SLM_TRY(slm_out_write(file, w->tensors.data, w->tensors.len, error));
    return pad(w, sizeof head + w->kv.len + w->tensors.len, error);
}

slm_status slm_gguf_writer_data(slm_gguf_writer *w, const void *data, size_t size,
                                slm_error *error) {
    const entry *entries = (const entry *)(const void *)w->names.data;
    uint64_t n = w->names.len / sizeof *entries;
    uint64_t room = w->begun && w->current < n ? entries[w->current].bytes - w->written : 0;
    if (size > room)
        return slm_fail(error, SLM_ERR_ARG, "data", SLM_NO_OFFSET,
                        "%zu bytes are given for tensor %" PRIu64 " of %" PRIu64
                        ", which has room for %" PRIu64,
                        size, w->current, n, room);
    if (room == 0)
        return SLM_OK;
    SLM_TRY(slm_out_write(w->file, data, size, error));
    w->written += size;
    if (size < room)
        return SLM_OK;
    uint64_t bytes = w->written;
    w->written = 0;
    w->current++;
    return pad(w, bytes, error);
}

slm_status slm_gguf_writer_finish(slm_gguf_writer *w, slm_error *error) {
    uint64_t n = w->names.len / sizeof(entry);
    if (w->begun && w->current == n)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "data", SLM_NO_OFFSET,
                    "the data of %" PRIu64 " of %" PRIu64 " tensors were written", w->current, n);
}
