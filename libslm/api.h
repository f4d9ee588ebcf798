/* What the files of public entry points have in common: checking what a caller hands in. */
#ifndef SLM_API_H
#define SLM_API_H

#include "base/status.h"

static inline slm_status slm_null_argument(slm_error *error, const char *function,
                                           const char *name) {
    return slm_fail(error, SLM_ERR_ARG, name, SLM_NO_OFFSET, "%s: %s is NULL", function, name);
}

/* Returns from an entry point, whose error is called so, that was given NULL. */
#define REQUIRE(pointer)                                                                           \
    do {                                                                                           \
        if ((pointer) == NULL)                                                                     \
            return slm_null_argument(error, __func__, #pointer);                                   \
    } while (0)

#endif
