/* What the commands that run a model share: its options, opening it, prompts, answers, --stats. */

#include "cli.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- common options ------------- */

static const int32_t devices[] = {SLM_DEVICE_CPU, SLM_DEVICE_CUDA};
static const int32_t kv_types[] = {SLM_KV_F32, SLM_KV_F16, SLM_KV_Q8_0};
static const int32_t loads[] = {SLM_LOAD_AUTO, SLM_LOAD_MAP, SLM_LOAD_READ, SLM_LOAD_PACK};

/* A level with all below it. */
enum {
    AVX2 = SLM_CPU_PORTABLE | SLM_CPU_AVX2,
    AVXVNNI = AVX2 | SLM_CPU_AVXVNNI,
    AVX512 = AVXVNNI | SLM_CPU_AVX512,
    AMX = AVX512 | SLM_CPU_AMX,
    NEON = SLM_CPU_PORTABLE | SLM_CPU_NEON,
    DOTPROD = NEON | SLM_CPU_DOTPROD,
    I8MM = DOTPROD | SLM_CPU_I8MM
};
static const int32_t levels[] = {0,    SLM_CPU_PORTABLE, AVX2, AVXVNNI, AVX512, AMX,
                                 NEON, DOTPROD,          I8MM};

size_t slm_cli_common_options(slm_opt *options, slm_cli_common *c) {
    const slm_opt all[SLM_CLI_COMMON_OPTIONS] = {
        {.letter = 't', .name = "threads", .kind = SLM_OPT_U32, .target = &c->n_threads, .arg = "N",
         .help = "threads (default: physical performance cores)", .min = 1, .max = 1024},
        {.letter = 'c', .name = "ctx", .kind = SLM_OPT_U32, .target = &c->n_ctx, .arg = "N",
         .help = "context in tokens (default: the model's, at most 4096)", .min = 1,
         .max = 1 << 30},
        {.name = "device", .kind = SLM_OPT_CHOICE, .target = &c->device, .arg = "cpu|cuda",
         .help = "where to run (default: cuda where usable, else cpu)", .choices = devices},
        {.name = "kv", .kind = SLM_OPT_CHOICE, .target = &c->kv, .arg = "f32|f16|q8_0",
         .help = "how keys and values are kept (default: f16)", .choices = kv_types},
        {.name = "load", .kind = SLM_OPT_CHOICE, .target = &c->load, .arg = "auto|map|read|pack",
         .help = "weights in place, copied, or packed for the processor (auto)",
         .choices = loads},
        {.name = "cpu", .kind = SLM_OPT_CHOICE, .target = &c->levels,
         .arg = "auto|portable|avx2|avxvnni|avx512|amx|neon|dotprod|i8mm",
         .help = "highest instructions used (default: auto, all that the processor has)",
         .choices = levels},
    };
    memcpy(options, all, sizeof all);
    return SLM_CLI_COMMON_OPTIONS;
}

size_t slm_cli_hidden_options(slm_opt *options, slm_cli_common *c) {
    size_t n = slm_cli_common_options(options, c);
    for (size_t i = 0; i < n; i++)
        options[i].help = NULL;
    return n;
}

size_t slm_cli_prompt_options(slm_opt *options, slm_cli_common *c) {
    const slm_opt all[SLM_CLI_PROMPT_OPTIONS] = {
        {.name = "chunk-ms", .kind = SLM_OPT_U32, .target = &c->chunk_ms, .arg = "N",
         .help = "a prompt in steps of at most N ms (default: 40 on a GPU, no limit on the CPU)",
         .min = 1, .max = 60000},
        {.name = "cublas", .kind = SLM_OPT_FLAG, .target = &c->cublas,
         .help = "on a GPU, prompts with f16 and bf16 weights by cuBLAS, where it is installed"},
    };
    memcpy(options, all, sizeof all);
    return SLM_CLI_PROMPT_OPTIONS;
}

/* ---------------------------------------------------------------- models --------------------- */

static int32_t load_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    slm_cli_bar(done, total);
    return 0;
}

int slm_cli_open_model(const char *path, const slm_cli_common *common, uint32_t flags,
                       slm_model **out) {
    slm_model_options options = {.struct_size = sizeof options,
                                 .flags = flags,
                                 .log = slm_cli_log,
                                 .progress = load_progress};
    if (common) {
        options.device = common->device;
        options.load = common->load;
        options.cpu_levels = (uint32_t)common->levels;
    }
    slm_error error = SLM_ERROR_INIT;
    int offered = slm_cli_offer_model(&path);
    if (offered != 0)
        return offered;
    slm_cli_name_model(path, 1);
    slm_cli_bar_begin("loading");
    slm_status status = slm_model_open(path, &options, out, &error);
    slm_cli_bar_end();
    return status == SLM_OK ? 0 : slm_cli_fail_error(path, &error);
}

void slm_cli_cache_options(const slm_model *model, const slm_cli_common *common,
                           slm_cache_options *options) {
    slm_model_info info = {.struct_size = sizeof info};
    slm_model_get_info(model, &info, NULL);
    *options = (slm_cache_options){.struct_size = sizeof *options};
    options->n_ctx = common->n_ctx;
    if (options->n_ctx == 0)
        options->n_ctx = info.n_ctx_train < 4096 ? info.n_ctx_train : 4096;
    options->kv_type = common->kv;
    options->n_threads = common->n_threads;
    options->chunk_ms = common->chunk_ms;
    options->flags = common->cublas ? SLM_CACHE_CUBLAS : 0;
}

/* Which device is asked for does not matter. */
slm_status slm_cli_depth_bytes(const slm_model *model, slm_kv_type kv, uint32_t depth,
                               uint64_t *bytes, slm_error *error) {
    slm_device_profile profile = {.struct_size = sizeof profile};
    slm_predict_options options = {.struct_size = sizeof options, .kv_type = kv};
    slm_prediction empty = {.struct_size = sizeof empty}, deep = empty;
    slm_status status = slm_device_profile_get(0, &profile, error);
    if (status == SLM_OK)
        status = slm_predict(model, &profile, &options, &empty, error);
    options.depth = depth;
    if (status == SLM_OK)
        status = slm_predict(model, &profile, &options, &deep, error);
    *bytes = status == SLM_OK ? deep.bytes_per_token - empty.bytes_per_token : 0;
    return status;
}

/* ---------------------------------------------------------------- sampling options ----------- */

/* What a file may say of sampling. */
typedef struct file_choice {
    size_t at; /* in slm_sampling */
    int is_int;
} file_choice;

static const file_choice FILE_CHOICES[] = {
    {offsetof(slm_sampling, temperature), 0},    {offsetof(slm_sampling, top_k), 1},
    {offsetof(slm_sampling, top_p), 0},          {offsetof(slm_sampling, min_p), 0},
    {offsetof(slm_sampling, repeat_penalty), 0}, {offsetof(slm_sampling, penalty_last_n), 1},
};
enum { N_FILE_CHOICES = sizeof FILE_CHOICES / sizeof *FILE_CHOICES };

static float *f32_at(slm_sampling *s, const file_choice *c) {
    return (float *)((char *)s + c->at);
}

static int32_t *i32_at(slm_sampling *s, const file_choice *c) {
    return (int32_t *)((char *)s + c->at);
}

/* Values that no option takes: the choice is open. */
static void leave_open(slm_sampling *s, const file_choice *c) {
    if (c->is_int)
        *i32_at(s, c) = INT32_MIN;
    else
        *f32_at(s, c) = -1;
}

static int is_open(slm_sampling *s, const file_choice *c) {
    return c->is_int ? *i32_at(s, c) == INT32_MIN : *f32_at(s, c) == -1;
}

void slm_cli_sampling_init(slm_cli_sampling *s) {
    *s = (slm_cli_sampling){.sampling = {.struct_size = sizeof s->sampling}};
    slm_sampling_init(&s->sampling);
    for (size_t i = 0; i < N_FILE_CHOICES; i++)
        leave_open(&s->sampling, &FILE_CHOICES[i]);
}

int slm_cli_model_sampling(const char *path, const slm_model *model, slm_sampling *sampling) {
    slm_error error = SLM_ERROR_INIT;
    sampling->struct_size = sizeof *sampling;
    return slm_model_get_sampling(model, sampling, &error) == SLM_OK
               ? 0
               : slm_cli_fail_error(path, &error);
}

int slm_cli_sampling_settle(slm_cli_sampling *s, const char *path, const slm_model *model) {
    slm_sampling of_model = {.struct_size = sizeof of_model};
    int status = 0;
    if (model)
        status = slm_cli_model_sampling(path, model, &of_model);
    else
        slm_sampling_init(&of_model);
    for (size_t i = 0; i < N_FILE_CHOICES && status == 0; i++) {
        const file_choice *c = &FILE_CHOICES[i];
        if (!is_open(&s->sampling, c))
            continue;
        if (c->is_int)
            *i32_at(&s->sampling, c) = *i32_at(&of_model, c);
        else
            *f32_at(&s->sampling, c) = *f32_at(&of_model, c);
    }
    return status;
}

void slm_cli_sampling_free(slm_cli_sampling *s) {
    free(s->stop);
    free(s->breakers);
    free(s->bias);
}

static int add_span(const slm_opt *o, slm_span **list, size_t *n, const char *text) {
    if (*text == '\0')
        return slm_cli_opt_bad(o, text, "at least one character");
    slm_span *larger = realloc(*list, (*n + 1) * sizeof **list);
    if (!larger)
        return slm_cli_fail("option --%s: got no memory", o->name);
    larger[*n] = (slm_span){.text = text, .len = strlen(text)};
    *list = larger;
    ++*n;
    return 0;
}

static int add_stop(const slm_opt *o, const char *value) {
    slm_cli_sampling *s = o->target;
    return add_span(o, &s->stop, &s->n_stop, value);
}

static int add_breaker(const slm_opt *o, const char *value) {
    slm_cli_sampling *s = o->target;
    return add_span(o, &s->breakers, &s->n_breakers, value);
}

/* "ID:VALUE"; the value may be -inf, which forbids the token. */
static int add_bias(const slm_opt *o, const char *value) {
    slm_cli_sampling *s = o->target;
    slm_logit_bias bias;
    char id[16];
    int64_t number;
    size_t n = strcspn(value, ":");
    snprintf(id, sizeof id, "%.*s", (int)(n < sizeof id ? n : sizeof id), value);
    int good = value[n] == ':' && n < sizeof id && slm_cli_parse_i64(id, 0, INT32_MAX, &number);
    if (good && strcmp(value + n + 1, "-inf") == 0)
        bias.bias = -INFINITY;
    else
        good = good && slm_cli_parse_f32(value + n + 1, -1e6, 1e6, &bias.bias);
    if (!good)
        return slm_cli_opt_bad(o, value, "ID:VALUE, a token id and a number or -inf");
    bias.id = (int32_t)number;
    slm_logit_bias *larger = realloc(s->bias, (s->n_bias + 1) * sizeof *s->bias);
    if (!larger)
        return slm_cli_fail("option --%s: got no memory", o->name);
    larger[s->n_bias++] = bias;
    s->bias = larger;
    return 0;
}

size_t slm_cli_sampling_options(slm_opt *options, slm_cli_sampling *s) {
    slm_sampling *p = &s->sampling;
    const slm_opt all[SLM_CLI_SAMPLING_OPTIONS] = {
        {.letter = 'n', .name = "max-tokens", .kind = SLM_OPT_U32, .target = &s->max_tokens,
         .arg = "N", .help = "tokens of an answer (default: 0, up to the context)", .max = INT32_MAX},
        {.name = "temp", .kind = SLM_OPT_F32, .target = &p->temperature, .arg = "X",
         .help = "temperature; 0 takes the most likely token (the model's, or 0.8)", .max = 100},
        {.name = "top-k", .kind = SLM_OPT_I32, .target = &p->top_k, .arg = "N",
         .help = "of the N most likely; 0: off (the model's, or 40)", .max = INT32_MAX},
        {.name = "top-p", .kind = SLM_OPT_F32, .target = &p->top_p, .arg = "X",
         .help = "nucleus; 1: off (the model's, or 0.95)", .max = 1},
        {.name = "min-p", .kind = SLM_OPT_F32, .target = &p->min_p, .arg = "X",
         .help = "at least X times the largest probability; 0: off (the model's, or 0.05)",
         .max = 1},
        {.name = "typical", .kind = SLM_OPT_F32, .target = &p->typical_p, .arg = "X",
         .help = "locally typical; 1: off (1)", .max = 1},
        {.name = "repeat-penalty", .kind = SLM_OPT_F32, .target = &p->repeat_penalty, .arg = "X",
         .help = "divides the logits of tokens seen; 1: off (the model's, or 1)", .min = 0.01, .max = 100},
        {.name = "presence-penalty", .kind = SLM_OPT_F32, .target = &p->presence_penalty,
         .arg = "X", .help = "taken off once for a token seen; 0: off (0)", .min = -100,
         .max = 100},
        {.name = "frequency-penalty", .kind = SLM_OPT_F32, .target = &p->frequency_penalty,
         .arg = "X", .help = "taken off each time it was seen; 0: off (0)", .min = -100,
         .max = 100},
        {.name = "penalty-last-n", .kind = SLM_OPT_I32, .target = &p->penalty_last_n, .arg = "N",
         .help = "tokens that penalties look back; -1: all (the model's, or 64)", .min = -1,
         .max = INT32_MAX},
        {.name = "dry-multiplier", .kind = SLM_OPT_F32, .target = &p->dry_multiplier, .arg = "X",
         .help = "strength of the DRY penalty; 0: off (0)", .max = 100},
        {.name = "dry-base", .kind = SLM_OPT_F32, .target = &p->dry_base, .arg = "X",
         .help = "its growth with the length of a repeat (1.75)", .min = 1, .max = 100},
        {.name = "dry-allowed-length", .kind = SLM_OPT_I32, .target = &p->dry_allowed_length,
         .arg = "N", .help = "repeats that are free (2)", .max = INT32_MAX},
        {.name = "dry-last-n", .kind = SLM_OPT_I32, .target = &p->dry_last_n, .arg = "N",
         .help = "tokens that it looks back; -1: all (-1)", .min = -1, .max = INT32_MAX},
        {.name = "dry-breaker", .kind = SLM_OPT_CALL, .target = s, .arg = "TEXT",
         .help = "text that ends a repeat; repeatable", .call = add_breaker},
        {.name = "seed", .kind = SLM_OPT_U64, .target = &p->seed, .arg = "N",
         .help = "the same seed gives the same answer (0: a fixed one)"},
        {.name = "stop", .kind = SLM_OPT_CALL, .target = s, .arg = "TEXT",
         .help = "text before which the answer ends; repeatable", .call = add_stop},
        {.name = "logit-bias", .kind = SLM_OPT_CALL, .target = s, .arg = "ID:VALUE",
         .help = "added to a token's logit; -inf forbids it; repeatable", .call = add_bias},
        {.name = "draft", .kind = SLM_OPT_U32, .target = &s->n_draft, .arg = "N",
         .help = "tokens from earlier text to try with each, same answer (default: 0)", .max = 32},
    };
    memcpy(options, all, sizeof all);
    return SLM_CLI_SAMPLING_OPTIONS;
}

void slm_cli_generate_options(slm_cli_sampling *s, slm_generate_options *options) {
    s->sampling.logit_bias = s->bias;
    s->sampling.n_logit_bias = s->n_bias;
    s->sampling.dry_breakers = s->breakers;
    s->sampling.n_dry_breakers = s->n_breakers;
    *options = (slm_generate_options){.struct_size = sizeof *options,
                                      .max_tokens = s->max_tokens,
                                      .sampling = &s->sampling,
                                      .stop = s->stop,
                                      .n_stop = s->n_stop,
                                      .n_draft = s->n_draft};
}

/* ---------------------------------------------------------------- prompts and answers -------- */

static int32_t *ids_alloc(size_t n) { return malloc((n + 1) * sizeof(int32_t)); }

int slm_cli_text_ids(const slm_model *model, const char *path, const slm_span *span, int32_t bos,
                     int32_t **ids, size_t *n) {
    slm_error error = SLM_ERROR_INIT;
    int32_t *list = NULL;
    slm_status status = slm_tokenize(model, span, 1, bos, NULL, 0, n, &error);
    if (status == SLM_OK && !(list = ids_alloc(*n)))
        return slm_cli_fail("%s: got no memory, wanted that of %zu ids", path, *n);
    if (status == SLM_OK && *n > 0)
        status = slm_tokenize(model, span, 1, bos, list, *n, n, &error);
    if (status != SLM_OK) {
        free(list);
        return slm_cli_fail_error(path, &error);
    }
    *ids = list;
    return 0;
}

int slm_cli_chat_ids(const slm_model *model, const char *path, const slm_message *messages,
                     size_t n_messages, const char *tools, size_t tools_len, const char *advice,
                     int32_t **ids, size_t *n) {
    slm_error error = SLM_ERROR_INIT;
    int32_t *list = NULL;
    const slm_chat_input input = {.struct_size = sizeof input, .flags = SLM_CHAT_GENERATION_PROMPT,
                                  .messages = messages, .n_messages = n_messages,
                                  .tools = tools, .tools_len = tools_len,
                                  .now = slm_cli_wall_clock()};
    slm_status status = slm_chat_tokenize_input(model, &input, NULL, 0, n, &error);
    if (status == SLM_OK && !(list = ids_alloc(*n)))
        return slm_cli_fail("%s: got no memory, wanted that of %zu ids", path, *n);
    if (status == SLM_OK && *n > 0)
        status = slm_chat_tokenize_input(model, &input, list, *n, n, &error);
    if (status != SLM_OK) {
        free(list);
        if (advice && (status == SLM_ERR_MISSING || status == SLM_ERR_UNSUP))
            return slm_cli_fail("%s: %s%s", path, error.message, advice);
        return slm_cli_fail_error(path, &error);
    }
    *ids = list;
    return 0;
}

/* The library says nothing while it evaluates, so where a bar may be wanted the prompt goes in by
 * pieces. A prompt beyond the short LongRoPE factors does not: by pieces it would be begun with
 * them and evaluated twice. */
slm_status slm_cli_prompt(slm_session *session, const slm_model_info *info, const int32_t *ids,
                          size_t n, slm_error *error) {
    enum { PIECE = 256 };
    const int32_t *held = NULL;
    size_t n_held = 0, common = 0;
    int by_pieces = slm_cli_bar_wanted() && (info->n_ctx_original == 0 || n <= info->n_ctx_original);
    if (!by_pieces)
        return slm_session_prompt(session, ids, n, NULL, error);
    slm_status status = slm_session_get_tokens(session, &held, &n_held, error);
    while (common < n_held && common < n && held[common] == ids[common])
        common++;
    slm_cli_bar_begin("prompt");
    for (size_t at = common, first = common; status == SLM_OK;) {
        at = n - at > PIECE ? at + PIECE : n;
        status = slm_session_prompt(session, ids, at, NULL, error);
        slm_cli_bar(at - first, n - first);
        if (at == n)
            break;
    }
    slm_cli_bar_end();
    return status;
}

int slm_cli_text_add(slm_cli_text *text, const char *data, size_t len) {
    if (len > text->cap - text->len) {
        size_t cap = 2 * (text->len + len) + 256;
        char *larger = realloc(text->data, cap);
        if (!larger)
            return 0;
        text->data = larger;
        text->cap = cap;
    }
    if (len > 0) /* there may be no memory yet */
        memcpy(text->data + text->len, data, len);
    text->len += len;
    return 1;
}

int slm_cli_answer(const char *path, slm_session *session, const slm_generate_options *options,
                   double started, slm_cli_text *answer, slm_end_reason *reason,
                   slm_cli_stats *stats) {
    slm_error error = SLM_ERROR_INIT;
    slm_generator *generator = NULL;
    slm_event event = {.struct_size = sizeof event};
    double begun = slm_cli_now(), first = 0, last = 0;
    uint64_t tokens = 0;
    int exit_status = 0;
    slm_status status = slm_generate_begin(session, options, &generator, &error);
    while (status == SLM_OK && exit_status == 0 && event.type != SLM_EVENT_END) {
        status = slm_generate_next(generator, &event, &error);
        if (status != SLM_OK)
            break;
        if (event.type == SLM_EVENT_TEXT) {
            last = slm_cli_now();
            if (tokens++ == 0)
                first = last;
        }
        if (event.type != SLM_EVENT_TEXT && event.type != SLM_EVENT_END)
            continue;
        if (event.text_len == 0)
            continue;
        if (answer && !slm_cli_text_add(answer, event.text, event.text_len))
            exit_status = slm_cli_fail("%s: got no memory for the answer", path);
        slm_cli_write(event.text, event.text_len);
        int output = slm_cli_flush();
        exit_status = exit_status ? exit_status : output;
    }
    *reason = event.reason;
    slm_generate_end(&generator);
    if (tokens > 0 && stats->tokens == 0)
        stats->first_token_ms = (first - started) * 1e3;
    stats->tokens += tokens;
    stats->n_timed += tokens > 1 ? tokens - 1 : tokens;
    stats->generate_s += tokens > 1 ? last - first : tokens == 1 ? first - begun : 0;
    if (status != SLM_OK)
        return slm_cli_fail_error(path, &error);
    return exit_status;
}

/* ---------------------------------------------------------------- --stats -------------------- */

/* The kernel's high-water mark of this program; ru_maxrss would begin with that of whoever started
 * it (Linux keeps it across exec). */
static uint64_t peak_rss(void) {
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (uint64_t)kib * 1024;
}

void slm_cli_print_stats(const slm_cli_stats *s) {
    double speed = s->generate_s > 0 ? (double)s->n_timed / s->generate_s : 0;
    fprintf(stderr,
            "{\"load_ms\":%.3f,\"prompt_tokens\":%llu,\"prompt_ms\":%.3f,\"first_token_ms\":%.3f,"
            "\"tokens\":%llu,\"tokens_per_second\":%.3f,\"peak_rss_bytes\":%llu}\n",
            s->load_ms, (unsigned long long)s->prompt_tokens, s->prompt_ms, s->first_token_ms,
            (unsigned long long)s->tokens, speed, (unsigned long long)peak_rss());
}
