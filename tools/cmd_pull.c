/* How a short name stands for a file wherever a model is opened; and slm pull, which is a program of
 * its own, slm-pull, so that no other command loads a network client. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "pull/catalogue.h"
#include "pull/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

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

/* ---------------------------------------------------------------- slm-pull ------------------- */

static int cannot_start(const char *program, int error) {
    return slm_cli_fail("pull: got no program %s that can be run (%s), wanted slm-pull, which is "
                        "installed beside slm", program, strerror(error));
}

/* The program that lies beside this one; just its name where that cannot be told. */
static void find_program(char path[PULL_MAX_PATH]) {
    static const char name[] = "slm-pull";
    ssize_t n = readlink("/proc/self/exe", path, PULL_MAX_PATH - sizeof name);
    while (n > 0 && path[n - 1] != '/')
        n--;
    memcpy(path + (n > 0 ? n : 0), name, sizeof name);
}

/* What a child ended with. An interruption of this program is handed on to it. */
static int wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return slm_cli_fail("pull: slm-pull cannot be waited for: %s", strerror(errno));
        if (slm_cli_interrupted())
            kill(child, SIGTERM);
    }
    if (WIFSIGNALED(status))
        return slm_cli_fail("pull: slm-pull was ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* Has a model of the catalogue fetched, by its name. The path that slm-pull prints is left out of the
 * output, which is for the answer. */
static int fetch(char *name) {
    char path[PULL_MAX_PATH];
    char *argv[] = {"slm-pull", name, NULL};
    pid_t child = -1;
    posix_spawn_file_actions_t actions;
    find_program(path);
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return cannot_start(path, error);
    error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    slm_cli_on_interrupt_note();
    if (error == 0)
        error = posix_spawn(&child, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = error == 0 ? wait_for(child) : cannot_start(path, error);
    slm_cli_on_interrupt_exit();
    return status;
}

int slm_cmd_pull(int argc, char **argv) {
    char path[PULL_MAX_PATH];
    (void)argc;
    find_program(path);
    execv(path, argv); /* argv[0] is "pull" */
    return cannot_start(path, errno);
}

/* ---------------------------------------------------------------- offering ------------------- */

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
    char own_name[PULL_MAX_NAME + 1];
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
        else {
            snprintf(own_name, sizeof own_name, "%s", name);
            status = fetch(own_name);
        }
        if (status == 0 && !pull_model_path(name, pulled))
            status = slm_cli_fail("%s: got no folder for models, wanted SLM_MODELS or HOME to name "
                                  "one", name);
        *path = pulled;
    }
    pull_catalogue_free(&catalogue);
    return status;
}
