/* What a conversation's session has to hold, worked out anew from the transcript. */
#ifndef TESTS_API_CHAT_EXPECT_H
#define TESTS_API_CHAT_EXPECT_H

#include "api/tiny_open.h"

/* What the conversation was opened with, as far as prompts depend on it. */
typedef struct chat_setup {
    slm_model *model;
    const char *chat_template;
    const char *tools; /* or NULL */
} chat_setup;

static inline slm_chat_info chat_info(const slm_chat *chat) {
    slm_chat_info info = {.struct_size = sizeof info};
    OK(slm_chat_get_info(chat, &info, &golden_err));
    return info;
}

/* A message of the transcript; free with json_decref. */
static inline json_t *chat_message(slm_chat *chat, size_t index) {
    const char *text;
    size_t len;
    OK(slm_chat_get_message(chat, index, &text, &len, &golden_err));
    json_t *m = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    if (m == NULL)
        fail_msg("message %zu is not JSON: %.*s", index, (int)len, text);
    return m;
}

/* The same as the template gets it: its tail is the end of its content. */
static inline json_t *chat_shown(slm_chat *chat, size_t index) {
    json_t *m = chat_message(chat, index), *tail = json_object_get(m, "tail");
    json_t *content = json_object_get(m, "content");
    if (tail == NULL)
        return m;
    if (json_is_array(content)) {
        json_array_append_new(content, json_pack("{s:s, s:O}", "type", "text", "text", tail));
    } else {
        size_t n = json_string_length(content), n_tail = json_string_length(tail); /* NULs and all */
        char *text = malloc(n + n_tail + 1);
        assert_non_null(text);
        if (n > 0)
            memcpy(text, json_string_value(content), n);
        memcpy(text + n, json_string_value(tail), n_tail);
        json_object_set_new(m, "content", json_stringn(text, n + n_tail));
        free(text);
    }
    json_object_del(m, "tail");
    return m;
}

/* The ids of what is rendered, with one more message where role is given; free them. */
static inline int32_t *chat_ids(const chat_setup *setup, slm_chat *chat, uint32_t flags,
                                const char *role, const char *content, size_t *n) {
    slm_chat_info info = chat_info(chat);
    json_t *list = json_array(), *all = json_object();
    for (size_t i = 0; i < info.n_messages; i++)
        if (i < info.n_pinned || i >= info.n_pinned + info.n_dropped)
            json_array_append_new(list, chat_shown(chat, i));
    if (role != NULL)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "content", content));
    json_object_set_new(all, "messages", list);
    char *text = json_dumps(all, 0);
    json_decref(all);
    assert_non_null(text);
    slm_chat_input in = {.struct_size = sizeof in, .flags = flags,
                         .conversation = text, .conversation_len = SLM_NTS,
                         .tools = setup->tools, .tools_len = SLM_NTS,
                         .chat_template = setup->chat_template, .chat_template_len = SLM_NTS};
    OK(slm_chat_tokenize_input(setup->model, &in, NULL, 0, n, &golden_err));
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    assert_non_null(ids);
    OK(slm_chat_tokenize_input(setup->model, &in, ids, *n + 1, n, &golden_err));
    free(text);
    return ids;
}

/* The session holds exactly these ids; they are freed. */
static inline void holds(const slm_session *s, int32_t *want, size_t n_want) {
    const int32_t *ids;
    size_t n;
    OK(slm_session_get_tokens(s, &ids, &n, &golden_err));
    for (size_t i = 0; i < n && i < n_want; i++)
        if (ids[i] != want[i])
            fail_msg("token %zu of %zu: got %d, wanted %d", i, n, ids[i], want[i]);
    assert_int_equal(n, n_want);
    free(want);
}

/* The session's logits are those of another one that evaluates its tokens at once. */
static inline void as_fresh(slm_session *s, slm_cache *cache, size_t n_vocab) {
    slm_session *fresh = NULL;
    const int32_t *ids;
    const float *got, *want;
    size_t n;
    OK(slm_session_get_tokens(s, &ids, &n, &golden_err));
    if (n == 0)
        return;
    OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_open_on(cache, NULL, &fresh, &golden_err));
    OK(slm_session_eval(fresh, ids, n, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &got, &golden_err));
    OK(slm_session_get_logits(fresh, 0, &want, &golden_err));
    for (size_t i = 0; i < n_vocab; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("logit %zu behind %zu tokens: got %a, wanted %a", i, n, (double)got[i],
                     (double)want[i]);
    slm_session_close(&fresh);
}

#endif
