/* A conversation: a transcript and the session that has evaluated it, kept together. */
#ifndef SLM_CHAT_CONVERSATION_H
#define SLM_CHAT_CONVERSATION_H

#include "chat/answer.h"
#include "chat/transcript.h"

struct slm_chat {
    slm_session *session;
    slm_model *model;
    slm_host *host;            /* the model's                                                     */
    slm_chat_full when_full;
    uint32_t reserve;
    int64_t now;
    slm_buffer tools, extra, chat_template; /* ptr NULL: none                                     */
    slm_buffer tail;           /* of the next message of the user                                 */
    slm_text_filter filter;
    slm_filter_fn filter_fn;   /* of the caller                                                   */
    void *filter_user;
    slm_transcript transcript;
    size_t n_dropped;          /* messages behind the pinned ones that are not rendered           */
    size_t n_committed;        /* messages that were in the prompt of an answer                   */
    int has_draft;
    int is_continued;          /* the open answer is more of the last message                     */
    int lost;                  /* memory was refused to the message of an answer                  */
    slm_answer *answer;        /* open, or NULL                                                   */
    slm_guide *guide;          /* of the tools, made when first needed                            */
    int32_t *ids;              /* [n_ctx] of the last rendering                                   */
    slm_buffer text;           /* what slm_chat_get_message handed out                            */
};

/* options: of full size. */
slm_status slm_conversation_create(slm_session *session, const slm_chat_options *options,
                                   slm_chat **out, slm_error *error);
void slm_conversation_destroy(slm_chat *chat);
/* SLM_ERR_BUSY while an answer is open; SLM_ERR_NOMEM once when a message was lost. */
slm_status slm_conversation_ready(slm_chat *chat, slm_error *error);

slm_status slm_conversation_add(slm_chat *chat, const slm_message *message, int is_filtered,
                                slm_error *error);
void slm_conversation_cut(slm_chat *chat, size_t n);
slm_status slm_conversation_set_tools(slm_chat *chat, slm_str tools, slm_error *error);
slm_status slm_conversation_set_tail(slm_chat *chat, slm_str tail, slm_error *error);
slm_status slm_conversation_keep(slm_chat *chat, size_t n, slm_str note, slm_error *error);
/* Takes out of the session what the transcript does not say. Where the template refuses what is
 * left, the next evaluation will see to it: 0 is returned. */
int slm_conversation_settle(slm_chat *chat);

/* An empty text: what is certain of the next prompt. */
slm_status slm_conversation_draft(slm_chat *chat, slm_str text, slm_chat_report *report,
                                  slm_error *error);
/* options: of full size. continues: the last message, else a new one. */
slm_status slm_conversation_answer(slm_chat *chat, const slm_answer_options *options, int continues,
                                   slm_answer **out, slm_chat_report *report, slm_error *error);

/* A snapshot of the session with the transcript. */
slm_status slm_conversation_save(slm_chat *chat, const char *path, slm_error *error);
/* Into a conversation that was just created; on failure it is to be destroyed, and its session is as
 * slm_snapshot_load leaves it. */
slm_status slm_conversation_load(slm_chat *chat, const char *path, slm_error *error);

#endif
