/* The parts of slm inspect. */
#ifndef SLM_TOOLS_CMD_INSPECT_H
#define SLM_TOOLS_CMD_INSPECT_H

#include "cli.h"

/* What a speed is wanted for: a device profile, or a machine of which only two rates are known. */
typedef struct slm_target {
    slm_device_profile device; /* n_sm 0: none                                                       */
    uint32_t n_prompt;         /* 0: the library's default                                           */
    double gbps;               /* 10^9 bytes a second that can be read; 0: no such machine           */
    double gmacs;              /* 10^9 multiply-accumulates a second; 0: unknown                     */
} slm_target;

#define SLM_REPORT_COSTS 8u /* tensor types that a report tells apart */

typedef struct slm_report {
    slm_model_info info;
    slm_plan plan;
    slm_cache_options cache;
    uint64_t full_bytes; /* that a token behind a full cache reads of it                             */
    slm_prediction empty, full; /* with a device: for an empty and a full cache                      */
    slm_weight_cost costs[SLM_REPORT_COSTS];
    size_t n_costs;
} slm_report;

/* The memory plan of the model with these options, and what the device would make of it. 0, or the
 * exit status after printing why. */
int slm_inspect_plan(const char *path, const slm_cli_common *common, const slm_target *target,
                     slm_report *report);
/* Prints both. As the members "plan" and "prediction" of a JSON object, or as text. */
void slm_inspect_print_plan(const slm_report *report, const slm_target *target, int json);

#endif
