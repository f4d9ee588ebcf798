/* Deep think: when a turn of a conversation may be handed to another model, and what of it may leave the
 * device. The model on the device answers; the policy says whether the application may ask somebody else
 * instead, sees to it that nothing leaves without consent, and keeps a record of what did. It opens no
 * connection: asking is the application's. */
#ifndef SLM_DEEP_POLICY_H
#define SLM_DEEP_POLICY_H

#include <stddef.h>
#include <stdint.h>

/* ---- confidence ------------------------------------------------------------------------------- */

/* How sure the model was of an answer: the geometric mean of the probabilities of its tokens, exp(sum of
 * their logprobs / their number), with logprobs under the model, before sampling stages (those of
 * SLM_BATCH_TOKEN), but for the token that ends it. 1: each token was certain. It measures how clear the
 * wording was to the model; it is no probability that the answer is right. */
typedef struct deep_confidence {
    double sum;
    uint64_t n;
} deep_confidence;

void deep_confidence_add(deep_confidence *confidence, double logprob);
/* 0 to 1; 0 where there is no token. */
double deep_confidence_value(const deep_confidence *confidence);

/* ---- policy ----------------------------------------------------------------------------------- */

/* Why a turn would be handed over. */
typedef enum deep_reason {
    DEEP_NO_REASON,
    DEEP_USER,     /* the user says so */
    DEEP_TOOL,     /* the model asks for it by a tool */
    DEEP_TOO_LONG, /* the prompt has more than max_prompt tokens */
    DEEP_UNSURE    /* the confidence of the local answer is below min_confidence */
} deep_reason;

/* What came of it. Only with TAKEN there is an answer; with SENT, TAKEN and FAILED something left. */
typedef enum deep_outcome {
    DEEP_KEPT,       /* no reason: the local answer stands */
    DEEP_OFFLINE,    /* the switch is set */
    DEEP_NO_CONSENT,
    DEEP_WITHHELD,   /* the redaction hook did not let it go */
    DEEP_UNRECORDED, /* the record could not be written, so nothing left */
    DEEP_SENT,       /* in records: about to leave */
    DEEP_TAKEN,
    DEEP_FAILED      /* nobody answered */
} deep_outcome;

const char *deep_reason_name(deep_reason reason);
const char *deep_outcome_name(deep_outcome outcome);

/* What the policy is asked about. */
typedef struct deep_turn {
    const char *text;   /* what would leave, as the callbacks write it */
    uint64_t n_prompt;  /* tokens of the local prompt */
    const deep_confidence *confidence; /* of the local answer; NULL: there is none yet */
    int user_asks, tool_asks;
} deep_turn;

/* A line of the audit. An attempt that gets as far as sending has two: SENT before anything leaves, and
 * TAKEN or FAILED. */
typedef struct deep_record {
    deep_reason reason;
    deep_outcome outcome;
    double confidence;    /* of the local answer; -1: there was none */
    const char *text;     /* of SENT: what leaves, byte for byte; else NULL */
    unsigned n_redacted;  /* of SENT: places that the hook has changed */
    const char *error;    /* of FAILED: why; else NULL */
} deep_record;

typedef struct deep_policy {
    int offline;           /* nothing leaves the device, whatever else is said */
    int consent;           /* the user has agreed to it */
    uint64_t max_prompt;   /* tokens; 0: any */
    double min_confidence; /* 0: any */
    /* Gives what may leave of a text, malloc'ed, and how many places were changed; NULL: nothing may.
     * Without a hook nothing leaves. */
    char *(*redact)(void *user, const char *text, unsigned *n_redacted);
    /* Asks the other model: its answer, malloc'ed; or NULL, and why. */
    char *(*take_over)(void *user, const char *text, char *error, size_t cap);
    /* Writes a record where the user can read it. 0: it could not be written. */
    int (*record)(void *user, const deep_record *record);
    void *user; /* of the callbacks */
} deep_policy;

/* Asks before the local answer (confidence NULL), and again with it. *answer receives the other model's,
 * malloc'ed, with DEEP_TAKEN; else NULL. *reason may be NULL. */
deep_outcome deep_policy_ask(const deep_policy *policy, const deep_turn *turn, char **answer,
                             deep_reason *reason);

#endif
