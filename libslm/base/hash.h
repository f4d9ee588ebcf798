/* A hash of 64 bits by which changes are noticed. It is no protection against someone who wants two
 * inputs to be taken for one another. */
#ifndef SLM_BASE_HASH_H
#define SLM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH64 (Collet, github.com/Cyan4973/xxHash doc/xxhash_spec.md, version 0.1.1): the same number on
 * every machine. Several pieces are joined by giving the hash of one as the seed of the next. */
uint64_t slm_hash64(const void *data, size_t size, uint64_t seed);

#endif
