/* The text of a generator goes through stages, each of which holds back what it cannot tell yet:
 *
 *   in        what the generator wrote -> thinking, or the body of the answer
 *   calls     the body -> calls of tools, or text
 *   clauses   text -> whole clauses, which the filter judges
 *   speech    what was delivered -> pieces to be spoken
 *
 * A step asks the last stage first, so that what was delivered is spoken before more is delivered, and
 * makes a token when no stage has anything. */
#include "chat/answer.h"

#include "base/buffer.h"
#include "base/json.h"
#include "guide/guide.h"
#include "text/chat.h"
#include "text/detok.h"
#include "text/markers.h"
#include "text/speak.h"

#include <string.h>

enum { MAX_CLOSING = 32 /* tokens of what closes the thinking */ };

typedef enum place { AT_START, IN_THINKING, IN_BODY } place;

/* The text before a call, and at the end, is complete: the last two stages give up what they hold, one
 * after the other. */
typedef enum flush { FLOWING, FLUSH_CLAUSES, LAST_CLAUSE, FLUSH_SPEECH, FLUSHED } flush;

struct slm_answer {
    slm_host *host;
    slm_model *model;           /* kept alive */
    slm_generator *generator;   /* NULL: it has ended                                          */
    slm_guide *guide;           /* of the tools in the options, or NULL                        */
    slm_toolcall *calls;        /* NULL: none are looked for                                   */
    slm_speaker *clauses;       /* NULL: there is no filter                                    */
    slm_speaker *speech;        /* NULL: nobody speaks                                         */
    slm_filter_fn filter;
    void *filter_user;
    slm_answer_ended_fn ended;
    void *owner;
    slm_answer_token_fn report; /* NULL: nobody wants to see tokens                            */
    void *report_user;
    uint32_t flags;
    place place;
    flush flush;
    slm_status failed;          /* memory was refused: there is no going on                    */
    slm_end_reason reason;      /* of the generator, or of the filter                          */
    uint64_t count, forced, steps, drafted;
    uint64_t budget, n_thinking; /* tokens                                                     */
    slm_buffer in, thinking, held, text, tool_calls, arguments, message;
    size_t in_at;               /* of in, bytes that are sorted                                */
    uint64_t n_judged;          /* bytes of the text since the last flush that the filter saw */
    size_t n_clause;            /* of held, bytes that the filter is to judge                  */
    size_t n_calls_len;         /* of tool_calls, bytes of whole calls                         */
    uint64_t speech_at;         /* where in the text the pieces to be spoken count from        */
    slm_tool_event call;        /* of a call, while the text before it is given up             */
    uint8_t has_call;
    uint8_t after_thinking;     /* white space belongs to nothing                              */
    uint8_t closing;            /* the thinking is being closed                                */
    uint8_t calls_finished, calls_ended;
    uint8_t arguments_as_text;
    uint8_t is_over;            /* END was delivered                                           */
};

/* ---- beginning -------------------------------------------------------------------------------- */

/* The prompt ends in what opens the thinking. */
static int prompt_thinks(const int32_t *ids, uint32_t n_ids, const slm_vocab *v) {
    enum { WINDOW = 8, TEXT = 1024 };
    static const slm_str open = {SLM_THINKING_OPEN, sizeof SLM_THINKING_OPEN - 1};
    char text[TEXT];
    size_t len = 0;
    uint32_t n = n_ids < WINDOW ? n_ids : WINDOW;
    if (slm_vocab_detokenize(v, ids + (n_ids - n), n, SLM_DETOKENIZE_SPECIAL, text, sizeof text,
                             &len, NULL) != SLM_OK)
        return 0; /* tokens longer than these are no markers */
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL && text[len - 1] != 0)
        len--;
    return len >= open.len && memcmp(text + len - open.len, open.ptr, open.len) == 0;
}

static slm_status open_generator(slm_answer *a, slm_cache *cache, const int32_t *ids,
                                 uint32_t n_ids, const slm_answer_options *o,
                                 const slm_call_format *format, slm_error *error) {
    static const slm_generate_options defaults = {.struct_size = sizeof defaults};
    const slm_vocab *v = a->model->vocab;
    slm_generate_options g;
    int32_t markers[SLM_MARKERS_MAX];
    SLM_TRY(slm_copy_options(&g, sizeof g, &defaults, o->generate, "slm_generate_options", error));
    if (o->tools != NULL) {
        if (g.guide != NULL)
            return slm_fail(error, SLM_ERR_ARG, "tools", SLM_NO_OFFSET,
                            "slm_answer_options.tools: got tools and a guide in generate, wanted "
                            "one of them");
        SLM_TRY(slm_guide_compile_tools(a->model, o->tools, o->tools_len, o->tools_options,
                                        o->guide_options, &a->guide, error));
        g.guide = a->guide;
    }
    if (a->calls != NULL && g.guide != NULL && g.guide->has_calls)
        slm_toolcall_stream(a->calls);
    SLM_TRY(slm_generator_new(cache, n_ids, &g, &a->generator, error));
    slm_generator_spell(a->generator, markers, slm_markers_find(v, format, markers));
    if (!prompt_thinks(ids, n_ids, v))
        return SLM_OK;
    slm_status status = slm_generator_lead(a->generator, SLM_THINKING_OPEN,
                                           strlen(SLM_THINKING_OPEN), error);
    if (status == SLM_OK)
        a->place = IN_THINKING;
    return status == SLM_ERR_RANGE ? SLM_OK : status; /* the guide wants no thinking */
}

static slm_status find_format(slm_answer *a, const slm_answer_options *o,
                              const slm_call_format **format, slm_error *error) {
    static const slm_tools_options defaults = {.struct_size = sizeof defaults};
    slm_tools_options t;
    *format = NULL;
    if (o->tools == NULL && !(o->flags & SLM_ANSWER_CALLS))
        return SLM_OK;
    SLM_TRY(slm_copy_options(&t, sizeof t, &defaults, o->tools_options, "slm_tools_options",
                             error));
    if (t.format == SLM_TOOLS_AUTO)
        SLM_TRY(slm_model_get_tool_format(a->model, &t.format, error));
    *format = slm_call_format_of(t.format);
    if (*format == NULL)
        return slm_fail(error, SLM_ERR_RANGE, "format", SLM_NO_OFFSET,
                        "slm_tools_options.format: got %d, wanted %d to %d", t.format,
                        SLM_TOOLS_AUTO, SLM_TOOLS_JSON);
    slm_str template = slm_chat_template(a->model->gguf, "tokenizer.chat_template.tool_use");
    if (template.ptr == NULL)
        template = slm_chat_template(a->model->gguf, "tokenizer.chat_template");
    a->arguments_as_text = template.ptr != NULL && slm_toolcall_wants_text(template);
    return slm_toolcall_open(a->host, t.format, 0, &a->calls, error);
}

static slm_status set_up(slm_answer *a, slm_cache *cache, const int32_t *ids, uint32_t n_ids,
                         const slm_answer_options *o, slm_error *error) {
    const slm_call_format *format;
    slm_speech_options speech;
    const slm_speech_options plain = {.struct_size = sizeof plain, .flags = SLM_SPEECH_PLAIN};
    SLM_TRY(slm_buffer_reserve(&a->in, 1, error));
    SLM_TRY(find_format(a, o, &format, error));
    if (o->filter != NULL) {
        SLM_TRY(slm_speaker_options(&plain, &speech, error));
        SLM_TRY(slm_speaker_open(a->host, &speech, &a->clauses, error));
    }
    if (o->speech != NULL) {
        SLM_TRY(slm_speaker_options(o->speech, &speech, error));
        SLM_TRY(slm_speaker_open(a->host, &speech, &a->speech, error));
    }
    return open_generator(a, cache, ids, n_ids, o, format, error);
}

slm_status slm_answer_new(slm_cache *cache, const int32_t *ids, uint32_t n_ids,
                          const slm_answer_options *options, slm_answer **out, slm_error *error) {
    const uint32_t known = SLM_ANSWER_THINKING | SLM_ANSWER_CALLS;
    slm_model *model = cache->model;
    *out = NULL;
    if (options->flags & ~known)
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_answer_options.flags: got 0x%x, which has unknown bits",
                        options->flags);
    slm_answer *a = slm_calloc(&model->host, 1, sizeof *a);
    if (a == NULL)
        return slm_fail_nomem(error, sizeof *a, "an answer");
    slm_model_retain(model);
    a->model = model;
    a->host = &model->host;
    a->in.host = a->thinking.host = a->held.host = a->text.host = a->host;
    a->tool_calls.host = a->arguments.host = a->message.host = a->host;
    a->flags = options->flags;
    a->budget = options->thinking_budget;
    a->filter = options->filter;
    a->filter_user = options->filter_user;
    slm_status status = set_up(a, cache, ids, n_ids, options, error);
    if (status != SLM_OK) {
        slm_answer_destroy(a);
        return status;
    }
    *out = a;
    return SLM_OK;
}

slm_status slm_answer_create(slm_session *session, const slm_answer_options *options,
                             slm_answer **out, slm_error *error) {
    *out = NULL;
    SLM_TRY(slm_generator_check(session, error));
    SLM_TRY(slm_answer_new(session->cache, session->tokens, session->n_tokens, options, out,
                           error));
    slm_generator_attach((*out)->generator, session);
    return SLM_OK;
}

slm_generator *slm_answer_generator(const slm_answer *a) { return a->generator; }

void slm_answer_report(slm_answer *a, slm_answer_token_fn report, void *user) {
    a->report = report;
    a->report_user = user;
}

void slm_answer_watch(slm_answer *a, slm_answer_ended_fn ended, void *owner) {
    a->ended = ended;
    a->owner = owner;
}

/* The session is free again, and the owner is told, once. */
static void end_generator(slm_answer *a) {
    slm_answer_ended_fn ended = a->ended;
    slm_generate_end(&a->generator);
    a->ended = NULL;
    if (ended != NULL)
        ended(a->owner, a);
}

void slm_answer_destroy(slm_answer *a) {
    if (a == NULL)
        return;
    slm_model *model = a->model;
    end_generator(a);
    slm_guide_close(&a->guide);
    slm_toolcall_close(a->calls);
    slm_speaker_close(a->clauses);
    slm_speaker_close(a->speech);
    slm_buffer_free(&a->in);
    slm_buffer_free(&a->thinking);
    slm_buffer_free(&a->held);
    slm_buffer_free(&a->text);
    slm_buffer_free(&a->tool_calls);
    slm_buffer_free(&a->arguments);
    slm_buffer_free(&a->message);
    slm_free(a->host, a);
    slm_model_release(model);
}

/* ---- text ------------------------------------------------------------------------------------- */

static void set_text(slm_answer_event *e, slm_answer_event_type type, const char *text, size_t len) {
    e->type = type;
    e->text = text;
    e->text_len = len;
}

static void drop_front(slm_buffer *b, size_t n) {
    b->len -= n;
    if (b->len > 0)
        memmove(b->ptr, b->ptr + n, b->len);
}

/* Delivers text to the reader. */
static slm_status show(slm_answer *a, const char *text, size_t len, slm_answer_event *e,
                       slm_error *error) {
    if (len == 0)
        return SLM_OK;
    SLM_TRY(slm_buffer_append(&a->text, text, len, error));
    if (a->speech != NULL)
        SLM_TRY(slm_speaker_feed(a->speech, text, len, error));
    set_text(e, SLM_ANSWER_TEXT, a->text.ptr + a->text.len - len, len);
    return SLM_OK;
}

static slm_status add_text(slm_answer *a, const char *text, size_t len, slm_answer_event *e,
                           slm_error *error) {
    if (len == 0)
        return SLM_OK;
    a->flush = FLOWING;
    if (a->clauses == NULL)
        return show(a, text, len, e, error);
    SLM_TRY(slm_buffer_append(&a->held, text, len, error));
    return slm_speaker_feed(a->clauses, text, len, error);
}

static slm_status flush_speech(slm_answer *a, slm_error *error) {
    a->flush = a->speech != NULL ? FLUSH_SPEECH : FLUSHED;
    return a->speech != NULL ? slm_speaker_finish(a->speech, error) : SLM_OK;
}

static slm_status flush_text(slm_answer *a, slm_error *error) {
    if (a->flush != FLOWING)
        return SLM_OK;
    if (a->clauses == NULL)
        return flush_speech(a, error);
    a->flush = FLUSH_CLAUSES;
    return slm_speaker_finish(a->clauses, error);
}

/* The last stage: what was delivered is spoken. */
static void take_speech(slm_answer *a, slm_answer_event *e) {
    slm_speech_event s;
    slm_speaker_next(a->speech, &s);
    if (s.type == SLM_SPEECH_END && a->flush == FLUSH_SPEECH) {
        a->flush = FLUSHED;
        a->speech_at = a->text.len;
    } else if (s.type == SLM_SPEECH_CLAUSE || s.type == SLM_SPEECH_SENTENCE) {
        set_text(e, s.type == SLM_SPEECH_CLAUSE ? SLM_ANSWER_CLAUSE : SLM_ANSWER_SENTENCE, s.text,
                 s.text_len);
        e->begin = a->speech_at + s.begin;
        e->end = a->speech_at + s.end;
    }
}

/* The answer ends behind what was delivered; what else was written is left out. */
static slm_status stop(slm_answer *a, slm_error *error) {
    a->reason = SLM_END_FILTER;
    slm_speaker_close(a->clauses);
    a->clauses = NULL;
    slm_toolcall_close(a->calls);
    a->calls = NULL;
    a->has_call = 0;
    a->in.len = a->in_at = a->held.len = a->n_clause = 0;
    a->place = IN_BODY;
    return flush_speech(a, error);
}

/* The filter judges the clause that held begins with. */
static slm_status judge(slm_answer *a, slm_answer_event *e, slm_error *error) {
    slm_filter_verdict v = {.struct_size = sizeof v};
    if (a->filter(a->filter_user, SLM_FILTER_OUTPUT, a->held.ptr, a->n_clause, &v) != 0)
        return slm_fail(error, SLM_ERR_CANCEL, "filter", SLM_NO_OFFSET,
                        "the filter stopped the answer");
    slm_str text = slm_str_given(v.text, v.text_len);
    if (v.action == SLM_FILTER_PASS)
        text = (slm_str){a->held.ptr, a->n_clause};
    else if (v.action != SLM_FILTER_REPLACE && v.action != SLM_FILTER_STOP)
        return slm_fail(error, SLM_ERR_RANGE, "filter", SLM_NO_OFFSET,
                        "slm_filter_verdict.action: got %d, wanted %d to %d", v.action,
                        SLM_FILTER_PASS, SLM_FILTER_STOP);
    else if (slm_utf8_valid_prefix(text.ptr, text.len) < text.len)
        return slm_fail(error, SLM_ERR_UTF8, "filter", SLM_NO_OFFSET,
                        "slm_filter_verdict.text: byte %zu is not UTF-8",
                        slm_utf8_valid_prefix(text.ptr, text.len));
    SLM_TRY(show(a, text.ptr, text.len, e, error));
    drop_front(&a->held, a->n_clause);
    a->n_judged += a->n_clause;
    a->n_clause = 0;
    return v.action == SLM_FILTER_STOP ? stop(a, error) : SLM_OK;
}

/* The filter's stage. *went: whether there was anything to do. */
static slm_status take_clause(slm_answer *a, slm_answer_event *e, int *went, slm_error *error) {
    if (a->n_clause == 0 && a->flush < LAST_CLAUSE) {
        slm_speech_event s;
        slm_speaker_next(a->clauses, &s);
        if (s.type == SLM_SPEECH_END) { /* what has no letters may stand behind the last clause */
            a->flush = LAST_CLAUSE;
            a->n_clause = a->held.len;
        } else if (s.type != SLM_SPEECH_NONE) {
            a->n_clause = (size_t)(s.end - a->n_judged);
        }
    }
    *went = a->n_clause > 0 || a->flush == LAST_CLAUSE;
    if (a->n_clause > 0)
        return judge(a, e, error);
    if (a->flush != LAST_CLAUSE)
        return SLM_OK;
    a->n_judged = 0;
    return flush_speech(a, error);
}

/* ---- calls ------------------------------------------------------------------------------------ */

/* A call is delivered, and kept for the message when it ends. */
static slm_status take_call(slm_answer *a, slm_answer_event *e, slm_error *error) {
    static const char begin[] = "{\"type\":\"function\",\"function\":{\"name\":",
                      arguments[] = ",\"arguments\":";
    slm_buffer *out = &a->tool_calls;
    const slm_tool_event *c = &a->call;
    e->call = c->call;
    a->has_call = 0;
    if (c->type == SLM_TOOL_CALL_BEGIN) {
        set_text(e, SLM_ANSWER_CALL_BEGIN, c->text, c->text_len);
        a->arguments.len = 0;
        out->len = a->n_calls_len; /* one before may not have ended */
        if (out->len > 0)
            SLM_TRY(slm_buffer_append(out, ",", 1, error));
        SLM_TRY(slm_buffer_append(out, begin, sizeof begin - 1, error));
        return slm_json_quote(out, c->text, c->text_len, 0, error);
    }
    if (c->type == SLM_TOOL_ARGUMENTS) {
        set_text(e, SLM_ANSWER_ARGUMENTS, c->text, c->text_len);
        return slm_buffer_append(&a->arguments, c->text, c->text_len, error);
    }
    e->type = SLM_ANSWER_CALL_END;
    SLM_TRY(slm_buffer_append(out, arguments, sizeof arguments - 1, error));
    if (a->arguments_as_text)
        SLM_TRY(slm_json_quote(out, a->arguments.ptr, a->arguments.len, 0, error));
    else
        SLM_TRY(slm_buffer_append(out, a->arguments.ptr, a->arguments.len, error));
    SLM_TRY(slm_buffer_append(out, "}}", 2, error));
    a->n_calls_len = out->len;
    return SLM_OK;
}

/* The stage that looks for calls. */
static slm_status find_calls(slm_answer *a, slm_answer_event *e, int *went, slm_error *error) {
    slm_tool_event c;
    SLM_TRY(slm_toolcall_next(a->calls, &c, error));
    *went = c.type != SLM_TOOL_NONE;
    if (c.type == SLM_TOOL_TEXT)
        return add_text(a, c.text, c.text_len, e, error);
    if (c.type == SLM_TOOL_END) {
        a->calls_ended = 1;
    } else if (*went) {
        a->call = c;
        a->has_call = 1;
    }
    return SLM_OK;
}

/* ---- thinking --------------------------------------------------------------------------------- */

static int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* How much of a marker the end of a text may be the beginning of. */
static size_t held_back(const char *text, size_t len, const char *marker) {
    size_t n = strlen(marker) - 1 < len ? strlen(marker) - 1 : len;
    while (n > 0 && memcmp(text + len - n, marker, n) != 0)
        n--;
    return n;
}

/* The beginning of an answer, and what stands behind a thinking span: white space, then thinking or
 * not. */
static int sort_start(slm_answer *a) {
    static const char open[] = SLM_THINKING_OPEN;
    const size_t n_open = sizeof open - 1;
    size_t at = a->in_at, left;
    while (at < a->in.len && is_space(a->in.ptr[at]))
        at++;
    if (a->after_thinking)
        a->in_at = at;
    left = a->in.len - at;
    if (left >= n_open && memcmp(a->in.ptr + at, open, n_open) == 0) {
        a->in_at = at + n_open;
        a->place = IN_THINKING;
        return 1;
    }
    if (a->reason == SLM_END_NONE && left < n_open &&
        (left == 0 || memcmp(a->in.ptr + at, open, left) == 0))
        return 0;
    a->place = IN_BODY;
    return 1;
}

static slm_status sort_thinking(slm_answer *a, slm_answer_event *e, int *went, slm_error *error) {
    static const slm_str close = {SLM_THINKING_CLOSE, sizeof SLM_THINKING_CLOSE - 1};
    slm_str in = {a->in.ptr + a->in_at, a->in.len - a->in_at};
    size_t at = in.len > 0 ? slm_str_find(in, close, 0) : SIZE_MAX, n = at;
    if (at == SIZE_MAX)
        n = in.len - (a->reason == SLM_END_NONE ? held_back(in.ptr, in.len, close.ptr) : 0);
    *went = n > 0 || at != SIZE_MAX;
    a->in_at += n;
    if (at != SIZE_MAX) {
        a->in_at += close.len;
        a->place = AT_START;
        a->after_thinking = 1;
        a->closing = 0;
    }
    SLM_TRY(slm_buffer_append(&a->thinking, in.ptr, n, error));
    if (n > 0 && a->flags & SLM_ANSWER_THINKING)
        set_text(e, SLM_ANSWER_THINKING_TEXT, a->thinking.ptr + a->thinking.len - n, n);
    return SLM_OK;
}

/* The first stage. */
static slm_status sort(slm_answer *a, slm_answer_event *e, int *went, slm_error *error) {
    *went = 0;
    if (a->place == AT_START) {
        *went = sort_start(a);
        return SLM_OK;
    }
    if (a->place == IN_THINKING)
        return sort_thinking(a, e, went, error);
    size_t n = a->in.len - a->in_at;
    *went = n > 0;
    const char *body = a->in.ptr + a->in_at;
    a->in_at = a->in.len;
    if (n == 0)
        return SLM_OK;
    return a->calls != NULL ? slm_toolcall_feed(a->calls, body, n, error)
                            : add_text(a, body, n, e, error);
}

/* The budget is spent: the model goes on as if it had closed the thinking. */
static slm_status close_thinking(slm_answer *a, slm_error *error) {
    static const char close[] = "\n" SLM_THINKING_CLOSE;
    size_t skip = a->thinking.len > 0 && a->thinking.ptr[a->thinking.len - 1] == '\n', n;
    int32_t ids[MAX_CLOSING];
    /* two spans, which do not join: a guide may have no place for the second */
    slm_span spans[] = {{close + skip, sizeof close - 1 - skip, 1}, {"\n\n", 2, 0}};
    a->closing = 1;
    SLM_TRY(slm_vocab_tokenize(a->model->vocab, spans, 2, SLM_BOS_NONE, ids, MAX_CLOSING, &n,
                               error));
    slm_generator_force(a->generator, ids, n);
    return SLM_OK;
}

/* ---- steps ------------------------------------------------------------------------------------ */

/* One token. */
static slm_status generate(slm_answer *a, slm_answer_event *e, slm_error *error) {
    slm_event g;
    if (a->place == IN_THINKING && a->budget > 0 && a->n_thinking >= a->budget && !a->closing &&
        a->in_at == a->in.len)
        SLM_TRY(close_thinking(a, error));
    SLM_TRY(slm_generator_next(a->generator, &g, error));
    if (g.type == SLM_EVENT_NONE)
        return SLM_OK; /* it waits for whoever evaluates */
    if (g.token >= 0 && a->report != NULL)
        a->report(a->report_user, &g);
    if (g.type == SLM_EVENT_REEVALUATED) {
        e->type = SLM_ANSWER_REEVALUATED;
        e->count = g.count;
        return SLM_OK;
    }
    a->count = g.count;
    a->forced = g.forced;
    a->steps = g.steps;
    a->drafted = g.drafted;
    a->n_thinking += a->place == IN_THINKING && g.type == SLM_EVENT_TEXT;
    if (g.type == SLM_EVENT_END)
        a->reason = g.reason;
    drop_front(&a->in, a->in_at);
    a->in_at = 0;
    return slm_buffer_append(&a->in, g.text, g.text_len, error);
}

/* What a stage has to deliver or to hand on. */
static slm_status run_stages(slm_answer *a, slm_answer_event *e, int *went, slm_error *error) {
    *went = 0;
    if (a->speech != NULL && a->flush != FLUSHED) {
        take_speech(a, e);
        if (e->type != SLM_ANSWER_NONE)
            return SLM_OK;
    }
    if (a->clauses != NULL && a->flush <= LAST_CLAUSE) {
        SLM_TRY(take_clause(a, e, went, error));
        if (*went)
            return SLM_OK;
    }
    if (a->has_call) {
        *went = 1;
        return a->flush == FLUSHED ? take_call(a, e, error) : flush_text(a, error);
    }
    if (a->calls != NULL && !a->calls_ended) {
        SLM_TRY(find_calls(a, e, went, error));
        if (*went)
            return SLM_OK;
    }
    return sort(a, e, went, error);
}

/* The generator has ended: each stage gives up what it holds. */
static slm_status finish(slm_answer *a, slm_answer_event *e, slm_error *error) {
    if (a->calls != NULL && !a->calls_finished) {
        a->calls_finished = 1;
        return slm_toolcall_finish(a->calls, error);
    }
    if (a->flush != FLUSHED)
        return flush_text(a, error);
    a->is_over = 1;
    end_generator(a);
    e->type = SLM_ANSWER_END;
    return SLM_OK;
}

static slm_status step(slm_answer *a, slm_answer_event *e, slm_error *error) {
    int went, has_token = 0;
    do {
        SLM_TRY(run_stages(a, e, &went, error));
        if (e->type != SLM_ANSWER_NONE || went)
            continue;
        if (a->reason != SLM_END_NONE) {
            SLM_TRY(finish(a, e, error));
        } else if (has_token) {
            return SLM_OK;
        } else {
            SLM_TRY(generate(a, e, error));
            has_token = 1;
        }
    } while (e->type == SLM_ANSWER_NONE);
    return SLM_OK;
}

slm_status slm_answer_step(slm_answer *a, slm_answer_event *e, slm_error *error) {
    *e = (slm_answer_event){.struct_size = sizeof *e, .text = ""};
    if (a->failed != SLM_OK)
        return slm_fail(error, a->failed, "answer", SLM_NO_OFFSET,
                        "the answer has failed before: end it");
    slm_status status = a->is_over ? SLM_OK : step(a, e, error);
    if (status == SLM_ERR_NOMEM)
        a->failed = status;
    SLM_TRY(status);
    if (a->is_over)
        e->type = SLM_ANSWER_END;
    if (e->type != SLM_ANSWER_REEVALUATED)
        e->count = a->count;
    e->forced = a->forced;
    e->steps = a->steps;
    e->drafted = a->drafted;
    if (e->type == SLM_ANSWER_END)
        e->reason = a->reason;
    e->thinking = a->place == IN_THINKING;
    return SLM_OK;
}

/* ---- what came of it -------------------------------------------------------------------------- */

slm_str slm_answer_text(const slm_answer *a) {
    return (slm_str){a->text.len > 0 ? a->text.ptr : "", a->text.len};
}

static slm_status put(slm_buffer *out, const char *text, slm_error *error) {
    return slm_buffer_append(out, text, strlen(text), error);
}

slm_status slm_answer_message(slm_answer *a, slm_str *json, slm_error *error) {
    slm_buffer *out = &a->message;
    slm_str text = slm_answer_text(a), thinking = {a->thinking.ptr, a->thinking.len};
    while (thinking.len > 0 && is_space(thinking.ptr[thinking.len - 1]))
        thinking.len--;
    for (; thinking.len > 0 && is_space(thinking.ptr[0]); thinking.len--)
        thinking.ptr++;
    out->len = 0;
    SLM_TRY(put(out, "{\"role\":\"assistant\",\"content\":", error));
    SLM_TRY(slm_json_quote(out, text.ptr, text.len, 0, error));
    if (thinking.len > 0) {
        SLM_TRY(put(out, ",\"reasoning_content\":", error));
        SLM_TRY(slm_json_quote(out, thinking.ptr, thinking.len, 0, error));
    }
    if (a->n_calls_len > 0) {
        SLM_TRY(put(out, ",\"tool_calls\":[", error));
        SLM_TRY(slm_buffer_append(out, a->tool_calls.ptr, a->n_calls_len, error));
        SLM_TRY(put(out, "]", error));
    }
    SLM_TRY(put(out, "}", error));
    *json = (slm_str){out->ptr, out->len};
    return SLM_OK;
}
