/* slm template: a conversation as the model's chat template writes it. */
#define _DEFAULT_SOURCE

#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t slm_cli_wall_clock(void) {
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) ? (int64_t)timegm(&local) : (int64_t)now;
}

/* "2024-07-26T12:34:56" to *(int64_t *)target. */
static int take_now(const slm_opt *option, const char *value) {
    static const char SHAPE[] = "0000-00-00T00:00:00";
    int n[6] = {0}, field = 0, good = strlen(value) == sizeof SHAPE - 1;
    for (size_t i = 0; good && SHAPE[i]; i++) {
        int digit = value[i] >= '0' && value[i] <= '9';
        good = SHAPE[i] == '0' ? digit : value[i] == SHAPE[i];
        if (digit)
            n[field] = n[field] * 10 + (value[i] - '0');
        else
            field++;
    }
    struct tm t = {.tm_year = n[0] - 1900,
                   .tm_mon = n[1] - 1,
                   .tm_mday = n[2],
                   .tm_hour = n[3],
                   .tm_min = n[4],
                   .tm_sec = n[5]};
    time_t seconds = good ? timegm(&t) : 0;
    /* timegm carries a 31 February over into March. */
    good = good && t.tm_year == n[0] - 1900 && t.tm_mon == n[1] - 1 && t.tm_mday == n[2] &&
           t.tm_hour == n[3] && t.tm_min == n[4] && t.tm_sec == n[5];
    if (!good)
        return slm_cli_opt_bad(option, value, "a date and time like 2024-07-26T12:34:56");
    *(int64_t *)option->target = (int64_t)seconds;
    return 0;
}

/* What is at fault, by what the library names: the template is the model's. */
static const char *culprit(const slm_error *error, const char *model, const char *messages) {
    return strstr(error->subject, "template") ? model : messages;
}

static int render(const slm_model *model, const slm_chat_input *input, const char *path,
                  const char *messages) {
    slm_error error = SLM_ERROR_INIT;
    char *text = NULL;
    size_t len = 0;
    slm_status status = slm_chat_render_input(model, input, NULL, 0, &len, &error);
    if (status == SLM_OK && !(text = malloc(len + 1)))
        return slm_cli_fail("%s: got no memory, wanted %zu bytes", path, len);
    if (status == SLM_OK && len > 0)
        status = slm_chat_render_input(model, input, text, len, &len, &error);
    int result = SLM_EXIT_DONE;
    if (status != SLM_OK)
        result = slm_cli_fail_error(culprit(&error, path, messages), &error);
    else
        slm_cli_write(text, len);
    free(text);
    return slm_cli_finish(result);
}

int slm_cmd_template(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "template",
        .synopsis = "MODEL.gguf --messages FILE [options]",
        .purpose =
            "Writes a conversation in the model's own chat format, as its template renders it.",
        .notes = "FILE (\"-\": standard input) holds JSON: {\"messages\": [...], \"tools\": [...] "
                 "or null,\n"
                 "\"add_generation_prompt\": true, \"extra\": {...}}; all but messages may be "
                 "absent. extra\n"
                 "holds further variables of the template, or \"continue_final_message\": true.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    slm_cli_common common = {0};
    const char *path, *messages = NULL;
    int64_t now = slm_cli_wall_clock();
    slm_opt options[2 + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "messages",
         .kind = SLM_OPT_TEXT,
         .target = &messages,
         .arg = "FILE",
         .help = "the conversation"},
        {.name = "now",
         .kind = SLM_OPT_CALL,
         .target = &now,
         .arg = "TIME",
         .call = take_now,
         .help = "the date and time that the template sees, as 2024-07-26T12:34:56 (default: now)"},
    };
    size_t n_options = 2 + slm_cli_hidden_options(options + 2, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (status >= 0)
        return status;
    if (!messages)
        return slm_cli_usage("template: got no --messages, wanted a file");
    slm_model *model = NULL;
    char *text = NULL;
    size_t size = 0;
    status = slm_cli_open_model(path, NULL, SLM_MODEL_VOCAB_ONLY, &model);
    if (status == 0)
        status = slm_cli_read_all(messages, &text, &size);
    slm_chat_input input = {.struct_size = sizeof input,
                            .flags = SLM_CHAT_GENERATION_PROMPT,
                            .conversation = text,
                            .conversation_len = size,
                            .now = now};
    if (status == 0)
        status = render(model, &input, path, messages);
    free(text);
    slm_model_close(&model);
    return status;
}
