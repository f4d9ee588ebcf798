#define _POSIX_C_SOURCE 200809L

#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int pull_is_name(const char *name) {
    size_t n = strlen(name);
    if (n == 0 || n > PULL_MAX_NAME || !is_letter_or_digit(name[0]))
        return 0;
    for (size_t i = 0; i < n; i++)
        if (!is_letter_or_digit(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
            return 0;
    return n < 5 || strcmp(name + n - 5, ".gguf") != 0;
}

int pull_model_path(const char *name, char path[PULL_MAX_PATH]) {
    const char *own = getenv("SLM_MODELS"), *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME"), *below = "";
    if (!own || !*own) {
        /* The XDG Base Directory Specification: paths that are not absolute do not count. */
        own = data && data[0] == '/' ? data : home;
        below = own == data ? "/slm/models" : "/.local/share/slm/models";
        if (!own || own[0] != '/') {
            errno = ENOENT;
            return 0;
        }
    }
    int n = snprintf(path, PULL_MAX_PATH, "%s%s/%s.gguf", own, below, name);
    errno = ENAMETOOLONG;
    return n > 0 && (size_t)n < PULL_MAX_PATH;
}

int pull_make_folders(const char *path) {
    char folder[PULL_MAX_PATH];
    if (strlen(path) >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(folder, path);
    for (char *slash = folder + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}
