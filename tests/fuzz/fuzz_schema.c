/* Any bytes as a JSON Schema. What compiles makes texts that are JSON. */
#include "base/json.h"
#include "fuzz/guide_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const char *text, size_t n) {
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_arena arena = {.host = &host};
    const slm_json *v;
    slm_status status = slm_json_parse(&arena, text, n, SLM_JSON_KEEP_LAST, "text", &v, NULL);
    CHECK(status == SLM_OK || status == SLM_ERR_LIMIT);
    slm_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    slm_error error = SLM_ERROR_INIT;
    slm_rng rng;
    char text[300];
    int ended;
    for (int lenient = 0; lenient < 2; lenient++) {
        slm_guide_options o = {.struct_size = sizeof o,
                               .memory_limit = 16u << 20,
                               .flags = lenient ? SLM_GUIDE_LENIENT : 0u};
        slm_guide *g;
        if (slm_guide_compile_json_schema(NULL, (const char *)data, size, &o, &g, &error)) {
            CHECK(g == NULL && error.message[0] != 0);
            return 0;
        }
        slm_rng_seed(&rng, size);
        for (int i = 0; i < 4; i++) {
            size_t n = guide_walk(g, &rng, text, sizeof text, &ended);
            if (n != SIZE_MAX && ended)
                check_json(text, n);
        }
        slm_guide_close(&g);
    }
    return 0;
}
