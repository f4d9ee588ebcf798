#include "gguf/gguf_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* The end of a part's name: "-00001-of-00003.gguf". */
#define TAIL     "-%05u-of-%05u.gguf"
#define TAIL_LEN 20u

typedef struct split {
    uint64_t no;
    uint64_t count;
    uint64_t n_tensors; /* of all parts */
} split;

static slm_status read_split(const slm_gguf *g, split *s, slm_error *error) {
    SLM_TRY(slm_gguf_get_u64(g, "split.no", 1, 0, UINT16_MAX, &s->no, error));
    SLM_TRY(slm_gguf_get_u64(g, "split.count", 1, 2, SLM_GGUF_MAX_PARTS, &s->count, error));
    return slm_gguf_get_u64(g, "split.tensors.count", 1, 0, INT32_MAX, &s->n_tensors, error);
}

/* A part after the first must number itself as its name does, and agree with the first part in
 * everything that both say. */
static slm_status check_part(const slm_gguf *g, const slm_gguf *part, uint32_t number,
                             const split *whole, slm_error *error) {
    const char *name = part->parts[0]->name;
    split s;
    SLM_TRY(read_split(part, &s, error));
    if (s.no != number)
        return slm_fail(error, SLM_ERR_FORMAT, "split.no", SLM_NO_OFFSET,
                        "%s: split.no is %" PRIu64 ", wanted %" PRIu32 " by the file's name", name,
                        s.no, number);
    if (s.count != whole->count)
        return slm_fail(error, SLM_ERR_FORMAT, "split.count", SLM_NO_OFFSET,
                        "%s: split.count is %" PRIu64 ", wanted %" PRIu64 " by the file's name",
                        name, s.count, whole->count);
    if (s.n_tensors != whole->n_tensors)
        return slm_fail(error, SLM_ERR_CHANGED, "split.tensors.count", SLM_NO_OFFSET,
                        "%s: split.tensors.count is %" PRIu64 ", the first part says %" PRIu64
                        ": parts of two models",
                        name, s.n_tensors, whole->n_tensors);
    for (uint64_t i = 0; i < part->n_kv; i++) {
        const slm_gguf_kv *b = &part->kv[i];
        const slm_gguf_kv *a =
            slm_gguf_index_find(&g->kv_index, g->kv, sizeof *g->kv, b->key.ptr, b->key.len);
        slm_gguf_label label = slm_gguf_label_of(b->key);
        if (!a || strncmp(label.text, "split.", 6) == 0 ||
            strcmp(label.text, "general.alignment") == 0)
            continue;
        if (a->bytes != b->bytes || a->type != b->type || a->item_type != b->item_type ||
            memcmp(a->data, b->data, (size_t)a->bytes) != 0)
            return slm_fail(error, SLM_ERR_CHANGED, label.text, b->offset,
                            "%s: key '%s' differs from the first part's: parts of two models", name,
                            label.text);
    }
    return SLM_OK;
}

/* Moves the tensors and the file of part to g. */
static slm_status take_part(slm_gguf *g, slm_gguf *part, uint32_t number, uint64_t max,
                            slm_error *error) {
    if (part->n_tensors > max - g->n_tensors)
        return slm_fail(error, SLM_ERR_SHAPE, "split.tensors.count", SLM_NO_OFFSET,
                        "%s: parts 1 to %" PRIu32 " have %" PRIu64
                        " tensors, split.tensors.count is %" PRIu64,
                        part->parts[0]->name, number + 1, g->n_tensors + part->n_tensors, max);
    for (uint64_t i = 0; i < part->n_tensors; i++) {
        slm_gguf_tensor *t = &g->tensors[g->n_tensors + i];
        *t = part->tensors[i];
        t->part = number;
    }
    g->n_tensors += part->n_tensors;
    g->parts[g->n_parts++] = part->parts[0];
    part->n_parts = 0;
    return SLM_OK;
}

static slm_status open_part(slm_gguf *g, const char *path, slm_load load, uint32_t number,
                            const split *whole, slm_progress_fn progress, void *progress_user,
                            slm_error *error) {
    slm_file *file;
    slm_gguf *part;
    if (!slm_path_exists(path))
        return slm_fail(error, SLM_ERR_MISSING, slm_path_name(path), SLM_NO_OFFSET,
                        "part %" PRIu32 " of %" PRIu64 " is missing: %s", number + 1, whole->count,
                        slm_path_name(path));
    SLM_TRY(slm_file_open(g->host, path, load, progress, progress_user, &file, error));
    SLM_TRY(slm_gguf_parse(g->host, file, g->flags, &part, error));
    slm_status status = check_part(g, part, number, whole, error);
    if (status == SLM_OK)
        status = take_part(g, part, number, whole->n_tensors, error);
    slm_gguf_close(part);
    return status;
}

/* Makes room for the tensors and files of all parts. */
static slm_status grow(slm_gguf *g, const split *whole, slm_error *error) {
    size_t tensor_bytes = (size_t)whole->n_tensors * sizeof *g->tensors;
    size_t part_bytes = (size_t)whole->count * sizeof *g->parts;
    slm_gguf_tensor *tensors = slm_realloc(g->host, g->tensors, tensor_bytes);
    if (!tensors)
        return slm_fail_nomem(error, tensor_bytes, "the table of tensors");
    g->tensors = tensors;
    slm_file **parts = slm_realloc(g->host, g->parts, part_bytes);
    if (!parts)
        return slm_fail_nomem(error, part_bytes, "the list of parts");
    g->parts = parts;
    return SLM_OK;
}

static slm_status index_again(slm_gguf *g, slm_error *error) {
    uint64_t first, twice;
    slm_free(g->host, g->tensor_index.slots);
    g->tensor_index.slots = NULL;
    SLM_TRY(slm_gguf_index_build(g->host, &g->tensor_index, g->tensors, sizeof *g->tensors,
                                 g->n_tensors, &first, &twice, error));
    if (twice == g->n_tensors)
        return SLM_OK;
    slm_gguf_label label = slm_gguf_label_of(g->tensors[twice].name);
    return slm_fail(error, SLM_ERR_CHANGED, label.text, SLM_NO_OFFSET,
                    "tensor '%s' is in %s and in %s: parts of two models", label.text,
                    g->parts[g->tensors[first].part]->name, g->parts[g->tensors[twice].part]->name);
}

/* tail is the end of path, written anew for each part. */
static slm_status join_named(slm_gguf *g, char *path, char *tail, const split *whole, slm_load load,
                             slm_progress_fn progress, void *progress_user, slm_error *error) {
    SLM_TRY(grow(g, whole, error));
    for (uint32_t i = 1; i < whole->count; i++) {
        snprintf(tail, TAIL_LEN + 1, TAIL, i + 1, (uint32_t)whole->count);
        SLM_TRY(open_part(g, path, load, i, whole, progress, progress_user, error));
    }
    if (g->n_tensors != whole->n_tensors)
        return slm_fail(error, SLM_ERR_SHAPE, "split.tensors.count", SLM_NO_OFFSET,
                        "%s: all parts have %" PRIu64 " tensors, split.tensors.count is %" PRIu64,
                        g->parts[0]->name, g->n_tensors, whole->n_tensors);
    return index_again(g, error);
}

slm_status slm_gguf_join(slm_gguf *g, const char *path, slm_load load, slm_progress_fn progress,
                         void *progress_user, slm_error *error) {
    char tail[TAIL_LEN + 1];
    size_t len = strlen(path);
    split whole;
    SLM_TRY(read_split(g, &whole, error));
    if (whole.no != 0)
        return slm_fail(error, SLM_ERR_FORMAT, "split.no", SLM_NO_OFFSET,
                        "%s is part %" PRIu64 " of %" PRIu64 ": open the first part",
                        g->parts[0]->name, whole.no + 1, whole.count);
    snprintf(tail, sizeof tail, TAIL, 1u, (uint32_t)whole.count);
    if (len < TAIL_LEN || strcmp(path + len - TAIL_LEN, tail) != 0)
        return slm_fail(error, SLM_ERR_FORMAT, "split.count", SLM_NO_OFFSET,
                        "%s says it is the first of %" PRIu64
                        " parts, so its name should end in %s",
                        g->parts[0]->name, whole.count, tail);
    if (g->n_tensors > whole.n_tensors)
        return slm_fail(error, SLM_ERR_SHAPE, "split.tensors.count", SLM_NO_OFFSET,
                        "%s: the first part has %" PRIu64
                        " tensors, split.tensors.count is %" PRIu64,
                        g->parts[0]->name, g->n_tensors, whole.n_tensors);
    if (whole.n_tensors > SLM_GGUF_MAX_TENSORS)
        return slm_fail(error, SLM_ERR_LIMIT, "split.tensors.count", SLM_NO_OFFSET,
                        "%s: split.tensors.count is %" PRIu64 ", at most %u are allowed",
                        g->parts[0]->name, whole.n_tensors, SLM_GGUF_MAX_TENSORS);
    char *buffer = slm_alloc(g->host, len + 1);
    if (!buffer)
        return slm_fail_nomem(error, len + 1, "the names of parts");
    memcpy(buffer, path, len + 1);
    slm_status status = join_named(g, buffer, buffer + len - TAIL_LEN, &whole, load, progress,
                                   progress_user, error);
    slm_free(g->host, buffer);
    return status;
}
