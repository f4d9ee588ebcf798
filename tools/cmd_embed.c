/* slm embed: texts on standard input to their embeddings. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct embedder {
    const char *path;
    slm_model *model;
    slm_session *session;
    int32_t pooling;
    uint32_t d_model;
    float *embedding;
} embedder;

static int print_embedding(const embedder *e) {
    int status = slm_cli_print("[");
    for (uint32_t i = 0; i < e->d_model && status == 0; i++)
        status = slm_cli_print(i ? ",%.9g" : "%.9g", (double)e->embedding[i]);
    return status == 0 ? slm_cli_print("]\n") : status;
}

static int embed(const embedder *e, const char *text, size_t len, size_t number) {
    slm_span span = {.text = text, .len = len};
    slm_error error = SLM_ERROR_INIT;
    int32_t *ids = NULL;
    size_t n = 0;
    int status = slm_cli_text_ids(e->model, e->path, &span, SLM_BOS_DEFAULT, &ids, &n);
    if (status == 0 && n == 0)
        status = slm_cli_fail("standard input: text %zu has no tokens, wanted at least one", number);
    if (status == 0 && slm_embed(e->session, ids, n, e->pooling, e->embedding, e->d_model,
                                 &error) != SLM_OK)
        status = slm_cli_fail_error(e->path, &error);
    free(ids);
    return status == 0 ? print_embedding(e) : status;
}

/* Each text ends with the separator; behind the last one it may be absent. */
static int embed_all(const embedder *e, const char *input, size_t size, char separator) {
    int status = 0;
    size_t number = 1;
    slm_cli_on_interrupt_cancel(e->session, 1);
    for (const char *at = input, *end = input + size; at < end && status == 0; number++) {
        const char *stop = memchr(at, separator, (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        size_t cr = separator == '\n' && len > 0 && at[len - 1] == '\r';
        status = embed(e, at, len - cr, number);
        at = stop != NULL ? stop + 1 : end;
    }
    slm_cli_on_interrupt_exit();
    return status == 0 && slm_cli_interrupted() ? SLM_EXIT_INTERRUPTED : status;
}

static int run(const char *path, const slm_cli_common *common, int32_t pooling, char separator) {
    embedder e = {.path = path, .pooling = pooling};
    slm_error error = SLM_ERROR_INIT;
    slm_model_info info = {.struct_size = sizeof info};
    slm_cache_options cache = {0};
    char *input = NULL;
    size_t size = 0;
    int status = slm_cli_open_model(path, common, 0, &e.model);
    if (status == 0)
        status = slm_cli_read_all("-", &input, &size);
    if (status == 0) {
        slm_model_get_info(e.model, &info, NULL);
        slm_cli_cache_options(e.model, common, &cache);
        e.d_model = info.d_model;
        e.embedding = malloc(e.d_model * sizeof *e.embedding);
        if (e.embedding == NULL)
            status = slm_cli_fail("%s: got no memory, wanted %u floats", path, e.d_model);
    }
    if (status == 0 && slm_session_open(e.model, &cache, &e.session, &error) != SLM_OK)
        status = slm_cli_fail_error(path, &error);
    if (status == 0)
        status = embed_all(&e, input, size, separator);
    free(e.embedding);
    free(input);
    slm_session_close(&e.session);
    slm_model_close(&e.model);
    return slm_cli_finish(status);
}

int slm_cmd_embed(int argc, char **argv) {
    static const int32_t poolings[] = {SLM_POOLING_MEAN, SLM_POOLING_LAST};
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "embed",
        .synopsis = "MODEL.gguf [options] < TEXTS",
        .purpose = "Turns texts into embeddings, one line each: a JSON array of numbers.",
        .notes = "Standard input has one text a line. An embedding is made of the model's final\n"
                 "hidden states and has length 1, so that the product of two is their cosine.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    slm_cli_common common = {0};
    int32_t pooling = SLM_POOLING_MEAN;
    int is_null = 0;
    slm_opt options[2 + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "pooling", .kind = SLM_OPT_CHOICE, .target = &pooling, .arg = "mean|last",
         .choices = poolings, .help = "of all tokens, or the last one (default mean)"},
        {.name = "null", .kind = SLM_OPT_FLAG, .target = &is_null,
         .help = "texts end with a NUL byte and may have several lines"},
    };
    const char *path;
    size_t n_options = 2 + slm_cli_common_options(options + 2, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    return status >= 0 ? status : run(path, &common, pooling, is_null ? '\0' : '\n');
}
