/* The stream of a reply: where blocks begin and end, what is text.
 *
 * What is decided to be text is handed out first; then `at` looks for a block, and while one is
 * read, all of it is held back. A block that turns out to be none gives up its marker alone: what
 * is inside may hold another. That stays linear, since a marker inside of a block can only stand in
 * a string, and of two readings that differ in what is a string one fails at the next quote or
 * marker. */
#include "text/toolcall.h"

#include "base/json.h"
#include "text/detok.h"
#include "text/toolcall_impl.h"

#include <string.h>

static const slm_call_format FORMATS[] = {
    [SLM_TOOLS_HERMES] = {"hermes",
                          {{"<tool_call>", "</tool_call>", 11, SLM_CALL_OBJECT}},
                          0, 0, ' ', "arguments"},
    [SLM_TOOLS_PHI4_MINI] = {"phi4_mini",
                             {{"<|tool_call|>", "<|/tool_call|>", 13,
                               SLM_CALL_OBJECT | SLM_CALL_LIST},
                              {"functools[", NULL, 9, SLM_CALL_LIST}},
                             0, 1, ' ', "arguments"},
    [SLM_TOOLS_LLAMA3_JSON] = {"llama3_json",
                               {{"<|python_tag|>", NULL, 14, SLM_CALL_OBJECT | SLM_CALL_BUILTIN}},
                               SLM_CALL_OBJECT, 1, ';', "parameters"},
    [SLM_TOOLS_LLAMA32_PYTHONIC] = {"llama32_pythonic",
                                    {{"<|python_tag|>", NULL, 14, SLM_CALL_PYTHON}},
                                    SLM_CALL_PYTHON, 0, ' ', NULL},
    [SLM_TOOLS_JSON] = {"json",
                        {{NULL, NULL, 0, 0}},
                        SLM_CALL_OBJECT | SLM_CALL_LIST, 1, ' ', "arguments"},
};
static const char BUILTIN_CALL[] = ".call(query=\"", BUILTIN_END[] = "\")";
enum { N_FORMATS = sizeof FORMATS / sizeof *FORMATS };

typedef enum stream_state {
    AT_START, /* of the reply, or behind a call: a call may come without a marker */
    IN_TEXT,  /* looking for a marker                                             */
    AT_BODY,  /* behind a marker: white space, then a value                       */
    IN_JSON, IN_PYTHON,
    IN_BUILTIN_NAME, IN_BUILTIN_CALL, IN_BUILTIN_QUERY, IN_BUILTIN_END,
    AT_CLOSE  /* behind the value of a block that has a closing marker             */
} stream_state;

typedef enum call_stage { BEGIN, ARGUMENTS, END } call_stage;

struct slm_toolcall {
    slm_host *host;
    const slm_call_format *format;
    size_t max_block;
    slm_buffer bytes; /* what has come; the first `start` of them are handed out. All places below
                         are counted from there */
    slm_buffer held;  /* white space that is text if more text follows, and nothing beside a call */
    slm_buffer calls; /* records of the block that was read                                       */
    slm_status failed;
    stream_state state;
    const slm_call_marker *marker; /* of the block being read; NULL when it has none              */
    size_t start;
    size_t text_len;  /* bytes that are text, to be handed out                                    */
    size_t at;        /* bytes before have been looked at                                         */
    size_t block_at;  /* the marker, or the value where there is none                             */
    size_t value_at, name_end, query_at;
    slm_json_scan json;
    slm_python python;
    slm_call_stream stream; /* of the block being read                                            */
    uint8_t streams;  /* calls are given while they come                                          */
    uint8_t begun;    /* that one was begun so                                                    */
    uint8_t piece_given;
    size_t call_at;   /* the record whose events are due                                          */
    uint32_t n_calls; /* begun in this reply                                                      */
    call_stage stage; /* the event of it that comes next                                          */
    uint8_t final;    /* no more bytes will come                                                  */
    uint8_t ended;    /* and that was said                                                        */
    uint8_t any_call, any_text; /* in this reply                                                  */
    uint8_t after_call;
};

/* ---------------------------------------------------------------- formats */

static int contains(slm_str s, const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.len; i++)
        if (memcmp(s.ptr + i, text, n) == 0)
            return 1;
    return 0;
}

slm_tool_format slm_toolcall_detect(slm_str t) {
    static const struct {
        const char *text;
        slm_tool_format format;
    } SIGNS[] = {
        {"<tool_call>", SLM_TOOLS_HERMES},
        {"<|tool|>", SLM_TOOLS_PHI4_MINI},
        {"functools[", SLM_TOOLS_PHI4_MINI},
        {"[func_name1(", SLM_TOOLS_LLAMA32_PYTHONIC},
        {"<|python_tag|>", SLM_TOOLS_LLAMA3_JSON},
        {"<|start_header_id|>", SLM_TOOLS_LLAMA3_JSON},
    };
    for (size_t i = 0; i < sizeof SIGNS / sizeof *SIGNS; i++)
        if (contains(t, SIGNS[i].text))
            return SIGNS[i].format;
    return SLM_TOOLS_JSON;
}

const slm_call_format *slm_call_format_of(slm_tool_format f) {
    return f > SLM_TOOLS_AUTO && f < N_FORMATS ? &FORMATS[f] : NULL;
}

const char *slm_toolcall_name(slm_tool_format f) {
    const slm_call_format *format = slm_call_format_of(f);
    return format ? format->name : NULL;
}

/* As they are: {{ call.arguments }}. A template that knows of both asks which one it has, or has a
 * place where it makes JSON of them. */
int slm_toolcall_wants_text(slm_str t) {
    static const char NAME[] = "arguments", JSON[] = "tojson";
    int prints = 0;
    for (size_t i = 0; i + strlen(NAME) < t.len; i++) {
        if (memcmp(t.ptr + i, NAME, strlen(NAME)) != 0)
            continue;
        size_t at = i + strlen(NAME);
        while (at < t.len && (t.ptr[at] == ' ' || t.ptr[at] == '|' || t.ptr[at] == '-'))
            at++;
        if (t.len - at >= strlen(JSON) && memcmp(t.ptr + at, JSON, strlen(JSON)) == 0)
            return 0;
        prints |= t.len - at >= 2 && memcmp(t.ptr + at, "}}", 2) == 0;
    }
    return prints;
}

/* ---------------------------------------------------------------- life */

static void begin_reply(slm_toolcall *t) {
    t->bytes.len = t->held.len = t->calls.len = 0;
    t->start = t->text_len = t->at = t->call_at = 0;
    t->n_calls = 0;
    t->stage = BEGIN;
    t->final = t->ended = t->any_call = t->any_text = t->after_call = 0;
    t->begun = t->piece_given = 0;
    slm_call_stream_begin(&t->stream);
    t->state = t->format->bare ? AT_START : IN_TEXT;
}

slm_status slm_toolcall_open(slm_host *host, slm_tool_format f, size_t max_call_bytes,
                             slm_toolcall **out, slm_error *error) {
    *out = NULL;
    slm_toolcall *t = slm_calloc(host, 1, sizeof *t);
    if (!t)
        return slm_fail_nomem(error, sizeof *t, "a parser of tool calls");
    t->host = t->bytes.host = t->held.host = t->calls.host = host;
    t->stream.name.host = t->stream.piece.host = host;
    t->format = &FORMATS[f];
    t->max_block = max_call_bytes ? max_call_bytes : SLM_TOOLCALL_MAX_BYTES;
    begin_reply(t);
    slm_status status = slm_buffer_reserve(&t->bytes, 1, error);
    if (status == SLM_OK)
        *out = t;
    else
        slm_free(host, t);
    return status;
}

void slm_toolcall_close(slm_toolcall *t) {
    if (!t)
        return;
    slm_buffer_free(&t->bytes);
    slm_buffer_free(&t->held);
    slm_buffer_free(&t->calls);
    slm_buffer_free(&t->stream.name);
    slm_buffer_free(&t->stream.piece);
    slm_free(t->host, t);
}

void slm_toolcall_stream(slm_toolcall *t) { t->streams = 1; }

slm_status slm_toolcall_feed(slm_toolcall *t, const char *text, size_t len, slm_error *error) {
    if (t->failed != SLM_OK)
        return slm_fail(error, t->failed, "tool parser", SLM_NO_OFFSET,
                        "the parser of tool calls has failed before: close it");
    if (t->ended)
        begin_reply(t);
    if (t->final)
        return slm_fail(error, SLM_ERR_BUSY, "tool parser", SLM_NO_OFFSET,
                        "the reply is finished: pull its events to the end before the next");
    if (t->start > 0) { /* forget what was handed out */
        t->bytes.len -= t->start;
        memmove(t->bytes.ptr, t->bytes.ptr + t->start, t->bytes.len);
        t->start = 0;
    }
    return slm_buffer_append(&t->bytes, text, len, error);
}

slm_status slm_toolcall_finish(slm_toolcall *t, slm_error *error) {
    SLM_TRY(slm_toolcall_feed(t, NULL, 0, error));
    t->final = 1;
    return SLM_OK;
}

static const char *bytes(const slm_toolcall *t) { return t->bytes.ptr + t->start; }

static void hand_out(slm_toolcall *t, size_t n) {
    t->start += n;
    t->text_len -= n;
    t->at -= n;
}

/* ---------------------------------------------------------------- blocks */

/* What can be seen of a block: no more than it may have. */
typedef struct view {
    const char *p;
    size_t end;
    int last; /* nothing comes after it: the reply ends, or it would be too long */
    int cut;  /* it would be too long                                            */
} view;

static view look(const slm_toolcall *t) {
    view v = {bytes(t), t->bytes.len - t->start, t->final, 0};
    if (v.end > t->max_block) {
        v.end = t->max_block;
        v.last = v.cut = 1;
    }
    return v;
}

/* What a step came to. */
typedef enum progress { GO_ON, WANT_MORE } progress;

/* Whether text stands at a place: 1 it does, 0 its beginning does up to the end of what has come,
 * -1 it does not. */
static int match(view v, size_t at, const char *text) {
    size_t n = strlen(text), left = v.end - at;
    if (memcmp(v.p + at, text, n < left ? n : left) != 0)
        return -1;
    return n <= left;
}

/* The marker that stands at a place, or NULL; *partial: one may. */
static const slm_call_marker *marker_at(const slm_toolcall *t, view v, size_t at, int *partial) {
    *partial = 0;
    for (size_t i = 0; i < SLM_CALL_MARKERS && t->format->markers[i].text; i++) {
        int found = match(v, at, t->format->markers[i].text);
        if (found > 0)
            return &t->format->markers[i];
        *partial |= found == 0;
    }
    return NULL;
}

static size_t skip_space(view v, size_t at) {
    while (at < v.end && slm_toolcall_is_space(v.p[at]))
        at++;
    return at;
}

/* There is no block: its marker is text, and what follows is looked at again. */
static progress reject(slm_toolcall *t) {
    t->calls.len = 0;
    t->after_call = t->begun = 0;
    slm_call_stream_begin(&t->stream);
    t->state = IN_TEXT;
    t->at = t->text_len = t->marker ? t->block_at + strlen(t->marker->text) : 0;
    return GO_ON;
}

/* A block needs more than what has come. */
static progress wait(slm_toolcall *t, view v) { return v.last ? reject(t) : WANT_MORE; }

/* The block ends here; its calls have been read. */
static progress accept(slm_toolcall *t, size_t end) {
    t->start += end;
    t->at = t->text_len = t->call_at = 0;
    t->stage = !t->begun ? BEGIN : t->stream.has_arguments ? END : ARGUMENTS;
    if (!t->begun)
        slm_call_stream_begin(&t->stream);
    t->after_call = t->any_call = 1;
    if (!t->any_text)
        t->held.len = 0;
    t->state = t->format->bare ? AT_START : IN_TEXT;
    return GO_ON;
}

/* The value of a block begins at t->at, if it is one of these shapes. */
static progress begin_value(slm_toolcall *t, view v, unsigned shapes) {
    char c = v.p[t->at];
    t->value_at = t->at;
    slm_call_stream_begin(&t->stream);
    if (((shapes & SLM_CALL_OBJECT) && c == '{') || ((shapes & SLM_CALL_LIST) && c == '[')) {
        slm_json_scan_begin(&t->json);
        t->state = IN_JSON;
    } else if ((shapes & SLM_CALL_PYTHON) && c == '[') {
        memset(&t->python, 0, sizeof t->python);
        t->state = IN_PYTHON;
    } else if ((shapes & SLM_CALL_BUILTIN) && (c == '_' || slm_toolcall_is_letter(c))) {
        t->state = IN_BUILTIN_NAME;
    } else {
        return reject(t);
    }
    return GO_ON;
}

static progress step_start(slm_toolcall *t, view v) {
    while (t->at < v.end && (slm_toolcall_is_space(v.p[t->at]) ||
                             (t->after_call && v.p[t->at] == t->format->separator)))
        t->at++;
    t->marker = NULL;
    if (t->at == v.end) {
        if (!v.last)
            return WANT_MORE;
        if (v.cut || !t->after_call)
            return reject(t);
        t->start += t->at; /* separators behind the last call */
        t->at = 0;
        return WANT_MORE;
    }
    int partial;
    const slm_call_marker *m = marker_at(t, v, t->at, &partial);
    if (partial)
        return wait(t, v);
    if (!m)
        return begin_value(t, v, t->format->bare);
    t->marker = m;
    t->block_at = t->at;
    t->at += m->n_own;
    t->state = AT_BODY;
    return GO_ON;
}

static progress step_text(slm_toolcall *t) {
    view v = {bytes(t), t->bytes.len - t->start, t->final, 0};
    for (; t->at < v.end; t->at++) {
        int partial;
        const slm_call_marker *m = marker_at(t, v, t->at, &partial);
        if (m && t->at == 0) {
            t->marker = m;
            t->block_at = 0;
            t->at = m->n_own;
            t->state = AT_BODY;
            return GO_ON;
        }
        if (m || (partial && !v.last))
            break;
    }
    int found = t->at < v.end && t->at > 0; /* a marker: once the text before it is gone */
    t->text_len = t->at;
    return found ? GO_ON : WANT_MORE;
}

static progress step_body(slm_toolcall *t, view v) {
    t->at = skip_space(v, t->at);
    return t->at < v.end ? begin_value(t, v, t->marker->shapes) : wait(t, v);
}

static slm_status step_json(slm_toolcall *t, view v, progress *result, slm_error *error) {
    const char *text = v.p + t->at;
    size_t taken = slm_json_scan_feed(&t->json, text, v.end - t->at);
    t->at += taken;
    if (t->streams)
        SLM_TRY(slm_call_stream_json(&t->stream, text, taken, t->format->parameters, error));
    if (t->json.progress != SLM_JSON_DONE) {
        *result = t->json.progress == SLM_JSON_BAD ? reject(t) : wait(t, v);
        return SLM_OK;
    }
    size_t n;
    SLM_TRY(slm_toolcall_read_json(t->host, v.p + t->value_at, t->at - t->value_at,
                                   t->format->parameters, &t->calls, &n, error));
    if (n == 0 || (t->begun && t->stream.is_bad))
        *result = reject(t);
    else if (!t->marker || !t->marker->close)
        *result = accept(t, t->at);
    else
        t->state = AT_CLOSE;
    return SLM_OK;
}

static progress step_close(slm_toolcall *t, view v) {
    t->at = skip_space(v, t->at);
    if (t->at == v.end)
        return v.last && !v.cut ? accept(t, t->at) : wait(t, v);
    int found = match(v, t->at, t->marker->close);
    if (found > 0)
        return accept(t, t->at + strlen(t->marker->close));
    return found < 0 ? reject(t) : wait(t, v);
}

static slm_status step_python(slm_toolcall *t, view v, progress *result, slm_error *error) {
    slm_toolcall_verdict verdict;
    const char *text = v.p + t->value_at;
    size_t len = v.end - t->value_at;
    SLM_TRY(slm_python_scan(&t->python, text, len, &t->calls, &verdict, error));
    if (t->streams && verdict != SLM_TOOLCALL_BAD)
        SLM_TRY(slm_call_stream_python(&t->stream, &t->calls, error));
    if (verdict == SLM_TOOLCALL_BAD)
        *result = reject(t);
    else if (verdict == SLM_TOOLCALL_DONE && v.last && !v.cut)
        *result = slm_utf8_valid_prefix(text, len) == len ? accept(t, v.end) : reject(t);
    else
        *result = wait(t, v);
    return SLM_OK;
}

static slm_status read_builtin(slm_toolcall *t, view v, progress *result, slm_error *error) {
    slm_str query = {v.p + t->query_at, t->at - t->query_at};
    if (slm_utf8_valid_prefix(query.ptr, query.len) < query.len) {
        *result = reject(t);
        return SLM_OK;
    }
    slm_toolcall_record record = {t->name_end - t->value_at, 0};
    SLM_TRY(slm_buffer_append(&t->calls, &record, sizeof record, error));
    SLM_TRY(slm_buffer_append(&t->calls, v.p + t->value_at, record.name_len, error));
    slm_json_writer w = {.out = &t->calls};
    SLM_TRY(slm_json_put_open(&w, '{', error));
    SLM_TRY(slm_json_put_name(&w, "query", 5, error));
    SLM_TRY(slm_json_put_string(&w, query.ptr, query.len, error));
    SLM_TRY(slm_json_put_close(&w, '}', error));
    record.arguments_len = t->calls.len - sizeof record - record.name_len;
    memcpy(t->calls.ptr, &record, sizeof record);
    *result = accept(t, t->at + strlen(BUILTIN_END));
    return SLM_OK;
}

static slm_status step_builtin(slm_toolcall *t, view v, progress *result, slm_error *error) {
    const char *text = t->state == IN_BUILTIN_CALL ? BUILTIN_CALL : BUILTIN_END;
    if (t->state == IN_BUILTIN_NAME) {
        while (t->at < v.end && slm_toolcall_is_word(v.p[t->at]))
            t->at++;
        t->name_end = t->at;
        if (t->at < v.end)
            t->state = IN_BUILTIN_CALL;
    } else if (t->state == IN_BUILTIN_QUERY) {
        const char *quote = memchr(v.p + t->at, '"', v.end - t->at);
        t->at = quote ? (size_t)(quote - v.p) : v.end;
        if (quote)
            t->state = IN_BUILTIN_END;
    } else {
        int found = match(v, t->at, text);
        if (found < 0) {
            *result = reject(t);
        } else if (found > 0 && t->state == IN_BUILTIN_END) {
            return read_builtin(t, v, result, error);
        } else if (found > 0) {
            t->query_at = t->at += strlen(text);
            t->state = IN_BUILTIN_QUERY;
        } else {
            *result = wait(t, v);
        }
        return SLM_OK;
    }
    if (t->at == v.end)
        *result = wait(t, v);
    return SLM_OK;
}

static slm_status step(slm_toolcall *t, progress *result, slm_error *error) {
    view v = look(t);
    *result = GO_ON;
    switch (t->state) {
    case AT_START:
        *result = step_start(t, v);
        return SLM_OK;
    case IN_TEXT:
        *result = step_text(t);
        return SLM_OK;
    case AT_BODY:
        *result = step_body(t, v);
        return SLM_OK;
    case IN_JSON:
        return step_json(t, v, result, error);
    case IN_PYTHON:
        return step_python(t, v, result, error);
    case AT_CLOSE:
        *result = step_close(t, v);
        return SLM_OK;
    default:
        return step_builtin(t, v, result, error);
    }
}

/* ---------------------------------------------------------------- events */

static void set_event(slm_tool_event *e, slm_tool_event_type type, const char *text, size_t len) {
    e->type = type;
    e->text = len > 0 ? text : "";
    e->text_len = len;
}

static void take_held(slm_toolcall *t, slm_tool_event *e) {
    set_event(e, SLM_TOOL_TEXT, t->held.ptr, t->held.len);
    t->held.len = 0;
    t->any_text = 1;
}

/* The next event of text that is decided; NONE when there is none. */
static slm_status take_text(slm_toolcall *t, slm_tool_event *e, slm_error *error) {
    while (t->text_len > 0) {
        const char *p = bytes(t);
        size_t n = 0;
        while (n < t->text_len && slm_toolcall_is_space(p[n]))
            n++;
        if (n == 0 && t->held.len == 0) {
            n = t->text_len;
            while (slm_toolcall_is_space(p[n - 1]))
                n--;
            set_event(e, SLM_TOOL_TEXT, p, n);
            hand_out(t, n);
            t->any_text = 1;
            return SLM_OK;
        }
        if (n == 0 || t->held.len == t->max_block) {
            take_held(t, e);
            return SLM_OK;
        }
        if (n > t->max_block - t->held.len)
            n = t->max_block - t->held.len;
        if (!t->any_call || t->any_text)
            SLM_TRY(slm_buffer_append(&t->held, p, n, error));
        hand_out(t, n);
    }
    return SLM_OK;
}

static void take_call(slm_toolcall *t, slm_tool_event *e) {
    slm_toolcall_record record;
    const char *name = t->calls.ptr + t->call_at + sizeof record;
    memcpy(&record, t->calls.ptr + t->call_at, sizeof record);
    e->call = t->n_calls;
    if (t->stage == BEGIN) {
        set_event(e, SLM_TOOL_CALL_BEGIN, name, record.name_len);
    } else if (t->stage == ARGUMENTS) {
        set_event(e, SLM_TOOL_ARGUMENTS, name + record.name_len, record.arguments_len);
    } else {
        set_event(e, SLM_TOOL_CALL_END, NULL, 0);
        t->n_calls++;
        t->begun = 0;
        slm_call_stream_begin(&t->stream);
        t->call_at += sizeof record + record.name_len + record.arguments_len;
        if (t->call_at == t->calls.len)
            t->calls.len = 0;
    }
    t->stage = t->stage == END ? BEGIN : t->stage + 1;
}

/* What is there of a call that is still being read. The rest of one that has begun comes first also
 * when all of it has been read. */
static void take_piece(slm_toolcall *t, slm_tool_event *e) {
    slm_call_stream *s = &t->stream;
    int is_read = t->calls.len > 0 && (t->state == AT_START || t->state == IN_TEXT);
    if (t->piece_given)
        s->piece.len = 0;
    t->piece_given = 0;
    e->call = t->n_calls;
    if (t->begun && s->piece.len > 0) {
        set_event(e, SLM_TOOL_ARGUMENTS, s->piece.ptr, s->piece.len);
        t->piece_given = 1;
    } else if (!t->begun && s->has_name && !is_read) {
        set_event(e, SLM_TOOL_CALL_BEGIN, s->name.ptr, s->name.len);
        t->begun = 1;
    }
}

static slm_status next_event(slm_toolcall *t, slm_tool_event *e, slm_error *error) {
    progress result = GO_ON;
    for (;;) {
        if (t->streams)
            take_piece(t, e);
        if (e->type != SLM_TOOL_NONE)
            return SLM_OK;
        if (t->calls.len > 0 && (t->state == AT_START || t->state == IN_TEXT)) {
            take_call(t, e);
            return SLM_OK;
        }
        SLM_TRY(take_text(t, e, error));
        if (e->type != SLM_TOOL_NONE)
            return SLM_OK;
        if (result == WANT_MORE)
            break;
        SLM_TRY(step(t, &result, error));
    }
    if (t->final && !t->any_call && t->held.len > 0) {
        take_held(t, e);
    } else if (t->final) {
        t->ended = 1;
        set_event(e, SLM_TOOL_END, NULL, 0);
    }
    return SLM_OK;
}

slm_status slm_toolcall_next(slm_toolcall *t, slm_tool_event *event, slm_error *error) {
    *event = (slm_tool_event){.struct_size = sizeof *event, .text = ""};
    if (t->failed != SLM_OK)
        return slm_fail(error, t->failed, "tool parser", SLM_NO_OFFSET,
                        "the parser of tool calls has failed before: close it");
    t->failed = next_event(t, event, error);
    return t->failed;
}
