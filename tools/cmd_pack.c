/* slm pack: the weights in the order in which they are multiplied, as a file for the next start. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t written(void *user, uint64_t done, uint64_t total) {
    uint64_t *bytes = user;
    *bytes = total;
    slm_cli_bar(done, total);
    return slm_cli_interrupted();
}

static int run(const char *path, const char *out) {
    slm_cli_common common = {.load = SLM_LOAD_MAP}; /* rows are packed as they are written */
    slm_error error = SLM_ERROR_INIT;
    slm_model *model = NULL;
    uint64_t bytes = 0;
    int status = slm_cli_open_model(path, &common, 0, &model);
    if (status != 0)
        return status;
    /* Only noted: the file that was begun is removed on the way out. */
    slm_cli_on_interrupt_note();
    slm_cli_bar_begin("packing");
    slm_status saved = slm_model_save_packed(model, out, written, &bytes, &error);
    slm_cli_bar_end();
    slm_cli_on_interrupt_exit();
    slm_model_close(&model);
    if (saved != SLM_OK)
        return slm_cli_fail_error(saved == SLM_ERR_IO ? out : path, &error);
    slm_cli_note("%s: %.1f MB", out, (double)bytes / 1e6);
    return SLM_EXIT_DONE;
}

/* Whether OUT is, or would be, one of the files of the model. */
static int check_out(const char *path, const char *out) {
    char *part = NULL;
    const char *same = slm_cli_overwrites(path, out, &part);
    int status = 0;
    if (same)
        status = slm_cli_usage("pack: got %s for OUT, the same file as the input %s, wanted "
                               "another",
                               out, same);
    free(part);
    return status;
}

int slm_cmd_pack(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "pack",
        .synopsis = "MODEL.gguf [-o OUT]",
        .purpose = "Saves the weights packed for the processor, so that the next start need not.",
        .notes = "OUT is found by itself where it has its default name, MODEL.gguf.packed. It is\n"
                 "bound to the model: after a change of the model it is passed over. OUT appears\n"
                 "whole or not at all.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    static const char suffix[] = ".packed";
    slm_cli_common common = {0};
    const char *path, *out = NULL;
    slm_opt options[SLM_CLI_COMMON_OPTIONS + 1] = {
        {.letter = 'o', .name = "output", .kind = SLM_OPT_TEXT, .target = &out, .arg = "OUT",
         .help = "the file to write (default: MODEL.gguf.packed)"},
    };
    size_t n = 1 + slm_cli_hidden_options(options + 1, &common);
    int status = slm_cli_parse(&command, options, n, argc, argv, &path);
    if (status >= 0)
        return status;
    size_t cap = strlen(path) + sizeof suffix;
    char *beside = malloc(cap);
    if (beside == NULL)
        return slm_cli_fail("%s: got no memory for a name", path);
    snprintf(beside, cap, "%s%s", path, suffix);
    if (out == NULL)
        out = beside;
    status = check_out(path, out);
    if (status == 0)
        status = slm_cli_finish(run(path, out));
    free(beside);
    return status;
}
