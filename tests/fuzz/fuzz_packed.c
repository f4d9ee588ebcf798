/* Any bytes as a file of packed weights of a small model: opened, and evaluated where it fits. Every
 * second input gets correct checksums, so that what they protect is reached. */
#include "base/hash.h"
#include "kernels.h"
#include "slm.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

enum { FINGERPRINT = 16, TABLE = 40, HEADER_HASH = 56, HEADER = 64 }; /* docs/FORMATS.md */

static uint8_t *model; /* the file, aligned */
static size_t model_size;
static char path[700];
static uint8_t *good; /* a file that fits */
static size_t good_size;

static void small_matrix(gb *b) {
    static const float x[256] = {0.5f, -0.25f};
    static uint8_t rows[128][144];
    for (size_t i = 0; i < 128; i++)
        if (!slm_quantize_weights(SLM_DTYPE_Q4_K, rows[i], x, NULL, 256))
            abort();
    gb_tensor(b, "blk.1.attn_k.weight", SLM_DTYPE_Q4_K, 2, (uint64_t[]){256, 128}, rows);
}

/* The model, and the file that it makes. */
static void prepare(void) {
    if (model != NULL)
        return;
    slm_model *m = NULL;
    const char *name = temp_path("packed");
    memcpy(path, name, strlen(name) + 1);
    gb *b = tiny_model(&(tiny_tweak){.name = "blk.1.attn_k.weight", .emit = small_matrix,
                                     .scale = 8});
    const uint8_t *bytes = gb_finish(b, &model_size);
    model = aligned_alloc(64, (model_size + 63) / 64 * 64);
    if (model == NULL)
        abort();
    memcpy(model, bytes, model_size);
    gb_free(b);
    if (slm_model_open_memory(model, model_size, NULL, &m, NULL) != SLM_OK ||
        slm_model_save_packed(m, path, NULL, NULL, NULL) != SLM_OK)
        abort();
    slm_model_close(&m);
    good = temp_read(path, &good_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    prepare();
    if ((size < HEADER || seed % 512 == 0) && good_size < max_size) {
        data[0] = (uint8_t)seed;
        memcpy(data + 1, good, good_size);
        size = good_size + 1;
    }
    if (size < HEADER + 1)
        return LLVMFuzzerMutate(data, size, max_size);
    /* most of a file is panels, which all values fit: rather the header, or the table at the end */
    size_t at = seed % 3 == 0 ? 1 : seed % 3 == 1 && size > 200 ? size - 64 : 0;
    if (at == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    LLVMFuzzerMutate(data + at, 56, 56);
    return size;
}

static void seal(uint8_t *bytes, size_t size) {
    uint64_t table, hash, fingerprint;
    hash = slm_hash64(bytes, HEADER_HASH, 0);
    memcpy(bytes + HEADER_HASH, &hash, sizeof hash);
    memcpy(&table, bytes + TABLE, sizeof table);
    memcpy(&fingerprint, bytes + FINGERPRINT, sizeof fingerprint);
    if (table > size - sizeof hash)
        return;
    hash = slm_hash64(bytes + table, size - sizeof hash - (size_t)table, fingerprint);
    memcpy(bytes + size - sizeof hash, &hash, sizeof hash);
}

static void evaluate(slm_model *m) {
    static const int32_t ids[] = {1, 260, 261};
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 16, .n_threads = 1};
    slm_session *s = NULL;
    if (slm_session_open(m, &o, &s, NULL) == SLM_OK)
        slm_session_eval(s, ids, 3, SLM_LOGITS_LAST, NULL);
    slm_session_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    prepare();
    if (size == 0)
        return 0;
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1 && size > HEADER)
        seal(bytes, size - 1);
    temp_write(path, bytes, size - 1);
    free(bytes);
    slm_error e = SLM_ERROR_INIT;
    slm_model_options o = {.struct_size = sizeof o, .load = SLM_LOAD_PACK, .packed_path = path,
                           .flags = data[0] & 2 ? SLM_MODEL_CHECK_TENSORS : 0};
    slm_model *m = NULL;
    if (slm_model_open_memory(model, model_size, &o, &m, &e) == SLM_OK)
        evaluate(m);
    else if (m != NULL || e.status == SLM_OK)
        abort();
    slm_model_close(&m);
    return 0;
}
