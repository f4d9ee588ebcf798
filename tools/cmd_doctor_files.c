/* slm doctor: files of the system below a root folder, and the little languages that they speak. */
#define _POSIX_C_SOURCE 200809L

#include "cmd_doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_CAP 512u

static size_t read_raw(const slm_doctor *d, const char *name, char *text, size_t cap) {
    char path[2 * PATH_CAP];
    if (snprintf(path, sizeof path, "%s%s", d->root, name) >= (int)sizeof path)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t used = 0;
    ssize_t n = 1;
    while (fd >= 0 && used + 1 < cap && n > 0) {
        n = read(fd, text + used, cap - 1 - used);
        used += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return used;
}

static int read_text(const slm_doctor *d, const char *name, char *text, size_t cap) {
    size_t n = read_raw(d, name, text, cap);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == 0 || c == '\t')
            text[i] = ' ';
        else if ((c < ' ' && c != '\n') || c > '~')
            text[i] = '?';
    }
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\n'))
        n--;
    text[n] = 0;
    return n > 0;
}

int slm_doctor_read(const slm_doctor *d, char *text, size_t cap, const char *format, ...) {
    char name[PATH_CAP];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return read_text(d, name, text, cap);
}

int slm_doctor_read_number(const slm_doctor *d, uint64_t *value, const char *format, ...) {
    char name[PATH_CAP], text[64], *end;
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (!read_text(d, name, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return 0;
    *value = strtoull(text, &end, 0);
    return 1;
}

int slm_doctor_exists(const slm_doctor *d, const char *name) {
    char path[2 * PATH_CAP];
    return snprintf(path, sizeof path, "%s%s", d->root, name) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const slm_entry *)a)->name, ((const slm_entry *)b)->name);
}

size_t slm_doctor_list(const slm_doctor *d, const char *folder, const char *prefix,
                       slm_entry *entries, size_t cap) {
    char path[2 * PATH_CAP];
    size_t n = 0, prefix_len = strlen(prefix);
    if (snprintf(path, sizeof path, "%s%s", d->root, folder) >= (int)sizeof path)
        return 0;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && n < cap && (e = readdir(dir)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (e->d_name[0] == '.' || len >= sizeof entries->name ||
            strncmp(e->d_name, prefix, prefix_len) != 0)
            continue;
        memcpy(entries[n++].name, e->d_name, len + 1);
    }
    if (dir != NULL)
        closedir(dir);
    qsort(entries, n, sizeof *entries, by_name);
    return n;
}

size_t slm_doctor_cpus(const char *list, unsigned char *is_in, size_t cap) {
    size_t n = 0;
    memset(is_in, 0, cap);
    while (*list >= '0' && *list <= '9') {
        char *end;
        unsigned long from = strtoul(list, &end, 10), to = from;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        for (; from <= to && from < cap; from++) {
            n += !is_in[from];
            is_in[from] = 1;
        }
        list = *end == ',' ? end + 1 : end;
    }
    return n;
}

int slm_doctor_has_word(const char *text, const char *word) {
    size_t len = strlen(word);
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + len, word)) {
        int begins = at == text || at[-1] == ' ' || at[-1] == '\n';
        if (begins && (at[len] == ' ' || at[len] == '\n' || at[len] == 0))
            return 1;
    }
    return 0;
}

int slm_doctor_value(const char *text, const char *key, char *value, size_t cap) {
    size_t len = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) != 0)
            continue;
        const char *at = line + len + strspn(line + len, " ");
        if (*at != ':')
            continue;
        at += 1 + strspn(at + 1, " ");
        snprintf(value, cap, "%.*s", (int)strcspn(at, "\n"), at);
        return 1;
    }
    return 0;
}
