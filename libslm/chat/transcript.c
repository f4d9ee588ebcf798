#include "chat/transcript.h"

#include "text/chat.h"
#include "text/detok.h"

#include <string.h>

/* ---- a message and its parts ---- */

/* How a message that is written differs from what was read. */
typedef struct change {
    slm_str append;               /* to the content                                               */
    slm_str more_thinking;
    const slm_text_filter *filter;
    size_t keep;                  /* bytes of the content                                         */
    int drop_calls;
    const slm_json *more_calls;   /* in place of none                                             */
} change;

static const change NO_CHANGE = {.keep = SIZE_MAX};

static const slm_json *content_of(const slm_json *v) { return slm_json_get(v, "content"); }

static const char THINKING[] = "reasoning_content";

/* Empty where it is no text. */
static slm_str string_of(const slm_json *v) {
    return v != NULL && v->type == SLM_JSON_STRING ? v->text : (slm_str){"", 0};
}

/* In a file it stands in the array of a transcript. */
static slm_status parse(slm_arena *arena, slm_str text, const slm_json **out, slm_error *error) {
    return slm_json_parse(arena, text.ptr, text.len, SLM_JSON_WITHIN(2), "message", out, error);
}

static slm_str text_of(const slm_buffer *b) { return (slm_str){b->ptr, b->len}; }

static slm_status filtered(const change *c, slm_str *text, slm_error *error) {
    if (c->filter == NULL || c->filter->fn == NULL)
        return SLM_OK;
    SLM_TRY(c->filter->fn(c->filter->user, *text, text, error));
    size_t valid = slm_utf8_valid_prefix(text->ptr, text->len);
    if (valid < text->len)
        return slm_fail(error, SLM_ERR_UTF8, "filter", SLM_NO_OFFSET,
                        "the filter's text is not UTF-8 at byte %zu of %zu", valid, text->len);
    return SLM_OK;
}

static slm_status put_text(slm_json_writer *w, const change *c, slm_str text, slm_str append,
                           slm_error *error) {
    slm_buffer whole = {.host = w->out->host};
    SLM_TRY(filtered(c, &text, error));
    if (append.len == 0)
        return slm_json_put_string(w, text.ptr, text.len, error);
    slm_status status = slm_buffer_append(&whole, text.ptr, text.len, error);
    if (status == SLM_OK)
        status = slm_buffer_append(&whole, append.ptr, append.len, error);
    if (status == SLM_OK)
        status = slm_json_put_string(w, whole.ptr, whole.len, error);
    slm_buffer_free(&whole);
    return status;
}

/* A part of a content in parts: its text goes through the filter. */
static slm_status put_part(slm_json_writer *w, const change *c, const slm_json *part,
                           slm_error *error) {
    const slm_json *text = slm_json_get(part, "text");
    if (text == NULL || text->type != SLM_JSON_STRING)
        return slm_json_put_value(w, part, error);
    SLM_TRY(slm_json_put_open(w, '{', error));
    for (uint32_t i = 0; i < part->n_items; i++) {
        const slm_json *member = &part->items[i];
        SLM_TRY(slm_json_put_name(w, member->name.ptr, member->name.len, error));
        if (member == text)
            SLM_TRY(put_text(w, c, text->text, (slm_str){0}, error));
        else
            SLM_TRY(slm_json_put_value(w, member, error));
    }
    return slm_json_put_close(w, '}', error);
}

static slm_status put_parts(slm_json_writer *w, const change *c, const slm_json *parts,
                            slm_error *error) {
    SLM_TRY(slm_json_put_open(w, '[', error));
    for (uint32_t i = 0; i < parts->n_items; i++)
        SLM_TRY(put_part(w, c, &parts->items[i], error));
    if (c->append.len > 0) {
        SLM_TRY(slm_json_put_raw(w, "{\"type\":\"text\",\"text\":", SLM_NTS, error));
        SLM_TRY(slm_json_quote(w->out, c->append.ptr, c->append.len, 0, error));
        SLM_TRY(slm_buffer_append(w->out, "}", 1, error));
    }
    return slm_json_put_close(w, ']', error);
}

static slm_status put_content(slm_json_writer *w, const change *c, const slm_json *v,
                              slm_error *error) {
    if (v != NULL && v->type == SLM_JSON_ARRAY)
        return put_parts(w, c, v, error);
    if (v != NULL && v->type == SLM_JSON_STRING) {
        slm_str text = {v->text.ptr, v->text.len < c->keep ? v->text.len : c->keep};
        return put_text(w, c, text, c->append, error);
    }
    if (c->append.len > 0)
        return slm_json_put_string(w, c->append.ptr, c->append.len, error);
    return v == NULL ? slm_json_put_raw(w, "null", SLM_NTS, error)
                     : slm_json_put_value(w, v, error);
}

/* Members stay in their order; those that are wanted and not there come last. */
static slm_status put_message(slm_json_writer *w, const change *c, const slm_json *v,
                              slm_error *error) {
    const slm_json *content = content_of(v), *thinking = slm_json_get(v, THINKING);
    SLM_TRY(slm_json_put_open(w, '{', error));
    for (uint32_t i = 0; i < v->n_items; i++) {
        const slm_json *member = &v->items[i];
        if (slm_str_is(member->name, "tail") || (slm_str_is(member->name, "tool_calls") &&
                                                 (c->drop_calls || c->more_calls != NULL)))
            continue;
        SLM_TRY(slm_json_put_name(w, member->name.ptr, member->name.len, error));
        if (member == content)
            SLM_TRY(put_content(w, c, content, error));
        else if (member == thinking && c->more_thinking.len > 0)
            SLM_TRY(put_text(w, c, string_of(thinking), c->more_thinking, error));
        else
            SLM_TRY(slm_json_put_value(w, member, error));
    }
    if (content == NULL && c->append.len > 0) {
        SLM_TRY(slm_json_put_name(w, "content", 7, error));
        SLM_TRY(put_content(w, c, NULL, error));
    }
    if (thinking == NULL && c->more_thinking.len > 0) {
        SLM_TRY(slm_json_put_name(w, THINKING, sizeof THINKING - 1, error));
        SLM_TRY(slm_json_put_string(w, c->more_thinking.ptr, c->more_thinking.len, error));
    }
    if (c->more_calls != NULL) {
        SLM_TRY(slm_json_put_name(w, "tool_calls", 10, error));
        SLM_TRY(slm_json_put_value(w, c->more_calls, error));
    }
    return slm_json_put_close(w, '}', error);
}

static slm_status write_changed(slm_buffer *out, const slm_json *v, const change *c,
                                slm_error *error) {
    slm_json_writer w = {.out = out};
    return put_message(&w, c, v, error);
}

/* ---- entries ---- */

static slm_speaker speaker_of(slm_str role) {
    if (slm_str_is(role, "system") || slm_str_is(role, "developer"))
        return SLM_SPEAKER_SYSTEM;
    if (slm_str_is(role, "user"))
        return SLM_SPEAKER_USER;
    return slm_str_is(role, "assistant") ? SLM_SPEAKER_ASSISTANT : SLM_SPEAKER_TOOL;
}

static slm_status bad_member(const char *name, const char *wanted, slm_error *error) {
    return slm_fail(error, SLM_ERR_TEMPLATE, name, SLM_NO_OFFSET,
                    "the message's %s is missing or of another type, wanted %s", name, wanted);
}

static slm_status read_role(const slm_json *v, slm_speaker *speaker, slm_error *error) {
    const slm_json *role = slm_json_get(v, "role"), *content = content_of(v);
    if (role == NULL || role->type != SLM_JSON_STRING)
        return bad_member("role", "a string", error);
    if (!slm_chat_is_role(role->text))
        return slm_fail(error, SLM_ERR_TEMPLATE, "role", SLM_NO_OFFSET,
                        "the message has the role \"%.*s\", which templates do not know",
                        (int)(role->text.len < 64 ? role->text.len : 64), role->text.ptr);
    if (content != NULL && content->type >= SLM_JSON_FALSE && content->type <= SLM_JSON_NUMBER)
        return bad_member("content", "a string, an array, an object or null", error);
    *speaker = speaker_of(role->text);
    return SLM_OK;
}

/* Fills an entry from a message that was read. */
static slm_status fill(slm_entry *e, const slm_json *v, const change *c, slm_error *error) {
    const slm_json *calls = slm_json_get(v, "tool_calls"), *tail = slm_json_get(v, "tail");
    change changed = *c;
    if (v->type != SLM_JSON_OBJECT)
        return slm_fail(error, SLM_ERR_TEMPLATE, "message", SLM_NO_OFFSET,
                        "the message is no JSON object");
    SLM_TRY(read_role(v, &e->speaker, error));
    if (tail != NULL && tail->type != SLM_JSON_STRING && tail->type != SLM_JSON_NULL)
        return bad_member("tail", "a string", error);
    if (e->speaker == SLM_SPEAKER_SYSTEM || e->speaker == SLM_SPEAKER_ASSISTANT)
        changed.filter = NULL;
    e->has_calls = c->more_calls != NULL || (!c->drop_calls && calls != NULL && calls->n_items > 0);
    SLM_TRY(write_changed(&e->json, v, &changed, error));
    if (tail == NULL || tail->type == SLM_JSON_NULL)
        return SLM_OK;
    return slm_entry_set_tail(e, tail->text, error);
}

static slm_status make(slm_entry *e, slm_host *host, slm_str json, const change *c,
                       slm_error *error) {
    slm_arena arena = {.host = host};
    const slm_json *v;
    *e = (slm_entry){.json = {.host = host}, .tail = {.host = host}, .shown = {.host = host}};
    slm_status status = parse(&arena, json, &v, error);
    if (status == SLM_OK)
        status = fill(e, v, c, error);
    slm_arena_free(&arena);
    if (status != SLM_OK)
        slm_entry_free(e);
    return status;
}

/* A message of role and content as JSON. */
static slm_status write_plain(slm_buffer *out, slm_str role, slm_str content, slm_error *error) {
    slm_json_writer w = {.out = out};
    const slm_str texts[] = {role, content};
    for (int i = 0; i < 2; i++) {
        size_t valid = slm_utf8_valid_prefix(texts[i].ptr, texts[i].len);
        if (valid < texts[i].len)
            return slm_fail(error, SLM_ERR_UTF8, "message", SLM_NO_OFFSET,
                            "the message's %s is not UTF-8 at byte %zu of %zu",
                            i == 0 ? "role" : "content", valid, texts[i].len);
    }
    SLM_TRY(slm_json_put_open(&w, '{', error));
    SLM_TRY(slm_json_put_name(&w, "role", 4, error));
    SLM_TRY(slm_json_put_string(&w, role.ptr, role.len, error));
    SLM_TRY(slm_json_put_name(&w, "content", 7, error));
    SLM_TRY(slm_json_put_string(&w, content.ptr, content.len, error));
    return slm_json_put_close(&w, '}', error);
}

slm_status slm_entry_make(slm_entry *e, slm_host *host, const slm_message *m,
                          const slm_text_filter *filter, slm_error *error) {
    slm_str role = slm_str_given(m->role, m->role_len);
    slm_str content = slm_str_given(m->content, m->content_len);
    change c = NO_CHANGE;
    *e = (slm_entry){0};
    c.filter = filter;
    if (content.ptr == NULL)
        return slm_fail(error, SLM_ERR_ARG, "content", SLM_NO_OFFSET,
                        "slm_message.content is NULL");
    if (role.ptr == NULL)
        return make(e, host, content, &c, error);
    slm_buffer json = {.host = host};
    slm_status status = write_plain(&json, role, content, error);
    if (status == SLM_OK)
        status = make(e, host, text_of(&json), &c, error);
    slm_buffer_free(&json);
    return status;
}

void slm_entry_free(slm_entry *e) {
    slm_buffer_free(&e->json);
    slm_buffer_free(&e->tail);
    slm_buffer_free(&e->shown);
}

slm_status slm_entry_set_tail(slm_entry *e, slm_str tail, slm_error *error) {
    slm_buffer text = {.host = e->json.host}, shown = {.host = e->json.host};
    if (tail.len > 0) {
        slm_arena arena = {.host = e->json.host};
        const slm_json *v;
        change c = NO_CHANGE;
        c.append = tail;
        slm_status status = slm_buffer_append(&text, tail.ptr, tail.len, error);
        if (status == SLM_OK)
            status = parse(&arena, text_of(&e->json), &v, error);
        if (status == SLM_OK)
            status = write_changed(&shown, v, &c, error);
        slm_arena_free(&arena);
        if (status != SLM_OK) {
            slm_buffer_free(&text);
            slm_buffer_free(&shown);
            return status;
        }
    }
    slm_buffer_free(&e->tail);
    slm_buffer_free(&e->shown);
    e->tail = text;
    e->shown = shown;
    return SLM_OK;
}

slm_str slm_entry_shown(const slm_entry *e) {
    return text_of(e->shown.len > 0 ? &e->shown : &e->json);
}

size_t slm_entry_content_len(const slm_entry *e) {
    slm_arena arena = {.host = e->json.host};
    const slm_json *v;
    size_t len = 0;
    if (parse(&arena, text_of(&e->json), &v, NULL) == SLM_OK && (v = content_of(v)) != NULL) {
        len = string_of(v).len;
        for (uint32_t i = 0; v->type == SLM_JSON_ARRAY && i < v->n_items; i++)
            len += string_of(slm_json_get(&v->items[i], "text")).len;
    }
    slm_arena_free(&arena);
    return len;
}

slm_status slm_entry_write(const slm_entry *e, slm_buffer *out, slm_error *error) {
    static const char NAME[] = ",\"tail\":";
    if (e->tail.len == 0)
        return slm_buffer_append(out, e->json.ptr, e->json.len, error);
    SLM_TRY(slm_buffer_append(out, e->json.ptr, e->json.len - 1, error)); /* to be closed again */
    SLM_TRY(slm_buffer_append(out, NAME, sizeof NAME - 1, error));
    SLM_TRY(slm_json_quote(out, e->tail.ptr, e->tail.len, 0, error));
    return slm_buffer_append(out, "}", 1, error);
}

/* The content of an entry, where it is a text; it lives in the arena and the entry. */
static slm_status read_content(const slm_entry *e, slm_arena *arena, const slm_json **message,
                               slm_str *content, slm_error *error) {
    SLM_TRY(parse(arena, text_of(&e->json), message, error));
    *content = string_of(content_of(*message));
    return SLM_OK;
}

static int content_is_in_parts(const slm_json *message) {
    const slm_json *v = content_of(message);
    return v != NULL && (v->type == SLM_JSON_ARRAY || v->type == SLM_JSON_OBJECT);
}

slm_status slm_entry_keep(const slm_entry *e, size_t n, slm_entry *out, slm_error *error) {
    slm_arena arena = {.host = e->json.host};
    const slm_json *message;
    slm_str content;
    change c = NO_CHANGE;
    *out = (slm_entry){0};
    slm_status status = read_content(e, &arena, &message, &content, error);
    if (status == SLM_OK && content_is_in_parts(message))
        status = slm_fail(error, SLM_ERR_ARG, "content", SLM_NO_OFFSET,
                          "the message's content is in parts, wanted a text to keep a part of");
    if (status == SLM_OK) {
        c.drop_calls = n < content.len;
        while (n > 0 && n < content.len && ((uint8_t)content.ptr[n] & 0xC0) == 0x80)
            n--;
        c.keep = n;
        status = make(out, e->json.host, text_of(&e->json), &c, error);
    }
    slm_arena_free(&arena);
    return status;
}

slm_status slm_entry_join(const slm_entry *e, const slm_entry *more, slm_entry *out,
                          slm_error *error) {
    slm_arena arena = {.host = e->json.host};
    const slm_json *message;
    change c = NO_CHANGE;
    *out = (slm_entry){0};
    slm_status status = read_content(more, &arena, &message, &c.append, error);
    if (status == SLM_OK) {
        c.more_thinking = string_of(slm_json_get(message, THINKING));
        if (more->has_calls)
            c.more_calls = slm_json_get(message, "tool_calls");
        status = make(out, e->json.host, text_of(&e->json), &c, error);
    }
    slm_arena_free(&arena);
    return status;
}

/* ---- the list of them ---- */

slm_status slm_transcript_add(slm_transcript *t, slm_entry *e, slm_error *error) {
    if (t->n == t->cap) {
        size_t cap = t->cap + t->cap / 2 + 16;
        slm_entry *entries = slm_realloc(t->host, t->entries, cap * sizeof *entries);
        if (entries == NULL)
            return slm_fail_nomem(error, cap * sizeof *entries, "a transcript");
        t->entries = entries;
        t->cap = cap;
    }
    t->entries[t->n++] = *e;
    return SLM_OK;
}

void slm_transcript_cut(slm_transcript *t, size_t n) {
    while (t->n > n)
        slm_entry_free(&t->entries[--t->n]);
}

void slm_transcript_free(slm_transcript *t) {
    slm_transcript_cut(t, 0);
    slm_free(t->host, t->entries);
    t->entries = NULL;
    t->cap = 0;
}

size_t slm_transcript_pinned(const slm_transcript *t) {
    size_t n = 0;
    while (n < t->n && t->entries[n].speaker == SLM_SPEAKER_SYSTEM)
        n++;
    return n;
}

size_t slm_transcript_next_turn(const slm_transcript *t, size_t index) {
    while (++index < t->n && t->entries[index].speaker != SLM_SPEAKER_USER)
        ;
    return index < t->n ? index : t->n;
}
