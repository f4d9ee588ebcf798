/* The list of models that have a short name: lines "NAME SIZE SHA256 LICENCE ADDRESS", separated by
 * blanks; empty lines and those that begin with "#" are comments. */
#ifndef SLM_TOOLS_PULL_CATALOGUE_H
#define SLM_TOOLS_PULL_CATALOGUE_H

#include "sha256.h"
#include "store.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pull_entry {
    const char *name, *licence, *address; /* the address is https: or http: */
    uint64_t size;                        /* 0: not known */
    char sha256[PULL_SHA256_DIGITS + 1];  /* in small letters; "": not known */
} pull_entry;

typedef struct pull_catalogue {
    char *text; /* which the entries point into */
    pull_entry *entries;
    size_t n_entries;
} pull_catalogue;

/* The file that $SLM_CATALOGUE names, else the one that was installed with the program. 0 when its
 * path cannot be told. */
int pull_catalogue_path(char path[PULL_MAX_PATH]);
/* Reads the file; NULL: the one above. 0, or the exit status after printing why. */
int pull_catalogue_read(const char *path, pull_catalogue *catalogue);
void pull_catalogue_free(pull_catalogue *catalogue);
/* NULL: it has no such name. */
const pull_entry *pull_catalogue_find(const pull_catalogue *catalogue, const char *name);

/* 1, or 0 when the text is not a digest of 64 hexadecimal digits. */
int pull_read_sha256(const char *text, char digest[PULL_SHA256_DIGITS + 1]);
/* Whether the address begins with https:// or http:// and has a host. */
int pull_is_address(const char *text);
/* A size for a person: "491 MB". */
void pull_size_text(uint64_t size, char *text, size_t cap);

#endif
