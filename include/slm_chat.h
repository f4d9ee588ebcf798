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
    const char *chat_template; /* a template to use in place of the model's; NULL: the model's       */
    size_t chat_template_len;
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
 *     "parameters". Those written as a string that holds an object are decoded once. JSON that is nested
 *     more than 250 deep is malformed.
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
    uint32_t min_first;  /* min_clause of an answer's first piece, with which speaking begins; default
                            min_clause                                                               */
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

/* ---------------------------------------------------------------- tools ---------------------- */

/* Which calls an answer may and must have. */
typedef int32_t slm_tool_choice;
enum {
    SLM_TOOL_CHOICE_AUTO = 0,     /* the model decides: text, calls, or both                         */
    SLM_TOOL_CHOICE_NONE = 1,     /* no call can begin                                               */
    SLM_TOOL_CHOICE_REQUIRED = 2, /* one call or more, and no text                                   */
    SLM_TOOL_CHOICE_NAMED = 3     /* one call of the tool that is named, and no text                 */
};

/* slm_guide_options.flags, for slm_guide_compile_tools */
enum {
    SLM_GUIDE_ONE_CALL = 1u << 1 /* at most one call: behind it the answer ends                      */
};

typedef struct slm_tools_options {
    uint32_t struct_size;
    slm_tool_choice choice; /* default AUTO                                                          */
    const char *name;       /* of the tool that NAMED wants; else NULL                               */
    size_t name_len;        /* bytes or SLM_NTS                                                      */
    slm_tool_format format; /* how calls are written; default AUTO: as the model's template tells    */
    const char *schema;     /* with AUTO: what an answer without a call has to be, a JSON Schema as
                               slm_guide_compile_json_schema takes it; NULL: any text. The other
                               choices take no notice of it                                          */
    size_t schema_len;      /* bytes or SLM_NTS                                                      */
} slm_tools_options;

/* Compiles tools to a guide that holds calls to them, in the model's own format: once an answer begins
 * a call, its name is one of the tools and its arguments satisfy the schema of that one. What such an
 * answer holds is what slm_tool_parser finds in it.
 *   tools    a JSON array of {"type": "function", "function": {"name": ..., "parameters": a JSON
 *            Schema}}, or of the inner objects alone. Without parameters a tool takes no arguments.
 *            At most 1 MiB, and 1,024 tools
 *   options  NULL: defaults
 *   guide_options  NULL: defaults. Not with SLM_GUIDE_LENIENT
 *   - A call begins with its marker ("<tool_call>", "<|python_tag|>", "functools[" ...), whether that
 *     comes as a control token or is spelt; behind it nothing but a call can come. In the formats whose
 *     calls may stand without one, an answer that begins with { or [ is a call (and none can begin so
 *     with NONE). All other text is free, between and behind calls too; a list in Python's syntax
 *     ends the answer.
 *   - A thinking span (<think>...</think>) may come first, and is free. With REQUIRED and NAMED only
 *     where the model's template or vocabulary knows it.
 *   - Control tokens that mark calls and thinking are part of the text that generators give.
 *   - With a schema for answers, an answer is calls or one JSON text of the schema, and never both. In
 *     formats whose calls may stand without a marker, a text that has the form of a call is one, and
 *     nothing of either is delivered before it is whole.
 *   - An empty array is as NONE; with a schema, the answer is a text of it.
 * Schemas as for slm_guide_compile_json_schema, with its failures; the message names the tool. Also
 * SLM_ERR_GRAMMAR for what is no tool, SLM_ERR_DUP for two of one name, SLM_ERR_MISSING for a name that
 * no tool has, or no tool where one is wanted, SLM_ERR_UNSUP for names that the format cannot write.
 * model may be NULL where format is not AUTO: for slm_guide_match. */
SLM_API slm_status slm_guide_compile_tools(slm_model *model, const char *tools, size_t len,
                                           const slm_tools_options *options,
                                           const slm_guide_options *guide_options, slm_guide **out,
                                           slm_error *error);

/* ---------------------------------------------------------------- answers -------------------- */

/* A filter over what goes in and out of a conversation, clause by clause, for instance for safety. */
typedef int32_t slm_filter_place;
enum { SLM_FILTER_INPUT = 0 /* a message of the user */, SLM_FILTER_OUTPUT = 1 /* an answer */ };
typedef int32_t slm_filter_action;
enum {
    SLM_FILTER_PASS = 0,    /* as it is                                                              */
    SLM_FILTER_REPLACE = 1, /* text takes its place                                                  */
    SLM_FILTER_STOP = 2     /* text takes its place, and the answer ends behind it                   */
};
typedef struct slm_filter_verdict {
    uint32_t struct_size;
    slm_filter_action action;
    const char *text;     /* UTF-8; of REPLACE and STOP. To stay until the filter is called again, or the
                             call that called it has returned                                        */
    size_t text_len;      /* bytes or SLM_NTS; 0: nothing                                            */
} slm_filter_verdict;
/* text: a clause with the white space and marks around it; the clauses of an answer make it up. The
 * verdict comes in as PASS. Must not use the session. Return 0 to go on, anything else to stop, which
 * is as slm_session_cancel: SLM_ERR_CANCEL; the clause is then not delivered. */
typedef int32_t (*slm_filter_fn)(void *user, slm_filter_place place, const char *text, size_t len,
                                 slm_filter_verdict *verdict);

/* An answer: a generator with all that is made of its text. Thinking, calls of tools and text for the
 * reader come apart, the text also in pieces to be spoken. */
typedef struct slm_answer slm_answer;

/* slm_answer_options.flags */
enum {
    SLM_ANSWER_THINKING = 1u << 0, /* thinking comes as events too; else it is kept for the message
                                      only                                                           */
    SLM_ANSWER_CALLS = 1u << 1     /* calls are looked for though tools is NULL: the guide in generate
                                      holds them, or nothing does                                    */
};

typedef struct slm_answer_options {
    uint32_t struct_size;
    uint32_t flags;               /* SLM_ANSWER_...                                                  */
    const slm_generate_options *generate; /* copied with what it points to; NULL: defaults           */
    const char *tools;            /* compiled by slm_guide_compile_tools, for this answer alone; NULL:
                                     none. Not with a guide in generate. Where many answers have the
                                     same tools, compile them once, and use CALLS                    */
    size_t tools_len;             /* bytes or SLM_NTS                                                */
    const slm_tools_options *tools_options; /* NULL: defaults. Its format is also that of CALLS      */
    const slm_guide_options *guide_options; /* for tools; NULL: defaults                             */
    uint64_t thinking_budget;     /* tokens of thinking after which it is closed; 0: no bound        */
    const slm_speech_options *speech; /* NULL: no CLAUSE and SENTENCE events                         */
    slm_filter_fn filter;         /* sees each clause of the text before it is delivered; NULL: none */
    void *filter_user;
} slm_answer_options;

typedef int32_t slm_answer_event_type;
enum {
    SLM_ANSWER_NONE = 0,        /* a token was made, and there is nothing to deliver yet             */
    SLM_ANSWER_TEXT = 1,        /* a piece of the text for the reader, never empty                   */
    SLM_ANSWER_THINKING_TEXT = 2, /* a piece of the thinking, never empty                            */
    SLM_ANSWER_CALL_BEGIN = 3,  /* text: the name of the tool                                        */
    SLM_ANSWER_ARGUMENTS = 4,   /* text: arguments, JSON on one line; the pieces of one call make up an
                                   object                                                            */
    SLM_ANSWER_CALL_END = 5,    /* the call is complete and right                                    */
    SLM_ANSWER_CLAUSE = 6,      /* text: to be spoken, made of bytes begin to end of the text for the
                                   reader; after the TEXT that holds them. The sentence goes on      */
    SLM_ANSWER_SENTENCE = 7,    /* the same, and ends a sentence                                     */
    SLM_ANSWER_REEVALUATED = 8, /* as SLM_EVENT_REEVALUATED                                          */
    SLM_ANSWER_END = 9          /* reason says why                                                   */
};
/* slm_end_reason, of answers */
enum { SLM_END_FILTER = 7 /* the filter stopped it */ };

typedef struct slm_answer_event {
    uint32_t struct_size;
    slm_answer_event_type type;
    const char *text;     /* valid UTF-8, not NUL-terminated; until the next call on the answer      */
    size_t text_len;
    uint32_t call;        /* of calls: which one, from 0                                             */
    uint32_t thinking;    /* 1 while the model thinks                                                */
    uint64_t begin, end;  /* of CLAUSE and SENTENCE                                                  */
    uint64_t count;       /* tokens generated so far; of REEVALUATED: evaluated again                */
    slm_end_reason reason;
    uint64_t forced;      /* as in slm_event                                                         */
    uint64_t steps;       /* as in slm_event                                                         */
    uint64_t drafted;     /* as in slm_event                                                         */
} slm_answer_event;

/* Begins an answer after the tokens that the session holds, as slm_generate_begin does and with its
 * rules; options may be NULL.
 *   - Thinking is what stands between <think> and </think> at the beginning of an answer; where the
 *     prompt ends in <think>, up to </think>. White space behind it belongs to nothing. When the budget
 *     is spent </think> is put into the answer, and the model goes on from there. A guide of your own
 *     that has no place for thinking holds it too: give it the trigger "</think>".
 *   - Where a guide of tools holds the calls, one begins when its name is written, and its arguments come
 *     while they are: act on it at CALL_END. A call that the answer ends in (max_tokens, a stop text, a
 *     full context) has none; all of it, its marker included, then follows as text. Of calls in one list
 *     the others come with the end of the list.
 *   - Else calls come when they are whole, as from slm_tool_parser. Malformed ones, and one that the
 *     answer ends in, are text.
 *   - With a filter, text is held back until its clause is whole. */
SLM_API slm_status slm_answer_begin(slm_session *session, const slm_answer_options *options,
                                    slm_answer **out, slm_error *error);
/* The next event; makes at most one token. With SLM_ANSWER_END the session is free again; after it
 * comes the same again. A failure is as in slm_generate_next: after SLM_ERR_CANCEL the answer can go
 * on, or be ended. */
SLM_API slm_status slm_answer_next(slm_answer *answer, slm_answer_event *event, slm_error *error);
/* The text for the reader that was delivered so far; until the next call on the answer. */
SLM_API slm_status slm_answer_get_text(const slm_answer *answer, const char **text, size_t *len,
                                       slm_error *error);
/* The message of the answer as far as it was delivered, for the transcript (slm_message with role
 * NULL): {"role": "assistant", "content": ..., "reasoning_content": ..., "tool_calls": [{"type":
 * "function", "function": {"name": ..., "arguments": {...}}}]}. Content is always there, the others where
 * there are any. Arguments are a string where the model's template prints them as they are, and else an
 * object. Until the next call on the answer. */
SLM_API slm_status slm_answer_get_message(slm_answer *answer, const char **json, size_t *len,
                                          slm_error *error);
/* Frees the answer and its generator; the session keeps the tokens. */
SLM_API void slm_answer_end(slm_answer **answer);

/* ---------------------------------------------------------------- conversations -------------- */

/* A conversation: a transcript, and the session that has evaluated it. You say what is said; it renders
 * the transcript with the model's template and sees to it that only what is new is evaluated.
 *   - After every call that evaluates (draft, prepare, answer, continue) the session holds exactly the
 *     tokens of what was rendered, as slm_chat_tokenize_input gives them; the longest prefix that it
 *     already held is kept. So on the CPU logits are, bit for bit, those of a fresh session.
 *   - Edits (cut, keep, rollback, set_tools) change the transcript, and at once take out of the session
 *     what the transcript does not say any more, as far as the template can render what is left.
 *   - Segments: the tools and the messages of system and developer that come first are pinned; the rest
 *     is history. A tail is what changes from turn to turn, such as the time or the state of a device: it
 *     goes into the newest message of the user when that is answered and stays there, so that another
 *     one never has anything before it evaluated again.
 *   - The session stays yours, and must stay open until the conversation is closed. Used otherwise in
 *     between it does no harm but for time. slm_session_cancel stops what runs here too.
 *   - While an answer of it is open, every call but slm_chat_close is SLM_ERR_BUSY.
 * A conversation belongs to the thread of its session's cache. */
typedef struct slm_chat slm_chat;

/* What to do when the next prompt and the reserve do not fit into the context. */
typedef int32_t slm_chat_full;
enum {
    SLM_CHAT_FULL_STOP = 0, /* SLM_ERR_CTX, and nothing has changed: cut, or begin anew              */
    SLM_CHAT_FULL_DROP = 1  /* the oldest turns are no longer rendered, each from a message of the user
                               to before the next; the pinned segments stay, and so does the turn to be
                               answered. At least a quarter of the context becomes free where that can be
                               had, since what is behind a gap is evaluated again. Reports say how many
                               messages went; the transcript still has them. SLM_ERR_CTX where that is
                               not enough                                                            */
};

typedef struct slm_chat_options {
    uint32_t struct_size;
    slm_chat_full when_full;   /* default STOP                                                       */
    uint32_t reserve;          /* tokens that must stay free for an answer; default: an eighth of the
                                  context                                                            */
    const char *tools;         /* texts as in slm_chat_input; all are copied                         */
    size_t tools_len;
    const char *extra;
    size_t extra_len;
    int64_t now;
    const char *chat_template;
    size_t chat_template_len;
    slm_filter_fn filter;      /* sees each text of messages of the user and of tools when it is added
                                  (SLM_FILTER_INPUT), whole; NULL: none                              */
    void *filter_user;
} slm_chat_options;

/* options may be NULL. SLM_ERR_MISSING when neither the model nor the options have a template. */
SLM_API slm_status slm_chat_open(slm_session *session, const slm_chat_options *options,
                                 slm_chat **out, slm_error *error);
/* Sets *chat to NULL. The session keeps what it holds. An answer that is open can go on without it. */
SLM_API void slm_chat_close(slm_chat **chat);

/* slm_chat_add flags */
enum {
    SLM_CHAT_UNFILTERED = 1u << 0 /* not through the filter: a history that is read back             */
};
/* Adds a message to the transcript; nothing is evaluated. A message as JSON may have a member "tail", a
 * text, as slm_chat_get_message gives it. SLM_ERR_TEMPLATE for a role that no template knows, SLM_ERR_UTF8,
 * SLM_ERR_LIMIT for JSON that is nested more than 254 deep; SLM_ERR_CANCEL when the filter stops the message: it is not added. */
SLM_API slm_status slm_chat_add(slm_chat *chat, const slm_message *message, uint32_t flags,
                                slm_error *error);

typedef struct slm_chat_info {
    uint32_t struct_size;
    uint32_t has_draft;  /* a draft was evaluated, and nothing after it                              */
    uint64_t n_messages; /* of the transcript                                                        */
    uint64_t n_pinned;   /* of these, the first that are pinned                                      */
    uint64_t n_dropped;  /* and those behind them that are no longer rendered                        */
    uint64_t n_tokens;   /* that the session holds                                                   */
    uint32_t n_ctx;      /* that it can hold                                                         */
    uint32_t reserve;    /* of these for an answer                                                   */
} slm_chat_info;
SLM_API slm_status slm_chat_get_info(const slm_chat *chat, slm_chat_info *info, slm_error *error);

/* A message of the transcript as a JSON object, with the member "tail" where it has one: what stands
 * apart here is one text for the model. Valid until the next call on the conversation. SLM_ERR_RANGE. */
SLM_API slm_status slm_chat_get_message(slm_chat *chat, size_t index, const char **json, size_t *len,
                                        slm_error *error);

/* Takes back all messages but the first n. SLM_ERR_RANGE when there are fewer. */
SLM_API slm_status slm_chat_cut(slm_chat *chat, size_t n, slm_error *error);
/* Other tools from now on; NULL: none. The text is copied. */
SLM_API slm_status slm_chat_set_tools(slm_chat *chat, const char *tools, size_t len,
                                      slm_error *error);
/* The tail of the message of the user that is answered next, and of those after it: put behind their
 * content as it is. It is copied; NULL or empty: none. */
SLM_API slm_status slm_chat_set_tail(slm_chat *chat, const char *text, size_t len,
                                     slm_error *error);

/* Parts of a prompt. */
typedef int32_t slm_chat_segment;
enum {
    SLM_SEGMENT_NONE = 0,
    SLM_SEGMENT_SYSTEM = 1,  /* a pinned message, or what the template writes before all messages    */
    SLM_SEGMENT_TOOLS = 2,   /* tools, extra variables                                               */
    SLM_SEGMENT_HISTORY = 3, /* another message                                                      */
    SLM_SEGMENT_TAIL = 4,    /* the tail of one                                                      */
    SLM_SEGMENT_DRAFT = 5    /* a draft, or what was said in its place                               */
};

/* What an evaluation kept, and why it could not keep more. */
typedef struct slm_chat_report {
    uint32_t struct_size;
    slm_reuse_stop reuse_stop; /* as in slm_prompt_report                                            */
    uint64_t n_reused;
    uint64_t n_evaluated;
    slm_chat_segment segment;  /* of SLM_REUSE_TOKEN: where the first token is that differs          */
    uint32_t n_dropped;        /* messages that went out of the context in this call                 */
    uint64_t message;          /* and in which message of the transcript, what introduces it included;
                                  n_messages for a draft; UINT64_MAX: in none                        */
} slm_chat_report;

/* Evaluates ahead a message of the user that is still being said: the prompt up to the end of this
 * text, left open. The next draft, or the message when it is added and answered, replaces it from where
 * the two differ. The transcript does not have it, and no filter sees it. Empty: as slm_chat_prepare.
 * report may be NULL. SLM_ERR_CANCEL and others as in slm_session_prompt. */
SLM_API slm_status slm_chat_draft(slm_chat *chat, const char *text, size_t len,
                                  slm_chat_report *report, slm_error *error);
/* The draft never was. */
SLM_API slm_status slm_chat_rollback(slm_chat *chat, slm_error *error);
/* Evaluates what is certain of the next prompt, for instance while the answer is being spoken: up to
 * where the next message of the user, or after a call the tool's result, will begin; after such a
 * message all of the prompt, or where a tail is set its part before the tail. */
SLM_API slm_status slm_chat_prepare(slm_chat *chat, slm_chat_report *report, slm_error *error);

/* Evaluates what is new of the transcript and begins an answer to its last message, which must not be
 * the assistant's (SLM_ERR_ARG). The tail goes into the newest message of the user. After
 * SLM_ANSWER_END, or when the answer is ended before that (after SLM_ERR_CANCEL for instance), the
 * assistant's message is in the transcript, with what came until then. Where the conversation has tools
 * and options name neither tools nor a guide, and not SLM_ANSWER_CALLS, calls are held to its tools.
 * options and report may be NULL. */
SLM_API slm_status slm_chat_answer(slm_chat *chat, const slm_answer_options *options,
                                   slm_answer **out, slm_chat_report *report, slm_error *error);
/* Keeps of the last message, which must be the assistant's, the first n bytes of its content: what was
 * spoken when somebody interrupted (slm_answer_event.end). A character that n would cut goes, and so do
 * calls of tools behind a content that was cut. note: a text for the model that is put behind the
 * content, such as " [interrupted]", and is the message's tail in the transcript; NULL: none. SLM_ERR_ARG
 * for a content in parts. */
SLM_API slm_status slm_chat_keep(slm_chat *chat, size_t n, const char *note, size_t note_len,
                                 slm_error *error);
/* Goes on with the last message, which must be the assistant's and without calls. A note goes. What is
 * generated is added to the message when the answer ends. Else as slm_chat_answer. */
SLM_API slm_status slm_chat_continue(slm_chat *chat, const slm_answer_options *options,
                                     slm_answer **out, slm_chat_report *report, slm_error *error);

/* Saves the session with the transcript and the tools (slm_session_save, with its failures). What was
 * taken back is not in the file; where the template refuses what is left, no token is. */
SLM_API slm_status slm_chat_save(slm_chat *chat, const char *path, slm_error *error);
/* Opens a conversation from a file that slm_chat_save wrote, in a session whose tokens it replaces. What
 * options say of extra, now and chat_template was not saved; their tools go before those of the file.
 * As slm_chat_open and slm_session_load; SLM_ERR_MISSING for a snapshot of a session alone, SLM_ERR_FORMAT
 * for one with another attachment. On failure the session is as it was. */
SLM_API slm_status slm_chat_load(slm_session *session, const slm_chat_options *options,
                                 const char *path, slm_chat **out, slm_error *error);

#ifdef __cplusplus
}
#endif

/* Many requests answered together, embeddings. */
#include "slm_batch.h"

#endif
