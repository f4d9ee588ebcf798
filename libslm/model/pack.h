/* What packing at load (pack.c) and files of packed weights (packed_file.c) share: which matrices of
 * a model have a packed form, in the order in which their rows lie in the model's file. */
#ifndef SLM_MODEL_PACK_H
#define SLM_MODEL_PACK_H

#include "model/model.h"

typedef struct slm_pack_list {
    slm_linear **all; /* [n]                                                                        */
    uint64_t *at;     /* [n] where the panels of each begin, in a block of memory or in a file      */
    uint32_t n;
} slm_pack_list;

/* Every matrix that is packed or could be. What it holds belongs to the model's host. */
slm_status slm_pack_list_open(slm_model *model, slm_pack_list *list, slm_error *error);
void slm_pack_list_close(slm_model *model, slm_pack_list *list);

/* Panels of a matrix, and how many of them are packed at a time. */
uint32_t slm_pack_panels(const slm_linear *l);
uint32_t slm_pack_chunk(const slm_linear *l);
/* Bytes of the rows of a chunk in the file. */
size_t slm_pack_chunk_rows(const slm_linear *l);

/* Packs n panels from panel first on, out of the model's file and through a buffer of
 * slm_pack_chunk_rows bytes. *offset and *size receive what was read. */
slm_status slm_pack_panels_at(const slm_model *model, const slm_linear *l, uint32_t first,
                              uint32_t n, void *buffer, uint8_t *to, uint64_t *offset,
                              size_t *size, slm_error *error);

/* Places the panels of all matrices one behind the other; their bytes together. */
uint64_t slm_pack_place(slm_pack_list *list);

typedef struct slm_packer {
    const slm_model *model;
    const slm_pack_list *list;
    uint8_t *memory;
    uint64_t bytes;
    uint8_t **resident; /* [n_parts] pages of the files in memory before, or NULL                   */
} slm_packer;

/* Packs the panels that begin in bytes [from, to) of the memory, through a buffer of the most that
 * slm_pack_chunk_rows gives, and drops from the system's memory what was not resident: slm_fill_fn.
 * context: slm_packer. */
slm_status slm_pack_span(void *context, uint8_t *buffer, uint64_t from, uint64_t to,
                         slm_error *error);

/* Bytes of mapped files that nothing needs any more once the list is packed. */
uint64_t slm_pack_in_place(const slm_model *model, const slm_pack_list *list);
/* From now on the panels at base + list->at are used in the place of the rows. */
void slm_pack_rebind(slm_model *model, const slm_pack_list *list, const uint8_t *base);

/* Whether memory of this size for packed weights leaves enough of what the system can give. */
int slm_pack_fits(uint64_t bytes);

/* ---- memory for them, filled by all cores (fill.c) ---- */

/* Fills bytes [from, to) of the memory. buffer is the core's own. */
typedef slm_status (*slm_fill_fn)(void *context, uint8_t *buffer, uint64_t from, uint64_t to,
                                  slm_error *error);
typedef struct slm_fill {
    const char *verb;    /* of the message when progress ends it                                   */
    slm_fill_fn body;
    void *context;
    uint8_t *memory;
    uint64_t bytes;
    size_t buffer_bytes; /* of each core                                                            */
    slm_progress_fn progress;
    void *progress_user;
} slm_fill;

/* Memory on large pages in the place of the mapped rows of the list; NULL when refused. */
uint8_t *slm_fill_alloc(slm_model *model, const slm_pack_list *list, uint64_t bytes);
void slm_fill_free(slm_model *model, const slm_pack_list *list, uint8_t *memory);
/* Calls body for all of the memory, from its beginning to its end. */
slm_status slm_fill_run(slm_host *host, const slm_fill *fill, slm_error *error);
/* From now on the model uses the memory, which becomes its own. */
void slm_fill_take(slm_model *model, const slm_pack_list *list, uint8_t *memory, uint64_t bytes);

/* ---- files of packed weights; the format is docs/FORMATS.md ---- */

/* Raised with every change of the format, and of the order of kernels/packed.h. */
#define SLM_PACKED_VERSION 2u

/* Uses the file, if it is one of this model: read into memory where that is what options->load asks
 * for, or what AUTO has room for; else mapped. options->flags with SLM_MODEL_CHECK_TENSORS: compares
 * the checksums of all data. The list is not packed yet. On failure the model is as it was. */
slm_status slm_packed_use(slm_model *model, slm_pack_list *list, const char *path,
                          const slm_model_options *options, slm_error *error);
/* Writes the file. */
slm_status slm_packed_save(slm_model *model, const char *path, slm_progress_fn progress,
                           void *progress_user, slm_error *error);
/* What tells the model's file from others and from what it was before it was changed. */
slm_status slm_packed_fingerprint(const slm_model *model, uint64_t *fingerprint, slm_error *error);

#endif
