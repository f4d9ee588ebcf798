/* One function a format. Sources: the models' own chat templates. */
#include "text/chat_impl.h"
#include "text/unicode.h"

#include <string.h>

static const char *const ROLES[] = {"system", "user", "assistant"};

/* ---- writing ---- */

static slm_status put(slm_chat *c, slm_str s, uint32_t trusted, slm_error *error) {
    slm_span span = {s.ptr, s.len, trusted};
    return s.len == 0 ? SLM_OK : slm_buffer_append(&c->span_buffer, &span, sizeof span, error);
}
static slm_status own(slm_chat *c, const char *text, slm_error *error) {
    return put(c, (slm_str){text, strlen(text)}, 1, error);
}
static slm_status foreign(slm_chat *c, slm_str s, slm_error *error) { return put(c, s, 0, error); }
/* White space of the template beside a content. It cannot spell anything, so it may join the content
 * and give the ids that the whole text would give. */
static slm_status space(slm_chat *c, const char *text, slm_error *error) {
    return put(c, (slm_str){text, strlen(text)}, 0, error);
}

static slm_status eos(slm_chat *c, slm_error *error) {
    if (!slm_str_find(c->template, "eos_token") || slm_vocab_eos(c->v) < 0)
        return SLM_OK;
    return put(c, slm_vocab_text(c->v, slm_vocab_eos(c->v)), 1, error);
}

static int has(const slm_chat *c, const char *text) {
    return slm_str_find(c->template, text) != NULL;
}

/* ---- parts of contents, as Python's string methods cut them ---- */

static slm_str drop(slm_str s, size_t n) { return (slm_str){s.ptr + n, s.len - n}; }

/* strip() */
static slm_str strip_blank(slm_str s) {
    while (s.len > 0) {
        size_t len;
        if (!slm_cp_is_blank(slm_utf8_decode(s.ptr, s.len, &len)))
            break;
        s = drop(s, len);
    }
    while (s.len > 0) {
        size_t start = s.len - 1, len;
        while (start > 0 && s.len - start < 4 && ((uint8_t)s.ptr[start] & 0xC0) == 0x80)
            start--;
        if (!slm_cp_is_blank(slm_utf8_decode(s.ptr + start, s.len - start, &len)) ||
            start + len != s.len)
            break;
        s.len = start;
    }
    return s;
}

/* lstrip('\n') and rstrip('\n') */
static slm_str lstrip_newlines(slm_str s) {
    while (s.len > 0 && s.ptr[0] == '\n')
        s = drop(s, 1);
    return s;
}
static slm_str rstrip_newlines(slm_str s) {
    while (s.len > 0 && s.ptr[s.len - 1] == '\n')
        s.len--;
    return s;
}

static int starts_with(slm_str s, const char *text) {
    return s.len >= strlen(text) && memcmp(s.ptr, text, strlen(text)) == 0;
}
static int ends_with(slm_str s, const char *text) {
    return s.len >= strlen(text) && memcmp(s.ptr + s.len - strlen(text), text, strlen(text)) == 0;
}

/* split(text)[0] */
static slm_str before_first(slm_str s, const char *text) {
    const char *p = slm_str_find(s, text);
    return p ? (slm_str){s.ptr, (size_t)(p - s.ptr)} : s;
}
/* split(text)[-1] */
static slm_str after_last(slm_str s, const char *text) {
    for (const char *p; (p = slm_str_find(s, text));)
        s = drop(s, (size_t)(p - s.ptr) + strlen(text));
    return s;
}

/* ---- Llama 3 ---- */

static slm_status llama3_header(slm_chat *c, slm_chat_role role, slm_error *error) {
    SLM_TRY(own(c, "<|start_header_id|>", error));
    SLM_TRY(own(c, ROLES[role], error));
    return own(c, "<|end_header_id|>\n\n", error);
}

/* Llama 3.1 and 3.2 always open with a system turn that holds two dates. Their templates ask for
 * today's date; a library without a clock takes the date that they fall back to. */
slm_status slm_chat_llama3(slm_chat *c, slm_error *error) {
    size_t i = 0;
    if (has(c, "Cutting Knowledge Date")) {
        SLM_TRY(llama3_header(c, SLM_ROLE_SYSTEM, error));
        SLM_TRY(own(c, "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n", error));
        if (c->turns[0].role == SLM_ROLE_SYSTEM)
            SLM_TRY(foreign(c, strip_blank(c->turns[i++].content), error));
        SLM_TRY(own(c, "<|eot_id|>", error));
    }
    for (; i < c->n_turns; i++) {
        SLM_TRY(llama3_header(c, c->turns[i].role, error));
        SLM_TRY(foreign(c, strip_blank(c->turns[i].content), error));
        SLM_TRY(own(c, "<|eot_id|>", error));
    }
    return c->prompt ? llama3_header(c, SLM_ROLE_ASSISTANT, error) : SLM_OK;
}

/* ---- Phi ---- */

static slm_status phi_turn(slm_chat *c, const char *open, const slm_chat_turn *turn,
                           const char *close, slm_error *error) {
    SLM_TRY(own(c, "<|", error));
    SLM_TRY(own(c, ROLES[turn->role], error));
    SLM_TRY(own(c, open, error));
    SLM_TRY(foreign(c, turn->content, error));
    return own(c, close, error);
}

/* The first template of Phi-3-mini has no generation prompt: every user turn opens the answer, and
 * system turns vanish. Phi-3.5 drops empty system turns. */
slm_status slm_chat_phi3(slm_chat *c, slm_error *error) {
    int opens = !has(c, "add_generation_prompt");
    int system = has(c, "<|system|>") || has(c, "message['role'] + '|>'");
    int skips_empty = has(c, "and message['content']");
    for (size_t i = 0; i < c->n_turns; i++) {
        const slm_chat_turn *turn = &c->turns[i];
        if (turn->role == SLM_ROLE_SYSTEM && (!system || (skips_empty && turn->content.len == 0)))
            continue;
        if (opens && turn->role == SLM_ROLE_ASSISTANT) {
            SLM_TRY(foreign(c, turn->content, error));
            SLM_TRY(own(c, "<|end|>\n", error));
            continue;
        }
        SLM_TRY(phi_turn(c, "|>\n", turn, "<|end|>\n", error));
        if (opens && turn->role == SLM_ROLE_USER)
            SLM_TRY(own(c, "<|assistant|>\n", error));
    }
    if (opens)
        return SLM_OK;
    return c->prompt ? own(c, "<|assistant|>\n", error) : eos(c, error);
}

/* Phi-4-mini-reasoning has one system turn, with a text of its own in front. */
slm_status slm_chat_phi4_mini(slm_chat *c, slm_error *error) {
    const char *preamble = slm_str_find(c->template, "'<|system|>");
    if (preamble) {
        slm_str rest = drop(c->template, (size_t)(preamble + 1 - c->template.ptr));
        SLM_TRY(put(c, before_first(rest, "'"), 1, error));
        for (size_t i = 0; i < c->n_turns; i++) {
            if (c->turns[i].role != SLM_ROLE_SYSTEM)
                continue;
            SLM_TRY(space(c, " ", error));
            SLM_TRY(foreign(c, c->turns[i].content, error));
        }
        SLM_TRY(own(c, "<|end|>", error));
    }
    for (size_t i = 0; i < c->n_turns; i++)
        if (!preamble || c->turns[i].role != SLM_ROLE_SYSTEM)
            SLM_TRY(phi_turn(c, "|>", &c->turns[i], "<|end|>", error));
    return c->prompt ? own(c, "<|assistant|>", error) : eos(c, error);
}

/* ---- ChatML ---- */

static slm_status chatml_open(slm_chat *c, slm_chat_role role, slm_error *error) {
    SLM_TRY(own(c, "<|im_start|>", error));
    SLM_TRY(own(c, ROLES[role], error));
    return space(c, "\n", error);
}

/* The system text that a template writes when the conversation has none, such as Qwen 2.5's: what
 * stands in one literal with the opening and the end of the turn. */
static slm_str chatml_default_system(slm_str t) {
    static const char OPEN[] = "<|im_start|>system\\n";
    for (const char *p; (p = slm_str_find(t, OPEN));) {
        t = drop(t, (size_t)(p - t.ptr) + sizeof OPEN - 1);
        slm_str text = before_first(t, "<|im_end|>");
        if (text.len > 0 && text.len < t.len && !memchr(text.ptr, '\'', text.len) &&
            !memchr(text.ptr, '"', text.len) && !memchr(text.ptr, '\\', text.len))
            return text;
    }
    return (slm_str){NULL, 0};
}

/* Qwen 3 takes <think> blocks out of answers before the last question, and puts one in front of
 * those after it. Tool results in user turns are no questions. */
typedef struct qwen3_rule {
    size_t last_query;
    int blank_is_empty; /* thoughts of blanks alone count as none */
} qwen3_rule;

static qwen3_rule qwen3_begin(const slm_chat *c) {
    qwen3_rule r = {c->n_turns - 1, has(c, "reasoning_content.strip() == ''")};
    for (size_t i = c->n_turns; i-- > 0;) {
        slm_str s = c->turns[i].content;
        if (c->turns[i].role == SLM_ROLE_USER &&
            !(starts_with(s, "<tool_response>") && ends_with(s, "</tool_response>"))) {
            r.last_query = i;
            break;
        }
    }
    return r;
}

static slm_status qwen3_answer(slm_chat *c, const qwen3_rule *r, size_t i, slm_error *error) {
    slm_str content = c->turns[i].content, thoughts = {NULL, 0};
    if (slm_str_find(content, "</think>")) {
        thoughts = rstrip_newlines(before_first(content, "</think>"));
        thoughts = lstrip_newlines(after_last(thoughts, "<think>"));
        content = lstrip_newlines(after_last(content, "</think>"));
    }
    int thought = (r->blank_is_empty ? strip_blank(thoughts) : thoughts).len > 0;
    if (i > r->last_query && (i + 1 == c->n_turns || thought)) {
        SLM_TRY(own(c, "<think>", error));
        SLM_TRY(space(c, "\n", error));
        SLM_TRY(foreign(c, lstrip_newlines(rstrip_newlines(thoughts)), error));
        SLM_TRY(space(c, "\n", error));
        SLM_TRY(own(c, "</think>", error));
        SLM_TRY(space(c, "\n\n", error));
        content = lstrip_newlines(content);
    }
    return foreign(c, content, error);
}

slm_status slm_chat_chatml(slm_chat *c, slm_error *error) {
    int qwen3 = has(c, "last_query_index");
    /* vLLM's template for base models lets the caller go on with an answer. */
    int open_end = !c->prompt && has(c, "(loop.last and add_generation_prompt) or not loop.last");
    int prompt = c->prompt && !(c->turns[c->n_turns - 1].role == SLM_ROLE_ASSISTANT &&
                                has(c, "messages[-1]['role'] != 'assistant'"));
    qwen3_rule rule = qwen3_begin(c);
    slm_str system = chatml_default_system(c->template);
    if (c->turns[0].role != SLM_ROLE_SYSTEM && system.len > 0) {
        SLM_TRY(chatml_open(c, SLM_ROLE_SYSTEM, error));
        SLM_TRY(put(c, system, 1, error));
        SLM_TRY(own(c, "<|im_end|>\n", error));
    }
    for (size_t i = 0; i < c->n_turns; i++) {
        SLM_TRY(chatml_open(c, c->turns[i].role, error));
        if (qwen3 && c->turns[i].role == SLM_ROLE_ASSISTANT)
            SLM_TRY(qwen3_answer(c, &rule, i, error));
        else
            SLM_TRY(foreign(c, c->turns[i].content, error));
        if (i + 1 < c->n_turns || !open_end)
            SLM_TRY(own(c, "<|im_end|>\n", error));
    }
    return prompt ? chatml_open(c, SLM_ROLE_ASSISTANT, error) : SLM_OK;
}

/* ---- BitNet b1.58 2B4T ---- */

/* Its reference code tokenizes header and content apart, as the change of trust does here. */
slm_status slm_chat_bitnet(slm_chat *c, slm_error *error) {
    static const char *const HEADERS[] = {"System: ", "User: ", "Assistant: "};
    for (size_t i = 0; i < c->n_turns; i++) {
        SLM_TRY(own(c, HEADERS[c->turns[i].role], error));
        SLM_TRY(foreign(c, strip_blank(c->turns[i].content), error));
        SLM_TRY(own(c, "<|eot_id|>", error));
    }
    return c->prompt ? own(c, HEADERS[SLM_ROLE_ASSISTANT], error) : SLM_OK;
}
