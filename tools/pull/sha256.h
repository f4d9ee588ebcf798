/* SHA-256 (FIPS 180-4) of bytes that come piece by piece. */
#ifndef SLM_TOOLS_PULL_SHA256_H
#define SLM_TOOLS_PULL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define PULL_SHA256_DIGITS 64u

typedef struct pull_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    uint8_t block[64]; /* the last n_bytes % 64 bytes, which do not fill a block yet */
} pull_sha256;

void pull_sha256_init(pull_sha256 *s);
void pull_sha256_add(pull_sha256 *s, const void *data, size_t size);
/* The digest in hexadecimal, with a NUL; s is to be initialized again before it is used again. */
void pull_sha256_end(pull_sha256 *s, char digest[PULL_SHA256_DIGITS + 1]);

#endif
