/* A file that is being fetched: its bytes so far in PATH.part, and in PATH.part.from what they are
 * a part of. PATH itself appears when it is whole. One program at a time has it. */
#ifndef SLM_TOOLS_PULL_PART_H
#define SLM_TOOLS_PULL_PART_H

#include "sha256.h"
#include "store.h"

#include <stdint.h>

#define PULL_MAX_ETAG 256u

typedef struct pull_part {
    int fd;
    char final[PULL_MAX_PATH], path[PULL_MAX_PATH + 8], from[PULL_MAX_PATH + 16];
    uint64_t size;            /* bytes there are                                            */
    pull_sha256 hash;         /* of these                                                   */
    char etag[PULL_MAX_ETAG]; /* the version that they are of, as the server names it; or "" */
} pull_part;

/* Opens, makes and locks the part of the file final. What an earlier program left is kept when it
 * came from this address, and is hashed. As all here it returns 0, or the exit status after
 * printing why. */
int pull_part_open(pull_part *part, const char *final, const char *address);
/* Throws away the bytes. Those to come are of this version (etag; "": not known) at this address.
 */
int pull_part_restart(pull_part *part, const char *address, const char *etag);
/* Adds bytes. 0, or an errno. */
int pull_part_add(pull_part *part, const void *data, size_t size);
/* The part becomes the file, on the disk too, and is closed. keep_from: PATH.from goes on telling
 * where it came from. */
int pull_part_commit(pull_part *part, int keep_from);
/* Closes it; what there is stays for a later program, unless it is nothing. */
void pull_part_close(pull_part *part);
/* Closes it and removes what there is. */
void pull_part_abandon(pull_part *part);

/* Whether the file final was committed with keep_from, from this address. */
int pull_came_from(const char *final, const char *address);
/* Whether the file begins as models do. */
int pull_is_gguf(int fd);
/* Hashes a file to its end, with a bar. */
int pull_hash_file(int fd, const char *path, pull_sha256 *hash, uint64_t *size);

#endif
