/* A program outside of the tree, in the common subset of C11 and C++17: it finds the header, links
 * the library and gets an explained failure from it. */
#include <slm.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", SLM_VERSION_MAJOR, SLM_VERSION_MINOR,
             SLM_VERSION_PATCH);
    if (strcmp(slm_version(), version) != 0) {
        printf("library %s, header %s\n", slm_version(), version);
        return 1;
    }
    slm_error error = SLM_ERROR_INIT;
    slm_model *model = NULL;
    slm_status status = slm_model_open("no-such-file.gguf", NULL, &model, &error);
    if (status != SLM_ERR_IO || error.status != status || model != NULL) {
        printf("opening a file that is not there: got %s, wanted IO\n", slm_status_name(status));
        return 1;
    }
    printf("libslm %s: %s\n", slm_version(), error.message);
    return 0;
}
