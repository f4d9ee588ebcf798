/* Snapshots: sessions in files. docs/FORMATS.md is the format.
 *
 * A file is blocks of equal size with a checksum each, and sections that lie in them one behind the
 * other. State of another kind is another section. */
#ifndef SLM_RUN_SNAPSHOT_H
#define SLM_RUN_SNAPSHOT_H

#include "base/crc32c.h"
#include "model/device.h"
#include "run/state.h"

#define SLM_SNAPSHOT_VERSION  1u
#define SLM_SNAPSHOT_ORDER    0x01020304u
#define SLM_SNAPSHOT_BLOCK    ((size_t)256 << 10)
#define SLM_SNAPSHOT_SECTIONS 64u /* at most */

/* Numbers are in the order of bytes of the machine, which byte_order tells. */
typedef struct slm_snapshot_header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint64_t file_bytes;
    uint64_t checks_offset; /* end of the blocks: their checksums follow, and one of these */
    uint32_t block_bytes;
    uint32_t n_sections;
    uint8_t zeros[20];
    uint32_t check; /* of the bytes above, in this place in all versions */
} slm_snapshot_header;
_Static_assert(sizeof(slm_snapshot_header) == 64, "the header has no padding");

enum { SLM_SNAPSHOT_REQUIRED = 1u << 0 }; /* who does not know the section cannot use the file */
typedef struct slm_snapshot_section {
    char name[8];
    uint32_t flags;
    uint32_t zero;
    uint64_t bytes;
} slm_snapshot_section;
_Static_assert(sizeof(slm_snapshot_section) == 24, "a section has no padding");

/* What the model must be: section "model". */
typedef struct slm_snapshot_model {
    uint64_t fingerprint;
    uint64_t model_bytes; /* of all its files */
    uint32_t n_layers;
    uint32_t n_kv_heads;
    uint32_t d_head;
    uint32_t n_vocab;
    uint32_t n_ctx_train;
    uint32_t n_groups;
    struct {
        uint32_t n_layers, window;
    } groups[SLM_MAX_KV_GROUPS];
    char architecture[32];
    char quantization[32];
} slm_snapshot_model;
_Static_assert(sizeof(slm_snapshot_model) == 120, "the model has no padding");

typedef struct slm_snapshot_range {
    uint32_t begin, end; /* pages */
} slm_snapshot_range;

/* Section "session". */
typedef struct slm_snapshot_session {
    uint32_t kv_type; /* SLM_KV_... */
    uint32_t page_tokens;
    uint32_t n_ctx;        /* of the cache that it was saved from */
    uint32_t rope_factors; /* SLM_ROPE_... that it was opened with; 0: the model has no others */
    uint32_t rope_long;    /* whether the long ones are in use */
    uint32_t n_tokens;
    uint32_t n_valid; /* as in slm_session */
    uint32_t n_seen;
    slm_snapshot_range groups[SLM_MAX_KV_GROUPS]; /* pages of page_tokens tokens */
    uint32_t device; /* SLM_DEVICE_..., by which groups of tokens lie in one order or another */
} slm_snapshot_session;
_Static_assert(sizeof(slm_snapshot_session) == 52, "the session has no padding");

/* Of sessions with recurrent state: its checkpoints, by the tokens before them, in section "marks".
 * Section "states" has the recurrent state of each of them, then the session's own. */
typedef struct slm_snapshot_mark {
    uint32_t n;
    slm_snapshot_range groups[SLM_MAX_KV_GROUPS]; /* of groups with a window, else none */
} slm_snapshot_mark;
_Static_assert(sizeof(slm_snapshot_mark) == 20, "a mark has no padding");
#define SLM_SNAPSHOT_MARKS 256u /* at most */

/* ---- a file being read (snapshot_file.c) ---- */

typedef struct slm_snapshot_reader {
    slm_host *host;
    const slm_file *file;
    slm_snapshot_header header;
    slm_snapshot_section *sections; /* [n_sections] */
    uint64_t *offsets;              /* [n_sections] where they begin */
    uint32_t *checks;               /* [n_blocks] */
    uint32_t n_blocks;
    uint32_t block;  /* that is in the buffer, n_blocks: none */
    uint8_t *buffer; /* [SLM_SNAPSHOT_BLOCK] */
    slm_crc32c_table crc;
} slm_snapshot_reader;

/* Checks all that does not need the blocks of pages. The file stays the caller's. crc32c: of the
 * model's kernels; NULL where little is read. */
slm_status slm_snapshot_open(slm_host *host, const slm_file *file, slm_crc32c_fn crc32c,
                             slm_snapshot_reader **out, slm_error *error);
void slm_snapshot_close(slm_snapshot_reader *reader);
/* The index of a section; SLM_ERR_MISSING when there is none. */
slm_status slm_snapshot_find(const slm_snapshot_reader *reader, const char *name, uint32_t *index,
                             slm_error *error);
/* Reads a whole section, of which the checksums are compared. */
slm_status slm_snapshot_read(slm_snapshot_reader *reader, uint32_t section, void *data,
                             slm_error *error);
/* The same for some of its bytes. */
slm_status slm_snapshot_read_part(slm_snapshot_reader *reader, uint32_t section, uint64_t from,
                                  uint64_t n, void *data, slm_error *error);
/* The place of a block in the file. */
void slm_snapshot_find_block(const slm_snapshot_reader *reader, uint32_t block, uint64_t *offset,
                             size_t *size);
/* Compares the checksum of a block that was read. Any thread. */
slm_status slm_snapshot_check_block(const slm_snapshot_reader *reader, uint32_t block,
                                    uint32_t check, slm_error *error);
/* The sections "model" and "session", checked for what no session could be. */
slm_status slm_snapshot_read_state(slm_snapshot_reader *reader, slm_snapshot_model *model,
                                   slm_snapshot_session *session, slm_error *error);
void slm_snapshot_fill_info(const slm_snapshot_reader *reader, const slm_snapshot_model *model,
                            const slm_snapshot_session *session, slm_snapshot_info *info);

/* The name of the section of a group's pages. */
void slm_snapshot_pages_name(uint32_t group, char name[8]);
/* Bytes of a page of that many tokens of a group. */
uint64_t slm_snapshot_page_bytes(const slm_kv_layout *layout, uint32_t page_tokens,
                                 uint32_t n_layers);

/* Heads of keys, or of values, that lie as one in the cache's pages. */
static inline uint32_t slm_snapshot_span(const slm_cache *c, int is_v) {
    return c->model->config.arch->differential && (is_v || c->cuda != NULL) ? 2 : 1;
}

/* ---- recurrent state (snapshot_state.c) ---- */

/* The marks of a session: [n_checkpoints] at most. Returns their number. */
uint32_t slm_snapshot_list_marks(const slm_session *session, slm_snapshot_mark *marks);
/* The pages of a group that a file has, each once and in order: what the marks need and what the
 * session has itself. Returns the number of ranges, n_marks + 1 at most. */
uint32_t slm_snapshot_ranges(const slm_snapshot_mark *marks, uint32_t n_marks,
                             slm_snapshot_range own, uint32_t group, slm_snapshot_range *ranges);

/* Sections "marks" and "states" of a file. */
typedef struct slm_snapshot_states {
    slm_snapshot_mark *marks; /* [n_marks] */
    uint32_t n_marks;
    uint32_t first; /* of the marks that are kept */
    float *states;  /* of those that are kept, then the session's own */
} slm_snapshot_states;
/* Reads them, checked for what no session could have, and keeps the last `most` marks. state_bytes:
 * of a state. Also on failure slm_snapshot_free_states has to be called. */
slm_status slm_snapshot_read_states(slm_snapshot_reader *reader, slm_host *host,
                                    uint64_t state_bytes, uint32_t most,
                                    const slm_snapshot_model *model,
                                    const slm_snapshot_session *session, slm_snapshot_states *out,
                                    slm_error *error);
void slm_snapshot_free_states(slm_host *host, slm_snapshot_states *states);

/* ---- sessions ---- */

/* What a file of this session says of its model and of itself. */
slm_status slm_snapshot_describe(const slm_session *session, slm_snapshot_model *model,
                                 slm_snapshot_session *state, slm_error *error);
/* Buffers between files and pages: pinned for a cache on a device. */
typedef struct slm_snapshot_buffers {
    uint8_t *at; /* [n][SLM_SNAPSHOT_BLOCK] */
    uint32_t n;
    slm_cache *cache;
#ifdef SLM_HAVE_CUDA
    slm_device_memory pinned;
#endif
} slm_snapshot_buffers;
slm_status slm_snapshot_buffers_open(slm_cache *cache, uint32_t n, slm_snapshot_buffers *buffers,
                                     slm_error *error);
void slm_snapshot_buffers_close(slm_snapshot_buffers *buffers);

/* Writes a snapshot to a file that was opened for writing; the caller commits it. */
slm_status slm_snapshot_write(slm_session *session, slm_out *out,
                              const slm_snapshot_options *options, slm_error *error);
slm_status slm_snapshot_save(slm_session *session, const char *path,
                             const slm_snapshot_options *options, slm_error *error);
/* Makes the session what the file holds; info may be NULL. On failure the session has its tokens.
 */
slm_status slm_snapshot_load(slm_session *session, const slm_file *file,
                             const slm_snapshot_load_options *options, slm_snapshot_info *info,
                             slm_error *error);

#endif
