/* The `slm` program: finds the command and hands over. docs/CLI.md describes every command. */
#include "cli.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
} commands[] = {
    {"run", slm_cmd_run, "one answer to a prompt"},
    {"chat", slm_cmd_chat, "a conversation"},
    {"serve", slm_cmd_serve, "a server that speaks the OpenAI API"},
    {"tokenize", slm_cmd_tokenize, "text to token ids"},
    {"detokenize", slm_cmd_detokenize, "token ids to text"},
    {"embed", slm_cmd_embed, "texts to embeddings"},
    {"template", slm_cmd_template, "a conversation as the chat template writes it"},
    {"parse-tools", slm_cmd_parse_tools, "the calls of tools in an assistant's text"},
    {"grammar", slm_cmd_grammar, "whether a text is one of a grammar or JSON Schema"},
    {"logits", slm_cmd_logits, "the logits of a list of ids, as a file"},
    {"perplexity", slm_cmd_perplexity, "how well a model predicts a text"},
    {"bench", slm_cmd_bench, "speed, and its share of what the memory could give"},
    {"inspect", slm_cmd_inspect, "what is in a model file"},
    {"quantize", slm_cmd_quantize, "a smaller copy of a model file"},
    {"pack", slm_cmd_pack, "the weights packed for the processor, for a faster start"},
    {"pull", slm_cmd_pull, "fetches a model by short name or address"},
    {"doctor", slm_cmd_doctor, "what this machine can do, and what is wrong with it"},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static int help(void) {
    slm_cli_print("Usage: slm COMMAND MODEL.gguf [options]\n"
                  "       slm COMMAND --help\n"
                  "       slm --version\n\n"
                  "Runs small language models from GGUF files.\n\nCommands\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        slm_cli_print("  %-12s %s\n", commands[i].name, commands[i].purpose);
    slm_cli_print("\nResults go to standard output, everything else to standard error.\n"
                  "Exit status: 0 done; 1 the input or the model was at fault; 2 the command line\n"
                  "was wrong; 130 interrupted.\n");
    return slm_cli_finish(SLM_EXIT_DONE);
}

int main(int argc, char **argv) {
    slm_cli_occupy_streams();
    slm_cli_signals();
    if (argc < 2)
        return slm_cli_usage("got no command, wanted one that \"slm --help\" lists");
    const char *name = argv[1];
    int is_help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    int is_version = strcmp(name, "--version") == 0;
    if (argc > 2 && (is_help || is_version))
        return slm_cli_usage("got \"%s\" after %s, wanted nothing", argv[2], name);
    if (is_help)
        return help();
    if (is_version) {
        slm_cli_print("slm %s\n", slm_version());
        return slm_cli_finish(SLM_EXIT_DONE);
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return slm_cli_usage("got the command \"%s\", wanted one that \"slm --help\" lists", name);
}
