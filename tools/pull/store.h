/* Where pulled models lie: one folder, with NAME.gguf for each short name. */
#ifndef SLM_TOOLS_PULL_STORE_H
#define SLM_TOOLS_PULL_STORE_H

#include <stddef.h>

#define PULL_MAX_NAME 64u
#define PULL_MAX_PATH 4096u

/* A short name: letters, digits, ".", "_" and "-", a letter or digit first, at most PULL_MAX_NAME,
 * and without ".gguf" at its end. */
int pull_is_name(const char *name);

/* The path of NAME.gguf in the folder $SLM_MODELS, else $XDG_DATA_HOME/slm/models, else
 * ~/.local/share/slm/models. 0, with errno, when there is no such folder to name (ENOENT), or the
 * path is too long (ENAMETOOLONG). */
int pull_model_path(const char *name, char path[PULL_MAX_PATH]);

/* Makes the folders above a file, as far as they are not there. 0, or -1 with errno. */
int pull_make_folders(const char *path);

#endif
