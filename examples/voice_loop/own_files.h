/* What is installed with the program is found from the folder that it lies in, wherever that was moved. */
#ifndef SLM_VOICE_OWN_FILES_H
#define SLM_VOICE_OWN_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* The path of a file or folder of that name; false: longer than size, or the system does not tell. */
bool own_file(const char *name, char *path, size_t size);

#endif
