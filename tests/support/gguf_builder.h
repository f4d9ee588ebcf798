/* Makes GGUF files in memory for tests, correct ones and wrong ones.
 *
 *   gb *b = gb_begin();
 *   gb_kv_str(b, "general.architecture", "llama");
 *   gb_kv_u32(b, "llama.block_count", 1);
 *   gb_tensor(b, "output_norm.weight", SLM_DTYPE_F32, 1, (uint64_t[]){64}, NULL);
 *   size_t size;
 *   const uint8_t *bytes = gb_finish(b, &size);   // lives until gb_free
 *   ...
 *   gb_free(b);
 *
 * Nothing is checked and nothing fails: a test program without memory ends. Tensors get the next
 * aligned offset; each number that the builder would work out by itself can be set to a lie with
 * gb_set_.... The bytes are those of version 3 unless gb_set_version says otherwise. */
#ifndef SLM_TESTS_GGUF_BUILDER_H
#define SLM_TESTS_GGUF_BUILDER_H

#include "gguf/dtype.h"

#include <stddef.h>
#include <stdint.h>

typedef struct gb gb;

gb *gb_begin(void);
void gb_free(gb *b);

/* Keys and values, in the order of the calls. */
void gb_kv_u8(gb *b, const char *key, uint8_t value);
void gb_kv_i8(gb *b, const char *key, int8_t value);
void gb_kv_u16(gb *b, const char *key, uint16_t value);
void gb_kv_i16(gb *b, const char *key, int16_t value);
void gb_kv_u32(gb *b, const char *key, uint32_t value);
void gb_kv_i32(gb *b, const char *key, int32_t value);
void gb_kv_u64(gb *b, const char *key, uint64_t value);
void gb_kv_i64(gb *b, const char *key, int64_t value);
void gb_kv_f32(gb *b, const char *key, float value);
void gb_kv_f64(gb *b, const char *key, double value);
void gb_kv_bool(gb *b, const char *key, int value); /* value is written as the byte it is */
void gb_kv_str(gb *b, const char *key, const char *value);
void gb_kv_str_n(gb *b, const char *key, const void *value, size_t len);
void gb_kv_arr_str(gb *b, const char *key, const char *const *values, size_t n);
void gb_kv_arr_u32(gb *b, const char *key, const uint32_t *values, size_t n);
void gb_kv_arr_i32(gb *b, const char *key, const int32_t *values, size_t n);
void gb_kv_arr_f32(gb *b, const char *key, const float *values, size_t n);
/* Bytes as they are, counted as one key: whole records, or what is none. */
void gb_kv_raw(gb *b, const void *bytes, size_t n);
/* A key, a type number and raw bytes of value. */
void gb_kv_bytes(gb *b, const char *key, uint32_t type, const void *bytes, size_t n);

/* A tensor with its data, of the size that type and ne give; data NULL: zeros. For a type without
 * a block size, one byte. Returns its index. */
size_t gb_tensor(gb *b, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *ne,
                 const void *data);
/* F32 values drawn evenly from [-scale, scale), the same for the same seed. */
size_t gb_tensor_random(gb *b, const char *name, uint32_t n_dims, const uint64_t *ne, float scale,
                        uint64_t seed);
/* The record as given, with data_size zero bytes of data at the next aligned offset. */
size_t gb_tensor_raw(gb *b, const void *name, size_t name_len, uint32_t type, uint32_t n_dims,
                     const uint64_t *ne, uint32_t n_dims_written, size_t data_size);
/* Bytes without a record in the place of the next tensor record; counted as one tensor. */
void gb_tensor_bytes(gb *b, const void *bytes, size_t n);

/* Lies. Each may be called at any time before gb_finish. */
void gb_set_version(gb *b, uint32_t version);
void gb_set_n_kv(gb *b, uint64_t n);
void gb_set_n_tensors(gb *b, uint64_t n);
void gb_set_alignment(gb *b, uint32_t alignment); /* of the layout; writes no key. Default 32 */
void gb_set_offset(gb *b, size_t tensor, uint64_t offset);
void gb_add_tail(gb *b, size_t n); /* zero bytes after the last tensor's padding */

/* The file. Called again after changes it makes the file anew, and the old bytes are gone. */
const uint8_t *gb_finish(gb *b, size_t *size);
/* The same into a file. Returns 1, or 0 when the system refuses. */
int gb_write(gb *b, const char *path);

/* A small correct file with a value of every type, an array of each kind and three tensors. */
gb *gb_sample(void);

#endif
