/* The chat template of a file, and what comes of a conversation rendered with it. */
#include "text/chat.h"

#include "text/detok.h"

#include <string.h>

/* ---- looking at a template ---- */

static size_t find(slm_str s, const char *text) {
    return slm_str_find(s, (slm_str){text, strlen(text)}, 0);
}
static int has(slm_str s, const char *text) {
    return find(s, text) != SIZE_MAX;
}

slm_str slm_chat_template(const slm_gguf *g, const char *key) {
    slm_str t = {NULL, 0};
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    if (kv && kv->type == SLM_GGUF_STRING)
        (void)slm_gguf_get_str(g, key, 0, &t, NULL);
    return t;
}

static int knows(const slm_vocab *v, const char *a, const char *b) {
    return slm_vocab_find(v, a, strlen(a)) >= 0 && slm_vocab_find(v, b, strlen(b)) >= 0;
}

/* Phi-3 opens a turn with the role and a newline, Phi-4-mini with the role alone. */
static int newline_after_role(slm_str t) {
    const char *p = t.ptr + find(t, "<|assistant|>"), *end = t.ptr + t.len;
    for (p += strlen("<|assistant|>"); p < end && (*p == '\'' || *p == ' ' || *p == '+'); p++)
        ;
    return p < end && (*p == '\n' || (end - p > 1 && p[0] == '\\' && p[1] == 'n'));
}

slm_chat_format slm_chat_detect(const slm_gguf *g, slm_str architecture, const slm_vocab *v) {
    if (architecture.len >= 6 && memcmp(architecture.ptr, "bitnet", 6) == 0)
        return SLM_CHAT_BITNET;
    slm_str t = slm_chat_template(g, "tokenizer.chat_template");
    if (!t.ptr)
        return SLM_CHAT_NONE;
    if (has(t, "<|start_header_id|>"))
        return knows(v, "<|start_header_id|>", "<|eot_id|>") ? SLM_CHAT_LLAMA3 : SLM_CHAT_UNKNOWN;
    if (has(t, "<|im_start|>")) {
        /* Not ChatML: Phi-4 has its own separator, SmolLM3 writes its own system turn. */
        if (has(t, "<|im_sep|>") || has(t, "strftime_now"))
            return SLM_CHAT_UNKNOWN;
        return knows(v, "<|im_start|>", "<|im_end|>") ? SLM_CHAT_CHATML : SLM_CHAT_UNKNOWN;
    }
    if (has(t, "<|end|>") && has(t, "<|assistant|>") && has(t, "message['content']") &&
        knows(v, "<|end|>", "<|assistant|>")) {
        if (newline_after_role(t))
            return SLM_CHAT_PHI3;
        return has(t, "+ '|>' +") ? SLM_CHAT_PHI4_MINI : SLM_CHAT_UNKNOWN;
    }
    return SLM_CHAT_UNKNOWN;
}

const char *slm_chat_format_name(slm_chat_format f) {
    static const char *const NAMES[] = {"", "", "llama3", "phi3", "phi4-mini", "chatml", "bitnet"};
    return NAMES[f];
}

/* ---- rendering ---- */

/* Files of BitNet carry no template, or that of another model. */
static const char BITNET[] =
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}";

static slm_str spelling(const slm_vocab *v, int32_t id) {
    return id < 0 ? (slm_str){NULL, 0} : slm_vocab_text(v, id);
}

slm_status slm_chat_prompt_open(slm_chat_prompt *p, slm_host *host, slm_chat_format f,
                                const slm_gguf *g, const slm_vocab *v, const slm_chat_input *input,
                                slm_error *error) {
    slm_str source = slm_chat_template(g, "tokenizer.chat_template");
    slm_str with_tools = slm_chat_template(g, "tokenizer.chat_template.tool_use");
    *p = (slm_chat_prompt){.parts_apart = f == SLM_CHAT_BITNET};
    if (f == SLM_CHAT_BITNET) {
        source = (slm_str){BITNET, sizeof BITNET - 1};
        with_tools.ptr = NULL;
    }
    if (input->chat_template) {
        source = slm_str_given(input->chat_template, input->chat_template_len);
        with_tools.ptr = NULL;
    }
    if (!source.ptr)
        return slm_fail(
            error, SLM_ERR_MISSING, "tokenizer.chat_template", SLM_NO_OFFSET,
            "the file has no chat template: render the prompt yourself and tokenize it");
    slm_chat_names names = {spelling(v, slm_vocab_bos(v)), spelling(v, slm_vocab_eos(v)),
                            spelling(v, slm_vocab_unk(v))};
    return slm_chat_render_template(p, host, source, with_tools.ptr ? &with_tools : NULL, &names,
                                    input, error);
}

void slm_chat_prompt_close(slm_chat_prompt *p) {
    slm_jinja_end(&p->j);
}

/* ---- what came out ---- */

slm_status slm_chat_text(const slm_chat_prompt *p, char *text, size_t cap, size_t *len,
                         slm_error *error) {
    const slm_buffer *out = &p->j.text;
    size_t valid = slm_utf8_valid_prefix(out->ptr, out->len);
    if (valid < out->len)
        return slm_fail(error, SLM_ERR_UTF8, "messages", SLM_NO_OFFSET,
                        "the conversation is not UTF-8 at byte %zu of what was rendered", valid);
    *len = out->len;
    if (cap > 0 && out->len > cap)
        return slm_fail(error, SLM_ERR_LIMIT, "text", SLM_NO_OFFSET,
                        "%zu bytes, the buffer holds %zu", out->len, cap);
    if (cap > 0 && out->len > 0)
        memcpy(text, out->ptr, out->len);
    return SLM_OK;
}

slm_status slm_chat_ids(const slm_chat_prompt *p, const slm_vocab *v, int32_t *ids, size_t cap,
                        size_t *n_ids, slm_error *error) {
    const slm_buffer *out = &p->j.text;
    const slm_jmark *marks = slm_j_marks(&p->j.marks);
    slm_buffer spans = {.host = out->host};
    slm_status status = SLM_OK;
    for (size_t from = 0, to; from < out->len && status == SLM_OK; from = to) {
        uint32_t trusted = marks[from] == SLM_MARK_TEMPLATE;
        for (to = from + 1; to < out->len && (marks[to] == SLM_MARK_TEMPLATE) == trusted;)
            to++;
        slm_span span = {out->ptr + from, to - from, trusted};
        status = slm_buffer_append(&spans, &span, sizeof span, error);
    }
    if (status == SLM_OK)
        status = slm_vocab_tokenize_spans(v, (const slm_span *)(const void *)spans.ptr,
                                          spans.len / sizeof(slm_span),
                                          p->spells_bos ? SLM_BOS_NONE : SLM_BOS_DEFAULT,
                                          !p->parts_apart, ids, cap, n_ids, error);
    slm_buffer_free(&spans);
    return status;
}

/* ---- where it comes from ---- */

slm_status slm_chat_token_byte(const slm_chat_prompt *p, const slm_vocab *v, const int32_t *ids,
                               size_t index, size_t *byte, slm_error *error) {
    slm_host *host = p->j.text.host;
    const char *text = p->j.text.ptr;
    size_t max = slm_vocab_max_token_bytes(v), at = 0;
    char *spelt = slm_alloc(host, max);
    if (!spelt)
        return slm_fail_nomem(error, max, "the bytes of a token");
    for (size_t i = 0; i < index; i++) {
        slm_str s = slm_vocab_token_bytes(v, ids[i], SLM_DETOKENIZE_SPECIAL, spelt);
        if (s.len > 0 && s.ptr[0] == ' ' && (at == p->j.text.len || text[at] != ' '))
            s = (slm_str){s.ptr + 1, s.len - 1}; /* the blank that the tokenizer put before a text */
        if (i > 0 || p->spells_bos || ids[i] != slm_vocab_bos(v))
            at += s.len < p->j.text.len - at ? s.len : p->j.text.len - at;
    }
    slm_free(host, spelt);
    *byte = at;
    return SLM_OK;
}
