/* Snapshots of a small model as bytes: changed, sealed again, loaded without a file. */
#ifndef SLM_TESTS_SNAPSHOT_BYTES_H
#define SLM_TESTS_SNAPSHOT_BYTES_H

#include "run/snapshot.h"
#include "support/message_flaw.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"

/* docs/FORMATS.md */
enum {
    AT_VERSION = 8,
    AT_ORDER = 12,
    AT_FILE_BYTES = 16,
    AT_CHECKS = 24,
    AT_BLOCK = 32,
    AT_SECTIONS = 36,
    AT_ZEROS = 40,
    AT_CHECK = 60,
    HEADER = 64,
    SECTION = 24,
    MODEL = 120,
    SESSION = 52
};

static const int32_t live_ids[] = {9, 8, 7, 6, 5, 4, 3};
#define N_LIVE (sizeof live_ids / sizeof live_ids[0])

static inline void fill_ids(int32_t *ids, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(((uint32_t)i * 2654435761u + seed * 40503u) >> 16) % (int32_t)TINY_VOCAB;
}

static inline uint64_t get_u64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}
static inline uint32_t get_u32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* Makes the checksums right, as far as the file's own numbers let them be found. */
static inline void seal(uint8_t *bytes, size_t size) {
    slm_crc32c_table table;
    slm_crc32c_init(&table, NULL);
    if (size < HEADER)
        return;
    uint32_t check = slm_crc32c(&table, bytes, AT_CHECK, 0);
    memcpy(bytes + AT_CHECK, &check, sizeof check);
    uint64_t end = get_u64(bytes + AT_CHECKS),
             n = end == 0 ? 0 : (end - 1) / SLM_SNAPSHOT_BLOCK + 1;
    if (n == 0 || end > size || n > size / 4 || (n + 1) * 4 > size - end)
        return;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = i * SLM_SNAPSHOT_BLOCK, left = end - at;
        check = slm_crc32c(&table, bytes + at,
                           left < SLM_SNAPSHOT_BLOCK ? (size_t)left : SLM_SNAPSHOT_BLOCK, 0);
        memcpy(bytes + end + 4 * i, &check, sizeof check);
    }
    check = slm_crc32c(&table, bytes + end, (size_t)n * 4, 0);
    memcpy(bytes + end + 4 * n, &check, sizeof check);
}

/* Loads bytes without a file. */
static inline slm_status load_bytes(slm_session *s, const void *bytes, size_t size,
                                    slm_error *error) {
    static const slm_snapshot_load_options none = {.struct_size = sizeof none};
    slm_host *host = s->cache->host;
    slm_file *file = NULL;
    slm_status status = slm_file_open_memory(host, bytes, size, SLM_LOAD_MAP, &file, error);
    if (status == SLM_OK)
        status = slm_snapshot_load(s, file, &none, NULL, error);
    slm_file_close(host, file);
    return status;
}

/* Where a section begins; 0: there is none. */
static inline size_t section_at(const uint8_t *bytes, const char *name) {
    size_t n = get_u32(bytes + AT_SECTIONS), at = HEADER + n * SECTION;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *entry = bytes + HEADER + i * SECTION;
        if (strncmp((const char *)entry, name, 8) == 0)
            return at;
        at += (size_t)get_u64(entry + 16);
    }
    return 0;
}

#endif
