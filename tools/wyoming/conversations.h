/* The conversations that clients may go on with: what was said in each, by its id. */
#ifndef SLM_TOOLS_WYOMING_CONVERSATIONS_H
#define SLM_TOOLS_WYOMING_CONVERSATIONS_H

#include "slm.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { WYOMING_MAX_ID = 128 };

typedef struct wyoming_conversation {
    struct wyoming_conversation *next;
    char id[WYOMING_MAX_ID + 1];
    json_t *messages; /* the last one is the user's while it is in use */
    double used;      /* when its last turn ended */
    int in_use;
} wyoming_conversation;

/* What all of them begin with. */
typedef struct wyoming_setting {
    const slm_model *model;
    const char *system;  /* a text, or NULL */
    json_t *tools;       /* an array, or NULL */
    uint32_t n_ctx;
    uint32_t reserve;    /* tokens that an answer should have room for */
    int arguments_as_text;
} wyoming_setting;

typedef struct wyoming_conversations {
    wyoming_setting setting;
    uint32_t max, n;
    double timeout; /* seconds after which one that nobody used is forgotten */
    wyoming_conversation *first;
} wyoming_conversations;

void wyoming_conversations_free(wyoming_conversations *all);
/* The conversation of this id, a new one where there is none. Where there is no room for it the one
 * that was not used for the longest time is forgotten; NULL: all are in use, or memory is short. */
wyoming_conversation *wyoming_conversation_get(wyoming_conversations *all, const char *id,
                                               double now);
/* Forgets those that nobody used for too long. */
void wyoming_conversations_age(wyoming_conversations *all, double now);

/* What the user says, and takes back. add returns 0 where memory is short. */
int wyoming_conversation_ask(wyoming_conversation *c, const char *text, size_t len);
void wyoming_conversation_take_back(wyoming_conversation *c);
/* The answer: text, and calls as an array of {"name": ..., "arguments": {...}}. 0: no memory. */
int wyoming_conversation_answer(wyoming_conversation *c, const wyoming_setting *setting,
                                json_t *text, const json_t *calls);
/* The prompt of the turn that has been asked; the oldest turns go where the context is too short
 * for it and the answer. *ids is malloc'ed. SLM_ERR_CTX where the turn alone is too long. */
slm_status wyoming_conversation_prompt(wyoming_conversation *c, const wyoming_setting *setting,
                                       int32_t **ids, size_t *n_ids, slm_error *error);

#endif
