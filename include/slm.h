/*
 * slm.h - the public interface of libslm, written as its manual. slm_chat.h and slm_batch.h are its
 * other parts.
 *
 * libslm runs small language models from GGUF files inside your own process. It reads a file,
 * turns text into tokens, evaluates them on the CPU, samples, and hands text back. It opens no
 * socket, prints nothing, installs no signal handler, reads no environment variable, and never
 * aborts or exits: every failure comes back as a status.
 *
 * THE FIVE OBJECTS
 *
 *   slm_model      one GGUF file: weights, vocabulary, chat template. Immutable after opening.
 *   slm_cache      memory in which sessions live: pages of keys and values, scratch, threads.
 *   slm_session    one conversation: a list of tokens and their place in the cache.
 *   slm_generator  one answer being produced in a session; you pull events from it.
 *   slm_error      yours: a struct on your stack in which a failing call explains itself.
 *
 * THE SHORTEST PROGRAM
 *
 *   slm_error err = SLM_ERROR_INIT;
 *   slm_model *model = NULL;  slm_session *session = NULL;  slm_generator *gen = NULL;
 *   if (slm_model_open("model.gguf", NULL, &model, &err) != SLM_OK) { puts(err.message); return 1; }
 *   slm_session_open(model, NULL, &session, &err);
 *   int32_t ids[512];  size_t n = 0;
 *   slm_message msg = {sizeof msg, "user", SLM_NTS, "Why is the sky blue?", SLM_NTS};
 *   slm_chat_tokenize(model, &msg, 1, SLM_CHAT_GENERATION_PROMPT, ids, 512, &n, &err);
 *   slm_session_prompt(session, ids, n, NULL, &err);
 *   slm_generate_begin(session, NULL, &gen, &err);
 *   slm_event ev = {sizeof ev};
 *   while (slm_generate_next(gen, &ev, &err) == SLM_OK && ev.type != SLM_EVENT_END)
 *       if (ev.type == SLM_EVENT_TEXT) fwrite(ev.text, 1, ev.text_len, stdout);
 *   slm_generate_end(&gen);  slm_session_close(&session);  slm_model_close(&model);
 *
 * CONVENTIONS
 *
 *   Status.     Every call that can fail returns slm_status, SLM_OK being 0. It also takes a
 *               slm_error pointer that may be NULL. On failure, output handles are set to NULL
 *               and nothing that existed before the call is changed, unless said otherwise.
 *   Structs.    Every option, info and event struct begins with struct_size, which you set to
 *               sizeof. A program compiled against an older header passes a smaller size and
 *               gets defaults for what it does not know. A zero field means "the default".
 *   Text.       Pointer and length in bytes, UTF-8. A length of SLM_NTS says "up to the NUL".
 *               Text that the library returns is valid UTF-8, but for the calls that say "bytes":
 *               slm_detokenize and slm_model_get_token, since a token may be part of a character.
 *   Ownership.  slm_X_open makes, slm_X_close frees and sets your pointer to NULL. Pointers that
 *               a call hands out into an object live as long as the text at that call says.
 *   Threads.    slm_model: any number of threads. slm_cache with all its sessions and their
 *               generators: one thread at a time (a different one each time is fine). The only
 *               exception is slm_session_cancel, which any thread may call at any time.
 *               Different caches are independent of each other.
 *   Numbers.    On the CPU the bits of every result are independent of the number of threads, of
 *               chunk sizes, of page sizes and of what other sessions do in the same step.
 *
 * Sources of the definitions are named where they matter; docs/EMBEDDING.md is the guide.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SLM_H
#define SLM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SLM_BUILD_SHARED) && defined(__GNUC__)
#define SLM_API __attribute__((visibility("default")))
#else
#define SLM_API
#endif

/* ---------------------------------------------------------------- version -------------------- */

#define SLM_VERSION_MAJOR 0
#define SLM_VERSION_MINOR 1
#define SLM_VERSION_PATCH 0
/* The number in the shared library's soname; it changes only when old programs would break. */
#define SLM_ABI_VERSION 0

/* The version of the library that is running, such as "0.1.0". Static storage. */
SLM_API const char *slm_version(void);

/* ---------------------------------------------------------------- errors --------------------- */

/* Outcome of a call. The values are pinned: they never change and are never reused. */
typedef int32_t slm_status;
enum {
    SLM_OK = 0,
    SLM_ERR_ARG = 1,       /* the call itself was wrong: a null pointer, an unknown flag           */
    SLM_ERR_NOMEM = 2,     /* an allocation failed, or a memory limit would be passed              */
    SLM_ERR_IO = 3,        /* the system refused to open or read a file                            */
    SLM_ERR_FORMAT = 10,   /* bytes that the format does not allow                                 */
    SLM_ERR_TRUNC = 11,    /* the file ends before what it announces                               */
    SLM_ERR_LIMIT = 12,    /* larger than a documented limit, or than the caller's buffer          */
    SLM_ERR_TYPE = 13,     /* a value or tensor of the wrong type                                  */
    SLM_ERR_RANGE = 14,    /* a number outside of what makes sense                                 */
    SLM_ERR_SHAPE = 15,    /* a tensor or array of the wrong size                                  */
    SLM_ERR_MISSING = 16,  /* a required key, tensor, file part or template is absent              */
    SLM_ERR_DUP = 17,      /* the same key or tensor twice                                         */
    SLM_ERR_UNSUP = 18,    /* well formed, but not something this build can run                    */
    SLM_ERR_CHANGED = 19,  /* a file is not the one it was, or parts of two files are mixed        */
    SLM_ERR_UTF8 = 20,     /* text that is not UTF-8 where UTF-8 is required                       */
    SLM_ERR_CTX = 30,      /* the session's context is full                                        */
    SLM_ERR_CANCEL = 31,   /* slm_session_cancel was called; the session is usable                 */
    SLM_ERR_BUSY = 32,     /* the object is in use in a way that excludes this call                */
    SLM_ERR_NUMERIC = 33,  /* NaN or infinity where finite numbers are needed                      */
    SLM_ERR_DEVICE = 34,   /* the GPU or its driver failed                                         */
    SLM_ERR_TEMPLATE = 40, /* a chat template is at fault                                          */
    SLM_ERR_GRAMMAR = 41   /* a grammar or schema is at fault                                      */
};

/* The name of a status without its prefix, such as "TRUNC"; "UNKNOWN" for any other number. */
SLM_API const char *slm_status_name(slm_status status);

/* What went wrong. The caller owns it; a failing call fills it, a succeeding one leaves it alone. */
typedef struct slm_error {
    uint32_t struct_size; /* sizeof(slm_error)                                                     */
    slm_status status;    /* the same value the call returned                                      */
    uint64_t offset;      /* byte offset in the file, UINT64_MAX where there is none               */
    char subject[80];     /* the key, tensor, token or option concerned, escaped; may be empty     */
    char message[304];    /* one line: what, where, got, wanted. Printable, NUL-terminated UTF-8   */
} slm_error;
#define SLM_ERROR_INIT {sizeof(slm_error), 0, UINT64_MAX, {0}, {0}}

/* ---------------------------------------------------------------- host services -------------- */

/* Memory from the caller. alloc returns NULL on failure, or size bytes aligned to align (a power
 * of two, at most 4096). free gets back exactly what alloc was asked for. Both may be called from
 * whichever thread calls the library, never from its worker threads. All NULL: malloc. */
typedef struct slm_allocator {
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*free)(void *user, void *ptr, size_t size, size_t align);
    void *user;
} slm_allocator;

typedef int32_t slm_log_level;
enum { SLM_LOG_NONE = 0, SLM_LOG_ERROR = 1, SLM_LOG_WARNING = 2, SLM_LOG_INFO = 3, SLM_LOG_DEBUG = 4 };

/* Receives one line without a newline. Belongs to a model and everything opened on it. Never gets
 * the text of prompts or answers. */
typedef void (*slm_log_fn)(void *user, slm_log_level level, const char *line);

/* Progress of a load that takes time, done and total in bytes: while a file is read (SLM_LOAD_READ;
 * each part of a split file from 0), while weights are packed or read packed, and while its weights are checked (SLM_MODEL_CHECK_TENSORS, from
 * 0 again). A mapped file that is not checked opens without a call. Return 0 to go on, anything
 * else to stop the load, which then fails with SLM_ERR_CANCEL. */
typedef int32_t (*slm_progress_fn)(void *user, uint64_t done, uint64_t total);

/* ---------------------------------------------------------------- model ---------------------- */

typedef struct slm_model slm_model;

/* Where evaluation runs. */
typedef int32_t slm_device;
enum { SLM_DEVICE_AUTO = 0, SLM_DEVICE_CPU = 1, SLM_DEVICE_CUDA = 2 };

/* How weights come into memory. MAP uses the file's pages as they are: instant, shared between
 * processes, no second copy. READ reads them into memory of our own: for files that may change
 * underneath, or file systems that cannot map. PACK reads them once and keeps them in the order in
 * which the kernels multiply, sixteen rows together: the fastest, after a load that takes about as
 * long as reading the file. It uses all cores while it loads, takes the place of the mapped pages
 * (the system is told to forget those that loading brought into memory), and covers Q2_K to Q6_K,
 * Q4_0 and Q8_0; other types are used as by MAP.
 * AUTO is PACK for a file when the processor has kernels that gain by it (not at the portable
 * level), the packed weights fit memory_limit, and, of the memory that the system can still give,
 * they leave a quarter of their size and 256 MiB for caches; else MAP where the system can map, else
 * READ. A model opened from memory is used in place.
 * Where packed weights were saved (slm_model_save_packed), AUTO and PACK read that file, on all
 * cores, instead of packing: the same memory, less work. AUTO maps it where the memory of its rule
 * is lacking: opened at once, shared between processes, up to a third slower to multiply with where
 * the system has large pages for memory but not for files. On a device all of them read the weights once,
 * into its memory, and keep nothing of them in the system's; with READ nothing depends on the file then. AUTO does not look for one beside the
 * model where packing would gain nothing. MAP maps one that packed_path names; READ uses none. */
typedef int32_t slm_load;
enum { SLM_LOAD_AUTO = 0, SLM_LOAD_MAP = 1, SLM_LOAD_READ = 2, SLM_LOAD_PACK = 3 };

/* slm_model_options.flags */
enum {
    SLM_MODEL_VOCAB_ONLY = 1u << 0,    /* metadata and vocabulary only; the file needs no tensors   */
    SLM_MODEL_STRICT = 1u << 1,        /* what would be a warning (unknown tensor, bytes after the
                                          last tensor) is an error                                 */
    SLM_MODEL_CHECK_TENSORS = 1u << 2  /* read every weight once and refuse NaN and infinity; compare
                                          the checksums of saved packed weights                    */
};

/* Instruction levels of the CPU kernels, for slm_model_options.cpu_levels. */
enum {
    SLM_CPU_PORTABLE = 1u << 0,
    SLM_CPU_AVX2 = 1u << 1,    /* AVX2 + FMA + F16C  */
    SLM_CPU_DOTPROD = 1u << 2, /* Armv8.2 dot product */
    SLM_CPU_AVX512 = 1u << 3,  /* AVX-512 F, BW, DQ, VL and VNNI, with AVX2 */
    SLM_CPU_AVXVNNI = 1u << 4, /* AVX-VNNI, with AVX2 */
    SLM_CPU_I8MM = 1u << 5,    /* Armv8.6 matrix products of bytes, with DOTPROD */
    SLM_CPU_NEON = 1u << 6,    /* Armv8.0: packed weights */
    SLM_CPU_AMX = 1u << 7      /* tiles of int8, with AVX-512; where the system grants them */
};

typedef struct slm_model_options {
    uint32_t struct_size;
    uint32_t flags;              /* SLM_MODEL_...                                                   */
    slm_device device;           /* default AUTO: CUDA where built in, usable and large enough, else
                                    CPU with a warning. A build without CUDA refuses it
                                    (SLM_ERR_UNSUP)                                                */
    slm_load load;               /* default AUTO                                                    */
    uint64_t memory_limit;       /* bytes that the model and everything opened on it may hold,
                                    mapped weights included; 0: no limit                           */
    uint32_t cpu_levels;         /* mask of SLM_CPU_...; 0: all that the processor has. PORTABLE is
                                    always included                                                */
    slm_log_level log_level;     /* default (0) SLM_LOG_WARNING; for no lines leave log NULL           */
    slm_log_fn log;              /* NULL: nothing is logged                                         */
    void *log_user;
    const slm_allocator *allocator; /* copied; NULL: malloc                                         */
    slm_progress_fn progress;    /* NULL: none                                                      */
    void *progress_user;
    const char *packed_path;     /* but for READ: a file that slm_model_save_packed wrote. One that does
                                    not fit the model or this version of the library is an error.
                                    NULL: for AUTO and PACK the model's path with ".packed" behind
                                    it, if there is such a file, and one that does not fit is passed
                                    over with a warning; "": none                                  */
} slm_model_options;

/* Opens a GGUF file (versions 2 and 3, little-endian).
 *   path     a regular file; of a split model any part is refused but the first, whose siblings
 *            are found by name ("...-00001-of-00003.gguf").
 *   options  NULL: defaults.
 *   out      receives the model; NULL on failure.
 * Fails with the code and message of whatever is wrong in the file; a file is read as hostile
 * input and every size in it is checked before use. GGUF: github.com/ggml-org/ggml docs/gguf.md. */
SLM_API slm_status slm_model_open(const char *path, const slm_model_options *options,
                                  slm_model **out, slm_error *error);

/* The same from an open descriptor of a regular file. The descriptor is duplicated: it stays the
 * caller's, and its position does not matter. Split models are refused. */
SLM_API slm_status slm_model_open_fd(int fd, const slm_model_options *options, slm_model **out,
                                     slm_error *error);

/* The same from memory, which must stay unchanged until the model is closed. It is used in place
 * where its address is a multiple of 64, as weights are read aligned; elsewhere, and with
 * SLM_LOAD_READ, it is copied. Split models are refused. */
SLM_API slm_status slm_model_open_memory(const void *data, size_t size,
                                         const slm_model_options *options, slm_model **out,
                                         slm_error *error);

/* Writes the model's weights as the kernels want them, for the next opening to use
 * (slm_model_options.packed_path). The file is bound to the model by a fingerprint of its size, its
 * metadata and a sample of every tensor; any processor with the same order of bytes can use it. It
 * appears whole or not at all, and takes about as much room as the tensors. However the model was
 * loaded, a few MB of memory are enough.
 *   path      an old file there is replaced; the model's own files are refused (SLM_ERR_ARG)
 *   progress  may be NULL; as when loading, in bytes of the new file, done being total before the file
 *             takes its name. Not 0: SLM_ERR_CANCEL
 * SLM_ERR_UNSUP when no matrix of the model has a packed form, SLM_ERR_MISSING when it was opened
 * without weights, SLM_ERR_CHANGED when its file has changed, SLM_ERR_IO when path cannot be
 * written. Any thread. The format: docs/FORMATS.md. */
SLM_API slm_status slm_model_save_packed(const slm_model *model, const char *path,
                                         slm_progress_fn progress, void *progress_user,
                                         slm_error *error);

/* Releases the caller's hold and sets *model to NULL. Caches and sessions opened on it keep it
 * alive until they are closed. NULL and a pointer to NULL are fine. Any thread. */
SLM_API void slm_model_close(slm_model **model);

typedef struct slm_model_info {
    uint32_t struct_size;
    uint32_t n_layers;
    uint32_t d_model;            /* width of the residual stream (GGUF: embedding_length)            */
    uint32_t n_heads;
    uint32_t n_kv_heads;
    uint32_t d_head;
    uint32_t d_ff;
    uint32_t n_vocab;            /* rows of the output matrix                                        */
    uint32_t n_ctx_train;        /* context the model was trained for, in tokens                     */
    uint32_t n_ctx_original;     /* LongRoPE: context up to which the short factors hold; else 0     */
    uint32_t sliding_window;     /* keys a token sees, its own included; 0: all                      */
    uint32_t has_weights;        /* 0 when opened with SLM_MODEL_VOCAB_ONLY                          */
    uint64_t n_parameters;
    uint64_t weight_bytes;       /* bytes of all tensors in the file                                 */
    uint64_t file_bytes;         /* all parts together                                               */
    int32_t bos_id;              /* -1 where there is none, likewise below                           */
    int32_t eos_id;
    int32_t eot_id;
    int32_t unk_id;
    uint32_t add_bos;            /* whether a prompt starts with bos_id                              */
    slm_device device;           /* where the weights are                                            */
    char architecture[32];       /* general.architecture                                             */
    char name[128];              /* general.name, or ""                                              */
    char quantization[32];       /* the most common type of its matrices, such as "Q4_K"             */
    char chat_format[32];        /* what the chat template looks like, such as "llama3"; or ""           */
    uint32_t cpu_levels;         /* SLM_CPU_... levels in use                                        */
} slm_model_info;

/* Fills *info as far as its struct_size goes. */
SLM_API slm_status slm_model_get_info(const slm_model *model, slm_model_info *info,
                                      slm_error *error);

/* Reads one metadata value as text: strings as they are, numbers in decimal, arrays as JSON.
 *   text, cap   buffer of the caller, may be NULL when cap is 0; written without a final NUL
 *   len         receives the length needed
 * SLM_ERR_MISSING when there is no such key, SLM_ERR_LIMIT when cap > 0 is too small. */
SLM_API slm_status slm_model_get_meta(const slm_model *model, const char *key, char *text,
                                      size_t cap, size_t *len, slm_error *error);

/* ---------------------------------------------------------------- tokens --------------------- */

/* A length that says: the text ends at its NUL. */
#define SLM_NTS ((size_t)-1)

/* A stretch of text. In trusted stretches the spellings of control tokens ("<|eot_id|>") become
 * control tokens; in the others they stay ordinary text, so what a user types can never end a turn
 * or open one. Words join across two spans of equal trust only; an empty span is as if it were not
 * there. */
typedef struct slm_span {
    const char *text; /* UTF-8; bytes that are not are kept as byte tokens                          */
    size_t len;       /* bytes, or SLM_NTS                                                          */
    uint32_t trusted; /* 0 or 1                                                                     */
} slm_span;

enum {
    SLM_BOS_DEFAULT = 0, /* a leading BOS if the model wants one                                     */
    SLM_BOS_ADD = 1,
    SLM_BOS_NONE = 2
};

/* Text to token ids.
 *   spans, n_spans  the text, in order
 *   bos             SLM_BOS_...
 *   ids, cap        buffer of the caller; cap 0 asks for the number only
 *   n_ids           receives the number of ids needed
 * SLM_ERR_LIMIT when cap > 0 is too small: nothing is written then. Time is O(n log n) for any
 * text. Byte-level BPE (Sennrich et al. 2016) or SentencePiece (Kudo and Richardson 2018) as the
 * file says; of tokens with the same text the one with the lowest id. Allocates while it works. Any
 * thread. */
SLM_API slm_status slm_tokenize(const slm_model *model, const slm_span *spans, size_t n_spans,
                                int32_t bos, int32_t *ids, size_t cap, size_t *n_ids,
                                slm_error *error);

/* slm_detokenize and slm_detokenizer_open flags */
enum {
    SLM_DETOKENIZE_SPECIAL = 1u << 0,     /* control tokens give their spelling instead of nothing  */
    SLM_DETOKENIZE_DROP_SPACE = 1u << 1   /* undo the blank that tokenizing prefixed (SentencePiece) */
};

/* Token ids to bytes, exactly as the tokens spell them (which may be invalid UTF-8 when the ids
 * cut a character: use a detokenizer where that matters). Buffer rules as in slm_model_get_meta.
 * SLM_ERR_RANGE for an id outside the vocabulary. Any thread. */
SLM_API slm_status slm_detokenize(const slm_model *model, const int32_t *ids, size_t n_ids,
                                  uint32_t flags, char *text, size_t cap, size_t *len,
                                  slm_error *error);

/* A streaming detokenizer: bytes of an unfinished character are held back until it is whole. */
typedef struct slm_detokenizer slm_detokenizer;
SLM_API slm_status slm_detokenizer_open(const slm_model *model, uint32_t flags,
                                        slm_detokenizer **out, slm_error *error);
/* Feeds one id. text/len receive what can be shown now (len may be 0), valid UTF-8, until the next
 * call. Bytes that can never be UTF-8 become U+FFFD. */
SLM_API slm_status slm_detokenizer_feed(slm_detokenizer *d, int32_t id, const char **text,
                                        size_t *len, slm_error *error);
/* The end of the stream: an unfinished character becomes U+FFFD. The object starts afresh. */
SLM_API slm_status slm_detokenizer_finish(slm_detokenizer *d, const char **text, size_t *len,
                                          slm_error *error);
SLM_API void slm_detokenizer_close(slm_detokenizer **d);

/* slm_token_info.flags */
enum {
    SLM_TOKEN_CONTROL = 1u << 0,
    SLM_TOKEN_USER_DEFINED = 1u << 1,
    SLM_TOKEN_UNKNOWN = 1u << 2,
    SLM_TOKEN_UNUSED = 1u << 3,
    SLM_TOKEN_BYTE = 1u << 4,
    SLM_TOKEN_END = 1u << 5 /* ends a generation */
};
typedef struct slm_token_info {
    uint32_t struct_size;
    uint32_t flags;   /* SLM_TOKEN_...                                                               */
    const char *text; /* as spelt in the file; lives as long as the model; not NUL-terminated        */
    size_t len;
    float score;      /* SentencePiece score, else 0                                                 */
} slm_token_info;
SLM_API slm_status slm_model_get_token(const slm_model *model, int32_t id, slm_token_info *info,
                                       slm_error *error);

/* ---------------------------------------------------------------- cache and plan ------------- */

typedef struct slm_cache slm_cache;
typedef struct slm_session slm_session;

/* How keys and values are kept. F32 exists for exact comparisons. */
typedef int32_t slm_kv_type;
enum { SLM_KV_DEFAULT = 0 /* F16 */, SLM_KV_F16 = 1, SLM_KV_Q8_0 = 2, SLM_KV_F32 = 3 };

/* Which LongRoPE factors a session uses (Phi-3 128k, Phi-3.5, Phi-4-mini). AUTO: short ones up to
 * the original context, then the session evaluates its tokens again with the long ones and says so
 * in the report or event. LONG: long ones from the start, for sessions known to become long.
 * Source: LongRoPE (Ding et al. 2024) and the models' own configuration. */
typedef int32_t slm_rope_factors;
enum { SLM_ROPE_AUTO = 0, SLM_ROPE_SHORT = 1, SLM_ROPE_LONG = 2 };

/* slm_cache_options.chunk_ms: steps of max_rows tokens, however long they take. */
#define SLM_CHUNK_WHOLE UINT32_MAX

/* slm_cache_options.flags. On the CPU they change nothing. */
enum {
    SLM_CACHE_TIME_OPS = 1u << 0, /* slm_session_get_op counts and times the ops of a device too, with
                                    events between them; steps of few tokens are then not replayed
                                    from a recording and take longer                                */
    SLM_CACHE_CUBLAS = 1u << 1   /* on a device, prompts are multiplied with F16 and BF16 weights by
                                    cuBLAS, 32 tokens and more at a time, where it is installed. Not
                                    by default: it takes activations as halves and chooses another
                                    order of summation for each number of rows, so that a prompt in
                                    one piece, in several or token by token gives the same only
                                    nearly (2^-11 of the sum of magnitudes with F16, 2^-8 with BF16);
                                    and the memory that it takes for itself is not in the plan      */
};

/* Called between two steps of one evaluation, so that a program can let others have the processor or
 * the device, speech for instance, while a long prompt is evaluated. done and total: tokens of the
 * evaluation. It must not use the cache or its sessions, but for slm_session_cancel. Return 0 to go
 * on, anything else to stop the evaluation, which then fails with SLM_ERR_CANCEL. */
typedef int32_t (*slm_yield_fn)(void *user, uint64_t done, uint64_t total);

typedef struct slm_cache_options {
    uint32_t struct_size;
    uint32_t n_ctx;          /* tokens a session can hold; default: the smaller of the model's and 4096 */
    uint32_t n_cells;        /* tokens all sessions together can hold, pages shared by forks counted
                                once; whole pages a session; default: n_ctx * max_sessions            */
    uint32_t max_sessions;   /* default 1                                                           */
    slm_kv_type kv_type;     /* default F16                                                         */
    uint32_t page_tokens;    /* tokens in a page, a power of two from 16 to 1024; default 64        */
    uint32_t max_rows;       /* tokens evaluated in one step; default 256                           */
    uint32_t max_logits;     /* rows that SLM_LOGITS_ALL can give in one call; default 1            */
    uint32_t n_threads;      /* default: physical performance cores                                 */
    slm_rope_factors rope_factors; /* default AUTO                                                  */
    uint32_t chunk_ms;       /* a prompt is evaluated in steps that are expected to take at most so many
                                milliseconds, 1 to 60000, or SLM_CHUNK_WHOLE. The first of a device is
                                sized by a prediction, the others by what the last one took. No step
                                has fewer than 8 tokens (which take hardly longer than one on a
                                device) or more than max_rows. Default: 40 on a device, which others
                                may want to use too; SLM_CHUNK_WHOLE on the CPU                     */
    uint32_t flags;          /* SLM_CACHE_...                                                       */
    slm_yield_fn yield;      /* called between the steps of an evaluation; NULL: none               */
    void *yield_user;
    uint32_t n_checkpoints;  /* copies of earlier recurrent state that a session keeps, 1 to 256: taking
                                tokens back goes to one of them and evaluates the rest again. They are
                                made where evaluations of several tokens begin and end, at least every
                                slm_plan.checkpoint_tokens and by slm_session_checkpoint; the older, the
                                farther apart are those that are kept. Of no consequence for families without recurrent state;
                                default 4                                                           */
} slm_cache_options;

/* What will be in memory. Exact: the bytes that opening will map and allocate. What is opened later comes
 * on top: generators, and guides with what the first of them keeps with the model (slm_guide). */
typedef struct slm_plan {
    uint32_t struct_size;
    uint32_t n_pages;          /* pages of keys and values                                          */
    uint64_t weights_mapped;   /* bytes of the file used in place                                   */
    uint64_t weights_allocated;/* bytes of weights in memory of our own                             */
    uint64_t model_bytes;      /* vocabulary, tables, metadata                                      */
    uint64_t kv_bytes;         /* keys and values                                                   */
    uint64_t scratch_bytes;    /* activations, logits, tables of a cache                            */
    uint64_t total_bytes;      /* sum of the above                                                  */
    uint64_t bytes_per_token;  /* read for one generated token at an empty cache                    */
    uint64_t macs_per_token;   /* multiply-accumulates for one token at an empty cache              */
    uint64_t kv_bytes_per_token; /* cache bytes that one token occupies                             */
    uint32_t n_threads;        /* that a step will use                                              */
    uint32_t checkpoint_tokens;/* between two checkpoints of recurrent state; 0: nothing is recurrent */
    uint64_t recurrent_bytes;  /* recurrent state of sessions and checkpoints, part of the total    */
} slm_plan;

/* Works out the plan of a cache without allocating it. SLM_ERR_RANGE for options that make no
 * sense, SLM_ERR_LIMIT for an n_ctx beyond the model's, SLM_ERR_ARG for a model opened without
 * weights. Any thread. */
SLM_API slm_status slm_cache_plan(const slm_model *model, const slm_cache_options *options,
                                  slm_plan *plan, slm_error *error);

/* Allocates a cache. Everything that sessions need is allocated and touched here, so that an
 * evaluation cannot fail for memory. A generator allocates a little more when it begins: some
 * kilobytes, with penalties also 8 bytes for each entry of the vocabulary. SLM_ERR_NOMEM with the
 * bytes needed when it does not fit. The cache keeps the model alive. */
SLM_API slm_status slm_cache_open(slm_model *model, const slm_cache_options *options,
                                  slm_cache **out, slm_error *error);
/* Frees a cache. Sessions still open on it keep it alive until they are closed. */
SLM_API void slm_cache_close(slm_cache **cache);
/* The plan as it was carried out. */
SLM_API slm_status slm_cache_get_plan(const slm_cache *cache, slm_plan *plan, slm_error *error);

/* ---------------------------------------------------------------- prediction ----------------- */

/* A GPU that shares its memory with the processor, as far as the speed of a model depends on it. Fill
 * one yourself, or take one that the library knows: the Jetson Orin modules in their power modes. */
typedef struct slm_device_profile {
    uint32_t struct_size;
    uint32_t n_sm;          /* multiprocessors that the mode leaves on, 1 to 1024                     */
    uint32_t sm_mhz;        /* their highest clock, 1 to 10000                                       */
    uint32_t emc_mhz;       /* clock of the memory, which moves two words in each; for information   */
    double dram_gbps;       /* peak of the memory, 10^9 bytes a second, above 0 and up to 10^5       */
    uint64_t memory_bytes;  /* of the module, shared with the system; for information, like the rest */
    char name[32];          /* "orin-nx-16:25w"                                                      */
    char module[40];        /* "Jetson Orin NX 16GB"                                                 */
    char mode[16];          /* as the system calls it: "25W"                                         */
} slm_device_profile;

/* The profiles known, one after the other. SLM_ERR_RANGE behind the last. Any thread. */
SLM_API slm_status slm_device_profile_get(size_t index, slm_device_profile *profile,
                                          slm_error *error);
/* The profile of a name: a module and its power mode, such as "agx-orin-64:30w", or a module alone,
 * which is then at the full clocks that it has without "super" modes. SLM_ERR_MISSING with a message
 * that lists the modules, or the modes of this one. Any thread. */
SLM_API slm_status slm_device_profile_find(const char *name, slm_device_profile *profile,
                                           slm_error *error);

/* What takes longest in a step. */
typedef int32_t slm_bound;
enum {
    SLM_BOUND_MEMORY = 0,   /* bytes from DRAM                                                       */
    SLM_BOUND_ISSUE = 1,    /* instructions: all of them, or those of the integer pipe               */
    SLM_BOUND_CACHE = 2,    /* bytes from the L2 cache to the multiprocessors                        */
    SLM_BOUND_OVERHEAD = 3, /* starting kernels, waiting, sampling                                   */
    SLM_BOUND_TENSOR = 4    /* matrix products of the tensor cores (prompts)                         */
};

typedef struct slm_predict_options {
    uint32_t struct_size;
    slm_kv_type kv_type; /* default F16                                                              */
    uint32_t depth;      /* tokens that the cache holds when a token is generated; default 0         */
    uint32_t n_prompt;   /* tokens of a prompt on an empty cache; default: the smaller of 512 and the
                            model's context                                                          */
} slm_predict_options;

/* How fast a device would run a model, worked out and not measured. Pairs are a range: first what
 * holds when everything goes well, then what holds when it does not. Inputs come first. A token takes
 * the longest of memory, issue and cache, and overhead in addition. docs/ORIN.md explains each
 * figure and how to check it. */
typedef struct slm_prediction {
    uint32_t struct_size;
    uint32_t graph_nodes;          /* kernels of a step                                              */
    double memory_share[2];        /* of the peak of the memory that kernels reach                   */
    double instructions_per_byte[2]; /* thread-instructions for a byte that is read, mean            */
    double integer_per_byte[2];    /* of these, on the integer pipe                                  */
    double cache_bytes_per_clock;  /* that L2 gives each multiprocessor                              */
    double node_us[2];             /* overhead of one kernel                                         */
    double host_us[2];             /* of a step: the wait, and sampling                              */
    double tensor_share[2];        /* of the int8 peak of the tensor cores that prompts reach        */
    double instruction_budget;     /* thread-instructions that fit into the time in which memory
                                      delivers a byte at its peak; half of it on the integer pipe    */
    uint64_t bytes_per_token;      /* weights, and keys and values at this depth                     */
    double memory_ms[2];
    double issue_ms[2];
    double cache_ms[2];
    double overhead_ms[2];
    double token_ms[2];
    double tokens_per_second[2];
    slm_bound bound[2];            /* the longest term of a token                                    */
    double prompt_ms[2];           /* for n_prompt tokens                                            */
    double prompt_tokens_per_second[2];
    double first_token_ms[2];      /* the prompt, and choosing the first token                       */
    slm_bound prompt_bound[2];
    uint32_t n_prompt;             /* with the default filled in                                     */
} slm_prediction;

/* Predicts. options may be NULL: defaults. SLM_ERR_ARG for a model opened without weights,
 * SLM_ERR_RANGE for a profile or options that make no sense, SLM_ERR_LIMIT for a depth or prompt
 * beyond the model's context. Any thread. */
SLM_API slm_status slm_predict(const slm_model *model, const slm_device_profile *profile,
                               const slm_predict_options *options, slm_prediction *prediction,
                               slm_error *error);

/* What a generated token reads of one tensor type, and what the prediction counts for a byte of it. */
typedef struct slm_weight_cost {
    uint32_t struct_size;
    uint32_t dtype;               /* the type's number in files                                      */
    uint64_t bytes;               /* of the weights that a token reads                               */
    double instructions_per_byte; /* thread-instructions                                             */
    double integer_per_byte;      /* of these, on the integer pipe                                   */
    char type[16];                /* "Q4_K"                                                          */
} slm_weight_cost;

/* One type after the other, in the order of their numbers in files. SLM_ERR_RANGE behind the last,
 * SLM_ERR_ARG for a model opened without weights. Any thread. */
SLM_API slm_status slm_predict_weights(const slm_model *model, size_t index, slm_weight_cost *cost,
                                       slm_error *error);

/* ---------------------------------------------------------------- session -------------------- */

/* Opens a session with a cache of its own. The short way for one conversation. */
SLM_API slm_status slm_session_open(slm_model *model, const slm_cache_options *options,
                                    slm_session **out, slm_error *error);

typedef struct slm_session_options {
    uint32_t struct_size;
    slm_rope_factors rope_factors; /* default: the cache's                                          */
} slm_session_options;

/* Opens a session on a shared cache. SLM_ERR_LIMIT when max_sessions are open. */
SLM_API slm_status slm_session_open_on(slm_cache *cache, const slm_session_options *options,
                                       slm_session **out, slm_error *error);
/* Closes a session and frees its pages. A generator still open on it can only be ended after that. */
SLM_API void slm_session_close(slm_session **session);

/* Which rows of an evaluation give logits. */
enum { SLM_LOGITS_NONE = 0, SLM_LOGITS_LAST = 1, SLM_LOGITS_ALL = 2 };

/* Appends ids to the session and evaluates them. n may be 0: with SLM_LOGITS_LAST the logits of the
 * last token are made if they are not there.
 *   logits  SLM_LOGITS_...; ALL needs n <= max_logits of the cache
 * SLM_ERR_CTX when they do not fit into n_ctx, SLM_ERR_RANGE for an id outside the vocabulary:
 * nothing is changed then. SLM_ERR_LIMIT when the cache's pages are used up, SLM_ERR_CANCEL,
 * SLM_ERR_DEVICE and SLM_ERR_NUMERIC come after steps may have run: the session holds the tokens that it held before,
 * but logits of earlier calls may be gone (slm_session_get_logits then says SLM_ERR_RANGE, and an
 * evaluation with n = 0 makes them again). */
SLM_API slm_status slm_session_eval(slm_session *session, const int32_t *ids, size_t n,
                                    int32_t logits, slm_error *error);

/* Logits of the last evaluation: n_vocab floats, valid until the session's next evaluation, fork
 * or truncation. row counts the rows that gave logits, from 0. The rows of SLM_LOGITS_ALL belong to
 * the cache: another session's call with it, or its drafts (n_draft), takes them. SLM_ERR_RANGE if
 * there is no such row. On a device those of SLM_LOGITS_LAST are copied to the host when they are first
 * asked for: SLM_ERR_DEVICE when that fails, which leaves the session's tokens as they are. */
SLM_API slm_status slm_session_get_logits(const slm_session *session, size_t row,
                                          const float **logits, slm_error *error);

/* One session's part in a common step. */
typedef struct slm_eval_item {
    uint32_t struct_size;
    int32_t logits;       /* SLM_LOGITS_...                                                          */
    slm_session *session; /* each at most once in a call, all of one cache                           */
    const int32_t *ids;
    size_t n;
} slm_eval_item;

/* Evaluates several sessions of one cache together, which reads each weight once for all of them.
 * Each session's results are bit for bit those of evaluating it alone. Failure: as in
 * slm_session_eval, for all of them. */
SLM_API slm_status slm_cache_eval(slm_cache *cache, const slm_eval_item *items, size_t n_items,
                                  slm_error *error);

/* Why a prompt could not reuse all of what the session held. */
typedef int32_t slm_reuse_stop;
enum {
    SLM_REUSE_ALL = 0,       /* everything in common was kept                                        */
    SLM_REUSE_TOKEN = 1,     /* the prompts differ from token n_reused on                            */
    SLM_REUSE_WINDOW = 2,    /* earlier keys had left the sliding window                             */
    SLM_REUSE_ROPE = 3       /* the LongRoPE factors changed                                         */
};
typedef struct slm_prompt_report {
    uint32_t struct_size;
    slm_reuse_stop reuse_stop;
    uint64_t n_reused;    /* tokens that were not evaluated again                                    */
    uint64_t n_evaluated; /* tokens that were                                                        */
} slm_prompt_report;

/* Makes the session hold exactly these ids, keeping the longest prefix that it already has, and
 * leaves logits for the last one. n >= 1. report may be NULL. Failure as in slm_session_eval,
 * except that the session may be left with only the common prefix. */
SLM_API slm_status slm_session_prompt(slm_session *session, const int32_t *ids, size_t n,
                                      slm_prompt_report *report, slm_error *error);

/* Takes back everything from token n on. Afterwards it is as if they had never been evaluated.
 * Where the keys needed are gone (sliding window, LongRoPE), the next evaluation computes them
 * again by itself. No logits are held afterwards. SLM_ERR_RANGE when n exceeds the tokens held. */
SLM_API slm_status slm_session_truncate(slm_session *session, size_t n, slm_error *error);

/* Says that the session may be taken back to where it is now: to the end of a system prompt or of what a
 * user has said. Recurrent state is then copied here, so that going back evaluates nothing again; tokens
 * that were taken back to are evaluated for that first. Half of n_checkpoints, rounded down, are kept for
 * places asked for: one more lets go of the oldest, which is then a checkpoint like those that are made by
 * themselves. With n_checkpoints = 1 all are. Where nothing is recurrent this does nothing, as any
 * place can be gone back to. Logits stay. Failure as in slm_session_eval. */
SLM_API slm_status slm_session_checkpoint(slm_session *session, slm_error *error);

/* A second session with the same tokens on the same cache; full pages are shared, not copied. Has the
 * logits of the last token where the first has them (on a device: SLM_ERR_DEVICE when copying them fails). */
SLM_API slm_status slm_session_fork(slm_session *session, slm_session **out, slm_error *error);

/* The tokens that the session holds; valid until it changes. */
SLM_API slm_status slm_session_get_tokens(const slm_session *session, const int32_t **ids,
                                          size_t *n, slm_error *error);

typedef struct slm_session_info {
    uint32_t struct_size;
    uint32_t n_ctx;             /* tokens it can hold                                                */
    uint64_t n_tokens;          /* tokens it holds                                                   */
    uint64_t n_evaluated;       /* tokens evaluated since it was opened, wrong drafts included       */
    uint64_t n_reevaluated;     /* of these, tokens that had been evaluated before                   */
    uint64_t n_pages;           /* pages it holds, shared ones included                              */
    slm_rope_factors rope_factors; /* SHORT or LONG in use; AUTO where the model has none            */
} slm_session_info;
SLM_API slm_status slm_session_get_info(const slm_session *session, slm_session_info *info,
                                        slm_error *error);

/* The ops that a step consists of: the embedding of its tokens; in each layer the query, key and value
 * projections with all that belongs to them, attention, its output projection, the gate and up
 * projections, the down projection; the output matrix. */
typedef int32_t slm_op;
enum {
    SLM_OP_EMBED = 0, SLM_OP_QKV = 1, SLM_OP_ATTEND = 2, SLM_OP_ATTN_OUTPUT = 3, SLM_OP_GATE_UP = 4,
    SLM_OP_DOWN = 5, SLM_OP_HEAD = 6,
    SLM_OP_SCAN = 7,        /* in place of the first two in recurrent layers: convolution and scan    */
    SLM_OP_GATE_MEMORY = 8, /* in place of the first two: a gate on what the last scan gave           */
    SLM_OP_COUNT = 9
};

/* What an op has cost all sessions of a cache since it was opened; differences tell of a stretch of
 * work. */
typedef struct slm_op_info {
    uint32_t struct_size;
    slm_op op;
    uint64_t calls;
    uint64_t ns;               /* of wall clock time                                                */
    uint64_t bytes;            /* of weights, and of keys and values in attention, that it read     */
    uint64_t macs;             /* multiply-accumulates                                              */
    char name[16];             /* such as "gate_up"                                                 */
} slm_op_info;

/* Fills *info for one op of the steps of the session's cache. SLM_ERR_RANGE when there is no such op.
 * On a device all is 0 unless the cache was opened with SLM_CACHE_TIME_OPS. By the thread that may use
 * the session. */
SLM_API slm_status slm_session_get_op(const slm_session *session, slm_op op, slm_op_info *info,
                                      slm_error *error);

/* Snapshots: sessions in files, with what was evaluated, so that going on costs reading instead of
 * evaluating. A file belongs to the model's file, and to the kind of cache: another model, another
 * quantization of it, another kv_type, other rope_factors, a GPU in the place of the processor are
 * refused. page_tokens, n_threads and the like may differ, and n_ctx as long as the tokens fit. What
 * goes on after loading is, to the bit, what would have gone on (with the same level of the processor).
 * A session that was saved when it held a system prompt and tools is a prefilled prefix: load it, and
 * slm_session_prompt with a prompt that begins with it evaluates only the rest. */

typedef struct slm_snapshot_options {
    uint32_t struct_size;
    uint32_t flags;           /* none yet: 0                                                        */
    const void *attachment;   /* bytes of yours to be kept with it; NULL: none                      */
    size_t attachment_len;
    slm_progress_fn progress; /* as when loading a model, in bytes of the file, done being total
                                 before it takes its name; NULL: none                               */
    void *progress_user;
} slm_snapshot_options;

/* Writes the session to a file: whole or not at all, whenever the program is killed or the power fails,
 * by a temporary file that is synced and renamed. Of several that save to the same path at the same
 * time the last one stays. An old file there is replaced; a link or a folder is refused (SLM_ERR_IO).
 *   options  NULL: defaults
 * SLM_ERR_IO when the system refuses: the old file is as it was (or the new one is there whole, where
 * the message says that only its folder could not be synced). SLM_ERR_CANCEL by progress, SLM_ERR_BUSY
 * while a generator is open. The format: docs/FORMATS.md. */
SLM_API slm_status slm_session_save(slm_session *session, const char *path,
                                    const slm_snapshot_options *options, slm_error *error);

typedef struct slm_snapshot_info {
    uint32_t struct_size;
    uint32_t version;         /* of the format                                                      */
    uint64_t file_bytes;
    uint64_t n_tokens;
    uint64_t n_evaluated;     /* of these, tokens that need not be evaluated again                   */
    uint64_t attachment_len;  /* bytes of the caller's that are in it                                */
    uint64_t fingerprint;     /* of the model                                                        */
    uint32_t n_ctx;           /* of the cache that it was saved from                                 */
    slm_device device;        /* that the session was on                                            */
    slm_kv_type kv_type;
    slm_rope_factors rope_factors; /* that the session was opened with; AUTO where the model has none */
    char architecture[32];    /* of the model, as in slm_model_info                                  */
    char quantization[32];
} slm_snapshot_info;

typedef struct slm_snapshot_load_options {
    uint32_t struct_size;
    uint32_t flags;           /* none yet: 0                                                        */
    void *attachment;         /* receives the attachment; NULL: it is not read                      */
    size_t attachment_cap;    /* SLM_ERR_LIMIT when that is too small                               */
    slm_progress_fn progress; /* as above                                                           */
    void *progress_user;
} slm_snapshot_load_options;

/* Makes the session what a file holds, in place of what it held. No logits are held afterwards: an
 * evaluation with n = 0 or a generator makes them.
 *   options  NULL: defaults
 *   info     receives what the file is, attachment_len among it; may be NULL
 * The file is read as hostile input, and nothing of it is used before its checksums were compared:
 * SLM_ERR_TRUNC and SLM_ERR_FORMAT for damage, SLM_ERR_CHANGED for one that does not belong to this
 * model and cache (error->subject names the field), SLM_ERR_RANGE for numbers that no session has,
 * SLM_ERR_UNSUP for one that needs what this version does not know, SLM_ERR_LIMIT when the cache has
 * not pages enough, SLM_ERR_CANCEL, SLM_ERR_BUSY. The session is as it was then, but what attachment
 * points to may have been written to. Where the cache has no pages for both, and reading fails or the
 * file changes after it was checked, the session keeps its tokens and evaluates them again by itself. */
SLM_API slm_status slm_session_load(slm_session *session, const char *path,
                                    const slm_snapshot_load_options *options,
                                    slm_snapshot_info *info, slm_error *error);

/* What a file holds, without a session. Its pages are not read, and so not checked. Any thread. */
SLM_API slm_status slm_snapshot_get_info(const char *path, slm_snapshot_info *info,
                                         slm_error *error);

/* Stops the evaluation or generation that is running in this session, or the next one if none is.
 * It returns SLM_ERR_CANCEL within one step (max_rows tokens of a prompt or chunk_ms, whichever is
 * less, or one generated token); the session stays usable. Any thread; async-signal-safe. */
SLM_API void slm_session_cancel(slm_session *session);

/* ---------------------------------------------------------------- sampling ------------------- */

/* Stages of the sampling chain, for slm_sampling.order. */
enum {
    SLM_SAMPLER_END = 0,
    SLM_SAMPLER_BIAS = 1,        /* adds logit_bias                                                  */
    SLM_SAMPLER_PENALTIES = 2,   /* repeat, presence and frequency penalties                         */
    SLM_SAMPLER_DRY = 3,         /* "don't repeat yourself": penalises continuing a repeated sequence */
    SLM_SAMPLER_TOP_K = 4,       /* keeps the k most likely                                          */
    SLM_SAMPLER_TYPICAL = 5,     /* locally typical (Meister et al. 2022)                            */
    SLM_SAMPLER_TOP_P = 6,       /* nucleus (Holtzman et al. 2019)                                   */
    SLM_SAMPLER_MIN_P = 7,       /* keeps p >= min_p * the largest p (Nguyen et al. 2024)            */
    SLM_SAMPLER_TEMPERATURE = 8  /* divides logits by temperature                                    */
};
#define SLM_SAMPLER_MAX_STAGES 16

typedef struct slm_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token                                   */
} slm_logit_bias;

/* How tokens are chosen. A stage whose parameter is at its "off" value does nothing. Unlike in
 * other structs, numbers here mean what they say; fill it with slm_sampling_init, then change. */
typedef struct slm_sampling {
    uint32_t struct_size;
    float temperature;        /* >= 0; 0: greedy, the most likely token (lowest id of equals); 0.8    */
    int32_t top_k;            /* 0: off; 40                                                           */
    float top_p;              /* 0..1, 1: off; 0.95                                                   */
    float min_p;              /* 0..1, 0: off; 0.05                                                   */
    float typical_p;          /* 0..1, 1: off; 1                                                      */
    float repeat_penalty;     /* > 0, 1: off; 1. Divides positive, multiplies negative logits
                                 (Keskar et al. 2019)                                                */
    float presence_penalty;   /* subtracted once from each token seen; 0                              */
    float frequency_penalty;  /* subtracted for each time it was seen; 0                              */
    int32_t penalty_last_n;   /* tokens looked back at; -1: all; 64                                   */
    float dry_multiplier;     /* 0: off; 0                                                            */
    float dry_base;           /* penalty = multiplier * base^(length - allowed_length); 1.75          */
    int32_t dry_allowed_length; /* repeats up to this many tokens are free; 2                         */
    int32_t dry_last_n;       /* tokens looked back at; -1: all; -1                                   */
    uint64_t seed;            /* the same seed gives the same choices; 0: a fixed default             */
    const slm_span *dry_breakers; /* texts that end a repeat; NULL: newline, colon, quote, star       */
    size_t n_dry_breakers;
    const slm_logit_bias *logit_bias;
    size_t n_logit_bias;
    uint8_t order[SLM_SAMPLER_MAX_STAGES]; /* SLM_SAMPLER_..., END-terminated; all zero: in the order
                                 of the enumeration above                                            */
} slm_sampling;

/* Fills *sampling with the defaults named above, as far as its struct_size goes. */
SLM_API slm_status slm_sampling_init(slm_sampling *sampling);

/* The same with what the model's file recommends in place of the defaults: general.sampling.temp,
 * top_k, top_p, min_p, penalty_repeat and penalty_last_n, as far as they are there. Nothing follows
 * them unasked: generations take what their options say. SLM_ERR_TYPE or SLM_ERR_RANGE, with the key in
 * error->subject, for what is no such number; *sampling is then as it was. Any thread. */
SLM_API slm_status slm_model_get_sampling(const slm_model *model, slm_sampling *sampling,
                                          slm_error *error);

/* ---------------------------------------------------------------- guides --------------------- */

/* A grammar or a JSON Schema to which answers are held: only tokens are chosen that some text of it
 * begins with, so every answer that ends by itself is one of its texts. Give it to a generation
 * (slm_generate_options.guide), or follow it with a matcher of your own.
 *   - A guide with its matchers, and the caches whose generators use it, belong to one thread at a
 *     time. What it finds out is kept for all answers: use one guide for many.
 *   - It holds at most memory_limit bytes, counted in the model's limit too, and each call is bounded
 *     in time: a grammar that would explode is refused, when it is compiled or when a text gets
 *     there (SLM_ERR_LIMIT; SLM_ERR_NOMEM only where the model's limit or the machine has no more).
 *   - The first guide of a model sorts its vocabulary, once for all guides: 30 to 65 ms and about 72 bytes
 *     for each token, counted in the model's memory_limit, outside of any guide's, and freed with the model.
 *     Such memory is not part of a plan, which is made before anybody knows of guides: who has none to
 *     spare compiles the guides before the cache is opened.
 *   - Compiling also finds masks beforehand that would take long, for at most some 20 ms.
 *   - It keeps the model alive, and generators and matchers keep it alive. */
typedef struct slm_guide slm_guide;

/* slm_guide_options.flags */
enum {
    SLM_GUIDE_LENIENT = 1u << 0 /* schemas, for checking texts that others made: white space wherever
                                   JSON allows it, and undeclared members wherever the schema does
                                   not forbid them                                                  */
};

typedef struct slm_guide_options {
    uint32_t struct_size;
    uint32_t flags;              /* SLM_GUIDE_...                                                   */
    uint64_t memory_limit;       /* bytes it may hold; at least 4 MiB, default 64 MiB                */
    const slm_span *triggers;    /* lazy: the text is free until one of these texts has come, and the
                                    grammar begins behind it. At most 64, of 1 to 256 bytes and 1024
                                    bytes in all. One that is spelt like a token wakes as that too  */
    size_t n_triggers;
    const int32_t *trigger_tokens; /* lazy: tokens that wake it; at most 64                          */
    size_t n_trigger_tokens;
    const slm_allocator *allocator; /* of a guide without a model; copied; NULL: malloc              */
} slm_guide_options;

/* Compiles a grammar in GBNF, the notation of llama.cpp (its grammars/README.md): rules, alternatives,
 * groups, classes, repetitions, escapes; not terminals that are tokens. The rule root is the text.
 *   model    whose tokens are masked; NULL: for slm_guide_match and matchers of bytes only
 *   text     UTF-8, at most 1 MiB
 *   options  NULL: defaults
 * SLM_ERR_GRAMMAR with line and column in the message and the byte in error->offset: left recursion,
 * rules missing or defined twice, groups nested more than 200 deep, counts above 2000, nothing that
 * matches. */
SLM_API slm_status slm_guide_compile_gbnf(slm_model *model, const char *text, size_t len,
                                          const slm_guide_options *options, slm_guide **out,
                                          slm_error *error);

/* Compiles a JSON Schema (draft 2020-12). Members come in the order of the schema; those that are not
 * declared come last, and only where additionalProperties or patternProperties asks for them or
 * nothing is declared. White space is at most one blank after ':' and ','. docs/FORMATS.md lists the
 * keywords. Parameters as above.
 * SLM_ERR_FORMAT for what is not JSON, SLM_ERR_GRAMMAR for what is no schema or what no value
 * satisfies, SLM_ERR_UNSUP for a keyword that cannot be kept to: both name it with its JSON pointer.
 * Nothing is passed over but annotations. */
SLM_API slm_status slm_guide_compile_json_schema(slm_model *model, const char *text, size_t len,
                                                 const slm_guide_options *options, slm_guide **out,
                                                 slm_error *error);
/* Releases the caller's hold and sets *guide to NULL. NULL and a pointer to NULL are fine. */
SLM_API void slm_guide_close(slm_guide **guide);

/* Whether a whole text is one of the guide's. */
typedef int32_t slm_match;
enum {
    SLM_MATCH_NONE = 0,   /* no text of the guide begins with it                                     */
    SLM_MATCH_PREFIX = 1, /* one begins with it, but it is none itself                               */
    SLM_MATCH_WHOLE = 2   /* it is one                                                               */
};
SLM_API slm_status slm_guide_match(slm_guide *guide, const char *text, size_t len, slm_match *match,
                                   slm_error *error);

/* A text that is followed through a guide, from its beginning. For those who sample themselves. */
typedef struct slm_matcher slm_matcher;
SLM_API slm_status slm_matcher_open(slm_guide *guide, slm_matcher **out, slm_error *error);
SLM_API void slm_matcher_close(slm_matcher **matcher);
/* Back to the beginning. */
SLM_API slm_status slm_matcher_reset(slm_matcher *matcher, slm_error *error);
/* Takes the next token, or bytes. SLM_ERR_RANGE for what leaves the guide: nothing has changed then.
 * An end token leaves it; slm_matcher_get_info says whether one may come. */
SLM_API slm_status slm_matcher_accept(slm_matcher *matcher, int32_t token, slm_error *error);
SLM_API slm_status slm_matcher_accept_bytes(slm_matcher *matcher, const char *bytes, size_t n,
                                            slm_error *error);
/* The tokens that may come next: bit id % 64 of word id / 64, n_words words for the tokens of the
 * vocabulary; valid until the next call on the guide or a matcher of it. End tokens are among them
 * where the text may end. SLM_ERR_ARG for a guide without a model. */
SLM_API slm_status slm_matcher_get_mask(slm_matcher *matcher, const uint64_t **bits,
                                        size_t *n_words, slm_error *error);
/* The bytes that must come next, whatever is chosen: up to 1024, none where there is a choice. Valid
 * until the next call on the matcher. */
SLM_API slm_status slm_matcher_get_forced(slm_matcher *matcher, const char **bytes, size_t *n,
                                          slm_error *error);
typedef struct slm_matcher_info {
    uint32_t struct_size;
    uint32_t can_end;  /* the text so far is one of the guide's                                      */
    uint32_t must_end; /* and nothing can follow it                                                  */
    uint32_t sleeps;   /* lazy, and no trigger has come yet                                          */
} slm_matcher_info;
SLM_API slm_status slm_matcher_get_info(slm_matcher *matcher, slm_matcher_info *info,
                                        slm_error *error);

/* ---------------------------------------------------------------- generation ----------------- */

typedef struct slm_generator slm_generator;

/* slm_generate_options.flags */
enum {
    SLM_GENERATE_SPECIAL = 1u << 0,    /* control tokens appear in the text                          */
    SLM_GENERATE_IGNORE_END = 1u << 1  /* end-of-generation tokens do not stop (for measurements)    */
};

typedef struct slm_generate_options {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t max_tokens;         /* 0: as many as the context has room for                           */
    const slm_sampling *sampling;/* copied with all it points to; NULL: defaults                     */
    const slm_span *stop;        /* texts that end the generation; they are not part of the answer   */
    size_t n_stop;
    uint32_t n_top;              /* best tokens to report with each token, 0 to 64                   */
    slm_guide *guide;            /* holds the answer to its grammar from its first token on; NULL: free.
                                    SLM_ERR_GRAMMAR when no token of the model can begin a text of it.
                                    Tokens about which it leaves no choice are not sampled: they come
                                    with a logprob of 0, and are evaluated together with the next one */
    uint32_t n_draft;            /* drafts: at most so many tokens, up to 32 and the cache's max_logits, that
                                    the answer may go on with are evaluated together with each token
                                    that has to be. 0: none. See slm_generate_begin                  */
} slm_generate_options;

typedef int32_t slm_event_type;
enum {
    SLM_EVENT_NONE = 0,
    SLM_EVENT_TEXT = 1,        /* a token was chosen; text may be empty while a character or a
                                  possible stop text is held back                                   */
    SLM_EVENT_REEVALUATED = 2, /* count tokens were evaluated again before the answer goes on: the
                                  session went over to the long RoPE factors (or back after a
                                  truncation), or needed keys that had left a sliding window        */
    SLM_EVENT_END = 3          /* the answer is complete; reason says why; text may hold the rest    */
};

/* Why a generation ended. */
typedef int32_t slm_end_reason;
enum {
    SLM_END_NONE = 0,
    SLM_END_TOKEN = 1,   /* the model ended its turn                                                 */
    SLM_END_STOP = 2,    /* a stop text appeared; its tokens are in the session, not in the text     */
    SLM_END_LENGTH = 3,  /* max_tokens were made                                                     */
    SLM_END_CONTEXT = 4, /* the context is full                                                      */
    SLM_END_GUIDE = 5,   /* the text is complete by its guide, and nothing can follow it             */
    SLM_END_STUCK = 6    /* the guide wants bytes that no token of the model begins with             */
};

typedef struct slm_token_prob {
    int32_t id;
    float logprob; /* natural logarithm of the probability under the model, before sampling stages    */
} slm_token_prob;

typedef struct slm_event {
    uint32_t struct_size;
    slm_event_type type;
    const char *text;      /* valid UTF-8, not NUL-terminated; until the next call on the generator   */
    size_t text_len;
    int32_t token;         /* the token chosen; -1 if none                                            */
    float logprob;         /* of the token chosen; on a device, as those of top, to about 1e-5        */
    const slm_token_prob *top; /* n_top best tokens, most likely first; until the next call           */
    size_t n_top;
    uint64_t count;        /* tokens generated so far, or re-evaluated                                */
    slm_end_reason reason;
    uint64_t forced;       /* of the tokens generated so far, those that the guide, or the end of a
                              thinking budget, left no choice about: they took no step of their own   */
    uint64_t steps;        /* evaluations that the answer has waited for: without a guide and drafts one
                              a token but the first, whose logits the prompt leaves                  */
    uint64_t drafted;      /* tokens evaluated as drafts so far, right ones and wrong ones            */
} slm_event;

/* Starts an answer after the tokens that the session holds, at least one (SLM_ERR_ARG). Where the
 * logits of the last one are not at hand, the first event evaluates it. One generator a session at
 * a time: SLM_ERR_BUSY. While it is open, the session must not be used otherwise: SLM_ERR_BUSY. Nothing is
 * allocated after this call, but by a guide, within its memory_limit.
 *
 * Drafts (n_draft) are what followed the last tokens where they stood before in the session, and what a
 * guide makes likely. Each that is the token then chosen spares a step; how many are made follows how
 * many were right. They do not change the answer: tokens are chosen from the same logits, which on the
 * CPU are the same bit for bit; on a device their last bits may depend on how many rows a step has.
 * They pay where reading the weights is most of a step, and the text repeats something: calls of tools,
 * quotes, edits. Models with recurrent state make none, and batches (slm_batch.h) none. */
SLM_API slm_status slm_generate_begin(slm_session *session, const slm_generate_options *options,
                                      slm_generator **out, slm_error *error);

/* Produces the next event. After SLM_EVENT_END it returns SLM_EVENT_END again. A failure
 * (SLM_ERR_CANCEL, SLM_ERR_DEVICE, SLM_ERR_NUMERIC) leaves the session with the tokens accepted so far. The end
 * token itself, when one was chosen, is not added to the session. */
SLM_API slm_status slm_generate_next(slm_generator *generator, slm_event *event, slm_error *error);

/* Frees the generator; the session keeps the tokens. */
SLM_API void slm_generate_end(slm_generator **generator);

#ifdef __cplusplus
}
#endif

/* What an assistant needs on top of this: chat templates, tool calls, speech; many of them at a time. */
#include "slm_chat.h"

#endif
