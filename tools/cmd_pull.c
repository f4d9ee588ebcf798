/* slm pull: fetches a model by short name or address; and how a short name stands for its file
 * wherever a model is opened. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "pull/catalogue.h"
#include "pull/pull.h"
#include "pull/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---------------------------------------------------------------- short names ---------------- */

/* Whether the argument can only be a short name: there is no such file. */
static int is_short_name(const char *argument) {
    return pull_is_name(argument) && access(argument, F_OK) != 0;
}

const char *slm_cli_model_path(const char *argument) {
    static char path[PULL_MAX_PATH];
    if (is_short_name(argument) && pull_model_path(argument, path) && access(path, F_OK) == 0)
        return path;
    return argument;
}

/* Asks on a terminal. 1: yes, 0: no, -1: interrupted or failed. */
static int agrees(const char *question) {
    slm_cli_text line = {0};
    slm_cli_on_interrupt_note();
    slm_cli_lines *lines = slm_cli_lines_open(NULL);
    int read = SLM_LINE_FAILED;
    if (lines) {
        fprintf(stderr, "%s\n", question);
        slm_cli_lines_prompt(lines, "[y/N]");
        read = slm_cli_lines_next(lines, &line);
    }
    int yes = read == SLM_LINE_READ && line.len > 0 && (line.data[0] == 'y' || line.data[0] == 'Y');
    slm_cli_lines_close(lines);
    slm_cli_on_interrupt_exit();
    free(line.data);
    return read == SLM_LINE_READ || read == SLM_LINE_END ? yes : -1;
}

/* What lies between "//" and the path. */
static void host_of(const char *address, char *host, size_t cap) {
    const char *begin = strstr(address, "//") + 2;
    size_t n = strcspn(begin, "/?#");
    snprintf(host, cap, "%.*s", (int)(n < cap ? n : cap - 1), begin);
}

int slm_cli_offer_model(const char **path) {
    static char pulled[PULL_MAX_PATH];
    const char *name = *path;
    pull_catalogue catalogue;
    char size[32], host[128], question[512], list[PULL_MAX_PATH];
    if (!is_short_name(name) || !pull_catalogue_path(list) || access(list, R_OK) != 0)
        return 0;
    int status = pull_catalogue_read(list, &catalogue);
    if (status != 0)
        return status;
    const pull_entry *entry = pull_catalogue_find(&catalogue, name);
    if (entry) {
        pull_size_text(entry->size, size, sizeof size);
        host_of(entry->address, host, sizeof host);
        snprintf(question, sizeof question, "%s is not here. Fetch it, %s, from %s (licence: %s)?",
                 name, size, host, entry->licence);
        int answer = isatty(STDIN_FILENO) && slm_cli_bar_wanted() ? agrees(question) : 0;
        if (answer < 0)
            status = slm_cli_interrupted() ? SLM_EXIT_INTERRUPTED : SLM_EXIT_FAILED;
        else if (answer == 0)
            status = slm_cli_fail("%s: got no such file, nor a model that was pulled; wanted one: "
                                  "\"slm pull %s\" fetches it (%s)", name, name, size);
        else
            status = pull_model(entry, &pull_defaults, pulled);
        *path = pulled;
    }
    pull_catalogue_free(&catalogue);
    return status;
}

/* ---------------------------------------------------------------- the command ---------------- */

static int list(const char *path) {
    pull_catalogue catalogue;
    char size[32], file[PULL_MAX_PATH];
    int status = pull_catalogue_read(path, &catalogue);
    if (status != 0)
        return status;
    for (size_t i = 0; i < catalogue.n_entries; i++) {
        const pull_entry *e = &catalogue.entries[i];
        int is_here = pull_model_path(e->name, file) && access(file, F_OK) == 0;
        pull_size_text(e->size, size, sizeof size);
        slm_cli_print("%-16s %8s  %-10s %s\n", e->name, size, e->licence,
                      is_here ? file : e->address);
    }
    pull_catalogue_free(&catalogue);
    return slm_cli_finish(SLM_EXIT_DONE);
}

/* "https://host/x/Model.gguf?download=true" is called "Model". 0 when there is no such name. */
static int name_of(const char *address, char name[PULL_MAX_NAME + 1]) {
    size_t end = strcspn(address, "?#"), begin = end;
    while (begin > 0 && address[begin - 1] != '/')
        begin--;
    if (end - begin > 5 && strncmp(address + end - 5, ".gguf", 5) == 0)
        end -= 5;
    if (end - begin > PULL_MAX_NAME)
        return 0;
    snprintf(name, PULL_MAX_NAME + 1, "%.*s", (int)(end - begin), address + begin);
    return pull_is_name(name);
}

static int pull(const pull_entry *entry, const pull_options *options) {
    char path[PULL_MAX_PATH];
    int status = pull_model(entry, options, path);
    if (status == 0)
        slm_cli_print("%s\n", path);
    return slm_cli_finish(status);
}

static int pull_named(const char *name, const char *file, const pull_options *options) {
    pull_catalogue catalogue;
    int status = pull_catalogue_read(file, &catalogue);
    if (status != 0)
        return status;
    const pull_entry *entry = pull_catalogue_find(&catalogue, name);
    status = entry ? pull(entry, options)
                   : slm_cli_fail("%s: is not in the catalogue, wanted a name that \"slm pull "
                                  "--list\" shows, or --url ADDRESS", name);
    pull_catalogue_free(&catalogue);
    return status;
}

int slm_cmd_pull(int argc, char **argv) {
    static const char *const arg_names[] = {"NAME"};
    static const slm_cli_command command = {
        .name = "pull",
        .synopsis = "NAME|ADDRESS [options]",
        .purpose = "Fetches a model by short name, or from an address, and prints its path.",
        .notes = "Models lie in $SLM_MODELS, else in $XDG_DATA_HOME/slm/models, else in\n"
                 "~/.local/share/slm/models. NAME then stands for the file in every command.\n"
                 "What was interrupted is gone on with.\n",
        .max_args = 1,
        .arg_names = arg_names,
    };
    pull_options o = pull_defaults;
    pull_entry entry = {.licence = "unknown"};
    const char *name, *url = NULL, *sha256 = NULL, *catalogue = NULL;
    char own_name[PULL_MAX_NAME + 1];
    int want_list = 0;
    const slm_opt options[] = {
        {.name = "url", .kind = SLM_OPT_TEXT, .target = &url, .arg = "ADDRESS",
         .help = "from there, to be called NAME"},
        {.name = "sha256", .kind = SLM_OPT_TEXT, .target = &sha256, .arg = "HEX",
         .help = "what is fetched from an address must have"},
        {.name = "catalogue", .kind = SLM_OPT_TEXT, .target = &catalogue, .arg = "FILE",
         .help = "the list of names (default: $SLM_CATALOGUE, else the one installed)"},
        {.name = "list", .kind = SLM_OPT_FLAG, .target = &want_list,
         .help = "the names there are: size, licence, and the file or the address"},
        {.name = "retries", .kind = SLM_OPT_U32, .target = &o.n_retries, .arg = "N",
         .help = "further attempts after failures that may pass (4)", .max = 1000},
        {.name = "stall-timeout", .kind = SLM_OPT_U32, .target = &o.stall_seconds, .arg = "S",
         .help = "seconds without data after which a connection is given up (30)", .min = 1,
         .max = 3600},
        {.name = "ca-file", .kind = SLM_OPT_TEXT, .target = &o.ca_file, .arg = "FILE",
         .help = "certificates to trust instead of the system's"},
        {.name = "insecure-http", .kind = SLM_OPT_FLAG, .target = &o.insecure_http,
         .help = "take http addresses of other machines, too"},
    };
    int status = slm_cli_parse(&command, options, sizeof options / sizeof *options, argc, argv,
                               &name);
    if (status >= 0)
        return status;
    if (want_list)
        return name || url ? slm_cli_usage("pull: got --list with a model, wanted one of them")
                           : list(catalogue);
    if (!url && name && pull_is_address(name)) {
        url = name;
        name = NULL;
    }
    if (sha256 && !url)
        return slm_cli_usage("pull: got --sha256 without an address, wanted both");
    if (sha256 && !pull_read_sha256(sha256, entry.sha256))
        return slm_cli_usage("option --sha256: got \"%s\", wanted 64 hexadecimal digits", sha256);
    if (url && !pull_is_address(url))
        return slm_cli_usage("option --url: got \"%s\", wanted an address that begins with "
                             "https://", url);
    if (url && !name)
        name = name_of(url, own_name) ? own_name : NULL;
    if (!name)
        return url ? slm_cli_usage("pull: got %s, wanted a NAME for it, too", url)
                   : slm_cli_usage("pull: got no NAME, wanted: slm pull %s", command.synopsis);
    if (!pull_is_name(name))
        return slm_cli_usage("pull: got the name \"%s\", wanted letters, digits, \".\", \"_\" and "
                             "\"-\", at most %u, without .gguf", name, PULL_MAX_NAME);
    if (!url)
        return pull_named(name, catalogue, &o);
    entry.name = name;
    entry.address = url;
    return pull(&entry, &o);
}
