/* The public entry points of conversations. */
#include "api.h"

#include "chat/conversation.h"

static slm_status check_text(const char *function, const char *text, size_t len, const char *name,
                             slm_error *error) {
    return text == NULL && len != 0 && len != SLM_NTS ? slm_null_argument(error, function, name)
                                                      : SLM_OK;
}

slm_status slm_chat_open(slm_session *session, const slm_chat_options *options, slm_chat **out,
                         slm_error *error) {
    static const slm_chat_options defaults = {.struct_size = sizeof(slm_chat_options)};
    slm_chat_options o;
    REQUIRE(out);
    *out = NULL;
    REQUIRE(session);
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_chat_options", error));
    return slm_conversation_create(session, &o, out, error);
}

void slm_chat_close(slm_chat **chat) {
    if (chat == NULL || *chat == NULL)
        return;
    slm_conversation_destroy(*chat);
    *chat = NULL;
}

slm_status slm_chat_add(slm_chat *chat, const slm_message *message, uint32_t flags,
                        slm_error *error) {
    static const slm_message defaults = {.struct_size = sizeof(slm_message)};
    slm_message m;
    REQUIRE(chat);
    REQUIRE(message);
    SLM_TRY(slm_copy_options(&m, sizeof m, &defaults, message, "slm_message", error));
    if (flags & ~(uint32_t)SLM_CHAT_UNFILTERED)
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_chat_add: flags: got 0x%x, which has unknown bits", flags);
    SLM_TRY(slm_conversation_ready(chat, error));
    return slm_conversation_add(chat, &m, !(flags & SLM_CHAT_UNFILTERED), error);
}

slm_status slm_chat_get_info(const slm_chat *chat, slm_chat_info *info, slm_error *error) {
    REQUIRE(chat);
    REQUIRE(info);
    slm_chat_info i = {.struct_size = sizeof i};
    i.has_draft = (uint32_t)chat->has_draft;
    i.n_messages = chat->transcript.n;
    i.n_pinned = slm_transcript_pinned(&chat->transcript);
    i.n_dropped = chat->n_dropped;
    i.n_tokens = chat->session->n_tokens;
    i.n_ctx = chat->session->cache->options.n_ctx;
    i.reserve = chat->reserve;
    return slm_copy_info(info, &i, sizeof i, "slm_chat_info", error);
}

slm_status slm_chat_save(slm_chat *chat, const char *path, slm_error *error) {
    REQUIRE(chat);
    REQUIRE(path);
    SLM_TRY(slm_conversation_ready(chat, error));
    return slm_conversation_save(chat, path, error);
}

slm_status slm_chat_load(slm_session *session, const slm_chat_options *options, const char *path,
                         slm_chat **out, slm_error *error) {
    slm_chat *chat = NULL;
    REQUIRE(out);
    *out = NULL;
    REQUIRE(path);
    SLM_TRY(slm_chat_open(session, options, &chat, error));
    slm_status status = slm_session_check_free(session, error);
    if (status == SLM_OK)
        status = slm_conversation_load(chat, path, error);
    if (status != SLM_OK) {
        slm_chat_close(&chat);
        return status;
    }
    *out = chat;
    return SLM_OK;
}

static slm_status out_of_range(const slm_chat *chat, const char *function, size_t n,
                               slm_error *error) {
    return slm_fail(error, SLM_ERR_RANGE, "messages", SLM_NO_OFFSET,
                    "%s: got %zu, but the transcript has %zu messages", function, n,
                    chat->transcript.n);
}

slm_status slm_chat_get_message(slm_chat *chat, size_t index, const char **json, size_t *len,
                                slm_error *error) {
    REQUIRE(chat);
    REQUIRE(json);
    REQUIRE(len);
    *json = NULL;
    *len = 0;
    SLM_TRY(slm_conversation_ready(chat, error));
    if (index >= chat->transcript.n)
        return out_of_range(chat, __func__, index, error);
    chat->text.len = 0;
    SLM_TRY(slm_entry_write(&chat->transcript.entries[index], &chat->text, error));
    *json = chat->text.ptr;
    *len = chat->text.len;
    return SLM_OK;
}

slm_status slm_chat_cut(slm_chat *chat, size_t n, slm_error *error) {
    REQUIRE(chat);
    SLM_TRY(slm_conversation_ready(chat, error));
    if (n > chat->transcript.n)
        return out_of_range(chat, __func__, n, error);
    slm_conversation_cut(chat, n);
    return SLM_OK;
}

slm_status slm_chat_set_tools(slm_chat *chat, const char *tools, size_t len, slm_error *error) {
    REQUIRE(chat);
    SLM_TRY(check_text(__func__, tools, len, "tools", error));
    SLM_TRY(slm_conversation_ready(chat, error));
    SLM_TRY(slm_conversation_set_tools(chat, slm_str_given(tools, len), error));
    (void)slm_conversation_settle(chat);
    return SLM_OK;
}

slm_status slm_chat_set_tail(slm_chat *chat, const char *text, size_t len, slm_error *error) {
    REQUIRE(chat);
    SLM_TRY(check_text(__func__, text, len, "text", error));
    SLM_TRY(slm_conversation_ready(chat, error));
    return slm_conversation_set_tail(chat, slm_str_given(text, len), error);
}

slm_status slm_chat_keep(slm_chat *chat, size_t n, const char *note, size_t note_len,
                         slm_error *error) {
    REQUIRE(chat);
    SLM_TRY(check_text(__func__, note, note_len, "note", error));
    SLM_TRY(slm_conversation_ready(chat, error));
    return slm_conversation_keep(chat, n, slm_str_given(note, note_len), error);
}

slm_status slm_chat_rollback(slm_chat *chat, slm_error *error) {
    REQUIRE(chat);
    SLM_TRY(slm_conversation_ready(chat, error));
    (void)slm_conversation_settle(chat);
    return SLM_OK;
}

/* ---- what evaluates ---- */

static slm_status check_report(const slm_chat_report *report, slm_error *error) {
    return report == NULL ? SLM_OK : slm_check_info(report, "slm_chat_report", error);
}

static slm_status hand_out(slm_chat_report *report, const slm_chat_report *r, slm_error *error) {
    return report == NULL ? SLM_OK : slm_copy_info(report, r, sizeof *r, "slm_chat_report", error);
}

slm_status slm_chat_draft(slm_chat *chat, const char *text, size_t len, slm_chat_report *report,
                          slm_error *error) {
    slm_chat_report r;
    REQUIRE(chat);
    SLM_TRY(check_text(__func__, text, len, "text", error));
    SLM_TRY(check_report(report, error));
    SLM_TRY(slm_conversation_ready(chat, error));
    SLM_TRY(slm_conversation_draft(chat, slm_str_given(text, len), &r, error));
    return hand_out(report, &r, error);
}

slm_status slm_chat_prepare(slm_chat *chat, slm_chat_report *report, slm_error *error) {
    return slm_chat_draft(chat, NULL, 0, report, error);
}

static slm_status answer(slm_chat *chat, const slm_answer_options *options, int continues,
                         slm_answer **out, slm_chat_report *report, slm_error *error) {
    static const slm_answer_options defaults = {.struct_size = sizeof(slm_answer_options)};
    slm_answer_options o;
    slm_chat_report r;
    SLM_TRY(check_report(report, error));
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_answer_options", error));
    SLM_TRY(slm_conversation_ready(chat, error));
    SLM_TRY(slm_conversation_answer(chat, &o, continues, out, &r, error));
    return hand_out(report, &r, error);
}

slm_status slm_chat_answer(slm_chat *chat, const slm_answer_options *options, slm_answer **out,
                           slm_chat_report *report, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(chat);
    return answer(chat, options, 0, out, report, error);
}

slm_status slm_chat_continue(slm_chat *chat, const slm_answer_options *options, slm_answer **out,
                             slm_chat_report *report, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(chat);
    return answer(chat, options, 1, out, report, error);
}
