/* Changes to a conversation's transcript, and what they take out of its session. */
#include "chat/conversation.h"

#include "guide/guide.h"
#include "text/detok.h"

/* ---- adding ---- */

static slm_status run_filter(void *user, slm_str text, slm_str *out, slm_error *error) {
    const slm_chat *c = user;
    slm_filter_verdict v = {.struct_size = sizeof v};
    int32_t stops = c->filter_fn(c->filter_user, SLM_FILTER_INPUT, text.ptr, text.len, &v);
    if (stops != 0 || v.action == SLM_FILTER_STOP)
        return slm_fail(error, SLM_ERR_CANCEL, "filter", SLM_NO_OFFSET,
                        "the filter stopped the message: it was not added");
    if (v.action == SLM_FILTER_PASS)
        return SLM_OK;
    if (v.action != SLM_FILTER_REPLACE || (v.text == NULL && v.text_len != 0))
        return slm_fail(error, SLM_ERR_ARG, "filter", SLM_NO_OFFSET,
                        "the filter's verdict has action %d%s, wanted 0 to 2 and a text", v.action,
                        v.text == NULL ? " and no text" : "");
    *out = slm_str_given(v.text, v.text_len);
    return SLM_OK;
}

slm_status slm_conversation_add(slm_chat *c, const slm_message *message, int is_filtered,
                                slm_error *error) {
    slm_text_filter filter = {is_filtered && c->filter_fn != NULL ? run_filter : NULL, c};
    slm_entry e;
    SLM_TRY(slm_entry_make(&e, c->host, message, &filter, error));
    slm_status status = slm_transcript_add(&c->transcript, &e, error);
    if (status != SLM_OK)
        slm_entry_free(&e);
    return status;
}

/* ---- taking back ---- */

void slm_conversation_cut(slm_chat *c, size_t n) {
    slm_transcript_cut(&c->transcript, n);
    size_t n_history = n - slm_transcript_pinned(&c->transcript);
    if (c->n_dropped > n_history)
        c->n_dropped = n_history;
    if (c->n_committed > n)
        c->n_committed = n;
    (void)slm_conversation_settle(c);
}

static slm_status check_utf8(slm_str text, const char *name, slm_error *error) {
    size_t valid = slm_utf8_valid_prefix(text.ptr, text.len);
    if (valid == text.len)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_UTF8, name, SLM_NO_OFFSET,
                    "the %s is not UTF-8 at byte %zu of %zu", name, valid, text.len);
}

slm_status slm_conversation_keep(slm_chat *c, size_t n, slm_str note, slm_error *error) {
    slm_transcript *t = &c->transcript;
    SLM_TRY(check_utf8(note, "note", error));
    slm_entry *last = t->n > 0 ? &t->entries[t->n - 1] : NULL, kept;
    if (last == NULL || last->speaker != SLM_SPEAKER_ASSISTANT)
        return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                        "the last message is not the assistant's, wanted one to keep a part of");
    SLM_TRY(slm_entry_keep(last, n, &kept, error));
    slm_status status = slm_entry_set_tail(&kept, note, error);
    if (status != SLM_OK) {
        slm_entry_free(&kept);
        return status;
    }
    slm_entry_free(last);
    *last = kept;
    (void)slm_conversation_settle(c);
    return SLM_OK;
}

/* ---- tools and tail ---- */

static slm_status check_tools(slm_chat *c, slm_str tools, slm_error *error) {
    slm_arena arena = {.host = c->host};
    const slm_json *v;
    slm_status status = slm_json_parse(&arena, tools.ptr, tools.len,
                                       SLM_JSON_WITHIN(1) /* in a file, a transcript */, "tools", &v,
                                       error);
    if (status == SLM_OK && v->type != SLM_JSON_ARRAY)
        status = slm_fail(error, SLM_ERR_TEMPLATE, "tools", SLM_NO_OFFSET,
                          "tools is not a JSON array, wanted one of objects");
    slm_arena_free(&arena);
    return status;
}

/* Puts a copy in the place of what a buffer holds; an empty text is ptr NULL. */
static slm_status replace(slm_buffer *b, slm_str text, slm_error *error) {
    slm_buffer copy = {.host = b->host};
    SLM_TRY(slm_buffer_append(&copy, text.ptr, text.len, error));
    slm_buffer_free(b);
    *b = copy;
    return SLM_OK;
}

slm_status slm_conversation_set_tools(slm_chat *c, slm_str tools, slm_error *error) {
    if (tools.ptr != NULL)
        SLM_TRY(check_tools(c, tools, error));
    SLM_TRY(replace(&c->tools, tools, error));
    slm_guide_release(c->guide);
    c->guide = NULL;
    return SLM_OK;
}

slm_status slm_conversation_set_tail(slm_chat *c, slm_str tail, slm_error *error) {
    SLM_TRY(check_utf8(tail, "tail", error));
    return replace(&c->tail, tail, error);
}
