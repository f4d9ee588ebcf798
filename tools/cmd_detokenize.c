/* slm detokenize: ids on standard input to the bytes of their text. */
#include "cli.h"

#include <stdlib.h>

int slm_cmd_detokenize(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "detokenize",
        .synopsis = "MODEL.gguf [options] < IDS",
        .purpose = "Turns token ids into their bytes, exactly.",
        .notes = "Standard input holds the ids: a JSON array, or numbers separated by blanks or\n"
                 "commas. The blank that tokenize prefixes for SentencePiece vocabularies is\n"
                 "dropped.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    slm_cli_common common = {0};
    int special = 0;
    slm_opt options[1 + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "special", .kind = SLM_OPT_FLAG, .target = &special,
         .help = "control tokens give their spelling"},
    };
    const char *path;
    size_t n_options = 1 + slm_cli_hidden_options(options + 1, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (status >= 0)
        return status;

    slm_model *model = NULL;
    char *input = NULL, *text = NULL;
    int32_t *ids = NULL;
    size_t size = 0, n = 0, len = 0;
    uint32_t flags = SLM_DETOKENIZE_DROP_SPACE | (special ? SLM_DETOKENIZE_SPECIAL : 0u);
    slm_error error = SLM_ERROR_INIT;
    status = slm_cli_open_model(path, NULL, SLM_MODEL_VOCAB_ONLY, &model);
    if (status == 0)
        status = slm_cli_read_all("-", &input, &size);
    if (status == 0)
        status = slm_cli_parse_ids(input, size, "standard input", SLM_EXIT_FAILED, &ids, &n);
    if (status == 0 && slm_detokenize(model, ids, n, flags, NULL, 0, &len, &error) != SLM_OK)
        status = slm_cli_fail_error(path, &error);
    if (status == 0 && len > 0) {
        text = malloc(len);
        if (!text)
            status = slm_cli_fail("%s: got no memory, wanted %zu bytes", path, len);
        else if (slm_detokenize(model, ids, n, flags, text, len, &len, &error) != SLM_OK)
            status = slm_cli_fail_error(path, &error);
        else
            slm_cli_write(text, len);
    }
    free(text);
    free(ids);
    free(input);
    slm_model_close(&model);
    return slm_cli_finish(status);
}
