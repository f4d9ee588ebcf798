/*
 * What the sub-commands of `slm` share: messages, option parsing, input and output, the progress
 * bar, signals, and the common options of everything that runs a model.
 *
 * A command is `int slm_cmd_NAME(int argc, char **argv)`: argv[0] is the command's name, the result
 * is the exit status. It builds a table of options, calls slm_cli_parse, does its work, writes
 * results with slm_cli_write and returns slm_cli_finish(status).
 */
#ifndef SLM_TOOLS_CLI_H
#define SLM_TOOLS_CLI_H

#include "slm.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SLM_CLI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SLM_CLI_PRINTF(f, a)
#endif

/* Exit statuses. */
enum { SLM_EXIT_DONE = 0, SLM_EXIT_FAILED = 1, SLM_EXIT_USAGE = 2, SLM_EXIT_INTERRUPTED = 130 };

/* ---------------------------------------------------------------- messages (cli.c) ----------- */

/* One line on standard error, "slm: " before it; what slm_cli_unsafe tells and bytes that are not
 * UTF-8 come out as \xNN, so it is one line whatever the arguments hold. Errors are printed even under
 * -q. fail returns SLM_EXIT_FAILED, usage returns SLM_EXIT_USAGE. */
int slm_cli_fail(const char *format, ...) SLM_CLI_PRINTF(1, 2);
int slm_cli_usage(const char *format, ...) SLM_CLI_PRINTF(1, 2);
/* A failed call of the library, as "slm: WHAT: message"; what is a file name or the like and may be
 * NULL. Returns SLM_EXIT_FAILED; SLM_EXIT_INTERRUPTED, printing nothing, for SLM_ERR_CANCEL. */
int slm_cli_fail_error(const char *what, const slm_error *error);
/* "slm: warning: ..."; nothing under -q. */
void slm_cli_warn(const char *format, ...) SLM_CLI_PRINTF(1, 2);
/* A line for a person (timings and the like), without a prefix; nothing under -q. */
void slm_cli_note(const char *format, ...) SLM_CLI_PRINTF(1, 2);
/* For slm_model_options.log: warnings and errors of the library as warnings. */
void slm_cli_log(void *user, slm_log_level level, const char *line);

/* ---------------------------------------------------------------- options (cli.c) ------------ */

typedef enum slm_opt_kind {
    SLM_OPT_FLAG,   /* no value; *(int *)target = 1                                                  */
    SLM_OPT_UNFLAG, /* no value; *(int *)target = 0                                                  */
    SLM_OPT_I32,    /* *(int32_t *)target, from min to max                                           */
    SLM_OPT_U32,    /* *(uint32_t *)target, from min to max                                          */
    SLM_OPT_U64,    /* *(uint64_t *)target, any; min and max are not used                            */
    SLM_OPT_F32,    /* *(float *)target, finite, from min to max                                     */
    SLM_OPT_TEXT,   /* *(const char **)target                                                        */
    SLM_OPT_CHOICE, /* *(int32_t *)target; arg is "f32|f16|q8_0", choices the values in that order   */
    SLM_OPT_CALL    /* call(option, value)                                                           */
} slm_opt_kind;

typedef struct slm_opt slm_opt;
/* Takes the value of an option; prints its own complaint with slm_cli_opt_bad. 0, or an exit
 * status. */
typedef int (*slm_opt_fn)(const slm_opt *option, const char *value);

struct slm_opt {
    char letter;        /* 0: none                                                                   */
    const char *name;   /* without the dashes                                                        */
    slm_opt_kind kind;
    void *target;
    const char *arg;    /* what the value is called in --help; NULL for flags                        */
    const char *help;   /* one line; NULL: not listed                                                */
    double min, max;    /* numbers                                                                   */
    const int32_t *choices; /* SLM_OPT_CHOICE                                                        */
    slm_opt_fn call;        /* SLM_OPT_CALL                                                          */
};

typedef struct slm_cli_command {
    const char *name;
    const char *synopsis;  /* what follows the name: "MODEL.gguf [PROMPT] [options]"                 */
    const char *purpose;   /* one line                                                               */
    const char *notes;     /* further lines of --help, each ending in a newline; may be NULL         */
    size_t min_args, max_args; /* positional arguments                                               */
    const char *const *arg_names; /* names of the positional arguments, max_args of them             */
    int is_program;        /* by itself: no sub-command of slm                                       */
} slm_cli_command;

/* Reads the command line: options and positional arguments in any order; "--" ends the options, "-"
 * is positional; "--name VALUE", "--name=VALUE", "-x VALUE" and "-xVALUE". --help and -q/--quiet
 * are always known. args receives the positional arguments in order, NULL in the rest of its
 * max_args places; for the short name of a model that was pulled, its file. Returns -1 to go on;
 * otherwise the exit status (--help prints and gives 0). */
int slm_cli_parse(const slm_cli_command *command, const slm_opt *options, size_t n_options,
                  int argc, char **argv, const char **args);
/* Complains about the value of an option: "slm: option --temp: got "x", wanted ...". Returns
 * SLM_EXIT_USAGE. */
int slm_cli_opt_bad(const slm_opt *option, const char *value, const char *wanted);
int slm_cli_quiet(void); /* whether -q was given */

/* Bytes of the UTF-8 character at p, 0 when the n bytes there do not begin with a whole one. */
size_t slm_cli_utf8(const char *p, size_t n);
/* Its number when the character of n bytes at p, as slm_cli_utf8 found it, would break or reorder a
 * line on a terminal: controls, separators of lines, marks of direction and width; else -1. */
int32_t slm_cli_unsafe(const char *p, size_t n);

/* Strict numbers: the whole text in decimal, no blanks, no locale. 1 when it is one and fits. */
int slm_cli_parse_i64(const char *text, int64_t min, int64_t max, int64_t *out);
int slm_cli_parse_u64(const char *text, uint64_t *out);
int slm_cli_parse_f32(const char *text, double min, double max, float *out);

/* ---------------------------------------------------------------- input, output (cli_io.c) --- */

/* Standard output. 0, or the exit status after printing why; a closed pipe is not spoken of. After
 * a failure nothing more is written. */
int slm_cli_write(const void *data, size_t size);
int slm_cli_print(const char *format, ...) SLM_CLI_PRINTF(1, 2); /* the same, formatted              */
int slm_cli_flush(void);
/* After an interruption that ends no more than what was being written: output goes on. */
void slm_cli_resume_output(void);
/* write(2) until all is out. 0, or -1 with errno. EINTR is reported only for an interruption. */
int slm_cli_write_all(int fd, const char *data, size_t size);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD, what slm_cli_unsafe tells
 * becomes \uNNNN. */
int slm_cli_print_json_text(const char *text, size_t len);
/* Text that is JSON already, its strings made as safe. */
int slm_cli_print_json(const char *text, size_t len);
/* The end of a command: flushes; status, or SLM_EXIT_FAILED when output was lost. */
int slm_cli_finish(int status);

/* Reads a whole file, "-" being standard input, of at most 1 GiB and no more than what memory there
 * is. *data is malloc'ed, with a NUL behind its *size bytes. 0, or the exit status after printing
 * why. */
int slm_cli_read_all(const char *path, char **data, size_t *size);

/* Reads ids: a JSON array, or numbers separated by blanks or commas. where names the source in the
 * message; failure is the exit status for bad input. *ids is malloc'ed. */
int slm_cli_parse_ids(const char *text, size_t len, const char *where, int failure, int32_t **ids,
                      size_t *n);

/* ---------------------------------------------------------------- files (cli_out.c) ---------- */

/* The name of the input that out would replace, or NULL: the file in ("-": standard input), and
 * where its name is that of a part of a split model ("-00001-of-00003.gguf"), its siblings. *buffer,
 * for the caller to free, may hold the name. */
const char *slm_cli_overwrites(const char *in, const char *out, char **buffer);

/* A file that appears whole or not at all: written beside its name, synced, then renamed; links are
 * followed, the mode of what is replaced is kept. What is not a regular file (a device, a pipe), or
 * what the program was given as an open descriptor (/dev/stdout), is written directly. All return
 * 0, or the exit status after printing why; abandon and a failed call leave nothing behind. */
typedef struct slm_cli_out slm_cli_out;
int slm_cli_out_open(const char *path, slm_cli_out **out);
int slm_cli_out_write(slm_cli_out *out, const void *data, size_t size);
int slm_cli_out_commit(slm_cli_out **out);
void slm_cli_out_abandon(slm_cli_out **out);

/* ---------------------------------------------------------------- terminal (cli_term.c) ------ */

/* A file opened later must not come to stand for a standard stream that the caller closed. Output to
 * one of these fails. Called first by main. */
void slm_cli_occupy_streams(void);
/* Installs the handlers; called once by main. SIGINT, SIGTERM and SIGHUP: see below. SIGPIPE
 * and SIGXFSZ are ignored, so that the write fails. SIGBUS, raised when a mapped file has been cut
 * short, prints one line and ends with 1. */
void slm_cli_signals(void);
/* What an interruption does: ends the program at once with 130 (the beginning; a file being written
 * is removed), cancels this session (NULL: is noted) with the second one ending the program where
 * second_exits, or is only noted. */
void slm_cli_on_interrupt_exit(void);
void slm_cli_on_interrupt_cancel(slm_session *session, int second_exits);
void slm_cli_on_interrupt_note(void);
int slm_cli_interrupted(void);       /* whether one came since the last forget */
void slm_cli_forget_interrupt(void);
/* The names that the handlers may need: of the model in use, with whether --load is an option, and
 * of the file to remove. NULL: none. */
void slm_cli_name_model(const char *path, int has_load);
void slm_cli_name_temporary(const char *path);

double slm_cli_now(void); /* seconds, monotonic */

/* A bar on standard error, shown only on a terminal, without -q, once the work has lasted a second;
 * erased at the end. */
void slm_cli_bar_begin(const char *label);
void slm_cli_bar(uint64_t done, uint64_t total);
void slm_cli_bar_end(void);
int slm_cli_bar_wanted(void); /* whether a bar could be shown at all */

/* ---------------------------------------------------------------- models (cli_engine.c) ------ */

/* -t -c --device --kv --load --cpu, and --chunk-ms --cublas */
typedef struct slm_cli_common {
    uint32_t n_threads; /* 0: physical performance cores */
    uint32_t n_ctx;     /* 0: the default    */
    int32_t device, kv, load, levels;
    uint32_t chunk_ms;  /* 0: the default    */
    int cublas;
} slm_cli_common;
#define SLM_CLI_COMMON_OPTIONS 6u
/* Fills SLM_CLI_COMMON_OPTIONS options and returns that number. */
size_t slm_cli_common_options(slm_opt *options, slm_cli_common *common);

/* The same, taken without effect by commands that evaluate nothing, and not listed in --help. */
size_t slm_cli_hidden_options(slm_opt *options, slm_cli_common *common);

/* Those that are about prompts on a device, for commands whose prompts may be long. Fills
 * SLM_CLI_PROMPT_OPTIONS options and returns that number. */
#define SLM_CLI_PROMPT_OPTIONS 2u
size_t slm_cli_prompt_options(slm_opt *options, slm_cli_common *common);

/* The file that a short name stands for, where a model was pulled under it and there is no file of that
 * name; else the argument itself. */
const char *slm_cli_model_path(const char *argument);
/* Where *path is a short name of the catalogue that has not been pulled: offers to, on a terminal, and
 * makes it the path of the file. 0, or the exit status after printing why it cannot be opened. */
int slm_cli_offer_model(const char **path);

/* Opens a model, with a bar. flags: SLM_MODEL_...; common may be NULL. 0, or the exit status after
 * printing why. */
int slm_cli_open_model(const char *path, const slm_cli_common *common, uint32_t flags,
                       slm_model **out);
/* Cache options as the options above say; n_ctx is always filled in. */
void slm_cli_cache_options(const slm_model *model, const slm_cli_common *common,
                           slm_cache_options *options);

/* Bytes of keys and values that a token behind `depth` others reads: each as often as layers read it, and
 * no more than their windows. */
slm_status slm_cli_depth_bytes(const slm_model *model, slm_kv_type kv, uint32_t depth,
                               uint64_t *bytes, slm_error *error);

/* The sampling options. */
typedef struct slm_cli_sampling {
    slm_sampling sampling;
    uint32_t max_tokens; /* 0: until the end or the context is full */
    uint32_t n_draft;
    slm_span *stop;
    size_t n_stop;
    slm_span *breakers;
    size_t n_breakers;
    slm_logit_bias *bias;
    size_t n_bias;
} slm_cli_sampling;
#define SLM_CLI_SAMPLING_OPTIONS 19u
void slm_cli_sampling_init(slm_cli_sampling *s);
void slm_cli_sampling_free(slm_cli_sampling *s);
/* The last one is --draft, which wants as many max_logits of the cache. */
size_t slm_cli_sampling_options(slm_opt *options, slm_cli_sampling *s);
/* What a model's file says of how to choose its tokens (general.sampling.*), else the defaults. Returns
 * an exit status. */
int slm_cli_model_sampling(const char *path, const slm_model *model, slm_sampling *sampling);
/* Takes that for what the options above left open; model NULL: the defaults. To be called once, before
 * slm_cli_generate_options. */
int slm_cli_sampling_settle(slm_cli_sampling *s, const char *path, const slm_model *model);
/* Generation options that point into *s. */
void slm_cli_generate_options(slm_cli_sampling *s, slm_generate_options *options);

/* --stats */
typedef struct slm_cli_stats {
    double load_ms, prompt_ms, first_token_ms;
    double generate_s; /* time that n_timed tokens took */
    uint64_t prompt_tokens, tokens, n_timed;
} slm_cli_stats;
void slm_cli_print_stats(const slm_cli_stats *stats);

/* slm_session_prompt with a bar where one is wanted. */
slm_status slm_cli_prompt(slm_session *session, const slm_model_info *info, const int32_t *ids,
                          size_t n, slm_error *error);
/* Produces an answer: writes it to standard output as it comes and, when answer is not NULL, keeps
 * it there (malloc'ed, the caller's). started is when the prompt was handed over. Adds to *stats.
 * Returns 0, or the exit status after printing why. */
typedef struct slm_cli_text {
    char *data;
    size_t len, cap;
} slm_cli_text;
int slm_cli_text_add(slm_cli_text *text, const char *data, size_t len); /* 1, or 0: no memory */
int slm_cli_answer(const char *path, slm_session *session, const slm_generate_options *options,
                   double started, slm_cli_text *answer, slm_end_reason *reason,
                   slm_cli_stats *stats);

/* Tokenises one text or a conversation; *ids is malloc'ed. 0, or the exit status after printing
 * why; advice, which may be NULL, is added where the model has no chat format that can be used. tools
 * may be NULL. */
int slm_cli_text_ids(const slm_model *model, const char *path, const slm_span *span, int32_t bos,
                     int32_t **ids, size_t *n);
int slm_cli_chat_ids(const slm_model *model, const char *path, const slm_message *messages,
                     size_t n_messages, const char *tools, size_t tools_len, const char *advice,
                     int32_t **ids, size_t *n);
/* The local date and time, for slm_chat_input.now (cmd_template.c). */
int64_t slm_cli_wall_clock(void);

/* ---------------------------------------------------------------- guides (cmd_grammar.c) ----- */

/* Compiles the grammar or, where that is NULL, the schema in a file. 0, or the exit status after
 * printing why. */
int slm_cli_compile_guide(slm_model *model, const char *grammar, const char *schema, int lenient,
                          slm_guide **out);

/* ---------------------------------------------------------------- lines (cli_line.c) --------- */

/* Reads lines from standard input: with editing and a history where both standard streams are a
 * terminal, with a plain prompt on standard error where only the input is one, else silently. */
typedef struct slm_cli_lines slm_cli_lines;
/* history_name: of a file in the user's folder of states in which earlier lines are kept from one
 * program to the next, where they are edited; NULL: none. Returns NULL when there is no memory. */
slm_cli_lines *slm_cli_lines_open(const char *history_name);
void slm_cli_lines_close(slm_cli_lines *lines);
enum { SLM_LINE_READ = 0, SLM_LINE_END = 1, SLM_LINE_INTERRUPTED = 2, SLM_LINE_FAILED = 3 };
/* The prompt from now on: what and "> "; what may be NULL. Characters beyond ASCII are left out. */
void slm_cli_lines_prompt(slm_cli_lines *lines, const char *what);
/* The next line without its newline, in line->data, line->len; after an interruption what had been
 * typed is dropped and line->len is how much it was. FAILED has printed why. */
int slm_cli_lines_next(slm_cli_lines *lines, slm_cli_text *line);

/* ---------------------------------------------------------------- commands -------------------- */

/* The conversation of `chat`, which `run` opens on a terminal. Returns the exit status. */
typedef struct slm_cli_talk_options {
    const char *system;  /* a text, or NULL; the others are paths of files, or NULL */
    const char *tools, *resume, *grammar, *schema;
    int32_t when_full;
    uint32_t thinking_budget;
    int show_thinking, no_history, raw, want_stats;
} slm_cli_talk_options;
int slm_cli_converse(const char *path, const slm_cli_common *common, slm_cli_sampling *sampling,
                     const slm_cli_talk_options *options);

int slm_cmd_run(int argc, char **argv);
int slm_cmd_chat(int argc, char **argv);
int slm_cmd_tokenize(int argc, char **argv);
int slm_cmd_detokenize(int argc, char **argv);
int slm_cmd_embed(int argc, char **argv);
int slm_cmd_parse_tools(int argc, char **argv);
int slm_cmd_grammar(int argc, char **argv);
int slm_cmd_template(int argc, char **argv);
int slm_cmd_logits(int argc, char **argv);
int slm_cmd_perplexity(int argc, char **argv);
int slm_cmd_bench(int argc, char **argv);
int slm_cmd_inspect(int argc, char **argv);
int slm_cmd_quantize(int argc, char **argv);
int slm_cmd_pack(int argc, char **argv);
int slm_cmd_pull(int argc, char **argv);
int slm_cmd_doctor(int argc, char **argv);
int slm_cmd_serve(int argc, char **argv);

#endif
