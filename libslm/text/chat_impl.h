/* What chat.c hands to the formats in chat_formats.c. */
#ifndef SLM_TEXT_CHAT_IMPL_H
#define SLM_TEXT_CHAT_IMPL_H

#include "text/buffer.h"
#include "text/chat.h"
#include "text/detok.h"

typedef enum slm_chat_role { SLM_ROLE_SYSTEM, SLM_ROLE_USER, SLM_ROLE_ASSISTANT } slm_chat_role;

typedef struct slm_chat_turn {
    slm_chat_role role;
    slm_str content;
} slm_chat_turn;

typedef struct slm_chat {
    const slm_vocab *v;
    slm_str template; /* of the file; empty for BitNet                                              */
    int spells_bos;   /* the template writes BOS, and the vocabulary has one; not part of the spans  */
    const slm_chat_turn *turns;
    size_t n_turns; /* at least 1                                                                   */
    int prompt;     /* end with the opening of the answer                                           */
    slm_buffer turn_buffer;
    slm_buffer span_buffer; /* slm_span: the conversation; contents of messages are not trusted      */
} slm_chat;

/* The first place of text in s; NULL when there is none. */
const char *slm_str_find(slm_str s, const char *text);

slm_status slm_chat_llama3(slm_chat *c, slm_error *error);
slm_status slm_chat_phi3(slm_chat *c, slm_error *error);
slm_status slm_chat_phi4_mini(slm_chat *c, slm_error *error);
slm_status slm_chat_chatml(slm_chat *c, slm_error *error);
slm_status slm_chat_bitnet(slm_chat *c, slm_error *error);

#endif
