/* The public entry points of what is made of an answer: calls of tools, speech. */
#include "api.h"

#include "model/model.h"
#include "text/speak.h"
#include "text/toolcall.h"

#include <string.h>

/* Counting references and bytes is no change. */
static slm_model *counted(const slm_model *model) { return (slm_model *)(uintptr_t)model; }

/* ---------------------------------------------------------------- tool calls ----------------- */

struct slm_tool_parser {
    slm_model *model;
    slm_toolcall *calls;
};

const char *slm_tool_format_name(slm_tool_format format) { return slm_toolcall_name(format); }

slm_status slm_model_get_tool_format(const slm_model *model, slm_tool_format *format,
                                     slm_error *error) {
    REQUIRE(model);
    REQUIRE(format);
    slm_str chat_template = {NULL, 0};
    const slm_gguf_kv *kv = slm_gguf_find(model->gguf, "tokenizer.chat_template");
    if (kv != NULL && kv->type == SLM_GGUF_STRING)
        SLM_TRY(slm_gguf_get_str(model->gguf, "tokenizer.chat_template", 0, &chat_template, error));
    *format = slm_toolcall_detect(chat_template);
    return SLM_OK;
}

slm_status slm_tool_parser_open(const slm_model *model, const slm_tool_parser_options *options,
                                slm_tool_parser **out, slm_error *error) {
    static const slm_tool_parser_options defaults = {.struct_size = sizeof defaults};
    REQUIRE(out);
    *out = NULL;
    REQUIRE(model);
    slm_tool_parser_options o;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_tool_parser_options", error));
    if (o.format == SLM_TOOLS_AUTO)
        SLM_TRY(slm_model_get_tool_format(model, &o.format, error));
    if (slm_toolcall_name(o.format) == NULL)
        return slm_fail(error, SLM_ERR_RANGE, "format", SLM_NO_OFFSET,
                        "slm_tool_parser_options.format: got %d, wanted %d to %d", o.format,
                        SLM_TOOLS_AUTO, SLM_TOOLS_JSON);
    if (o.max_call_bytes > SIZE_MAX / 2)
        return slm_fail(error, SLM_ERR_RANGE, "max_call_bytes", SLM_NO_OFFSET,
                        "slm_tool_parser_options.max_call_bytes: got %llu, wanted at most %zu",
                        (unsigned long long)o.max_call_bytes, SIZE_MAX / 2);
    slm_model *m = counted(model);
    slm_tool_parser *p = slm_calloc(&m->host, 1, sizeof *p);
    if (p == NULL)
        return slm_fail_nomem(error, sizeof *p, "a parser of tool calls");
    slm_status status = slm_toolcall_open(&m->host, o.format, (size_t)o.max_call_bytes, &p->calls,
                                          error);
    if (status != SLM_OK) {
        slm_free(&m->host, p);
        return status;
    }
    p->model = m;
    slm_model_retain(m);
    *out = p;
    return SLM_OK;
}

void slm_tool_parser_close(slm_tool_parser **parser) {
    if (parser == NULL || *parser == NULL)
        return;
    slm_model *m = (*parser)->model;
    slm_toolcall_close((*parser)->calls);
    slm_free(&m->host, *parser);
    slm_model_release(m);
    *parser = NULL;
}

slm_status slm_tool_parser_feed(slm_tool_parser *parser, const char *text, size_t len,
                                slm_error *error) {
    REQUIRE(parser);
    if (len > 0)
        REQUIRE(text);
    return slm_toolcall_feed(parser->calls, text, len == SLM_NTS ? strlen(text) : len, error);
}

slm_status slm_tool_parser_finish(slm_tool_parser *parser, slm_error *error) {
    REQUIRE(parser);
    return slm_toolcall_finish(parser->calls, error);
}

slm_status slm_tool_parser_next(slm_tool_parser *parser, slm_tool_event *event, slm_error *error) {
    REQUIRE(parser);
    REQUIRE(event);
    SLM_TRY(slm_check_info(event, "slm_tool_event", error));
    slm_tool_event e;
    SLM_TRY(slm_toolcall_next(parser->calls, &e, error));
    return slm_copy_info(event, &e, sizeof e, "slm_tool_event", error);
}

/* ---------------------------------------------------------------- speech --------------------- */

struct slm_speech {
    slm_model *model;
    slm_speaker *speaker;
};

slm_status slm_speech_open(const slm_model *model, const slm_speech_options *options,
                           slm_speech **out, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(model);
    slm_speech_options o;
    SLM_TRY(slm_speaker_options(options, &o, error));
    slm_model *m = counted(model);
    slm_speech *s = slm_calloc(&m->host, 1, sizeof *s);
    if (s == NULL)
        return slm_fail_nomem(error, sizeof *s, "a cutter of clauses");
    slm_status status = slm_speaker_open(&m->host, &o, &s->speaker, error);
    if (status != SLM_OK) {
        slm_free(&m->host, s);
        return status;
    }
    s->model = m;
    slm_model_retain(m);
    *out = s;
    return SLM_OK;
}

void slm_speech_close(slm_speech **speech) {
    if (speech == NULL || *speech == NULL)
        return;
    slm_model *m = (*speech)->model;
    slm_speaker_close((*speech)->speaker);
    slm_free(&m->host, *speech);
    slm_model_release(m);
    *speech = NULL;
}

slm_status slm_speech_feed(slm_speech *speech, const char *text, size_t len, slm_error *error) {
    REQUIRE(speech);
    if (len > 0)
        REQUIRE(text);
    return slm_speaker_feed(speech->speaker, text, len == SLM_NTS ? strlen(text) : len, error);
}

slm_status slm_speech_finish(slm_speech *speech, slm_error *error) {
    REQUIRE(speech);
    return slm_speaker_finish(speech->speaker, error);
}

slm_status slm_speech_next(slm_speech *speech, slm_speech_event *event, slm_error *error) {
    REQUIRE(speech);
    REQUIRE(event);
    SLM_TRY(slm_check_info(event, "slm_speech_event", error));
    slm_speech_event e;
    slm_speaker_next(speech->speaker, &e);
    return slm_copy_info(event, &e, sizeof e, "slm_speech_event", error);
}
