/* How fast a model would run on a device, from sums and a few figures of the device. */
#ifndef SLM_RUN_PREDICT_H
#define SLM_RUN_PREDICT_H

#include "model/model.h"

/* What a step of one token at an empty cache reads and multiplies, by tensor type (plan.c). */
typedef struct slm_plan_sums {
    uint64_t bytes[SLM_DTYPE_LIMIT]; /* of matrices                                                  */
    uint64_t macs[SLM_DTYPE_LIMIT];  /* with them                                                    */
    uint64_t prompt_macs[SLM_DTYPE_LIMIT]; /* of these what every token of a prompt takes, not only those
                                              that want logits                                       */
    uint64_t attend_macs;            /* with one key and value in every layer of attention           */
} slm_plan_sums;
slm_plan_sums slm_plan_sum(const slm_model *model);

/* The device profiles (profiles.c). profile is filled as it is, whatever its struct_size. */
int slm_profile_at(size_t index, slm_device_profile *profile); /* 0 behind the last */
slm_status slm_profile_find(const char *name, slm_device_profile *profile, slm_error *error);

/* Thread-instructions for a byte of weights: all, and those of the integer pipe. */
typedef struct slm_instruction_cost {
    double all, integer;
} slm_instruction_cost;
slm_instruction_cost slm_predict_cost(uint32_t dtype);

/* Bytes by type that a generated token reads of the weights, what is no matrix included as F32. */
void slm_predict_bytes(const slm_model *model, uint64_t bytes[SLM_DTYPE_LIMIT]);

/* What a generated token asks of a device. */
typedef struct slm_traffic {
    double bytes;
    double instructions, integer; /* thread-instructions of main loops                               */
    uint32_t graph_nodes;
} slm_traffic;
/* Fills the inputs and the terms of a token, and what binds. */
void slm_predict_traffic(const slm_device_profile *profile, const slm_traffic *traffic,
                         slm_prediction *prediction);

/* Nanoseconds that a token of a prompt takes when things do not go well. n_sm and sm_mhz are not 0. */
double slm_predict_row_ns(const slm_model *model, uint32_t n_sm, uint32_t sm_mhz);

/* options have their defaults filled in but for n_prompt. */
slm_status slm_predict_step(const slm_model *model, const slm_device_profile *profile,
                            const slm_predict_options *options, slm_prediction *prediction,
                            slm_error *error);

#endif
