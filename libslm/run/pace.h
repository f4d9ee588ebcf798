/* How many rows a step of a prompt takes, so that it lasts no longer than it may. */
#ifndef SLM_RUN_PACE_H
#define SLM_RUN_PACE_H

#include <stdint.h>

/* Fewer rows than this save no time worth having: the weights are read once for all of them. */
#define SLM_PACE_LEAST 8u

typedef struct slm_pace {
    double limit_ns; /* of a step; 0: none                                                           */
    double row_ns;   /* expected of a row in a step of many; 0: not known yet                        */
    uint32_t max_rows;
} slm_pace;

/* Rows of the next step, at least SLM_PACE_LEAST and at most max_rows. */
uint32_t slm_pace_rows(const slm_pace *pace);
/* A step of n_rows took ns. */
void slm_pace_learn(slm_pace *pace, uint32_t n_rows, uint64_t ns);

#endif
