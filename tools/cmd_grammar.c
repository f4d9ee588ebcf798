/* slm grammar check: whether standard input is a text of a grammar or schema. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

int slm_cli_compile_guide(slm_model *model, const char *grammar, const char *schema, int lenient,
                          slm_guide **out) {
    const char *path = grammar ? grammar : schema;
    slm_guide_options o = {.struct_size = sizeof o, .flags = lenient ? SLM_GUIDE_LENIENT : 0u};
    slm_error error = SLM_ERROR_INIT;
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    int status = slm_cli_read_all(path, &text, &size);
    if (status != 0)
        return status;
    slm_status s = grammar ? slm_guide_compile_gbnf(model, text, size, &o, out, &error)
                           : slm_guide_compile_json_schema(model, text, size, &o, out, &error);
    free(text);
    return s == SLM_OK ? 0 : slm_cli_fail_error(path, &error);
}

static int check(slm_guide *guide) {
    slm_error error = SLM_ERROR_INIT;
    slm_match match;
    char *text = NULL;
    size_t size = 0;
    int status = slm_cli_read_all("-", &text, &size);
    if (status != 0)
        return status;
    if (slm_guide_match(guide, text, size, &match, &error) != SLM_OK)
        status = slm_cli_fail_error(NULL, &error);
    else
        status = match == SLM_MATCH_WHOLE ? SLM_EXIT_DONE : SLM_EXIT_FAILED;
    free(text);
    return status;
}

int slm_cmd_grammar(int argc, char **argv) {
    static const char *const arg_names[] = {"check"};
    static const slm_cli_command command = {
        .name = "grammar",
        .synopsis = "check --grammar FILE | --json-schema FILE < TEXT",
        .purpose = "Tells whether standard input, all of it, is a text of a grammar or schema.",
        .notes = "Exit status: 0 it is; 1 it is not, and nothing is printed; 2 the grammar or "
                 "schema is\n"
                 "at fault or uses what is not supported, which a message names.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    const char *grammar = NULL, *schema = NULL, *action = NULL;
    slm_opt options[] = {
        {.name = "grammar",
         .kind = SLM_OPT_TEXT,
         .target = &grammar,
         .arg = "FILE",
         .help = "a grammar in GBNF"},
        {.name = "json-schema",
         .kind = SLM_OPT_TEXT,
         .target = &schema,
         .arg = "FILE",
         .help = "a JSON Schema"},
    };
    int status = slm_cli_parse(&command, options, 2, argc, argv, &action);
    if (status >= 0)
        return status;
    if (strcmp(action, "check") != 0)
        return slm_cli_usage("grammar: got \"%s\", wanted check", action);
    if (!grammar == !schema)
        return slm_cli_usage("grammar check: wanted one of --grammar and --json-schema");
    slm_guide *guide = NULL;
    if (slm_cli_compile_guide(NULL, grammar, schema, 1, &guide) != 0)
        return SLM_EXIT_USAGE;
    status = check(guide);
    slm_guide_close(&guide);
    return slm_cli_finish(status);
}
