#define _GNU_SOURCE
#include "shopping_list.h"

#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* One line, not longer than there is room for, cut between characters. */
static void copy_item(char *to, const char *from) {
    size_t n = strlen(from);
    if (n >= ITEM_SIZE)
        for (n = ITEM_SIZE - 1; n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80;)
            n--;
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)from[i] < ' ' ? ' ' : from[i];
    to[n] = 0;
}

bool shopping_read(shopping_list *list, const char *path, char *why, size_t why_size) {
    char *line = NULL;
    size_t cap = 0;
    list->n = 0;
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f)
        return !path || errno == ENOENT || fail(why, why_size, "%.200s: %s", path, strerror(errno));
    while (getline(&line, &cap, f) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0])
            shopping_add(list, line);
    }
    bool good = !ferror(f) || fail(why, why_size, "%.200s: it cannot be read", path);
    free(line);
    fclose(f);
    return good;
}

bool shopping_write(const shopping_list *list, const char *path) {
    char *part = NULL;
    if (!path)
        return true;
    if (asprintf(&part, "%s.XXXXXX", path) < 0)
        return false;
    int fd = mkstemp(part);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool good = f && fchmod(fd, 0644) == 0;
    for (int i = 0; good && i < list->n; i++)
        good = fprintf(f, "%s\n", list->item[i]) > 0;
    good = good && fflush(f) == 0 && fsync(fd) == 0;
    if (f)
        good = fclose(f) == 0 && good;
    else if (fd >= 0)
        close(fd);
    good = good && rename(part, path) == 0;
    if (!good && fd >= 0)
        unlink(part);
    free(part);
    return good;
}

bool shopping_add(shopping_list *list, const char *item) {
    char copy[ITEM_SIZE];
    copy_item(copy, item);
    for (int i = 0; i < list->n; i++)
        if (strcasecmp(list->item[i], copy) == 0)
            return true;
    if (list->n == MOST_ITEMS)
        return false;
    memcpy(list->item[list->n++], copy, ITEM_SIZE);
    return true;
}

static bool ends_in(const char *text, const char *word) {
    size_t n = strlen(text), m = strlen(word);
    return m > 0 && n > m && text[n - m - 1] == ' ' && strcasecmp(text + n - m, word) == 0;
}

bool shopping_remove(shopping_list *list, const char *item) {
    int at = 0;
    while (at < list->n && strcasecmp(list->item[at], item) != 0)
        at++;
    if (at == list->n)
        for (at = 0; at < list->n && !ends_in(list->item[at], item);)
            at++;
    if (at == list->n)
        return false;
    list->n--;
    memmove(list->item[at], list->item[at + 1], (size_t)(list->n - at) * ITEM_SIZE);
    return true;
}
