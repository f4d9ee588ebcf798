/* The public entry points of the prediction. */
#include "api.h"

#include "run/predict.h"

#include <stdio.h>

slm_status slm_device_profile_get(size_t index, slm_device_profile *profile, slm_error *error) {
    slm_device_profile p;
    REQUIRE(profile);
    if (!slm_profile_at(index, &p))
        return slm_fail(error, SLM_ERR_RANGE, "index", SLM_NO_OFFSET,
                        "slm_device_profile_get: there is no profile %zu", index);
    return slm_copy_info(profile, &p, sizeof p, "slm_device_profile", error);
}

slm_status slm_device_profile_find(const char *name, slm_device_profile *profile,
                                   slm_error *error) {
    slm_device_profile p;
    REQUIRE(name);
    REQUIRE(profile);
    SLM_TRY(slm_profile_find(name, &p, error));
    return slm_copy_info(profile, &p, sizeof p, "slm_device_profile", error);
}

slm_status slm_predict(const slm_model *model, const slm_device_profile *profile,
                       const slm_predict_options *options, slm_prediction *prediction,
                       slm_error *error) {
    static const slm_device_profile no_profile = {.struct_size = sizeof no_profile};
    static const slm_predict_options defaults = {.struct_size = sizeof defaults};
    slm_device_profile p;
    slm_predict_options o;
    slm_prediction r;
    REQUIRE(model);
    REQUIRE(profile);
    REQUIRE(prediction);
    SLM_TRY(slm_copy_options(&p, sizeof p, &no_profile, profile, "slm_device_profile", error));
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_predict_options", error));
    SLM_TRY(slm_predict_step(model, &p, &o, &r, error));
    return slm_copy_info(prediction, &r, sizeof r, "slm_prediction", error);
}

slm_status slm_predict_weights(const slm_model *model, size_t index, slm_weight_cost *cost,
                               slm_error *error) {
    uint64_t bytes[SLM_DTYPE_LIMIT];
    size_t n = 0;
    if (model == NULL || cost == NULL)
        return slm_null_argument(error, __func__, model == NULL ? "model" : "cost");
    if (!model->has_weights)
        return slm_fail(error, SLM_ERR_ARG, "model", SLM_NO_OFFSET,
                        "slm_predict_weights: the model was opened without its weights");
    slm_predict_bytes(model, bytes);
    for (uint32_t i = 0; i < SLM_DTYPE_LIMIT; i++) {
        if (bytes[i] == 0 || n++ != index)
            continue;
        slm_instruction_cost per_byte = slm_predict_cost(i);
        slm_weight_cost c = {.struct_size = sizeof c, .dtype = i, .bytes = bytes[i]};
        c.instructions_per_byte = per_byte.all;
        c.integer_per_byte = per_byte.integer;
        snprintf(c.type, sizeof c.type, "%s", slm_dtype_get(i)->name);
        return slm_copy_info(cost, &c, sizeof c, "slm_weight_cost", error);
    }
    return slm_fail(error, SLM_ERR_RANGE, "index", SLM_NO_OFFSET,
                    "slm_predict_weights: got %zu, the model has weights of %zu types", index, n);
}
