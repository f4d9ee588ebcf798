/* The chat formats built in. Each follows the Jinja templates that its models ship; where their
 * versions differ, the wording of the file's own template decides. */
#include "text/chat.h"

#include "text/chat_impl.h"
#include "text/unicode.h"

#include <string.h>

/* ---- looking at a template ---- */

const char *slm_str_find(slm_str s, const char *text) {
    size_t n = strlen(text);
    for (const char *p = s.ptr, *end = s.ptr + s.len; (size_t)(end - p) >= n; p++) {
        p = memchr(p, text[0], (size_t)(end - p) - n + 1);
        if (!p)
            return NULL;
        if (memcmp(p, text, n) == 0)
            return p;
    }
    return NULL;
}

static int has(slm_str s, const char *text) { return slm_str_find(s, text) != NULL; }

/* The file's template; ptr NULL when there is none. */
static slm_str get_template(const slm_gguf *g) {
    slm_str t = {NULL, 0};
    const slm_gguf_kv *kv = slm_gguf_find(g, "tokenizer.chat_template");
    if (kv && kv->type == SLM_GGUF_STRING)
        (void)slm_gguf_get_str(g, "tokenizer.chat_template", 0, &t, NULL);
    return t;
}

static int knows(const slm_vocab *v, const char *a, const char *b) {
    return slm_vocab_find(v, a, strlen(a)) >= 0 && slm_vocab_find(v, b, strlen(b)) >= 0;
}

/* Phi-3 opens a turn with the role and a newline, Phi-4-mini with the role alone. */
static int newline_after_role(slm_str t) {
    const char *p = slm_str_find(t, "<|assistant|>"), *end = t.ptr + t.len;
    for (p += strlen("<|assistant|>"); p < end && (*p == '\'' || *p == ' ' || *p == '+'); p++)
        ;
    return p < end && (*p == '\n' || (end - p > 1 && p[0] == '\\' && p[1] == 'n'));
}

slm_chat_format slm_chat_detect(const slm_gguf *g, slm_str architecture, const slm_vocab *v) {
    if (architecture.len >= 6 && memcmp(architecture.ptr, "bitnet", 6) == 0)
        return SLM_CHAT_BITNET;
    slm_str t = get_template(g);
    if (!t.ptr)
        return slm_gguf_find(g, "tokenizer.chat_template") ? SLM_CHAT_UNKNOWN : SLM_CHAT_NONE;
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
    switch (f) {
    case SLM_CHAT_LLAMA3:
        return "llama3";
    case SLM_CHAT_PHI3:
        return "phi3";
    case SLM_CHAT_PHI4_MINI:
        return "phi4-mini";
    case SLM_CHAT_CHATML:
        return "chatml";
    case SLM_CHAT_BITNET:
        return "bitnet";
    default:
        return "";
    }
}

/* ---- messages ---- */

static slm_status check_message(const slm_message *m, size_t index, slm_chat_turn *turn,
                                slm_error *error) {
    static const char *const ROLES[] = {"system", "user", "assistant"};
    if (!m->role || (!m->content && m->content_len != 0))
        return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET, "message %zu: %s is NULL",
                        index, m->role ? "content" : "role");
    size_t n = m->role_len == SLM_NTS ? strlen(m->role) : m->role_len;
    turn->content.ptr = m->content;
    turn->content.len = m->content_len == SLM_NTS ? strlen(m->content) : m->content_len;
    for (int r = 0; r < 3; r++) {
        if (n == strlen(ROLES[r]) && memcmp(m->role, ROLES[r], n) == 0) {
            turn->role = (slm_chat_role)r;
            return SLM_OK;
        }
    }
    return slm_fail(error, SLM_ERR_TEMPLATE, "role", SLM_NO_OFFSET,
                    "message %zu has the role \"%.*s\", wanted system, user or assistant", index,
                    (int)(n < 64 ? n : 64), m->role);
}

static slm_status check_call(slm_chat_format f, const slm_message *messages, size_t n,
                             uint32_t flags, slm_error *error) {
    if (f == SLM_CHAT_NONE)
        return slm_fail(error, SLM_ERR_MISSING, "tokenizer.chat_template", SLM_NO_OFFSET,
                        "the file has no chat template: render the prompt yourself and tokenize it");
    if (f == SLM_CHAT_UNKNOWN)
        return slm_fail(error, SLM_ERR_UNSUP, "tokenizer.chat_template", SLM_NO_OFFSET,
                        "the file's chat template is none of llama3, phi3, phi4-mini, chatml and "
                        "bitnet, or its control tokens are not in the vocabulary");
    if (flags & ~(uint32_t)SLM_CHAT_GENERATION_PROMPT)
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET, "unknown flags 0x%x", flags);
    if (!messages || n == 0)
        return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                        "no messages, wanted at least one");
    for (size_t i = 0; i < n; i++)
        if (messages[i].struct_size != sizeof *messages)
            return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                            "message %zu: struct_size is %u, wanted %zu", i,
                            messages[i].struct_size, sizeof *messages);
    return SLM_OK;
}

/* Fills c->turns and c->spans. */
static slm_status build(slm_chat *c, slm_chat_format f, const slm_message *messages, size_t n,
                        uint32_t flags, slm_error *error) {
    SLM_TRY(check_call(f, messages, n, flags, error));
    for (size_t i = 0; i < n; i++) {
        slm_chat_turn turn;
        SLM_TRY(check_message(&messages[i], i, &turn, error));
        SLM_TRY(slm_buffer_append(&c->turn_buffer, &turn, sizeof turn, error));
    }
    c->turns = (const slm_chat_turn *)(const void *)c->turn_buffer.ptr;
    c->n_turns = n;
    c->prompt = (flags & SLM_CHAT_GENERATION_PROMPT) != 0;
    switch (f) {
    case SLM_CHAT_LLAMA3:
        return slm_chat_llama3(c, error);
    case SLM_CHAT_PHI3:
        return slm_chat_phi3(c, error);
    case SLM_CHAT_PHI4_MINI:
        return slm_chat_phi4_mini(c, error);
    case SLM_CHAT_CHATML:
        return slm_chat_chatml(c, error);
    default:
        return slm_chat_bitnet(c, error);
    }
}

static slm_chat begin(slm_host *host, slm_chat_format f, const slm_gguf *g, const slm_vocab *v) {
    slm_chat c = {.v = v, .turn_buffer = {.host = host}, .span_buffer = {.host = host}};
    if (f != SLM_CHAT_BITNET) /* whose files carry a template of another model */
        c.template = get_template(g);
    c.spells_bos = has(c.template, "bos_token") && slm_vocab_bos(v) >= 0;
    return c;
}

static void end(slm_chat *c) {
    slm_buffer_free(&c->turn_buffer);
    slm_buffer_free(&c->span_buffer);
}

static slm_status write_text(const slm_chat *c, slm_str bos, char *text, size_t cap, size_t *len,
                             slm_error *error) {
    const slm_span *spans = (const slm_span *)(const void *)c->span_buffer.ptr;
    size_t n_spans = c->span_buffer.len / sizeof *spans, n = bos.len;
    for (size_t i = 0; i < n_spans; i++) {
        size_t valid = slm_utf8_valid_prefix(spans[i].text, spans[i].len);
        if (valid < spans[i].len)
            return slm_fail(error, SLM_ERR_UTF8, "messages", SLM_NO_OFFSET,
                            "the conversation is not UTF-8 at byte %zu of a message's content",
                            valid);
        n += spans[i].len;
    }
    *len = n;
    if (cap == 0)
        return SLM_OK;
    if (n > cap)
        return slm_fail(error, SLM_ERR_LIMIT, "text", SLM_NO_OFFSET,
                        "%zu bytes, the buffer holds %zu", n, cap);
    if (bos.len > 0)
        memcpy(text, bos.ptr, bos.len);
    text += bos.len;
    for (size_t i = 0; i < n_spans; i++) {
        memcpy(text, spans[i].text, spans[i].len);
        text += spans[i].len;
    }
    return SLM_OK;
}

slm_status slm_chat_render_text(slm_host *host, slm_chat_format f, const slm_gguf *g,
                                const slm_vocab *v, const slm_message *messages, size_t n_messages,
                                uint32_t flags, char *text, size_t cap, size_t *len,
                                slm_error *error) {
    slm_chat c = begin(host, f, g, v);
    slm_status status = build(&c, f, messages, n_messages, flags, error);
    if (status == SLM_OK) {
        slm_str bos = {NULL, 0};
        if (c.spells_bos)
            bos = slm_vocab_text(v, slm_vocab_bos(v));
        status = write_text(&c, bos, text, cap, len, error);
    }
    end(&c);
    return status;
}

slm_status slm_chat_render_ids(slm_host *host, slm_chat_format f, const slm_gguf *g,
                               const slm_vocab *v, const slm_message *messages, size_t n_messages,
                               uint32_t flags, int32_t *ids, size_t cap, size_t *n_ids,
                               slm_error *error) {
    slm_chat c = begin(host, f, g, v);
    slm_status status = build(&c, f, messages, n_messages, flags, error);
    if (status == SLM_OK)
        status = slm_vocab_tokenize(v, (const slm_span *)(const void *)c.span_buffer.ptr,
                                    c.span_buffer.len / sizeof(slm_span),
                                    c.spells_bos ? SLM_BOS_ADD : SLM_BOS_DEFAULT, ids, cap, n_ids,
                                    error);
    end(&c);
    return status;
}
