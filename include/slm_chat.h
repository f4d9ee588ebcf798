/*
 * slm_chat.h - the second half of the public interface: what an assistant needs on top of tokens
 * and sessions. It is a part of slm.h, which includes it, and has the same conventions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SLM_CHAT_H
#define SLM_CHAT_H

#include "slm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- chat ----------------------- */

/* One message of a conversation. Roles: "system", "developer", "user", "assistant", "tool", "tools",
 * "tool_response", "tool_results", "function" and "ipython"; SLM_ERR_TEMPLATE for others, since a
 * template may make a control token of any role.
 * With role NULL, content is a whole message as a JSON object: {"role": "assistant", "content": null,
 * "tool_calls": [...]}, with all the members that templates know. Their texts are never trusted. */
typedef struct slm_message {
    uint32_t struct_size;
    const char *role;
    size_t role_len; /* bytes or SLM_NTS                                                             */
    const char *content;
    size_t content_len;
} slm_message;

enum {
    SLM_CHAT_GENERATION_PROMPT = 1u << 0, /* end with the opening of the assistant's turn            */
    SLM_CHAT_CONTINUE = 1u << 1 /* end right behind the text of the last message, for the model to go on
                                   with it. Not with GENERATION_PROMPT                               */
};

/* A conversation in the model's own chat format, as text: the file's chat template is rendered, a
 * program in the language of Jinja. It sees the messages and the texts of the BOS and EOS tokens and
 * nothing else. Depth, steps, memory and output of a template are bounded.
 * SLM_ERR_MISSING when the model has no template. SLM_ERR_TEMPLATE when it is at fault, or refuses the
 * conversation: the message has its own words, line and column. SLM_ERR_LIMIT when it does too much.
 * Buffer rules as in slm_model_get_meta. Any thread. */
SLM_API slm_status slm_chat_render(const slm_model *model, const slm_message *messages,
                                   size_t n_messages, uint32_t flags, char *text, size_t cap,
                                   size_t *len, slm_error *error);

/* The same as token ids: those of the whole text, but that only the template's own bytes may become
 * control tokens. What comes from the messages never does, whatever a template makes of it. A BOS that
 * the template writes is not added again. Buffer rules as in slm_tokenize. */
SLM_API slm_status slm_chat_tokenize(const slm_model *model, const slm_message *messages,
                                     size_t n_messages, uint32_t flags, int32_t *ids, size_t cap,
                                     size_t *n_ids, slm_error *error);

/* A conversation with all that a template can be given. Texts are JSON in UTF-8, NULL where there is
 * none, with their lengths in bytes or SLM_NTS. Names that stand twice in an object are errors. */
typedef struct slm_chat_input {
    uint32_t struct_size;
    uint32_t flags;              /* SLM_CHAT_...                                                     */
    const slm_message *messages; /* this, or conversation                                            */
    size_t n_messages;
    const char *conversation; /* {"messages": [...], "tools": [...] or null, "add_generation_prompt":
                                 true or false, "extra": {...}}; all but messages may be absent, and
                                 what is there takes the place of tools, extra and the flag          */
    size_t conversation_len;
    const char *tools; /* an array of tools as the template wants them, mostly {"type": "function",
                          "function": {"name": ..., "description": ..., "parameters": a JSON Schema}} */
    size_t tools_len;
    const char *extra; /* an object: further variables of the template, such as {"enable_thinking":
                          false}; continue_final_message: true is as SLM_CHAT_CONTINUE               */
    size_t extra_len;
    int64_t now; /* the local date and time for templates that ask for it, as seconds from 1970-01-01
                    00:00 by the clock on the wall; 0: not told (most then write a fixed date)       */
} slm_chat_input;

/* As slm_chat_render and slm_chat_tokenize. Where there are tools and the file has a template of its
 * own for them ("tokenizer.chat_template.tool_use"), that one is used. */
SLM_API slm_status slm_chat_render_input(const slm_model *model, const slm_chat_input *input,
                                         char *text, size_t cap, size_t *len, slm_error *error);
SLM_API slm_status slm_chat_tokenize_input(const slm_model *model, const slm_chat_input *input,
                                           int32_t *ids, size_t cap, size_t *n_ids,
                                           slm_error *error);

/* ---------------------------------------------------------------- tool calls ----------------- */

/* How a model writes a call of a tool. The values are pinned. */
typedef int32_t slm_tool_format;
enum {
    SLM_TOOLS_AUTO = 0,             /* as the model's chat template tells                            */
    SLM_TOOLS_HERMES = 1,           /* <tool_call>{"name": ..., "arguments": {...}}</tool_call>
                                       (Qwen 2.5, Qwen 3, Hermes)                                    */
    SLM_TOOLS_PHI4_MINI = 2,        /* <|tool_call|>[{...}, ...]<|/tool_call|>, functools[{...}]     */
    SLM_TOOLS_LLAMA3_JSON = 3,      /* {"name": ..., "parameters": {...}}; ...                       */
    SLM_TOOLS_LLAMA32_PYTHONIC = 4, /* [f(a='x'), g(b=1)]                                            */
    SLM_TOOLS_JSON = 5              /* {"name": ..., "arguments": {...}} or a list of them: for
                                       models that were taught no format of their own                */
};

/* "hermes", "phi4_mini", "llama3_json", "llama32_pythonic", "json"; NULL for AUTO and others. */
SLM_API const char *slm_tool_format_name(slm_tool_format format);
/* The format that the model's chat template tells; SLM_TOOLS_JSON where it tells none. Any thread. */
SLM_API slm_status slm_model_get_tool_format(const slm_model *model, slm_tool_format *format,
                                             slm_error *error);

/* Finds the calls in the text of an answer while it comes. Text goes in by slm_tool_parser_feed in
 * pieces of any size, cut anywhere; events come out of slm_tool_parser_next. However it is cut, the
 * calls and the text are the same.
 *   - A call is given when all of it has come and is right; until then it is held back. So a call that
 *     has begun is complete, and none is ever taken back.
 *   - What is no call, or a malformed one, is text: byte for byte, its markers included. An answer
 *     without a call comes out as it went in.
 *   - Of an answer with a call, white space (blank, tab, CR, LF) at the end of the text goes, and at
 *     its beginning where a call came first; elsewhere it stays.
 *   - Arguments are an object; Llama's and Phi's formats, and SLM_TOOLS_JSON, may call them
 *     "parameters". Those written as a string that holds an object are decoded once.
 * One thread at a time. The parser keeps the model alive. */
typedef struct slm_tool_parser slm_tool_parser;

typedef struct slm_tool_parser_options {
    uint32_t struct_size;
    slm_tool_format format;  /* default AUTO                                                         */
    uint64_t max_call_bytes; /* what is longer is text; default 1 MiB. The memory that a parser needs
                                follows: some times this, and what is fed in one piece                */
} slm_tool_parser_options;

/* options may be NULL: defaults. */
SLM_API slm_status slm_tool_parser_open(const slm_model *model,
                                        const slm_tool_parser_options *options,
                                        slm_tool_parser **out, slm_error *error);
SLM_API void slm_tool_parser_close(slm_tool_parser **parser);

typedef int32_t slm_tool_event_type;
enum {
    SLM_TOOL_NONE = 0,       /* nothing more until the next feed                                     */
    SLM_TOOL_TEXT = 1,       /* a piece of text, never empty, in the bytes that were fed             */
    SLM_TOOL_CALL_BEGIN = 2, /* text: the name of the tool, decoded                                  */
    SLM_TOOL_ARGUMENTS = 3,  /* text: arguments, JSON on one line without blanks between its tokens;
                                numbers are spelt as the model spelt them. The pieces of one call make
                                up an object                                                         */
    SLM_TOOL_CALL_END = 4,
    SLM_TOOL_END = 5         /* after slm_tool_parser_finish: all was said                           */
};
typedef struct slm_tool_event {
    uint32_t struct_size;
    slm_tool_event_type type;
    const char *text;     /* not NUL-terminated; valid until the next call on the parser             */
    size_t text_len;
    uint32_t call;        /* of BEGIN, ARGUMENTS and END: which call of the answer, from 0           */
} slm_tool_event;

/* Adds len bytes of the answer (or SLM_NTS); text is copied. After SLM_TOOL_END a new answer begins
 * with it. Pull the events after each piece. SLM_ERR_BUSY between slm_tool_parser_finish and SLM_TOOL_END. */
SLM_API slm_status slm_tool_parser_feed(slm_tool_parser *parser, const char *text, size_t len,
                                        slm_error *error);
/* The end of the answer. What was held back becomes an event. */
SLM_API slm_status slm_tool_parser_finish(slm_tool_parser *parser, slm_error *error);
/* The next event. SLM_ERR_NOMEM when memory is refused: the parser can then only be closed. */
SLM_API slm_status slm_tool_parser_next(slm_tool_parser *parser, slm_tool_event *event,
                                        slm_error *error);

/* ---------------------------------------------------------------- speech --------------------- */

/* Cuts an answer into pieces to be spoken while it comes: clauses and sentences, without what nobody
 * wants to hear. The text itself stays whole and yours; each piece says which bytes of it it stands
 * for, so that after an interruption the answer can be cut where speaking ended.
 *   - A sentence ends at a full stop, question or exclamation mark, ellipsis or their like in other
 *     scripts, at the end of a paragraph, heading, item of a list or row of a table; not at the full
 *     stop of an abbreviation, initial, number ("3.14") or ordinal ("am 3. Mai").
 *   - A clause ends at a comma, semicolon, colon or dash with a blank behind it, at their like in
 *     other scripts, at a new line, and where a piece would grow too long.
 *   - Left out: thinking (<think>...</think>), code, URLs and the targets of links, emoji, footnotes,
 *     marks of Markdown, controls, bytes that are not UTF-8. Runs of white space become one blank. A
 *     piece has at least one letter or digit.
 * However the text is cut into what is fed, the pieces are the same. A piece is given as soon as the
 * character behind it, or the end of its line, has shown that it ends. Memory is what is fed at a time
 * and some times max_piece. One thread at a time. */
typedef struct slm_speech slm_speech;

/* slm_speech_options.flags */
enum {
    SLM_SPEECH_SENTENCES = 1u << 0,   /* whole sentences only, but for those that are too long       */
    SLM_SPEECH_INLINE_CODE = 1u << 1, /* what stands in `backticks` is spoken                        */
    SLM_SPEECH_PLAIN = 1u << 2,       /* the text is not Markdown: its marks are text                */
    SLM_SPEECH_IN_THINKING = 1u << 3  /* the prompt has opened the thinking: it ends at </think>      */
};

typedef struct slm_speech_options {
    uint32_t struct_size;
    uint32_t flags;      /* SLM_SPEECH_...                                                           */
    uint32_t min_clause; /* characters that a clause has at least, those of East Asia counting twice;
                            shorter ones go with what follows; default 16                            */
    uint32_t max_piece;  /* bytes that a piece has at most, 32 to 65536; default 400                 */
} slm_speech_options;

/* model: whose memory it counts to; it is kept alive. options may be NULL: defaults. */
SLM_API slm_status slm_speech_open(const slm_model *model, const slm_speech_options *options,
                                   slm_speech **out, slm_error *error);
SLM_API void slm_speech_close(slm_speech **speech);

typedef int32_t slm_speech_event_type;
enum {
    SLM_SPEECH_NONE = 0,     /* nothing more until the next feed                                     */
    SLM_SPEECH_CLAUSE = 1,   /* a piece after which the sentence goes on                             */
    SLM_SPEECH_SENTENCE = 2, /* a piece that ends a sentence                                         */
    SLM_SPEECH_END = 3       /* after slm_speech_finish: all was said                                */
};
typedef struct slm_speech_event {
    uint32_t struct_size;
    slm_speech_event_type type;
    const char *text;        /* of a piece: UTF-8, not NUL-terminated, until the next call           */
    size_t text_len;
    uint64_t begin;          /* bytes of the answer from which the piece was made: from the first of  */
    uint64_t end;            /* these to before the second                                           */
} slm_speech_event;

/* Adds len bytes of the answer (or SLM_NTS); text is copied. After SLM_SPEECH_END a new answer begins
 * with it. Pull the events after each piece. SLM_ERR_BUSY between slm_speech_finish and SLM_SPEECH_END. */
SLM_API slm_status slm_speech_feed(slm_speech *speech, const char *text, size_t len,
                                   slm_error *error);
/* The end of the answer, or of what will be spoken of it. */
SLM_API slm_status slm_speech_finish(slm_speech *speech, slm_error *error);
SLM_API slm_status slm_speech_next(slm_speech *speech, slm_speech_event *event, slm_error *error);

#ifdef __cplusplus
}
#endif
#endif
