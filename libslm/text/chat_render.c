/* From a conversation to the variables of a template, as transformers' apply_chat_template hands
 * them over, and what it does with the rendering. */
#include "text/chat.h"

#include "text/jinja_impl.h"
#include "text/unicode.h"

#include <stdio.h>

/* Put behind the message that is to be continued: transformers' own mark, since a template may look
 * at its length or its blank. It is found again by its marks. */
static const char CUT[] = "CONTINUE_FINAL_MESSAGE_TAG ";
enum { CUT_LEN = sizeof CUT - 1, CUT_TEXT_LEN = CUT_LEN - 1 };

typedef struct conversation {
    slm_jinja *j;
    slm_jvalue messages, tools;
    int prompt, continues;
} conversation;

static slm_str text_of(const char *text, size_t len) {
    return (slm_str){text, len == SLM_NTS && text ? strlen(text) : len};
}

/* ---- marks ---- */

/* Which message a byte is of. The last mark is for all messages from there on. */
static slm_jmark mark_of(size_t index) {
    const size_t last = UINT16_MAX - SLM_MARK_MESSAGE;
    return (slm_jmark)(SLM_MARK_MESSAGE + (index < last ? index : last));
}

slm_chat_place slm_chat_find_place(const slm_chat_prompt *p, size_t byte) {
    const slm_jmark *marks = slm_j_marks(&p->j.marks);
    slm_chat_place place = {.message = SIZE_MAX};
    slm_jmark seen = SLM_MARK_TEMPLATE;
    for (size_t i = 0; i < p->j.text.len && i <= byte; i++) {
        if (marks[i] == SLM_MARK_TEMPLATE)
            continue;
        if (marks[i] != seen) {
            seen = marks[i];
            place.is_other = seen < SLM_MARK_MESSAGE;
            if (!place.is_other) {
                place.message = (size_t)(seen - SLM_MARK_MESSAGE);
                place.offset = 0;
            }
        }
        place.offset += !place.is_other && i < byte;
    }
    /* What the template writes right behind a text goes with it, as it shows where that ends; what comes
     * then introduces the next message. */
    if (byte == 0 || byte >= p->j.text.len || marks[byte] != SLM_MARK_TEMPLATE ||
        marks[byte - 1] != SLM_MARK_TEMPLATE || seen == SLM_MARK_TEMPLATE)
        return place;
    return (slm_chat_place){.message = place.message == SIZE_MAX ? 0 : place.message + 1};
}

/* ---- messages ---- */

/* A template can make a control token of any role: '<|' + role + '|>'. */
int slm_chat_is_role(slm_str role) {
    static const char *const ROLES[] = {"system",       "developer",    "user",     "assistant",
                                        "tool",         "tools",        "function", "ipython",
                                        "tool_results", "tool_response"};
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++)
        if (slm_str_is(role, ROLES[i]))
            return 1;
    return 0;
}

static slm_status put_role(conversation *c, slm_jvalue message, size_t index, slm_str role) {
    slm_jvalue v;
    if (!slm_chat_is_role(role))
        return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "role", SLM_NO_OFFSET,
                        "message %zu has the role \"%.*s\", wanted system, developer, user, "
                        "assistant, tool, tools, function, ipython, tool_results or tool_response",
                        index, (int)(role.len < 64 ? role.len : 64), role.ptr);
    SLM_TRY(slm_j_string(c->j, role.ptr, role.len, SLM_MARK_TEMPLATE, &v));
    return slm_j_put(c->j, message, "role", v);
}

static slm_status fail_message(conversation *c, size_t index, const char *what, const char *got,
                               const char *wanted) {
    return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "messages", SLM_NO_OFFSET,
                    "messages[%zu]%s is %s, wanted %s", index, what, got, wanted);
}

static const char *kind_of(const slm_json *v) {
    static const char *const NAMES[] = {"null",     "a boolean", "a boolean", "a number",
                                        "a string", "an array",  "an object"};
    return v ? NAMES[v->type] : "missing";
}

static slm_status check_calls(conversation *c, size_t index, const slm_json *calls) {
    if (calls->type != SLM_JSON_ARRAY)
        return fail_message(c, index, ".tool_calls", kind_of(calls), "an array");
    for (uint32_t i = 0; i < calls->n_items; i++) {
        char what[48] = ".tool_calls[";
        if (calls->items[i].type == SLM_JSON_OBJECT)
            continue;
        snprintf(what, sizeof what, ".tool_calls[%u]", (unsigned)i);
        return fail_message(c, index, what, kind_of(&calls->items[i]), "an object");
    }
    return SLM_OK;
}

/* A message as JSON. Members that are null are left out, and reasoning_content has a second name,
 * as templates are used to it. */
static slm_status add_json(conversation *c, size_t index, const slm_json *v) {
    slm_jvalue message, value;
    const slm_json *content = slm_json_get(v, "content"), *role = slm_json_get(v, "role");
    const slm_json *calls = slm_json_get(v, "tool_calls");
    if (v->type != SLM_JSON_OBJECT)
        return fail_message(c, index, "", kind_of(v), "an object");
    if (!role || role->type != SLM_JSON_STRING)
        return fail_message(c, index, ".role", kind_of(role), "a string");
    if (content && content->type >= SLM_JSON_FALSE && content->type <= SLM_JSON_NUMBER)
        return fail_message(c, index, ".content", kind_of(content),
                            "a string, an array, an object or null");
    if (calls && calls->type != SLM_JSON_NULL)
        SLM_TRY(check_calls(c, index, calls));
    SLM_TRY(slm_j_dict(c->j, &message));
    c->j->data_mark = mark_of(index);
    for (uint32_t i = 0; i < v->n_items; i++) {
        const slm_json *member = &v->items[i];
        if (member->type == SLM_JSON_NULL)
            continue;
        if (member == role) {
            SLM_TRY(put_role(c, message, index, role->text));
            continue;
        }
        slm_jvalue key;
        SLM_TRY(slm_j_string(c->j, member->name.ptr, member->name.len, c->j->data_mark, &key));
        SLM_TRY(slm_j_from_json(c->j, member, &value));
        SLM_TRY(slm_j_put_value(c->j, message.u.dict, key, value));
        if (slm_str_is(member->name, "reasoning_content") && !slm_json_get(v, "thinking"))
            SLM_TRY(slm_j_put(c->j, message, "thinking", value));
    }
    c->j->data_mark = SLM_MARK_DATA;
    return slm_j_append(c->j, c->messages, message);
}

static slm_status add_message(conversation *c, size_t index, const slm_message *m) {
    slm_str role = text_of(m->role, m->role_len), content = text_of(m->content, m->content_len);
    slm_jvalue message, value;
    if (!content.ptr && (content.len != 0 || !role.ptr))
        return slm_fail(c->j->error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                        "message %zu: %s is NULL", index, m->role ? "content" : "role");
    c->j->input_bytes += content.len;
    if (!role.ptr) {
        const slm_json *v;
        char what[40];
        snprintf(what, sizeof what, "message %zu", index);
        SLM_TRY(slm_json_parse(&c->j->arena, content.ptr, content.len, 0, what, &v, c->j->error));
        return add_json(c, index, v);
    }
    SLM_TRY(slm_j_dict(c->j, &message));
    SLM_TRY(put_role(c, message, index, role));
    SLM_TRY(slm_j_string(c->j, content.ptr, content.len, mark_of(index), &value));
    SLM_TRY(slm_j_put(c->j, message, "content", value));
    return slm_j_append(c->j, c->messages, message);
}

static slm_status add_messages(conversation *c, const slm_json *list) {
    if (!list || list->type != SLM_JSON_ARRAY)
        return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "conversation", SLM_NO_OFFSET,
                        "messages is %s, wanted an array", kind_of(list));
    for (uint32_t i = 0; i < list->n_items; i++)
        SLM_TRY(add_json(c, i, &list->items[i]));
    return SLM_OK;
}

/* ---- the rest ---- */

static slm_status take_tools(conversation *c, const slm_json *v) {
    if (v->type != SLM_JSON_ARRAY && v->type != SLM_JSON_NULL)
        return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "tools", SLM_NO_OFFSET,
                        "tools is %s, wanted an array or null", kind_of(v));
    for (uint32_t i = 0; i < v->n_items; i++)
        if (v->items[i].type != SLM_JSON_OBJECT)
            return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "tools", SLM_NO_OFFSET,
                            "tools[%u] is %s, wanted an object", (unsigned)i,
                            kind_of(&v->items[i]));
    return slm_j_from_json(c->j, v, &c->tools);
}

static slm_status take_extra(conversation *c, const slm_json *v) {
    if (v->type != SLM_JSON_OBJECT)
        return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "extra", SLM_NO_OFFSET,
                        "extra is %s, wanted an object", kind_of(v));
    for (uint32_t i = 0; i < v->n_items; i++) {
        const slm_json *member = &v->items[i];
        slm_jvalue value;
        if (slm_str_is(member->name, "continue_final_message")) {
            c->continues = member->type == SLM_JSON_TRUE;
            continue;
        }
        SLM_TRY(slm_j_from_json(c->j, member, &value));
        SLM_TRY(slm_j_set_var(c->j, c->j->globals, member->name, value));
    }
    return SLM_OK;
}

/* Reads one of the JSON texts of the input; NULL where there is none. */
static slm_status read_json(conversation *c, const char *text, size_t len, const char *what,
                            const slm_json **out) {
    slm_str s = text_of(text, len);
    *out = NULL;
    if (!s.ptr)
        return SLM_OK;
    c->j->input_bytes += s.len;
    return slm_json_parse(&c->j->arena, s.ptr, s.len, 0, what, out, c->j->error);
}

static slm_status take_conversation(conversation *c, const slm_json *v) {
    const slm_json *tools = slm_json_get(v, "tools"), *extra = slm_json_get(v, "extra");
    const slm_json *prompt = slm_json_get(v, "add_generation_prompt");
    if (v->type != SLM_JSON_OBJECT)
        return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "conversation", SLM_NO_OFFSET,
                        "the conversation is %s, wanted an object", kind_of(v));
    SLM_TRY(add_messages(c, slm_json_get(v, "messages")));
    if (tools)
        SLM_TRY(take_tools(c, tools));
    if (prompt)
        c->prompt = prompt->type == SLM_JSON_TRUE;
    return extra && extra->type != SLM_JSON_NULL ? take_extra(c, extra) : SLM_OK;
}

static slm_status take_input(conversation *c, const slm_chat_input *in) {
    const slm_json *tools, *extra, *whole;
    SLM_TRY(slm_j_list(c->j, 0, &c->messages));
    SLM_TRY(read_json(c, in->tools, in->tools_len, "tools", &tools));
    SLM_TRY(read_json(c, in->extra, in->extra_len, "extra", &extra));
    SLM_TRY(read_json(c, in->conversation, in->conversation_len, "conversation", &whole));
    if ((whole != NULL) == (in->n_messages > 0))
        return slm_fail(c->j->error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                        whole ? "got messages and a conversation, wanted one of them"
                              : "no messages, wanted at least one");
    if (tools)
        SLM_TRY(take_tools(c, tools));
    if (extra)
        SLM_TRY(take_extra(c, extra));
    if (whole)
        SLM_TRY(take_conversation(c, whole));
    for (size_t i = 0; i < in->n_messages; i++)
        SLM_TRY(add_message(c, i, &in->messages[i]));
    return SLM_OK;
}

/* ---- continuing the last message ---- */

static slm_status append_cut(conversation *c, slm_jvalue *text) {
    slm_jvalue cut;
    SLM_TRY(slm_j_string(c->j, CUT, CUT_LEN, SLM_MARK_CUT, &cut));
    return slm_j_concat(c->j, *text, cut, text);
}

/* Marks the end of the last message: of its content, or of the last text among its parts. */
static slm_status mark_end(conversation *c) {
    const slm_jlist *messages = c->messages.u.list;
    slm_jvalue *content = NULL, *text = NULL;
    if (messages->n > 0)
        content =
            slm_j_find_str(c->j, messages->items[messages->n - 1].u.dict, (slm_str){"content", 7});
    if (content && content->type == SLM_J_STRING)
        text = content;
    for (size_t i = content && content->type == SLM_J_LIST ? content->u.list->n : 0;
         i-- > 0 && !text;) {
        slm_jvalue part = content->u.list->items[i];
        if (part.type == SLM_J_DICT)
            text = slm_j_find_str(c->j, part.u.dict, (slm_str){"text", 4});
    }
    if (!text || text->type != SLM_J_STRING)
        return slm_fail(c->j->error, SLM_ERR_TEMPLATE, "messages", SLM_NO_OFFSET,
                        "the last message has no text that could be continued");
    return append_cut(c, text);
}

/* Ends the output where the last message ends. */
static slm_status cut_output(slm_jinja *j) {
    const slm_jmark *marks = slm_j_marks(&j->marks);
    const char *text = j->text.ptr;
    size_t at = j->text.len;
    while (at > 0 && marks[at - 1] != SLM_MARK_CUT)
        at--;
    while (at > 0 && marks[at - 1] == SLM_MARK_CUT)
        at--;
    if (j->text.len - at < CUT_TEXT_LEN || memcmp(text + at, CUT, CUT_TEXT_LEN) != 0)
        return slm_fail(j->error, SLM_ERR_TEMPLATE, "messages", SLM_NO_OFFSET,
                        "the template does not write the last message, which is to be continued");
    /* A template that trims the mark's blank would have trimmed the message's own. */
    int trimmed = j->text.len - at < CUT_LEN || text[at + CUT_TEXT_LEN] != ' ';
    while (trimmed && at > 0) {
        size_t start = at - 1, len;
        while (start > 0 && ((uint8_t)text[start] & 0xC0) == 0x80)
            start--;
        if (!slm_cp_is_blank(slm_utf8_decode(text + start, at - start, &len)))
            break;
        at = start;
    }
    j->text.len = at;
    j->marks.len = at * sizeof *marks;
    return SLM_OK;
}

/* ---- all of it ---- */

static slm_status define_name(slm_jinja *j, const char *name, slm_str spelt) {
    slm_jvalue v;
    if (!spelt.ptr)
        return SLM_OK;
    SLM_TRY(slm_j_string(j, spelt.ptr, spelt.len, SLM_MARK_TEMPLATE, &v));
    return slm_jinja_set(j, name, v);
}

static slm_status define(conversation *c, const slm_chat_names *names) {
    slm_jinja *j = c->j;
    SLM_TRY(define_name(j, "bos_token", names->bos));
    SLM_TRY(define_name(j, "eos_token", names->eos));
    SLM_TRY(define_name(j, "unk_token", names->unk));
    return slm_jinja_set(j, "documents", slm_j_none());
}

slm_status slm_chat_render_template(slm_chat_prompt *p, slm_host *host, slm_str source,
                                    const slm_str *with_tools, const slm_chat_names *names,
                                    const slm_chat_input *input, slm_error *error) {
    slm_jinja *j = &p->j;
    conversation c = {.j = j, .tools = slm_j_none()};
    slm_jinja_begin(j, host, error);
    j->clock = (slm_jclock){input->now != 0, input->now};
    c.prompt = (input->flags & SLM_CHAT_GENERATION_PROMPT) != 0;
    c.continues = (input->flags & SLM_CHAT_CONTINUE) != 0;
    SLM_TRY(define(&c, names)); /* first: extra may have others */
    SLM_TRY(take_input(&c, input));
    if (c.continues && c.prompt)
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "got a message to continue and a generation prompt, wanted one of them");
    if (c.continues)
        SLM_TRY(mark_end(&c));
    SLM_TRY(slm_jinja_set(j, "messages", c.messages));
    SLM_TRY(slm_jinja_set(j, "tools", c.tools));
    SLM_TRY(slm_jinja_set(j, "add_generation_prompt", slm_j_bool(c.prompt)));
    SLM_TRY(slm_jinja_render(j, with_tools && c.tools.type == SLM_J_LIST ? *with_tools : source));
    if (c.continues)
        SLM_TRY(cut_output(j));
    p->spells_bos = names->bos.len > 0 && j->text.len >= names->bos.len &&
                    memcmp(j->text.ptr, names->bos.ptr, names->bos.len) == 0 &&
                    slm_j_marks(&j->marks)[0] == SLM_MARK_TEMPLATE;
    return SLM_OK;
}
