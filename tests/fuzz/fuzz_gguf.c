/* Any bytes as a GGUF file: opened with and without tensors, and everything in it used. */
#include "gguf/gguf.h"
#include "support/gguf_builder.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Starts from a correct file whenever there is nothing better, so no corpus of seeds is needed. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    if (size < 24 || seed % 4096 == 0) {
        gb *b = gb_sample();
        size_t n;
        const uint8_t *bytes = gb_finish(b, &n);
        if (n <= max_size) {
            memcpy(data, bytes, n);
            size = n;
        }
        gb_free(b);
    }
    return LLVMFuzzerMutate(data, size, max_size);
}

/* Where the sum of all bytes goes, so that reading them is not left out. */
static volatile uint64_t seen;

static void walk(const slm_gguf *g) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(g, i);
        char text[100];
        size_t len = 0;
        slm_gguf_kv_text(kv, text, sizeof text, &len, NULL);
        for (uint64_t k = 0; k < kv->bytes; k++)
            sum += kv->data[k];
    }
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        if (t->data)
            sum += t->data[0] + t->data[t->bytes - 1];
    }
    seen = sum;
}

static void use(const slm_gguf *g) {
    slm_error e = SLM_ERROR_INIT;
    uint64_t u = 0;
    float f = 0;
    int b = 0;
    slm_str s = {"", 0};
    const slm_gguf_kv *kv;
    slm_gguf_get_u64(g, "general.alignment", 1, 8, 1 << 20, &u, &e);
    slm_gguf_get_f32(g, "f", 1, -1, 1, &f, &e);
    slm_gguf_get_bool(g, "b", 1, &b, &e);
    slm_gguf_get_str(g, "general.architecture", 1, &s, &e);
    slm_gguf_get_array(g, "tokenizer.ggml.tokens", 1, SLM_GGUF_STRING, UINT64_MAX, &kv, &e);
    slm_gguf_find_tensor(g, "token_embd.weight");
    walk(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t flags[] = {SLM_GGUF_STRICT, SLM_GGUF_NO_TENSORS};
    for (int i = 0; i < 2; i++) {
        slm_host host;
        slm_file *file = NULL;
        slm_gguf *g = NULL;
        slm_error e = SLM_ERROR_INIT;
        slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
        if (slm_file_open_memory(&host, data, size, SLM_LOAD_MAP, &file, &e) != SLM_OK)
            return 0;
        if (slm_gguf_open_file(&host, file, flags[i], &g, &e) == SLM_OK)
            use(g);
        slm_gguf_close(g);
        if (host.bytes != 0)
            abort();
    }
    return 0;
}
