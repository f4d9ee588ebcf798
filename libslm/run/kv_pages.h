/* Pages of keys and values. A page holds page_tokens tokens of all layers of one group:
 *
 *   [layer of the group][K, V][kv head][group of 16 tokens]
 *
 * A group of V is sixteen rows of slm_kv_row_bytes(type, d_head); one of K has the same size and lies
 * element by element (kernels.h). In differential attention the values of two heads are one row: [pair]
 * in place of [kv head], and rows of twice the size.
 *
 * Pages are reference-counted: forks share them, and a shared page is copied when one of its
 * holders is about to write to it. All memory is allocated once. */
#ifndef SLM_RUN_KV_PAGES_H
#define SLM_RUN_KV_PAGES_H

#include "run/backend.h"

/* What a windowed group keeps beyond its window, so that taking back a few tokens stays cheap. It counts from
 * drafts, where there are some. */
#define SLM_WINDOW_SLACK 256u

typedef struct slm_kv_layout {
    slm_kv type;
    uint32_t page_tokens;
    uint32_t page_shift;    /* log2(page_tokens)                                                     */
    size_t row_bytes;
    size_t head_bytes;      /* page_tokens * row_bytes                                               */
    size_t plane_bytes;     /* n_kv_heads * head_bytes: K or V of one layer                          */
} slm_kv_layout;

/* Pages of one group. */
typedef struct slm_kv_pool slm_kv_pool;
struct slm_kv_pool {
    uint8_t *memory;        /* [n_pages][page_bytes]; of the device where copy is not NULL           */
    void (*copy)(void *context, slm_kv_pool *pool, uint32_t to, uint32_t from); /* NULL: memcpy      */
    void *copy_context;
    size_t page_bytes;
    uint32_t *n_refs;       /* [n_pages]                                                             */
    uint32_t *free_list;    /* [n_free] used as a stack                                              */
    uint32_t n_pages;
    uint32_t n_free;
};

/* One session's pages of one group: page i holds positions [i, i+1) * page_tokens. */
typedef struct slm_kv_table {
    uint32_t *pages;        /* [n_ctx / page_tokens rounded up]; SLM_NO_PAGE: not held               */
    uint32_t begin;         /* first page index held                                                 */
    uint32_t end;           /* one past the last page index held                                     */
} slm_kv_table;

void slm_kv_layout_init(slm_kv_layout *layout, slm_kv type, uint32_t page_tokens,
                        const slm_config *config);
/* Bytes of one page of a group with n_layers layers. */
size_t slm_kv_page_bytes(const slm_kv_layout *layout, uint32_t n_layers);

static inline uint8_t *slm_kv_page(const slm_kv_pool *pool, const slm_kv_layout *layout,
                                   uint32_t page, uint32_t kv_index, int is_v, uint32_t kv_head) {
    return pool->memory + (size_t)page * pool->page_bytes +
           (2 * (size_t)kv_index + (size_t)is_v) * layout->plane_bytes +
           (size_t)kv_head * layout->head_bytes;
}

/* Makes [first, last) of the table writable: missing pages are taken from the pool, shared ones are
 * copied. Returns 0 when the pool has too few pages; the table then holds what it got, which
 * slm_kv_truncate takes back. */
int slm_kv_prepare(slm_kv_pool *pool, const slm_kv_layout *layout, slm_kv_table *table,
                   uint32_t first, uint32_t last);
/* Gives back every page that lies wholly at or beyond position n. */
void slm_kv_truncate(slm_kv_pool *pool, const slm_kv_layout *layout, slm_kv_table *table,
                     uint32_t n);
/* Gives back every page that lies wholly before position n. */
void slm_kv_drop_before(slm_kv_pool *pool, const slm_kv_layout *layout, slm_kv_table *table,
                        uint32_t n);
/* to, which must be empty, shares all pages of from. */
void slm_kv_share(slm_kv_pool *pool, const slm_kv_table *from, slm_kv_table *to);

#endif
