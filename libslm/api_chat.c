/* Conversations in the model's own format. */
#include "model/model.h"

#include <string.h>

static slm_status check_buffer(const char *function, const void *data, size_t cap, const char *what,
                               slm_error *error) {
    if (cap == 0 || data)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, what, SLM_NO_OFFSET, "%s: %s is NULL", function, what);
}

/* Messages of a caller with another struct size, in ours. *own receives a copy to free, or NULL. */
static slm_status take_messages(slm_host *host, slm_chat_input *in, slm_message **own,
                                slm_error *error) {
    const slm_message *messages = in->messages;
    size_t n = in->n_messages;
    *own = NULL;
    if (n == 0)
        return SLM_OK;
    static const slm_message defaults = {.struct_size = sizeof(slm_message)};
    size_t stride = messages[0].struct_size;
    int ours = stride == sizeof *messages;
    if (!ours && !(*own = slm_calloc(host, n, sizeof **own)))
        return slm_fail_nomem(error, n * sizeof **own, "messages");
    for (size_t i = 0; i < n; i++) {
        const uint8_t *m = (const uint8_t *)messages + i * stride; /* which may not be aligned */
        uint32_t size;
        slm_status status = SLM_OK;
        memcpy(&size, m, sizeof size);
        if (size != stride)
            status = slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                              "message %zu: struct_size is %u, wanted %zu", i, size, stride);
        else if (!ours)
            status = slm_copy_options(&(*own)[i], sizeof **own, &defaults, m, "slm_message", error);
        if (status != SLM_OK) {
            slm_free(host, *own);
            *own = NULL;
            return status;
        }
    }
    if (!ours)
        in->messages = *own;
    return SLM_OK;
}

static slm_status open_prompt(const char *function, const slm_model *model,
                              const slm_chat_input *input, slm_chat_prompt *p, slm_error *error) {
    static const slm_chat_input defaults = {.struct_size = sizeof defaults};
    slm_chat_input in;
    slm_message *own;
    *p = (slm_chat_prompt){0};
    if (!model || !input)
        return slm_fail(error, SLM_ERR_ARG, NULL, SLM_NO_OFFSET, "%s: %s is NULL", function,
                        model ? "input" : "model");
    SLM_TRY(slm_copy_options(&in, sizeof in, &defaults, input, "slm_chat_input", error));
    if (in.n_messages > 0 && !in.messages)
        return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET, "%s: messages is NULL",
                        function);
    if (in.flags & ~(uint32_t)(SLM_CHAT_GENERATION_PROMPT | SLM_CHAT_CONTINUE))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "%s: flags: got 0x%x, which has unknown bits", function, in.flags);
    slm_host *host = (slm_host *)(uintptr_t)&model->host; /* its counters are atomic */
    SLM_TRY(take_messages(host, &in, &own, error));
    slm_status status =
        slm_chat_prompt_open(p, host, model->chat, model->gguf, model->vocab, &in, error);
    slm_free(host, own);
    return status;
}

slm_status slm_chat_render_input(const slm_model *model, const slm_chat_input *input, char *text,
                                 size_t cap, size_t *len, slm_error *error) {
    slm_chat_prompt p;
    SLM_TRY(check_buffer(__func__, len, 1, "len", error));
    SLM_TRY(check_buffer(__func__, text, cap, "text", error));
    *len = 0;
    slm_status status = open_prompt(__func__, model, input, &p, error);
    if (status == SLM_OK)
        status = slm_chat_text(&p, text, cap, len, error);
    slm_chat_prompt_close(&p);
    return status;
}

slm_status slm_chat_tokenize_input(const slm_model *model, const slm_chat_input *input,
                                   int32_t *ids, size_t cap, size_t *n_ids, slm_error *error) {
    slm_chat_prompt p;
    SLM_TRY(check_buffer(__func__, n_ids, 1, "n_ids", error));
    SLM_TRY(check_buffer(__func__, ids, cap, "ids", error));
    *n_ids = 0;
    slm_status status = open_prompt(__func__, model, input, &p, error);
    if (status == SLM_OK)
        status = slm_chat_ids(&p, model->vocab, ids, cap, n_ids, error);
    slm_chat_prompt_close(&p);
    return status;
}

slm_status slm_chat_render(const slm_model *model, const slm_message *messages, size_t n_messages,
                           uint32_t flags, char *text, size_t cap, size_t *len, slm_error *error) {
    const slm_chat_input in = {
        .struct_size = sizeof in, .flags = flags, .messages = messages, .n_messages = n_messages};
    return slm_chat_render_input(model, &in, text, cap, len, error);
}

slm_status slm_chat_tokenize(const slm_model *model, const slm_message *messages, size_t n_messages,
                             uint32_t flags, int32_t *ids, size_t cap, size_t *n_ids,
                             slm_error *error) {
    const slm_chat_input in = {
        .struct_size = sizeof in, .flags = flags, .messages = messages, .n_messages = n_messages};
    return slm_chat_tokenize_input(model, &in, ids, cap, n_ids, error);
}
