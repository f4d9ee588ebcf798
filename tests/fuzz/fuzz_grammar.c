/* Any bytes as a GBNF grammar. What compiles within its memory makes texts, and takes those back
 * that it made. */
#include "fuzz/guide_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    slm_guide_options o = {.struct_size = sizeof o, .memory_limit = 16u << 20};
    slm_guide *g;
    slm_error error = SLM_ERROR_INIT;
    slm_rng rng;
    char text[200];
    int ended;
    if (slm_guide_compile_gbnf(NULL, (const char *)data, size, &o, &g, &error) != SLM_OK) {
        CHECK(g == NULL && error.message[0] != 0);
        return 0;
    }
    slm_rng_seed(&rng, size);
    for (int i = 0; i < 4; i++) {
        size_t n = guide_walk(g, &rng, text, sizeof text, &ended);
        slm_match match;
        if (n == SIZE_MAX)
            break;
        slm_status status = slm_guide_match(g, text, n, &match, &error);
        CHECK(status == SLM_OK ? match >= (ended ? SLM_MATCH_WHOLE : SLM_MATCH_PREFIX)
                               : is_limit(status));
    }
    slm_guide_close(&g);
    return 0;
}
