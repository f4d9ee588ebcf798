/* Reading GGUF files as hostile input. The only module that knows the file format.
 *
 * Every count, length and offset is compared with the bytes left before it is used; memory while
 * parsing stays below 4 x metadata bytes + 1 MiB. Strings and arrays are not copied: they point
 * into the file's bytes, which live as long as the slm_gguf. Nothing recurses.
 * Format: github.com/ggml-org/ggml docs/gguf.md; limits: the table in gguf.c and docs. */
#ifndef SLM_GGUF_H
#define SLM_GGUF_H

#include "base/file.h"
#include "base/str.h"
#include "gguf/dtype.h"

typedef enum slm_gguf_type {
    SLM_GGUF_U8 = 0, SLM_GGUF_I8 = 1, SLM_GGUF_U16 = 2, SLM_GGUF_I16 = 3, SLM_GGUF_U32 = 4,
    SLM_GGUF_I32 = 5, SLM_GGUF_F32 = 6, SLM_GGUF_BOOL = 7, SLM_GGUF_STRING = 8,
    SLM_GGUF_ARRAY = 9, SLM_GGUF_U64 = 10, SLM_GGUF_I64 = 11, SLM_GGUF_F64 = 12
} slm_gguf_type;

typedef struct slm_gguf_kv {
    slm_str key;
    slm_gguf_type type;       /* of the value                                                        */
    slm_gguf_type item_type;  /* of an array's elements                                              */
    uint64_t count;           /* of an array's elements, else 1                                      */
    const uint8_t *data;      /* first byte of the value (of an array: of its first element), unaligned */
    uint64_t bytes;           /* of the value (of an array: of all its elements)                     */
    uint64_t offset;          /* of the key in the file                                              */
} slm_gguf_kv;

typedef struct slm_gguf_tensor {
    slm_str name;
    uint32_t type;            /* slm_dtype                                                           */
    uint32_t n_dims;
    uint64_t ne[4];           /* ne[0] contiguous; missing ones 1                                    */
    uint64_t n_elements;
    uint64_t bytes;           /* exact size                                                          */
    uint64_t offset;          /* absolute in its part                                                */
    uint32_t part;            /* index of the split part                                             */
    const uint8_t *data;      /* aligned to the file's alignment relative to the part's first byte;
                                 NULL with SLM_GGUF_NO_TENSORS                                       */
} slm_gguf_tensor;

typedef struct slm_gguf slm_gguf;

enum {
    SLM_GGUF_STRICT = 1u << 0,     /* bytes after the last tensor are an error, not a warning         */
    SLM_GGUF_NO_TENSORS = 1u << 1  /* tensor data need not be in the file (vocabulary only); tensor
                                      infos are still checked, except their extent, and types that
                                      cannot be run are let through                                  */
};

/* Parses *file, of which the gguf takes ownership (also on failure). */
slm_status slm_gguf_open_file(slm_host *host, slm_file *file, uint32_t flags, slm_gguf **out,
                              slm_error *error);
/* Opens path and, when it is the first part of a split model, its siblings, whose names are made
 * from path's own. progress counts the bytes of each part from 0. */
slm_status slm_gguf_open(slm_host *host, const char *path, slm_load load, uint32_t flags,
                         slm_progress_fn progress, void *progress_user, slm_gguf **out,
                         slm_error *error);
void slm_gguf_close(slm_gguf *g);

uint64_t slm_gguf_n_kv(const slm_gguf *g);
const slm_gguf_kv *slm_gguf_kv_at(const slm_gguf *g, uint64_t index);
const slm_gguf_kv *slm_gguf_find(const slm_gguf *g, const char *key); /* NULL when absent; O(1) */
uint64_t slm_gguf_n_tensors(const slm_gguf *g);
const slm_gguf_tensor *slm_gguf_tensor_at(const slm_gguf *g, uint64_t index);
const slm_gguf_tensor *slm_gguf_find_tensor(const slm_gguf *g, const char *name);
uint32_t slm_gguf_version(const slm_gguf *g);
uint64_t slm_gguf_alignment(const slm_gguf *g);
uint32_t slm_gguf_n_parts(const slm_gguf *g);
const slm_file *slm_gguf_part(const slm_gguf *g, uint32_t part);
uint64_t slm_gguf_file_bytes(const slm_gguf *g); /* all parts */
uint64_t slm_gguf_heap_bytes(const slm_gguf *g); /* allocated for tables */

/* Typed getters. Each takes the value from any numeric type that holds it exactly; wrong kind:
 * SLM_ERR_TYPE; out of [lo, hi]: SLM_ERR_RANGE; absent: *value is left alone and SLM_OK when
 * required is 0, else SLM_ERR_MISSING. A bool is not a number. */
slm_status slm_gguf_get_u64(const slm_gguf *g, const char *key, int required, uint64_t lo,
                            uint64_t hi, uint64_t *value, slm_error *error);
slm_status slm_gguf_get_u32(const slm_gguf *g, const char *key, int required, uint32_t lo,
                            uint32_t hi, uint32_t *value, slm_error *error);
slm_status slm_gguf_get_i32(const slm_gguf *g, const char *key, int required, int32_t lo, int32_t hi,
                            int32_t *value, slm_error *error);
/* From f32, or from f64 rounded to nearest. NaN and infinities are out of range. */
slm_status slm_gguf_get_f32(const slm_gguf *g, const char *key, int required, float lo, float hi,
                            float *value, slm_error *error);
slm_status slm_gguf_get_bool(const slm_gguf *g, const char *key, int required, int *value,
                             slm_error *error);
slm_status slm_gguf_get_str(const slm_gguf *g, const char *key, int required, slm_str *value,
                            slm_error *error);
/* An array of item_type with exactly count elements (any count when count is UINT64_MAX). *kv is
 * NULL when absent and not required. */
slm_status slm_gguf_get_array(const slm_gguf *g, const char *key, int required,
                              slm_gguf_type item_type, uint64_t count, const slm_gguf_kv **kv,
                              slm_error *error);
/* Elements of arrays; index must be below count. Strings are walked with an iterator. */
uint32_t slm_gguf_item_u32(const slm_gguf_kv *kv, uint64_t index);
int32_t slm_gguf_item_i32(const slm_gguf_kv *kv, uint64_t index);
float slm_gguf_item_f32(const slm_gguf_kv *kv, uint64_t index);
/* Steps over a string array already validated at opening: start with *pos = 0. */
slm_str slm_gguf_next_str(const slm_gguf_kv *kv, uint64_t *pos);

/* A value as text: numbers in decimal, floats by the fewest digits that read back the same, arrays
 * as JSON (NaN and infinities: null); bytes that are not UTF-8 become U+FFFD. Buffer rules of
 * slm_model_get_meta; nothing is written when it does not fit. */
slm_status slm_gguf_kv_text(const slm_gguf_kv *kv, char *text, size_t cap, size_t *len,
                            slm_error *error);

const char *slm_gguf_type_name(slm_gguf_type type);

/* ---- writing ---- */

typedef struct slm_gguf_writer slm_gguf_writer;
slm_status slm_gguf_writer_open(slm_host *host, slm_gguf_writer **out, slm_error *error);
void slm_gguf_writer_close(slm_gguf_writer *w);
/* Keys in the order of the calls. Copying takes a kv of a reader as it stands, and passes over
 * general.alignment and split.*, which describe the old file. */
slm_status slm_gguf_writer_copy(slm_gguf_writer *w, const slm_gguf_kv *kv, slm_error *error);
slm_status slm_gguf_writer_u32(slm_gguf_writer *w, const char *key, uint32_t value, slm_error *error);
slm_status slm_gguf_writer_f32(slm_gguf_writer *w, const char *key, float value, slm_error *error);
slm_status slm_gguf_writer_bool(slm_gguf_writer *w, const char *key, int value, slm_error *error);
slm_status slm_gguf_writer_str(slm_gguf_writer *w, const char *key, slm_str value, slm_error *error);
/* Announces a tensor; its data follows by slm_gguf_writer_data in the same order. */
slm_status slm_gguf_writer_tensor(slm_gguf_writer *w, slm_str name, uint32_t type, uint32_t n_dims,
                                  const uint64_t ne[4], slm_error *error);
/* Writes header and infos to the file (version 3, alignment 32). SLM_ERR_DUP for a key or tensor
 * name given twice. The file stays the caller's. */
slm_status slm_gguf_writer_begin(slm_gguf_writer *w, slm_out *file, slm_error *error);
/* Data of the next tensor, in any number of pieces; padding is added by itself. */
slm_status slm_gguf_writer_data(slm_gguf_writer *w, const void *data, size_t size, slm_error *error);
/* SLM_ERR_ARG unless every announced byte was written. */
slm_status slm_gguf_writer_finish(slm_gguf_writer *w, slm_error *error);

#endif
