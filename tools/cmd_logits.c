/* slm logits: evaluates a list of ids and writes the logits after each of them. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The library keeps the logits of one call in memory; a call takes no more rows than fit this. */
#define LOGITS_BYTES ((size_t)256 << 20)
/* Rows that are evaluated together at most: the scratch memory of the cache grows with them. */
#define MAX_STEP 512u

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Floats are little-endian in the file; where the machine is not, they are turned in place. */
static void to_little_endian(float *values, size_t n) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = __builtin_bswap32(bits);
        memcpy(&values[i], &bits, sizeof bits);
    }
#else
    (void)values;
    (void)n;
#endif
}

typedef struct job {
    const char *path;
    const int32_t *ids;
    size_t n, n_vocab, per_call;
    slm_cli_out *out;
    float *row; /* n_vocab */
} job;

/* Evaluates ids [from, from + n) and writes their rows. */
static int evaluate(const job *j, slm_session *session, size_t from, size_t n) {
    slm_error error = SLM_ERROR_INIT;
    slm_status s = slm_session_eval(session, j->ids + from, n, SLM_LOGITS_ALL, &error);
    for (size_t r = 0; r < n && s == SLM_OK; r++) {
        const float *logits;
        s = slm_session_get_logits(session, r, &logits, &error);
        if (s != SLM_OK)
            break;
        memcpy(j->row, logits, j->n_vocab * sizeof *logits);
        to_little_endian(j->row, j->n_vocab);
        int status = slm_cli_out_write(j->out, j->row, j->n_vocab * sizeof *logits);
        if (status)
            return status;
    }
    return s == SLM_OK ? 0 : slm_cli_fail_error(j->path, &error);
}

static int run_job(const job *j, slm_session *session) {
    int status = 0;
    slm_cli_on_interrupt_cancel(session, 1);
    slm_cli_bar_begin("logits");
    for (size_t at = 0; at < j->n && status == 0; at += j->per_call) {
        status = evaluate(j, session, at, smaller(j->per_call, j->n - at));
        slm_cli_bar(at, j->n);
        if (status == 0 && slm_cli_interrupted())
            status = SLM_EXIT_INTERRUPTED;
    }
    slm_cli_bar_end();
    slm_cli_on_interrupt_exit();
    return status;
}

static int open_and_run(const char *path, const char *out_path, const slm_cli_common *common,
                        uint32_t batch, int32_t rope, const int32_t *ids, size_t n) {
    slm_model *model = NULL;
    slm_session *session = NULL;
    slm_error error = SLM_ERROR_INIT;
    slm_model_info info = {.struct_size = sizeof info};
    slm_cache_options cache;
    job j = {.path = path, .ids = ids, .n = n};
    int status = slm_cli_open_model(path, common, 0, &model);
    if (status == 0 && slm_model_get_info(model, &info, &error) != SLM_OK)
        status = slm_cli_fail_error(path, &error);
    if (status == 0) {
        slm_cli_cache_options(model, common, &cache);
        if (common->n_ctx == 0)
            cache.n_ctx = (uint32_t)smaller(n, info.n_ctx_train);
        if (n > cache.n_ctx)
            status = slm_cli_fail("%s: got %zu ids, wanted at most %u, the context%s", path, n,
                                  cache.n_ctx, common->n_ctx ? " (-c)" : " of the model");
    }
    if (status == 0)
        status = slm_cli_out_open(out_path, &j.out);
    if (status == 0) {
        j.n_vocab = info.n_vocab;
        size_t fits = LOGITS_BYTES / (j.n_vocab * sizeof(float));
        j.per_call = smaller(smaller(batch ? batch : n, n), fits > 0 ? fits : 1);
        cache.max_logits = (uint32_t)j.per_call;
        cache.max_rows = (uint32_t)smaller(j.per_call, MAX_STEP);
        /* one set of factors for all rows, as the reference computes them in one pass */
        cache.rope_factors = rope;
        if (rope == SLM_ROPE_AUTO && info.n_ctx_original > 0)
            cache.rope_factors = n > info.n_ctx_original ? SLM_ROPE_LONG : SLM_ROPE_SHORT;
        j.row = malloc(j.n_vocab * sizeof *j.row);
        if (!j.row)
            status = slm_cli_fail("%s: got no memory for a row of logits", path);
        else if (slm_session_open(model, &cache, &session, &error) != SLM_OK)
            status = slm_cli_fail_error(path, &error);
    }
    if (status == 0)
        status = run_job(&j, session);
    if (status == 0)
        status = slm_cli_out_commit(&j.out);
    slm_cli_out_abandon(&j.out);
    free(j.row);
    slm_session_close(&session);
    slm_model_close(&model);
    return status;
}

int slm_cmd_logits(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "logits",
        .synopsis = "MODEL.gguf (--ids IDS | --ids-file FILE) -o OUT [options]",
        .purpose = "Evaluates ids from position 0 and writes the logits after each of them.",
        .notes = "OUT holds float32 little-endian, n_ids rows of n_vocab. Ids are a JSON array or\n"
                 "numbers separated by blanks or commas. Batches are evaluated in steps of at\n"
                 "most 512 rows.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    static const int32_t rope_values[] = {SLM_ROPE_AUTO, SLM_ROPE_SHORT, SLM_ROPE_LONG};
    slm_cli_common common = {0};
    const char *ids_text = NULL, *ids_file = NULL, *out_path = NULL, *path;
    uint32_t batch = 0;
    int32_t rope = SLM_ROPE_AUTO;
    slm_opt options[5 + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "ids", .kind = SLM_OPT_TEXT, .target = &ids_text, .arg = "IDS",
         .help = "the ids, such as 1,2,3"},
        {.name = "ids-file", .kind = SLM_OPT_TEXT, .target = &ids_file, .arg = "FILE",
         .help = "a file of ids; - is standard input"},
        {.letter = 'o', .name = "output", .kind = SLM_OPT_TEXT, .target = &out_path, .arg = "OUT",
         .help = "the file to write, whole or not at all"},
        {.name = "batch", .kind = SLM_OPT_U32, .target = &batch, .arg = "N",
         .help = "ids evaluated together (default: all)", .min = 1, .max = 1 << 30},
        {.name = "rope-factors", .kind = SLM_OPT_CHOICE, .target = &rope, .arg = "auto|short|long",
         .help = "LongRoPE: auto is long beyond the original context", .choices = rope_values},
    };
    size_t n_options = 5 + slm_cli_common_options(options + 5, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (status >= 0)
        return status;
    if (!ids_text == !ids_file)
        return slm_cli_usage("logits: got %s, wanted one of --ids and --ids-file",
                             ids_text ? "both" : "no ids");
    if (!out_path || !*out_path)
        return slm_cli_usage("logits: got no output file, wanted -o OUT");

    char *file_text = NULL, *part = NULL;
    const char *same = slm_cli_overwrites(path, out_path, &part);
    if (!same && ids_file) {
        free(part);
        same = slm_cli_overwrites(ids_file, out_path, &part);
    }
    if (same)
        slm_cli_usage("logits: got -o %s, which is the input %s, wanted another file", out_path,
                      same);
    free(part);
    if (same)
        return SLM_EXIT_USAGE;
    const char *where = ids_text ? "option --ids" : ids_file;
    int at_fault = ids_text ? SLM_EXIT_USAGE : SLM_EXIT_FAILED;
    size_t size = ids_text ? strlen(ids_text) : 0, n = 0;
    int32_t *ids = NULL;
    status = ids_file ? slm_cli_read_all(ids_file, &file_text, &size) : 0;
    if (status == 0)
        status = slm_cli_parse_ids(ids_text ? ids_text : file_text, size, where, at_fault, &ids,
                                   &n);
    if (status == 0 && n == 0) {
        slm_cli_fail("%s: got no ids, wanted at least one", where);
        status = at_fault;
    }
    if (status == 0)
        status = open_and_run(path, out_path, &common, batch, rope, ids, n);
    free(ids);
    free(file_text);
    return status;
}
