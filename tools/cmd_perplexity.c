/*
 * slm perplexity: how well a model predicts a text.
 *
 * The figure that llama.cpp's tool of this name made customary: the text is cut into windows of
 * n_ctx tokens that do not overlap; in each, the first half is context and the predictions of the
 * second half are scored; where the model begins texts with BOS, BOS takes the place of each
 * window's first token. The perplexity is exp(mean negative log-likelihood); its standard error is
 * the perplexity times that of the mean, the scores taken as independent.
 */
#include "cli.h"

#include <math.h>
#include <stdlib.h>

typedef struct score {
    double sum, sum2; /* of the negative log-likelihoods and their squares */
    uint64_t n;
} score;

/* -log softmax(logits)[id] */
static double nll(const float *logits, size_t n_vocab, int32_t id) {
    float max = logits[0];
    double sum = 0;
    for (size_t i = 1; i < n_vocab; i++)
        if (logits[i] > max)
            max = logits[i];
    for (size_t i = 0; i < n_vocab; i++)
        sum += (double)expf(logits[i] - max);
    return log(sum) + (double)max - (double)logits[id];
}

typedef struct work {
    const char *path;
    slm_session *session;
    size_t n_vocab, n_ctx;
    uint32_t max_logits;
    uint64_t done, total; /* tokens, for the bar */
} work;

/* Scores the second half of one window of n_ctx ids. */
static slm_status window(work *w, const int32_t *ids, score *s, slm_error *error) {
    size_t half = w->n_ctx / 2, last = w->n_ctx - 1; /* rows half..last-1 predict half+1..last */
    slm_status status = slm_session_truncate(w->session, 0, error);
    for (size_t at = 0; at < last && status == SLM_OK;) {
        size_t end = at < half ? half : last;
        size_t n = end - at < w->max_logits ? end - at : w->max_logits;
        int32_t wanted = at < half ? SLM_LOGITS_NONE : SLM_LOGITS_ALL;
        status = slm_session_eval(w->session, ids + at, n, wanted, error);
        for (size_t r = 0; r < n && status == SLM_OK && at >= half; r++) {
            const float *logits;
            status = slm_session_get_logits(w->session, r, &logits, error);
            if (status != SLM_OK)
                break;
            double x = nll(logits, w->n_vocab, ids[at + r + 1]);
            s->sum += x;
            s->sum2 += x * x;
            s->n++;
        }
        at += n;
        w->done += n;
        slm_cli_bar(w->done, w->total);
    }
    return status;
}

static int all_windows(work *w, int32_t *ids, size_t n, int32_t bos, score *s) {
    slm_error error = SLM_ERROR_INIT;
    slm_status status = SLM_OK;
    size_t n_windows = n / w->n_ctx;
    w->total = n_windows * (w->n_ctx - 1);
    slm_cli_on_interrupt_cancel(w->session, 1);
    slm_cli_bar_begin("perplexity");
    for (size_t i = 0; i < n_windows && status == SLM_OK; i++) {
        int32_t *at = ids + i * w->n_ctx;
        if (bos >= 0)
            at[0] = bos;
        status = window(w, at, s, &error);
    }
    slm_cli_bar_end();
    slm_cli_on_interrupt_exit();
    if (status != SLM_OK)
        return slm_cli_fail_error(w->path, &error);
    return slm_cli_interrupted() ? SLM_EXIT_INTERRUPTED : 0;
}

static int report(const char *path, const score *s) {
    double n = (double)s->n, mean = s->sum / n, perplexity = exp(mean);
    double variance = s->sum2 / n - mean * mean;
    double error = s->n > 1 && variance > 0 ? sqrt(variance / (n - 1)) : 0;
    if (!isfinite(perplexity))
        return slm_cli_fail("%s: got a mean negative log-likelihood of %g, wanted one whose "
                            "exponential is finite", path, mean);
    slm_cli_print("{\"perplexity\":%.6f,\"stderr\":%.6f,\"tokens\":%llu}\n", perplexity,
                  perplexity * error, (unsigned long long)s->n);
    return 0;
}

static int run(const char *path, const char *text_path, const slm_cli_common *common) {
    enum { ROWS = 64 };
    slm_model *model = NULL;
    slm_error error = SLM_ERROR_INIT;
    slm_model_info info = {.struct_size = sizeof info};
    slm_cache_options cache = {0};
    work w = {.path = path, .max_logits = ROWS};
    score s = {0};
    char *text = NULL;
    size_t size = 0, n = 0;
    int32_t *ids = NULL;
    int status = slm_cli_open_model(path, common, 0, &model);
    if (status == 0)
        status = slm_cli_read_all(text_path, &text, &size);
    slm_span span = {.text = text, .len = size};
    if (status == 0)
        status = slm_cli_text_ids(model, path, &span, SLM_BOS_DEFAULT, &ids, &n);
    if (status == 0) {
        slm_model_get_info(model, &info, NULL);
        slm_cli_cache_options(model, common, &cache);
        w.n_vocab = info.n_vocab;
        w.n_ctx = cache.n_ctx;
        if (n < w.n_ctx)
            status = slm_cli_fail("%s: got a text of %zu tokens, wanted at least %zu, one window "
                                  "(-c)", text_path, n, w.n_ctx);
    }
    if (status == 0) {
        cache.max_logits = ROWS;
        if (info.n_ctx_original > 0)
            cache.rope_factors = w.n_ctx > info.n_ctx_original ? SLM_ROPE_LONG : SLM_ROPE_SHORT;
        if (slm_session_open(model, &cache, &w.session, &error) != SLM_OK)
            status = slm_cli_fail_error(path, &error);
    }
    if (status == 0)
        status = all_windows(&w, ids, n, info.add_bos ? info.bos_id : -1, &s);
    if (status == 0)
        status = report(path, &s);
    free(ids);
    free(text);
    slm_session_close(&w.session);
    slm_model_close(&model);
    return slm_cli_finish(status);
}

int slm_cmd_perplexity(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf", "FILE"};
    static const slm_cli_command command = {
        .name = "perplexity",
        .synopsis = "MODEL.gguf FILE [options]",
        .purpose = "How well a model predicts a text: the lower, the better.",
        .notes = "The text is cut into windows of -c tokens; the second half of each is scored,\n"
                 "BOS beginning each window where the model uses one. stderr is the standard\n"
                 "error of the perplexity, tokens the number scored. FILE may be -.\n",
        .min_args = 2,
        .max_args = 2,
        .arg_names = arg_names,
    };
    slm_cli_common common = {0};
    slm_opt options[SLM_CLI_COMMON_OPTIONS];
    const char *args[2];
    size_t n_options = slm_cli_common_options(options, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, args);
    if (status >= 0)
        return status;
    if (common.n_ctx > 0 && common.n_ctx < 4)
        return slm_cli_usage("option --ctx: got \"%u\", wanted a window of at least 4 tokens",
                             common.n_ctx);
    return run(args[0], args[1], &common);
}
