#define _POSIX_C_SOURCE 200809L

#include "own_files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool own_file(const char *name, char *path, size_t size) {
    ssize_t n = readlink("/proc/self/exe", path, size);
    if (n <= 0 || (size_t)n >= size)
        return false;
    while (n > 0 && path[n - 1] != '/')
        n--;
    int rest = snprintf(path + n, size - (size_t)n, "%s/%s", VOICE_OWN_FILES, name);
    return rest > 0 && (size_t)rest < size - (size_t)n;
}
