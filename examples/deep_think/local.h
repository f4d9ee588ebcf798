/* The model on the device: answers a conversation, and says how sure it was. */
#ifndef SLM_DEEP_LOCAL_H
#define SLM_DEEP_LOCAL_H

#include "policy.h"

#include <slm.h>

typedef struct deep_local deep_local;

typedef struct deep_answer {
    char *text;                 /* malloc'ed; for the reader */
    uint64_t n_prompt;          /* tokens */
    deep_confidence confidence;
    int asks_for_help;          /* it called the tool deep_think */
} deep_answer;

/* n_ctx 0: the model's. NULL: error says why. */
deep_local *deep_local_open(const char *path, uint32_t n_ctx, slm_error *error);
void deep_local_close(deep_local *local);
/* Tokens that the context has. */
uint64_t deep_local_context(const deep_local *local);
/* How many tokens the prompt of a conversation has. messages: an array of JSON. */
slm_status deep_local_count(deep_local *local, const char *messages, uint64_t *n, slm_error *error);
/* SLM_ERR_CTX where the prompt fills the context. */
slm_status deep_local_answer(deep_local *local, const char *messages, deep_answer *answer,
                             slm_error *error);

#endif
