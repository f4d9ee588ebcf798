/*
 * slm bench: tokens per second, and the share of the memory's read bandwidth that they stand for.
 *
 * "pp" evaluates n prompt tokens behind `depth` tokens that the cache already holds; "tg" generates
 * n tokens there, sampling included. One run of each is thrown away, -r runs are counted. A tg run
 * is timed from its first token to the (n + 1)th, so that it holds exactly n evaluations and n
 * choices whenever the library makes which.
 */
#include "cli.h"
#include "cmd_bench_ops.h"
#include "readbw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)2 << 30)
#define MAX_LIST 64u

typedef struct list {
    uint32_t values[MAX_LIST];
    size_t n;
} list;

static int take_list(const slm_opt *o, const char *value) {
    list l = {.n = 0};
    for (const char *at = value;; at++) {
        char word[16];
        int64_t number;
        size_t len = strcspn(at, ",");
        if (len >= sizeof word || l.n == MAX_LIST)
            return slm_cli_opt_bad(o, value, "at most 64 numbers, separated by commas");
        memcpy(word, at, len);
        word[len] = '\0';
        if (!slm_cli_parse_i64(word, 0, 1 << 30, &number))
            return slm_cli_opt_bad(o, value, "whole numbers from 0 to 1073741824, with commas");
        l.values[l.n++] = (uint32_t)number;
        at += len;
        if (*at == '\0')
            break;
    }
    *(list *)o->target = l;
    return 0;
}

typedef struct bench {
    const char *path;
    list prompt, generate, depth;
    uint32_t repeats;
    int json, want_ops;
    slm_bench_ops ops;
    double int8_gmacs; /* 0: not known */
    slm_cli_sampling sampling;
    const slm_model *model;
    slm_kv_type kv;
    slm_session *session;
    slm_model_info info;
    slm_plan plan;
    uint32_t n_threads;
    double read_gbps; /* 0: could not be measured */
    int32_t *ids;     /* as many as the context holds */
    double *speeds;   /* repeats */
    uint64_t done, total;
} bench;

static uint32_t largest(const list *l) {
    uint32_t max = 0;
    for (size_t i = 0; i < l->n; i++)
        max = l->values[i] > max ? l->values[i] : max;
    return max;
}

static size_t n_positive(const list *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += l->values[i] > 0;
    return n;
}

/* The session holds exactly `depth` tokens afterwards, at least one when logits are wanted. The
 * last is evaluated anew: keys that had left a sliding window are then computed again here, where
 * no clock runs. */
static slm_status settle(const bench *b, size_t depth, slm_error *error) {
    slm_session_info info = {.struct_size = sizeof info};
    slm_status s = slm_session_get_info(b->session, &info, error);
    size_t kept = depth > 0 ? depth - 1 : 0;
    if (s == SLM_OK && info.n_tokens > kept)
        s = slm_session_truncate(b->session, kept, error);
    size_t held = info.n_tokens < kept ? (size_t)info.n_tokens : kept;
    if (s == SLM_OK && depth > held)
        s = slm_session_eval(b->session, b->ids + held, depth - held, SLM_LOGITS_LAST, error);
    return s;
}

static slm_status time_prompt(bench *b, size_t n, size_t depth, double *seconds,
                              slm_error *error) {
    slm_status s = settle(b, depth, error);
    if (b->want_ops)
        slm_bench_ops_begin(&b->ops, b->session);
    double begun = slm_cli_now();
    if (s == SLM_OK)
        s = slm_session_eval(b->session, b->ids + depth, n, SLM_LOGITS_LAST, error);
    *seconds = slm_cli_now() - begun;
    return s;
}

static slm_status time_generate(bench *b, size_t n, size_t depth, double *seconds,
                                slm_error *error) {
    slm_generator *generator = NULL;
    slm_generate_options options;
    slm_event event = {.struct_size = sizeof event};
    double begun = 0;
    slm_cli_generate_options(&b->sampling, &options);
    options.max_tokens = n + 1;
    options.flags = SLM_GENERATE_IGNORE_END;
    options.n_stop = 0;
    slm_status s = settle(b, depth > 0 ? depth : 1, error);
    if (s == SLM_OK)
        s = slm_generate_begin(b->session, &options, &generator, error);
    for (size_t made = 0; s == SLM_OK && made <= n && event.type != SLM_EVENT_END;) {
        s = slm_generate_next(generator, &event, error);
        if (s == SLM_OK && event.type == SLM_EVENT_TEXT && made++ == 0) {
            if (b->want_ops)
                slm_bench_ops_begin(&b->ops, b->session);
            begun = slm_cli_now();
        }
    }
    *seconds = slm_cli_now() - begun;
    slm_generate_end(&generator);
    return s;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_row(const bench *b, const char *test, uint32_t n, uint32_t depth,
                      uint64_t cache_bytes) {
    size_t r = b->repeats;
    double min = b->speeds[0], max = b->speeds[r - 1];
    double median = (b->speeds[(r - 1) / 2] + b->speeds[r / 2]) / 2;
    uint64_t bytes = b->plan.bytes_per_token + cache_bytes;
    const char *device = b->info.device == SLM_DEVICE_CUDA ? "cuda" : "cpu";
    char gbps[32] = "null", share[32] = "null";
    if (b->read_gbps > 0) {
        snprintf(gbps, sizeof gbps, "%.3f", b->read_gbps);
        snprintf(share, sizeof share, "%.4f", (double)bytes * median / (b->read_gbps * 1e9));
    }
    if (b->json)
        slm_cli_print("{\"test\":\"%s\",\"n\":%u,\"depth\":%u,\"threads\":%u,\"device\":\"%s\","
                      "\"tokens_per_second\":{\"min\":%.4f,\"median\":%.4f,\"max\":%.4f},"
                      "\"bytes_per_token\":%llu,\"read_gbps\":%s,\"share_of_read_bandwidth\":%s}\n",
                      test, n, depth, b->n_threads, device, min, median, max,
                      (unsigned long long)bytes, gbps, share);
    else
        slm_cli_print("%-4s %6u %7u %7u  %-6s %10.2f %10.2f %10.2f %12.1f %9s %7s\n", test, n,
                      depth, b->n_threads, device, min, median, max, (double)bytes / 1e6,
                      b->read_gbps > 0 ? gbps : "-", b->read_gbps > 0 ? share : "-");
}

typedef slm_status (*timer)(bench *, size_t, size_t, double *, slm_error *);

static int run_test(bench *b, const char *test, timer time_one, uint32_t n, uint32_t depth) {
    slm_error error = SLM_ERROR_INIT;
    uint64_t cache_bytes;
    if (slm_cli_depth_bytes(b->model, b->kv, depth, &cache_bytes, &error) != SLM_OK)
        return slm_cli_fail_error(b->path, &error);
    for (uint32_t i = 0; i <= b->repeats; i++) {
        double seconds = 0;
        if (i == 1)
            slm_bench_ops_clear(&b->ops);
        if (time_one(b, n, depth, &seconds, &error) != SLM_OK)
            return slm_cli_fail_error(b->path, &error);
        if (slm_cli_interrupted())
            return SLM_EXIT_INTERRUPTED;
        if (b->want_ops)
            slm_bench_ops_end(&b->ops, b->session, seconds);
        if (i > 0) /* the first is the warm-up */
            b->speeds[i - 1] = seconds > 0 ? n / seconds : 0;
        slm_cli_bar(++b->done, b->total);
    }
    qsort(b->speeds, b->repeats, sizeof *b->speeds, by_value);
    print_row(b, test, n, depth, cache_bytes);
    if (b->want_ops)
        slm_bench_ops_print(&b->ops, test, n, depth, b->read_gbps, b->int8_gmacs, b->json);
    return slm_cli_flush();
}

static int run_all(bench *b) {
    static const struct {
        const char *name;
        timer time_one;
    } tests[] = {{"pp", time_prompt}, {"tg", time_generate}};
    const list *counts[] = {&b->prompt, &b->generate};
    int status = 0;
    b->total = (n_positive(counts[0]) + n_positive(counts[1])) * b->depth.n *
               (uint64_t)(b->repeats + 1);
    if (!b->json)
        slm_cli_print("%-4s %6s %7s %7s  %-6s %10s %10s %10s %12s %9s %7s\n", "test", "n", "depth",
                      "threads", "device", "min t/s", "median", "max", "MB/token", "read GB/s",
                      "share");
    slm_cli_bar_begin("bench");
    for (size_t t = 0; t < 2; t++)
        for (size_t d = 0; d < b->depth.n; d++)
            for (size_t i = 0; i < counts[t]->n && status == 0; i++)
                if (counts[t]->values[i] > 0)
                    status = run_test(b, tests[t].name, tests[t].time_one, counts[t]->values[i],
                                      b->depth.values[d]);
    slm_cli_bar_end();
    return status;
}

/* Tokens that the largest test needs room for: generating begins behind one token at least, and
 * makes one more than it times. */
static uint64_t room_needed(const bench *b) {
    uint64_t depth = largest(&b->depth), prompt = depth + largest(&b->prompt);
    uint64_t generate = (depth > 0 ? depth : 1) + (uint64_t)largest(&b->generate) + 1;
    return largest(&b->generate) > 0 && generate > prompt ? generate : prompt;
}

static int prepare(bench *b, const slm_model *model, const slm_cli_common *common,
                   slm_cache_options *cache) {
    slm_error error = SLM_ERROR_INIT;
    uint64_t need = room_needed(b);
    b->info.struct_size = sizeof b->info;
    b->plan.struct_size = sizeof b->plan;
    if (slm_model_get_info(model, &b->info, &error) != SLM_OK)
        return slm_cli_fail_error(b->path, &error);
    slm_cli_cache_options(model, common, cache);
    b->model = model;
    b->kv = cache->kv_type;
    cache->flags |= b->want_ops ? SLM_CACHE_TIME_OPS : 0;
    uint32_t limit = common->n_ctx ? common->n_ctx : b->info.n_ctx_train;
    if (need > limit)
        return slm_cli_fail("%s: got tests that need %llu tokens of context, wanted at most %u%s",
                            b->path, (unsigned long long)need, limit,
                            common->n_ctx ? " (-c)" : ", the model's");
    cache->n_ctx = common->n_ctx ? common->n_ctx : (uint32_t)need;
    /* going over from the short factors in the middle of a run would be timed with it */
    if (b->info.n_ctx_original > 0)
        cache->rope_factors = need > b->info.n_ctx_original ? SLM_ROPE_LONG : SLM_ROPE_SHORT;
    if (slm_cache_plan(model, cache, &b->plan, &error) != SLM_OK)
        return slm_cli_fail_error(b->path, &error);
    b->n_threads = b->plan.n_threads;
    b->ids = malloc(need * sizeof *b->ids);
    b->speeds = malloc(b->repeats * sizeof *b->speeds);
    if (!b->ids || !b->speeds)
        return slm_cli_fail("%s: got no memory for %llu ids", b->path, (unsigned long long)need);
    uint64_t x = 88172645463325252u; /* xorshift64 (Marsaglia 2003): any ids do, always the same */
    for (uint64_t i = 0; i < need; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b->ids[i] = (int32_t)(x % b->info.n_vocab);
    }
    return 0;
}

static int run(bench *b, const slm_cli_common *common) {
    slm_model *model = NULL;
    slm_error error = SLM_ERROR_INIT;
    slm_cache_options cache;
    int status = slm_cli_open_model(b->path, common, 0, &model);
    if (status == 0)
        status = prepare(b, model, common, &cache);
    if (status == 0) { /* before the cache takes its memory */
        if (b->info.device != SLM_DEVICE_CUDA) { /* whose memory is another */
            b->read_gbps = slm_read_bandwidth(READ_BYTES, b->n_threads);
            if (b->read_gbps <= 0)
                slm_cli_warn("the read bandwidth could not be measured: no memory for %zu bytes",
                             READ_BYTES);
        }
        if (b->want_ops && b->info.device != SLM_DEVICE_CUDA)
            b->int8_gmacs = slm_int8_peak(b->n_threads);
        if (slm_session_open(model, &cache, &b->session, &error) != SLM_OK)
            status = slm_cli_fail_error(b->path, &error);
    }
    if (status == 0) {
        slm_cli_on_interrupt_cancel(b->session, 1);
        status = run_all(b);
        slm_cli_on_interrupt_exit();
    }
    free(b->ids);
    free(b->speeds);
    slm_session_close(&b->session);
    slm_model_close(&model);
    return slm_cli_finish(status);
}

int slm_cmd_bench(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "bench",
        .synopsis = "MODEL.gguf [options]",
        .purpose = "Tokens per second of a prompt (pp) and of generation (tg).",
        .notes = "LIST is a number or several with commas. -p 0 or -n 0 leaves that test out.\n"
                 "bytes_per_token: what one token reads, the weights and the cache at that depth;\n"
                 "read_gbps: the best rate at which these threads read memory, in 10^9 bytes a\n"
                 "second; share: bytes_per_token * median tokens per second over it. Neither is\n"
                 "there for cuda.\n"
                 "--ops: GB/s are of weights (attend: of keys and values), beside read_gbps; GMAC/s are\n"
                 "multiply-accumulates, beside the peak of the best int8 instruction; \"between\" is\n"
                 "what lies outside of steps, such as the choice of a token. On cuda by events, and\n"
                 "steps are then launched kernel by kernel: the sum is more than a step else takes.\n"
                 "--stop has no effect here.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    enum { OWN = 6 };
    slm_cli_common common = {0};
    bench b = {.prompt = {{512}, 1}, .generate = {{128}, 1}, .depth = {{0}, 1}, .repeats = 5};
    slm_cli_sampling_init(&b.sampling);
    b.sampling.sampling.temperature = 0;
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS + SLM_CLI_PROMPT_OPTIONS +
                    SLM_CLI_SAMPLING_OPTIONS] = {
        {.letter = 'p', .name = "prompt-tokens", .kind = SLM_OPT_CALL, .target = &b.prompt,
         .arg = "LIST", .help = "prompt tokens (512)", .call = take_list},
        {.letter = 'n', .name = "max-tokens", .kind = SLM_OPT_CALL, .target = &b.generate,
         .arg = "LIST", .help = "tokens to generate (128)", .call = take_list},
        {.letter = 'd', .name = "depth", .kind = SLM_OPT_CALL, .target = &b.depth, .arg = "LIST",
         .help = "tokens in the cache before (0)", .call = take_list},
        {.letter = 'r', .name = "repeats", .kind = SLM_OPT_U32, .target = &b.repeats, .arg = "N",
         .help = "runs of each test, after one to warm up (5)", .min = 1, .max = 10000},
        {.name = "json", .kind = SLM_OPT_FLAG, .target = &b.json,
         .help = "one JSON object a line instead of a table"},
        {.name = "ops", .kind = SLM_OPT_FLAG, .target = &b.want_ops,
         .help = "after each test where its time went, by op, beside what the machine can do"},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    n_options += slm_cli_prompt_options(options + n_options, &common);
    slm_opt *sampling = options + n_options;
    n_options += slm_cli_sampling_options(sampling, &b.sampling) - 1; /* no --draft: words mean nothing */
    sampling[0].help = NULL; /* -n is the list above */
    sampling[1].help = "temperature; 0 takes the most likely token (0)";
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &b.path);
    if (status < 0 && n_positive(&b.prompt) == 0 && n_positive(&b.generate) == 0)
        status = slm_cli_usage("bench: got -p 0 and -n 0, wanted one of the tests");
    slm_cli_sampling_settle(&b.sampling, b.path, NULL); /* the same for all models */
    if (status < 0)
        status = run(&b, &common);
    slm_cli_sampling_free(&b.sampling);
    return status;
}
