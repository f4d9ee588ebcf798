/* The parts of slm inspect. */
#ifndef SLM_TOOLS_CMD_INSPECT_H
#define SLM_TOOLS_CMD_INSPECT_H

#include "cli.h"

/* What the prediction assumes of a machine. */
typedef struct slm_profile {
    const char *name, *what;
    double bandwidth; /* of memory by its data sheet, 10^9 bytes a second                           */
    double attained;  /* share of it that a good kernel reads                                       */
    double decode;    /* multiply-accumulates a second when a token is made at a time, 10^9         */
    double prompt;    /* the same with many tokens at a time                                        */
    double memory;    /* 10^9 bytes; 0: unknown                                                     */
} slm_profile;

/* NULL for a name it does not know. */
const slm_profile *slm_profile_find(const char *name);
/* NULL behind the last. */
const slm_profile *slm_profile_at(size_t index);

typedef struct slm_report {
    slm_model_info info;
    slm_plan plan;
    slm_cache_options cache;
} slm_report;

/* The memory plan of the model with these options. 0, or the exit status after printing why. */
int slm_inspect_plan(const char *path, const slm_cli_common *common, slm_report *report);
/* Prints it, and, with a profile, how fast it would run there. As a member "plan" (and "prediction")
 * of a JSON object, or as text. */
void slm_inspect_print_plan(const slm_report *report, const slm_profile *profile, int json);

#endif
