/* slm-pull: fetches a model by short name or address. `slm pull` becomes this program, the only one
 * with a network client. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "pull/catalogue.h"
#include "pull/pull.h"
#include "pull/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static int run(int argc, char **argv) {
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

int main(int argc, char **argv) {
    slm_cli_occupy_streams();
    slm_cli_signals();
    return run(argc, argv);
}
