/* slm tokenize: standard input to a JSON array of ids. */
#include "cli.h"

#include <stdlib.h>

static int print_ids(const int32_t *ids, size_t n) {
    slm_cli_print("[");
    for (size_t i = 0; i < n; i++)
        slm_cli_print(i ? ",%d" : "%d", (int)ids[i]);
    slm_cli_print("]\n");
    return slm_cli_finish(SLM_EXIT_DONE);
}

int slm_cmd_tokenize(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "tokenize",
        .synopsis = "MODEL.gguf [options] < TEXT",
        .purpose = "Turns standard input into token ids, printed as one line: a JSON array.",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    slm_cli_common common = {0};
    int special = 0;
    int32_t bos = SLM_BOS_DEFAULT;
    int add_bos = -1;
    slm_opt options[3 + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "special", .kind = SLM_OPT_FLAG, .target = &special,
         .help = "spellings of control tokens become control tokens"},
        {.name = "bos", .kind = SLM_OPT_FLAG, .target = &add_bos,
         .help = "begin with BOS (default: as the model says)"},
        {.name = "no-bos", .kind = SLM_OPT_UNFLAG, .target = &add_bos, .help = "no BOS"},
    };
    const char *path;
    size_t n_options = 3 + slm_cli_hidden_options(options + 3, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (status >= 0)
        return status;
    if (add_bos >= 0)
        bos = add_bos ? SLM_BOS_ADD : SLM_BOS_NONE;

    slm_model *model = NULL;
    char *text = NULL;
    int32_t *ids = NULL;
    size_t size = 0, n = 0;
    status = slm_cli_open_model(path, NULL, SLM_MODEL_VOCAB_ONLY, &model);
    if (status == 0)
        status = slm_cli_read_all("-", &text, &size);
    slm_span span = {.text = text, .len = size, .trusted = (uint32_t)special};
    if (status == 0)
        status = slm_cli_text_ids(model, path, &span, bos, &ids, &n);
    if (status == 0)
        status = print_ids(ids, n);
    free(ids);
    free(text);
    slm_model_close(&model);
    return status;
}
