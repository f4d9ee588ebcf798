/* The beginning of a SHA-256 digest, as the tables of expected values have it. */
#include "check.h"

#include "pull/sha256.h"

void sha256_prefix(char out[17], const void *data, size_t size) {
    char digest[PULL_SHA256_DIGITS + 1];
    pull_sha256 s;
    pull_sha256_init(&s);
    pull_sha256_add(&s, data, size);
    pull_sha256_end(&s, digest);
    memcpy(out, digest, 16);
    out[16] = '\0';
}
