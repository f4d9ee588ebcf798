#define _POSIX_C_SOURCE 200809L

#include "catalogue.h"

#include "../cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_FIELDS = 5 };
static const char wanted_line[] = "NAME SIZE SHA256 LICENCE ADDRESS";

int pull_read_sha256(const char *text, char digest[PULL_SHA256_DIGITS + 1]) {
    size_t n = strlen(text);
    if (n != PULL_SHA256_DIGITS || strspn(text, "0123456789abcdefABCDEF") != n)
        return 0;
    for (size_t i = 0; i <= n; i++)
        digest[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    return 1;
}

void pull_size_text(uint64_t size, char *text, size_t cap) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)size;
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1000;
    snprintf(text, cap, unit > 0 && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

int pull_is_address(const char *text) {
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(text, schemes[i], n) == 0 && text[n] != '\0' && text[n] != '/')
            return 1;
    }
    return 0;
}

/* Splits a line, in place, into the fields that blanks separate. Returns how many there are. */
static size_t split(char *line, char *fields[N_FIELDS]) {
    size_t n = 0;
    for (char *rest, *field = strtok_r(line, " \t\r", &rest); field;
         field = strtok_r(NULL, " \t\r", &rest), n++)
        if (n < N_FIELDS)
            fields[n] = field;
    return n;
}

/* Fields are shown on terminals. */
static int is_visible_ascii(const char *text) {
    while (*text >= 0x21 && *text <= 0x7e)
        text++;
    return *text == '\0';
}

/* What is wrong with the fields, or NULL. */
static const char *read_entry(char *const fields[N_FIELDS], pull_entry *entry) {
    *entry = (pull_entry){.name = fields[0], .licence = fields[3], .address = fields[4]};
    if (!pull_is_name(fields[0]))
        return "a NAME of letters, digits, \".\", \"_\" and \"-\"";
    if (!slm_cli_parse_u64(fields[1], &entry->size) || entry->size == 0)
        return "a SIZE in bytes";
    if (!pull_read_sha256(fields[2], entry->sha256))
        return "a SHA256 of 64 hexadecimal digits";
    if (!pull_is_address(fields[4]))
        return "an ADDRESS that begins with https://";
    if (!is_visible_ascii(fields[3]) || !is_visible_ascii(fields[4]))
        return "a LICENCE and an ADDRESS of visible ASCII characters";
    return NULL;
}

static int add_line(const char *path, size_t number, char *line, pull_catalogue *c) {
    char *fields[N_FIELDS];
    pull_entry entry;
    size_t n = split(line, fields);
    if (n == 0 || fields[0][0] == '#')
        return 0;
    if (n != N_FIELDS)
        return slm_cli_fail("%s:%zu: got %zu fields, wanted %d: %s", path, number, n, N_FIELDS,
                            wanted_line);
    const char *wanted = read_entry(fields, &entry);
    if (wanted)
        return slm_cli_fail("%s:%zu: %s: wanted %s", path, number, fields[0], wanted);
    if (pull_catalogue_find(c, entry.name))
        return slm_cli_fail("%s:%zu: got the name %s twice, wanted it once", path, number,
                            entry.name);
    pull_entry *larger = realloc(c->entries, (c->n_entries + 1) * sizeof *larger);
    if (!larger)
        return slm_cli_fail("%s: got no memory", path);
    larger[c->n_entries++] = entry;
    c->entries = larger;
    return 0;
}

int pull_catalogue_path(char path[PULL_MAX_PATH]) {
    const char *own = getenv("SLM_CATALOGUE");
    if (own && *own) {
        int n = snprintf(path, PULL_MAX_PATH, "%s", own);
        return n > 0 && (size_t)n < PULL_MAX_PATH;
    }
    /* From the folder of the program, wherever that was moved. */
    ssize_t n = readlink("/proc/self/exe", path, PULL_MAX_PATH - sizeof SLM_CATALOGUE);
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n <= 0)
        return 0;
    memcpy(path + n, SLM_CATALOGUE, sizeof SLM_CATALOGUE);
    return 1;
}

int pull_catalogue_read(const char *path, pull_catalogue *c) {
    char usual[PULL_MAX_PATH];
    size_t size = 0, number = 1;
    *c = (pull_catalogue){0};
    if (!path && !pull_catalogue_path(usual))
        return slm_cli_fail("pull: got no catalogue of models, wanted --catalogue FILE");
    if (!path)
        path = usual;
    int status = slm_cli_read_all(path, &c->text, &size);
    if (status == 0 && strlen(c->text) != size)
        status = slm_cli_fail("%s: got a NUL byte, wanted text", path);
    for (char *line = c->text, *end; status == 0 && line; line = end, number++) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        status = add_line(path, number, line, c);
    }
    if (status != 0)
        pull_catalogue_free(c);
    return status;
}

void pull_catalogue_free(pull_catalogue *c) {
    free(c->entries);
    free(c->text);
    *c = (pull_catalogue){0};
}

const pull_entry *pull_catalogue_find(const pull_catalogue *c, const char *name) {
    for (size_t i = 0; i < c->n_entries; i++)
        if (strcmp(c->entries[i].name, name) == 0)
            return &c->entries[i];
    return NULL;
}
