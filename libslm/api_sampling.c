/* The public entry points that say how tokens are chosen. */
#include "api.h"

#include "gguf/gguf.h"
#include "model/model.h"
#include "run/sampler.h"

#include <float.h>
#include <stddef.h>

slm_status slm_sampling_init(slm_sampling *sampling) {
    slm_error *error = NULL;
    REQUIRE(sampling);
    return slm_copy_info(sampling, &slm_sampling_defaults, sizeof slm_sampling_defaults,
                         "slm_sampling", error);
}

/* What a file may say, by the names that llama.cpp gives, and what slm_sampling allows. */
static const struct {
    const char *key;
    size_t at; /* in slm_sampling */
    int is_whole;
    float lo, hi;
} choices[] = {
    {"general.sampling.temp", offsetof(slm_sampling, temperature), 0, 0, 1000},
    {"general.sampling.top_k", offsetof(slm_sampling, top_k), 1, 0, 0},
    {"general.sampling.top_p", offsetof(slm_sampling, top_p), 0, 0, 1},
    {"general.sampling.min_p", offsetof(slm_sampling, min_p), 0, 0, 1},
    {"general.sampling.penalty_repeat", offsetof(slm_sampling, repeat_penalty), 0, FLT_MIN, 1000},
    {"general.sampling.penalty_last_n", offsetof(slm_sampling, penalty_last_n), 1, 0, 0},
};

/* A number that need not be whole, but may be written so. */
static slm_status read_number(const slm_gguf *g, const char *key, float lo, float hi, float *value,
                              slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    int32_t whole;
    if (kv == NULL)
        return SLM_OK;
    if (kv->type == SLM_GGUF_F32 || kv->type == SLM_GGUF_F64 || kv->type == SLM_GGUF_STRING ||
        kv->type == SLM_GGUF_BOOL || kv->type == SLM_GGUF_ARRAY)
        return slm_gguf_get_f32(g, key, 1, lo, hi, value, error);
    SLM_TRY(slm_gguf_get_i32(g, key, 1, lo > 0, (int32_t)hi, &whole, error));
    *value = (float)whole;
    return SLM_OK;
}

slm_status slm_model_get_sampling(const slm_model *model, slm_sampling *sampling,
                                  slm_error *error) {
    REQUIRE(model);
    REQUIRE(sampling);
    SLM_TRY(slm_check_info(sampling, "slm_sampling", error));
    slm_sampling s = slm_sampling_defaults;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        void *at = (char *)&s + choices[i].at;
        SLM_TRY(choices[i].is_whole
                    ? slm_gguf_get_i32(model->gguf, choices[i].key, 0, -1, INT32_MAX, at, error)
                    : read_number(model->gguf, choices[i].key, choices[i].lo, choices[i].hi, at,
                                  error));
    }
    s.top_k = s.top_k < 0 ? 0 : s.top_k; /* -1, too, is said for all */
    return slm_copy_info(sampling, &s, sizeof s, "slm_sampling", error);
}
