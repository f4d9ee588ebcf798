/* A folder of the test program's own, removed with everything in it when the program ends. */
#ifndef SLM_TESTS_TEMP_FOLDER_H
#define SLM_TESTS_TEMP_FOLDER_H

#include <stddef.h>

/* Its path; made at the first call. */
const char *temp_folder(void);
/* The path of a file in it: a static text, one of eight used in turn. */
const char *temp_path(const char *name);
/* Files and folders in it. */
size_t temp_count(void);
/* Removes everything in it. */
void temp_clear(void);
/* Writes and reads whole files; a test that cannot do that ends. temp_read's bytes are malloc'ed. */
void temp_write(const char *path, const void *data, size_t size);
void *temp_read(const char *path, size_t *size);

#endif
