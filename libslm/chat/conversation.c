/* What is evaluated of a conversation and when. The edits are in edits.c. */
#include "chat/conversation.h"

#include "guide/guide.h"
#include "text/toolcall.h"

/* ---- life ---- */

static slm_status copy_text(slm_buffer *out, slm_str text, slm_error *error) {
    if (text.ptr == NULL)
        return SLM_OK;
    SLM_TRY(slm_buffer_reserve(out, 1, error)); /* an empty text is one too */
    return slm_buffer_append(out, text.ptr, text.len, error);
}

static slm_status fill(slm_chat *c, const slm_chat_options *o, slm_error *error) {
    uint32_t n_ctx = c->session->cache->options.n_ctx;
    slm_str chat_template = slm_str_given(o->chat_template, o->chat_template_len);
    SLM_TRY(copy_text(&c->extra, slm_str_given(o->extra, o->extra_len), error));
    SLM_TRY(copy_text(&c->chat_template, chat_template, error));
    SLM_TRY(slm_conversation_set_tools(c, slm_str_given(o->tools, o->tools_len), error));
    c->ids = slm_alloc(c->host, n_ctx * sizeof *c->ids);
    return c->ids != NULL ? SLM_OK
                          : slm_fail_nomem(error, n_ctx * sizeof *c->ids, "a conversation");
}

static slm_status check_options(const slm_session *s, const slm_chat_options *o,
                                slm_error *error) {
    uint32_t n_ctx = s->cache->options.n_ctx;
    if (o->when_full < SLM_CHAT_FULL_STOP || o->when_full > SLM_CHAT_FULL_DROP)
        return slm_fail(error, SLM_ERR_RANGE, "when_full", SLM_NO_OFFSET,
                        "slm_chat_options.when_full: got %d, wanted 0 or 1", o->when_full);
    if (o->reserve >= n_ctx)
        return slm_fail(error, SLM_ERR_RANGE, "reserve", SLM_NO_OFFSET,
                        "slm_chat_options.reserve: got %u, wanted less than the context of %u",
                        o->reserve, n_ctx);
    if (o->chat_template == NULL && s->cache->model->chat == SLM_CHAT_NONE)
        return slm_fail(error, SLM_ERR_MISSING, "chat_template", SLM_NO_OFFSET,
                        "the model has no chat template: give one in slm_chat_options");
    return SLM_OK;
}

slm_status slm_conversation_create(slm_session *session, const slm_chat_options *options,
                                   slm_chat **out, slm_error *error) {
    slm_model *model = session->cache->model;
    slm_host *host = &model->host;
    SLM_TRY(check_options(session, options, error));
    slm_chat *c = slm_calloc(host, 1, sizeof *c);
    if (c == NULL)
        return slm_fail_nomem(error, sizeof *c, "a conversation");
    c->session = session;
    c->model = model;
    c->host = host;
    c->when_full = options->when_full;
    c->reserve = options->reserve != 0 ? options->reserve : session->cache->options.n_ctx / 8;
    c->now = options->now;
    c->filter_fn = options->filter;
    c->filter_user = options->filter_user;
    c->transcript.host = host;
    c->tools.host = c->extra.host = c->chat_template.host = c->tail.host = c->text.host = host;
    slm_model_retain(model);
    slm_status status = fill(c, options, error);
    if (status != SLM_OK) {
        slm_conversation_destroy(c);
        return status;
    }
    *out = c;
    return SLM_OK;
}

void slm_conversation_destroy(slm_chat *c) {
    slm_model *model = c->model;
    if (c->answer != NULL)
        slm_answer_watch(c->answer, NULL, NULL);
    slm_guide_release(c->guide);
    slm_transcript_free(&c->transcript);
    slm_buffer_free(&c->tools);
    slm_buffer_free(&c->extra);
    slm_buffer_free(&c->chat_template);
    slm_buffer_free(&c->tail);
    slm_buffer_free(&c->text);
    slm_free(c->host, c->ids);
    slm_free(c->host, c);
    slm_model_release(model);
}

slm_status slm_conversation_ready(slm_chat *c, slm_error *error) {
    SLM_TRY(slm_session_check_free(c->session, error));
    if (!c->lost)
        return SLM_OK;
    c->lost = 0;
    return slm_fail(error, SLM_ERR_NOMEM, NULL, SLM_NO_OFFSET,
                    "memory was refused to the last answer: it is not in the transcript");
}

/* ---- rendering ---- */

/* What of the conversation becomes a prompt, behind the messages of the transcript. */
typedef struct view {
    uint32_t flags;    /* SLM_CHAT_...                                                            */
    const char *role;  /* of one more message, or NULL                                            */
    slm_str content;
    int bare;          /* the last message of the transcript is without its tail                  */
} view;

static slm_entry *last_entry(const slm_chat *c) {
    return c->transcript.n > 0 ? &c->transcript.entries[c->transcript.n - 1] : NULL;
}

/* The newest message of the user will get the tail when it is answered. */
static int waits_for_tail(const slm_chat *c, size_t index) {
    const slm_entry *e = &c->transcript.entries[index];
    return c->tail.len > 0 && index >= c->n_committed && e->speaker == SLM_SPEAKER_USER &&
           e->tail.len == 0;
}

/* What is certain of the next prompt: up to where the next message begins, when it cannot be the
 * assistant's; before a tail, which may still change. */
static view certain(const slm_chat *c) {
    const slm_entry *last = last_entry(c);
    if (last == NULL || last->speaker == SLM_SPEAKER_SYSTEM)
        return (view){.flags = SLM_CHAT_CONTINUE, .role = "user", .content = {"", 0}};
    if (last->speaker == SLM_SPEAKER_ASSISTANT)
        return (view){.flags = SLM_CHAT_CONTINUE, .role = last->has_calls ? "tool" : "user",
                      .content = {"", 0}};
    if (waits_for_tail(c, c->transcript.n - 1))
        return (view){.flags = SLM_CHAT_CONTINUE};
    return (view){.flags = SLM_CHAT_GENERATION_PROMPT};
}

static slm_message shown(const slm_chat *c, const view *v, size_t index) {
    const slm_entry *e = &c->transcript.entries[index];
    slm_str text = slm_entry_shown(e);
    if (v->bare && index + 1 == c->transcript.n)
        text = (slm_str){e->json.ptr, e->json.len};
    return (slm_message){sizeof(slm_message), NULL, 0, text.ptr, text.len};
}

static slm_status render(slm_chat *c, const view *v, size_t n_dropped, slm_chat_prompt *p,
                         slm_error *error) {
    size_t n = 0, n_pinned = slm_transcript_pinned(&c->transcript);
    size_t bytes = (c->transcript.n + 1) * sizeof(slm_message);
    slm_message *messages = slm_alloc(c->host, bytes);
    *p = (slm_chat_prompt){0};
    if (messages == NULL)
        return slm_fail_nomem(error, bytes, "the messages of a prompt");
    for (size_t i = 0; i < c->transcript.n; i++)
        if (i < n_pinned || i >= n_pinned + n_dropped)
            messages[n++] = shown(c, v, i);
    if (v->role != NULL)
        messages[n++] = (slm_message){sizeof(slm_message), v->role, SLM_NTS, v->content.ptr,
                                      v->content.len};
    slm_chat_input in = {.struct_size = sizeof in, .flags = v->flags, .messages = messages,
                         .n_messages = n, .now = c->now,
                         .tools = c->tools.ptr, .tools_len = c->tools.len,
                         .extra = c->extra.ptr, .extra_len = c->extra.len,
                         .chat_template = c->chat_template.ptr,
                         .chat_template_len = c->chat_template.len};
    slm_status status = slm_chat_prompt_open(p, c->host, c->model->chat, c->model->gguf,
                                             c->model->vocab, &in, error);
    slm_free(c->host, messages);
    return status;
}

/* Ids of what was rendered; those of more than a context are only counted. */
static slm_status find_ids(slm_chat *c, const slm_chat_prompt *p, size_t *n_ids, slm_error *error) {
    uint32_t n_ctx = c->session->cache->options.n_ctx;
    slm_status status = slm_chat_ids(p, c->model->vocab, c->ids, n_ctx, n_ids, NULL);
    if (status == SLM_OK || (status == SLM_ERR_LIMIT && *n_ids > n_ctx))
        return SLM_OK;
    return slm_chat_ids(p, c->model->vocab, c->ids, n_ctx, n_ids, error); /* to say why */
}

static slm_status render_ids(slm_chat *c, const view *v, size_t n_dropped, slm_chat_prompt *p,
                             size_t *n_ids, slm_error *error) {
    *n_ids = 0;
    SLM_TRY(render(c, v, n_dropped, p, error));
    return find_ids(c, p, n_ids, error);
}

static uint32_t common_tokens(const slm_chat *c, size_t n_ids) {
    const slm_session *s = c->session;
    uint32_t n = 0;
    while (n < n_ids && n < s->n_tokens && s->tokens[n] == c->ids[n])
        n++;
    return n;
}

int slm_conversation_settle(slm_chat *c) {
    view v = certain(c);
    slm_chat_prompt p;
    size_t n_ids;
    c->has_draft = 0;
    if (c->session->n_tokens == 0)
        return 1;
    slm_status status = render_ids(c, &v, c->n_dropped, &p, &n_ids, NULL);
    int is_known = status == SLM_OK && n_ids <= c->session->cache->options.n_ctx;
    if (is_known)
        slm_session_cut(c->session, common_tokens(c, n_ids));
    slm_chat_prompt_close(&p);
    return is_known;
}

/* ---- a full context ---- */

/* How many messages go when one more turn does; 0 when it is the one that is wanted. */
static size_t drop_turn(const slm_chat *c, const view *v, size_t n_dropped) {
    const slm_transcript *t = &c->transcript;
    size_t n_pinned = slm_transcript_pinned(t), first = n_pinned + n_dropped;
    if (first >= t->n)
        return 0;
    size_t next = slm_transcript_next_turn(t, first);
    return next < t->n || v->role != NULL ? next - n_pinned : 0;
}

/* Renders as much as there is room for. The caller closes *p, after a failure too. */
static slm_status fit(slm_chat *c, const view *v, slm_chat_prompt *p, size_t *n_ids,
                      size_t *n_dropped, slm_error *error) {
    size_t n_ctx = c->session->cache->options.n_ctx, room = n_ctx - c->reserve, next;
    size_t wanted = room;
    *n_dropped = c->n_dropped;
    SLM_TRY(render_ids(c, v, *n_dropped, p, n_ids, error));
    while (c->when_full == SLM_CHAT_FULL_DROP && *n_ids > wanted &&
           (next = drop_turn(c, v, *n_dropped)) > 0) {
        wanted = room > n_ctx / 4 ? room - n_ctx / 4 : 0;
        *n_dropped = next;
        slm_chat_prompt_close(p);
        SLM_TRY(render_ids(c, v, *n_dropped, p, n_ids, error));
    }
    if (*n_ids > room)
        return slm_fail(error, SLM_ERR_CTX, "reserve", SLM_NO_OFFSET,
                        "the conversation has %zu tokens, wanted at most %zu: the context of %zu "
                        "without a reserve of %u", *n_ids, room, n_ctx, c->reserve);
    return SLM_OK;
}

/* ---- evaluation ---- */

static slm_chat_segment segment_of(const slm_chat *c, const slm_chat_place *place, size_t message) {
    if (place->is_other)
        return SLM_SEGMENT_TOOLS;
    if (message == SIZE_MAX || message < slm_transcript_pinned(&c->transcript))
        return SLM_SEGMENT_SYSTEM;
    if (message >= c->transcript.n)
        return SLM_SEGMENT_DRAFT;
    const slm_entry *e = &c->transcript.entries[message];
    if (e->tail.len > 0 && place->offset >= slm_entry_content_len(e))
        return SLM_SEGMENT_TAIL;
    return message >= c->n_committed ? SLM_SEGMENT_DRAFT : SLM_SEGMENT_HISTORY;
}

/* Where the token is that reuse stopped at. */
static slm_status find_stop(const slm_chat *c, const slm_chat_prompt *p, size_t token,
                            size_t n_dropped, slm_chat_report *r, slm_error *error) {
    size_t byte, n_pinned = slm_transcript_pinned(&c->transcript);
    SLM_TRY(slm_chat_token_byte(p, c->model->vocab, c->ids, token, &byte, error));
    slm_chat_place place = slm_chat_find_place(p, byte);
    size_t message = place.message;
    if (message != SIZE_MAX && message >= n_pinned)
        message += n_dropped;
    r->segment = segment_of(c, &place, message);
    r->message = place.is_other || message == SIZE_MAX ? UINT64_MAX : message;
    return SLM_OK;
}

/* Makes the session hold what is seen of the conversation. */
static slm_status bring(slm_chat *c, const view *v, slm_chat_report *report, slm_error *error) {
    slm_prompt_report r = {.struct_size = sizeof r};
    slm_chat_prompt p;
    size_t n_ids, n_dropped;
    uint32_t common = 0;
    *report = (slm_chat_report){.struct_size = sizeof *report, .message = UINT64_MAX};
    slm_status status = fit(c, v, &p, &n_ids, &n_dropped, error);
    if (status == SLM_OK && n_ids == 0)
        status = slm_fail(error, SLM_ERR_TEMPLATE, "messages", SLM_NO_OFFSET,
                          "the template writes nothing of the conversation");
    if (status == SLM_OK) {
        common = common_tokens(c, n_ids);
        c->has_draft = 0;
        status = slm_session_set_prompt(c->session, c->ids, n_ids, &r, error);
    }
    if (status == SLM_OK && r.reuse_stop == SLM_REUSE_TOKEN)
        status = find_stop(c, &p, common, n_dropped, report, error);
    slm_chat_prompt_close(&p);
    SLM_TRY(status);
    report->reuse_stop = r.reuse_stop;
    report->n_reused = r.n_reused;
    report->n_evaluated = r.n_evaluated;
    report->n_dropped = (uint32_t)(n_dropped - c->n_dropped);
    c->n_dropped = n_dropped;
    return SLM_OK;
}

slm_status slm_conversation_draft(slm_chat *c, slm_str text, slm_chat_report *report,
                                  slm_error *error) {
    view v = certain(c);
    if (text.len > 0)
        v = (view){.flags = SLM_CHAT_CONTINUE, .role = "user", .content = text};
    SLM_TRY(bring(c, &v, report, error));
    c->has_draft = text.len > 0;
    return SLM_OK;
}

/* ---- answers ---- */

/* The assistant's message as it came, into the transcript. */
static slm_status take_answer(slm_chat *c, slm_answer *a, slm_error *error) {
    slm_str json;
    slm_entry e, joined;
    SLM_TRY(slm_answer_message(a, &json, error));
    slm_message m = {sizeof m, NULL, 0, json.ptr, json.len};
    SLM_TRY(slm_entry_make(&e, c->host, &m, NULL, error));
    slm_status status;
    if (c->is_continued) {
        status = slm_entry_join(last_entry(c), &e, &joined, error);
        slm_entry_free(&e);
        SLM_TRY(status);
        slm_entry_free(last_entry(c));
        *last_entry(c) = joined;
        return SLM_OK;
    }
    status = slm_transcript_add(&c->transcript, &e, error);
    if (status != SLM_OK)
        slm_entry_free(&e);
    return status;
}

static void answer_ended(void *owner, slm_answer *a) {
    slm_chat *c = owner; /* whose session is left as it is: the next evaluation compares */
    c->lost = take_answer(c, a, NULL) != SLM_OK;
    c->answer = NULL;
    c->n_committed = c->transcript.n;
}

static slm_status check_last(const slm_chat *c, int continues, slm_error *error) {
    const slm_entry *last = last_entry(c);
    if (last == NULL || (last->speaker == SLM_SPEAKER_ASSISTANT) != continues)
        return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                        continues ? "the last message is not the assistant's, wanted one to go on "
                                    "with"
                        : last == NULL
                            ? "the conversation has no messages, wanted one to answer"
                            : "the last message is the assistant's, wanted one to answer");
    if (continues && last->has_calls)
        return slm_fail(error, SLM_ERR_ARG, "messages", SLM_NO_OFFSET,
                        "the last message calls tools, wanted one that ends in text");
    return SLM_OK;
}

/* The newest message of the user, when it is to get the tail; else n. */
static size_t find_tailless(const slm_chat *c) {
    for (size_t i = c->transcript.n; i-- > c->n_committed;)
        if (c->transcript.entries[i].speaker == SLM_SPEAKER_USER)
            return waits_for_tail(c, i) ? i : c->transcript.n;
    return c->transcript.n;
}

/* Begins an answer, held to the conversation's tools where options say nothing of calls. */
static slm_status begin(slm_chat *c, const slm_answer_options *options, slm_answer **out,
                        slm_error *error) {
    static const slm_generate_options defaults = {.struct_size = sizeof defaults};
    slm_answer_options o = *options;
    slm_generate_options generate;
    slm_tools_options as_template = {.struct_size = sizeof as_template};
    SLM_TRY(slm_copy_options(&generate, sizeof generate, &defaults, o.generate,
                             "slm_generate_options", error));
    int holds_tools = c->tools.ptr != NULL && o.tools == NULL && generate.guide == NULL &&
                      !(o.flags & SLM_ANSWER_CALLS);
    int is_plain = o.tools_options == NULL && o.guide_options == NULL;
    if (o.tools_options == NULL && c->chat_template.ptr != NULL) {
        as_template.format =
            slm_toolcall_detect((slm_str){c->chat_template.ptr, c->chat_template.len});
        o.tools_options = &as_template;
    }
    if (holds_tools && is_plain) { /* one guide for all such answers: it gets faster with use */
        if (c->guide == NULL)
            SLM_TRY(slm_guide_compile_tools(c->model, c->tools.ptr, c->tools.len, o.tools_options,
                                            NULL, &c->guide, error));
        generate.guide = c->guide;
        o.generate = &generate;
        o.flags |= SLM_ANSWER_CALLS;
    } else if (holds_tools) {
        o.tools = c->tools.ptr;
        o.tools_len = c->tools.len;
    }
    return slm_answer_create(c->session, &o, out, error);
}

slm_status slm_conversation_answer(slm_chat *c, const slm_answer_options *options, int continues,
                                   slm_answer **out, slm_chat_report *report, slm_error *error) {
    static const slm_str NONE = {NULL, 0};
    view v = {.flags = continues ? SLM_CHAT_CONTINUE : SLM_CHAT_GENERATION_PROMPT,
              .bare = continues};
    SLM_TRY(check_last(c, continues, error));
    size_t tailless = continues ? c->transcript.n : find_tailless(c);
    if (tailless < c->transcript.n)
        SLM_TRY(slm_entry_set_tail(&c->transcript.entries[tailless],
                                   (slm_str){c->tail.ptr, c->tail.len}, error));
    slm_status status = bring(c, &v, report, error);
    if (status == SLM_OK)
        status = begin(c, options, out, error);
    if (status != SLM_OK) {
        if (tailless < c->transcript.n)
            (void)slm_entry_set_tail(&c->transcript.entries[tailless], NONE, NULL);
        return status;
    }
    if (continues)
        (void)slm_entry_set_tail(last_entry(c), NONE, NULL);
    c->n_committed = c->transcript.n;
    c->is_continued = continues;
    c->answer = *out;
    slm_answer_watch(*out, answer_ended, c);
    return SLM_OK;
}
