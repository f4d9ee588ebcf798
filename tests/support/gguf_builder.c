#include "support/gguf_builder.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

typedef struct bytes {
    uint8_t *data;
    size_t len, cap;
} bytes;

struct gb {
    bytes kv, infos, data, file;
    size_t *offset_at; /* where in infos each tensor's offset stands */
    size_t n_kv, n_tensors;
    uint64_t n_kv_written, n_tensors_written; /* where the next two are set */
    int lie_kv, lie_tensors;
    uint32_t version, alignment;
    size_t tail;
};

static void *must(void *p) {
    if (!p) {
        fputs("gguf_builder: no memory\n", stderr);
        exit(2);
    }
    return p;
}

/* n bytes; data NULL: zeros. */
static void put(bytes *b, const void *data, size_t n) {
    if (n == 0)
        return;
    if (n > b->cap - b->len) {
        b->cap = 2 * (b->len + n) + 256;
        b->data = must(realloc(b->data, b->cap));
    }
    if (!data)
        memset(b->data + b->len, 0, n);
    else
        memcpy(b->data + b->len, data, n);
    b->len += n;
}

static void put_int(bytes *b, uint64_t value, int n) {
    uint8_t le[8];
    for (int i = 0; i < n; i++)
        le[i] = (uint8_t)(value >> (8 * i));
    put(b, le, (size_t)n);
}

static void put_str(bytes *b, const void *text, size_t len) {
    put_int(b, len, 8);
    put(b, text, len);
}

static void pad(bytes *b, size_t alignment) {
    put(b, NULL, (alignment - b->len % alignment) % alignment);
}

gb *gb_begin(void) {
    gb *b = must(calloc(1, sizeof *b));
    b->version = 3;
    b->alignment = 32;
    return b;
}

void gb_free(gb *b) {
    if (!b)
        return;
    free(b->kv.data);
    free(b->infos.data);
    free(b->data.data);
    free(b->file.data);
    free(b->offset_at);
    free(b);
}

static void key_of(gb *b, const char *key, uint32_t type) {
    put_str(&b->kv, key, strlen(key));
    put_int(&b->kv, type, 4);
    b->n_kv++;
}

static void kv_int(gb *b, const char *key, uint32_t type, uint64_t value, int n) {
    key_of(b, key, type);
    put_int(&b->kv, value, n);
}

void gb_kv_u8(gb *b, const char *key, uint8_t v) {
    kv_int(b, key, U8, v, 1);
}
void gb_kv_i8(gb *b, const char *key, int8_t v) {
    kv_int(b, key, I8, (uint64_t)v, 1);
}
void gb_kv_u16(gb *b, const char *key, uint16_t v) {
    kv_int(b, key, U16, v, 2);
}
void gb_kv_i16(gb *b, const char *key, int16_t v) {
    kv_int(b, key, I16, (uint64_t)v, 2);
}
void gb_kv_u32(gb *b, const char *key, uint32_t v) {
    kv_int(b, key, U32, v, 4);
}
void gb_kv_i32(gb *b, const char *key, int32_t v) {
    kv_int(b, key, I32, (uint64_t)v, 4);
}
void gb_kv_u64(gb *b, const char *key, uint64_t v) {
    kv_int(b, key, U64, v, 8);
}
void gb_kv_i64(gb *b, const char *key, int64_t v) {
    kv_int(b, key, I64, (uint64_t)v, 8);
}
void gb_kv_bool(gb *b, const char *key, int v) {
    kv_int(b, key, BOOL, (uint64_t)v, 1);
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void gb_kv_f32(gb *b, const char *key, float v) {
    kv_int(b, key, F32, bits_of(v), 4);
}

void gb_kv_f64(gb *b, const char *key, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    kv_int(b, key, F64, bits, 8);
}

void gb_kv_str_n(gb *b, const char *key, const void *value, size_t len) {
    key_of(b, key, STRING);
    put_str(&b->kv, value, len);
}

void gb_kv_str(gb *b, const char *key, const char *value) {
    gb_kv_str_n(b, key, value, strlen(value));
}

static void array_of(gb *b, const char *key, uint32_t type, size_t n) {
    key_of(b, key, ARRAY);
    put_int(&b->kv, type, 4);
    put_int(&b->kv, n, 8);
}

void gb_kv_arr_str(gb *b, const char *key, const char *const *values, size_t n) {
    array_of(b, key, STRING, n);
    for (size_t i = 0; i < n; i++)
        put_str(&b->kv, values[i], strlen(values[i]));
}

void gb_kv_arr_u32(gb *b, const char *key, const uint32_t *values, size_t n) {
    array_of(b, key, U32, n);
    for (size_t i = 0; i < n; i++)
        put_int(&b->kv, values[i], 4);
}

void gb_kv_arr_i32(gb *b, const char *key, const int32_t *values, size_t n) {
    array_of(b, key, I32, n);
    for (size_t i = 0; i < n; i++)
        put_int(&b->kv, (uint64_t)values[i], 4);
}

void gb_kv_arr_f32(gb *b, const char *key, const float *values, size_t n) {
    array_of(b, key, F32, n);
    for (size_t i = 0; i < n; i++)
        put_int(&b->kv, bits_of(values[i]), 4);
}

void gb_kv_raw(gb *b, const void *data, size_t n) {
    put(&b->kv, data, n);
    b->n_kv++;
}

void gb_kv_bytes(gb *b, const char *key, uint32_t type, const void *data, size_t n) {
    key_of(b, key, type);
    put(&b->kv, data, n);
}

/* ---- tensors ---- */

static size_t add_tensor(gb *b) {
    if ((b->n_tensors & (b->n_tensors - 1)) == 0) { /* 0, 1, 2, 4, ...: the room is used up */
        size_t room = b->n_tensors == 0 ? 1 : 2 * b->n_tensors;
        b->offset_at = must(realloc(b->offset_at, room * sizeof *b->offset_at));
    }
    b->offset_at[b->n_tensors] = SIZE_MAX;
    return b->n_tensors++;
}

size_t gb_tensor_raw(gb *b, const void *name, size_t name_len, uint32_t type, uint32_t n_dims,
                     const uint64_t *ne, uint32_t n_dims_written, size_t data_size) {
    size_t index = add_tensor(b);
    put_str(&b->infos, name, name_len);
    put_int(&b->infos, n_dims_written, 4);
    for (uint32_t i = 0; i < n_dims; i++)
        put_int(&b->infos, ne[i], 8);
    put_int(&b->infos, type, 4);
    pad(&b->data, b->alignment);
    b->offset_at[index] = b->infos.len;
    put_int(&b->infos, b->data.len, 8);
    put(&b->data, NULL, data_size);
    return index;
}

size_t gb_tensor(gb *b, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *ne,
                 const void *data) {
    const slm_dtype_info *info = slm_dtype_get(type);
    uint64_t n = 1;
    for (uint32_t i = 0; i < n_dims; i++)
        n *= ne[i];
    size_t size = info->block ? (size_t)(n / info->block * info->bytes) : 1;
    if (type == SLM_DTYPE_I2_S)
        size += 32;
    size_t index = gb_tensor_raw(b, name, strlen(name), type, n_dims, ne, n_dims, size);
    if (data && size > 0)
        memcpy(b->data.data + b->data.len - size, data, size);
    return index;
}

size_t gb_tensor_random(gb *b, const char *name, uint32_t n_dims, const uint64_t *ne, float scale,
                        uint64_t seed) {
    size_t index = gb_tensor(b, name, SLM_DTYPE_F32, n_dims, ne, NULL);
    size_t n = 1;
    for (uint32_t i = 0; i < n_dims; i++)
        n *= (size_t)ne[i];
    uint8_t *to = b->data.data + b->data.len - 4 * n;
    slm_rng rng;
    slm_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++, to += 4) {
        float x = scale * (float)(2 * slm_rng_double(&rng) - 1);
        uint32_t bits = bits_of(x);
        for (int k = 0; k < 4; k++)
            to[k] = (uint8_t)(bits >> (8 * k));
    }
    return index;
}

void gb_tensor_bytes(gb *b, const void *data, size_t n) {
    add_tensor(b);
    put(&b->infos, data, n);
}

/* ---- lies ---- */

void gb_set_version(gb *b, uint32_t version) {
    b->version = version;
}

void gb_set_n_kv(gb *b, uint64_t n) {
    b->n_kv_written = n;
    b->lie_kv = 1;
}

void gb_set_n_tensors(gb *b, uint64_t n) {
    b->n_tensors_written = n;
    b->lie_tensors = 1;
}

void gb_set_alignment(gb *b, uint32_t alignment) {
    b->alignment = alignment;
}

void gb_set_offset(gb *b, size_t tensor, uint64_t offset) {
    for (int i = 0; i < 8; i++)
        b->infos.data[b->offset_at[tensor] + (size_t)i] = (uint8_t)(offset >> (8 * i));
}

void gb_add_tail(gb *b, size_t n) {
    b->tail += n;
}

/* ---- the file ---- */

const uint8_t *gb_finish(gb *b, size_t *size) {
    bytes *f = &b->file;
    f->len = 0;
    put(f, "GGUF", 4);
    put_int(f, b->version, 4);
    put_int(f, b->lie_tensors ? b->n_tensors_written : b->n_tensors, 8);
    put_int(f, b->lie_kv ? b->n_kv_written : b->n_kv, 8);
    put(f, b->kv.data, b->kv.len);
    put(f, b->infos.data, b->infos.len);
    if (b->data.len > 0 || b->tail > 0) {
        pad(f, b->alignment);
        put(f, b->data.data, b->data.len);
        pad(f, b->alignment);
        put(f, NULL, b->tail);
    }
    *size = f->len;
    return f->data;
}

int gb_write(gb *b, const char *path) {
    size_t size;
    const uint8_t *data = gb_finish(b, &size);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 0;
    int ok = fwrite(data, 1, size, file) == size;
    return fclose(file) == 0 && ok;
}

gb *gb_sample(void) {
    static const char *const words[] = {"a", "", "two words", "\xc3\xa9"};
    static const uint32_t numbers[] = {1, 2, 4294967295u};
    static const int32_t signs[] = {-1, 0, 2147483647};
    static const float floats[] = {0.5f, -1.25f};
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", "llama");
    gb_kv_u8(b, "t.u8", 200);
    gb_kv_i8(b, "t.i8", -100);
    gb_kv_u16(b, "t.u16", 60000);
    gb_kv_i16(b, "t.i16", -30000);
    gb_kv_u32(b, "t.u32", 4000000000u);
    gb_kv_i32(b, "t.i32", -2000000000);
    gb_kv_f32(b, "t.f32", 1.5f);
    gb_kv_bool(b, "t.bool", 1);
    gb_kv_u64(b, "t.u64", 10000000000000000000u);
    gb_kv_i64(b, "t.i64", -9000000000000000000);
    gb_kv_f64(b, "t.f64", 0.1);
    gb_kv_arr_str(b, "t.words", words, 4);
    gb_kv_arr_u32(b, "t.numbers", numbers, 3);
    gb_kv_arr_i32(b, "t.signs", signs, 3);
    gb_kv_arr_f32(b, "t.floats", floats, 2);
    gb_tensor_random(b, "x.weight", 1, (uint64_t[]){24}, 1.0f, 1);
    gb_tensor(b, "y.weight", SLM_DTYPE_Q4_0, 2, (uint64_t[]){64, 3}, NULL);
    gb_tensor(b, "z.weight", SLM_DTYPE_F16, 3, (uint64_t[]){4, 2, 2}, NULL);
    return b;
}
