#define _XOPEN_SOURCE 700
#include "support/temp_folder.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[400];

static void die(const char *what) {
    perror(what);
    exit(2);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    (void)flag;
    return ftw->level == 0 ? 0 : remove(path);
}

void temp_clear(void) {
    nftw(temp_folder(), remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void at_end(void) {
    temp_clear();
    rmdir(folder);
}

const char *temp_folder(void) {
    if (!folder[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/slm-test-XXXXXX", base && base[0] ? base : "/tmp");
        if (!mkdtemp(folder))
            die(folder);
        atexit(at_end);
    }
    return folder;
}

const char *temp_path(const char *name) {
    static char paths[8][700];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", temp_folder(), name);
    return path;
}

size_t temp_count(void) {
    size_t n = 0;
    DIR *dir = opendir(temp_folder());
    if (!dir)
        die("opendir");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

void temp_write(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        die(path);
}

void *temp_read(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        die(path);
    long end = ftell(f);
    rewind(f);
    char *data = malloc((size_t)end + 1);
    if (!data || fread(data, 1, (size_t)end, f) != (size_t)end)
        die(path);
    fclose(f);
    data[end] = 0;
    *size = (size_t)end;
    return data;
}
