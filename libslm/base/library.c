#include "base/library.h"

#ifdef SLM_HAVE_CUDA

#include <dlfcn.h>
#include <string.h>

/* Unloading would take away code that the library's own threads and exit handlers still run. */
void *slm_library_open(const char *name) {
    return dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

void slm_library_close(void *library) {
    if (library != NULL)
        (void)dlclose(library);
}

int slm_library_find(void *library, const char *symbol, void *function) {
    void *found = dlsym(library, symbol);
    memcpy(function, &found, sizeof found); /* POSIX: they are of one size and meaning */
    return found != NULL;
}

#endif
