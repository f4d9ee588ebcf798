/* Shared by the files of gguf/ only. */
#ifndef SLM_GGUF_INTERNAL_H
#define SLM_GGUF_INTERNAL_H

#include "gguf/gguf.h"

#include <string.h>

#define SLM_GGUF_MAX_KEY 65535u /* the format's own limit */
#define SLM_GGUF_MAX_NAME 64u   /* likewise */
#define SLM_GGUF_MAX_TENSORS 65536u
#define SLM_GGUF_MAX_PARTS 256u
#define SLM_GGUF_MAX_ELEMENTS ((uint64_t)1 << 40) /* of a tensor */
#define SLM_GGUF_DEFAULT_ALIGNMENT 32u

/* Finds an entry by name in an array of structs whose first member is its slm_str. Open addressing;
 * SipHash-1-3 (Aumasson and Bernstein 2012) with a key that a file's author cannot know keeps
 * chosen names from colliding. */
typedef struct slm_gguf_index {
    uint32_t *slots; /* entry + 1, 0: free */
    uint64_t mask;
    uint64_t key[2];
} slm_gguf_index;

/* Indexes count entries of stride bytes. *twice receives the index of the first entry whose name an
 * earlier one has, else count; *first is that earlier entry. */
slm_status slm_gguf_index_build(slm_host *host, slm_gguf_index *index, const void *entries,
                                size_t stride, uint64_t count, uint64_t *first, uint64_t *twice,
                                slm_error *error);
const void *slm_gguf_index_find(const slm_gguf_index *index, const void *entries, size_t stride,
                                const char *name, size_t len);

struct slm_gguf {
    slm_host *host;
    uint32_t flags;
    uint32_t version;
    uint64_t alignment;
    uint64_t n_kv;
    uint64_t n_tensors;
    slm_gguf_kv *kv;
    slm_gguf_tensor *tensors;
    slm_gguf_index kv_index;
    slm_gguf_index tensor_index;
    slm_file **parts;
    uint32_t n_parts;
};

/* slm_gguf_open_file for one part of whatever it belongs to. */
slm_status slm_gguf_parse(slm_host *host, slm_file *file, uint32_t flags, slm_gguf **out,
                          slm_error *error);

/* The files of a split model, once its first part is open. */
slm_status slm_gguf_join(slm_gguf *g, const char *path, slm_load load, slm_progress_fn progress,
                         void *progress_user, slm_error *error);

/* Bytes of one value of a type; 0 for strings, arrays and unknown types. */
uint32_t slm_gguf_type_bytes(uint32_t type);

/* Bytes of n_elements of a known type. */
uint64_t slm_gguf_tensor_bytes(uint32_t type, uint64_t n_elements);

/* The fewest digits, at least 6 asked for, that read back as value, with a point whatever the locale. */
#define SLM_GGUF_NUMBER 40
void slm_gguf_float_text(char *text, float value);

/* A name as a C string for messages: escaped, cut. */
typedef struct slm_gguf_label {
    char text[80];
} slm_gguf_label;
static inline slm_gguf_label slm_gguf_label_of(slm_str name) {
    slm_gguf_label label;
    slm_escape(label.text, sizeof label.text, name.ptr, name.len);
    return label;
}

static inline uint32_t slm_le16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t slm_le32(const uint8_t *p) { return slm_le16(p) | slm_le16(p + 2) << 16; }
static inline uint64_t slm_le64(const uint8_t *p) {
    return (uint64_t)slm_le32(p) | (uint64_t)slm_le32(p + 4) << 32;
}
static inline float slm_le_f32(const uint8_t *p) {
    uint32_t bits = slm_le32(p);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static inline double slm_le_f64(const uint8_t *p) {
    uint64_t bits = slm_le64(p);
    double f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#endif
