#include "run/kv_pages.h"

#include <string.h>

void slm_kv_layout_init(slm_kv_layout *layout, slm_kv type, uint32_t page_tokens,
                        const slm_config *c) {
    layout->type = type;
    layout->page_tokens = page_tokens;
    layout->page_shift = (uint32_t)__builtin_ctz(page_tokens);
    layout->row_bytes = slm_kv_row_bytes(type, c->d_head);
    layout->head_bytes = page_tokens * layout->row_bytes;
    layout->plane_bytes = c->n_kv_heads * layout->head_bytes;
}

size_t slm_kv_page_bytes(const slm_kv_layout *layout, uint32_t n_layers) {
    return 2 * (size_t)n_layers * layout->plane_bytes;
}

static void release(slm_kv_pool *pool, uint32_t page) {
    if (--pool->n_refs[page] == 0)
        pool->free_list[pool->n_free++] = page;
}

static void copy_page(slm_kv_pool *pool, uint32_t to, uint32_t from) {
    if (pool->copy != NULL)
        pool->copy(pool->copy_context, pool, to, from);
    else
        memcpy(pool->memory + (size_t)to * pool->page_bytes,
               pool->memory + (size_t)from * pool->page_bytes, pool->page_bytes);
}

int slm_kv_prepare(slm_kv_pool *pool, const slm_kv_layout *layout, slm_kv_table *table,
                   uint32_t first, uint32_t last) {
    uint32_t page_end = (last + layout->page_tokens - 1) >> layout->page_shift;
    for (uint32_t i = first >> layout->page_shift; i < page_end; i++) {
        uint32_t held = i < table->end && i >= table->begin ? table->pages[i] : SLM_NO_PAGE;
        if (held != SLM_NO_PAGE && pool->n_refs[held] == 1)
            continue;
        if (pool->n_free == 0)
            return 0;
        uint32_t page = pool->free_list[--pool->n_free];
        pool->n_refs[page] = 1;
        if (held != SLM_NO_PAGE) { /* written by a fork: from here on each has its own */
            copy_page(pool, page, held);
            release(pool, held);
        }
        if (table->begin == table->end)
            table->begin = table->end = i;
        table->pages[i] = page;
        if (i >= table->end)
            table->end = i + 1;
    }
    return 1;
}

void slm_kv_truncate(slm_kv_pool *pool, const slm_kv_layout *layout, slm_kv_table *table,
                     uint32_t n) {
    uint32_t keep = (n + layout->page_tokens - 1) >> layout->page_shift;
    while (table->end > table->begin && table->end > keep)
        release(pool, table->pages[--table->end]);
    if (table->begin == table->end)
        table->begin = table->end = 0;
}

void slm_kv_drop_before(slm_kv_pool *pool, const slm_kv_layout *layout, slm_kv_table *table,
                        uint32_t n) {
    uint32_t keep = n >> layout->page_shift;
    while (table->begin < table->end && table->begin < keep)
        release(pool, table->pages[table->begin++]);
}

void slm_kv_share(slm_kv_pool *pool, const slm_kv_table *from, slm_kv_table *to) {
    for (uint32_t i = from->begin; i < from->end; i++) {
        to->pages[i] = from->pages[i];
        pool->n_refs[from->pages[i]]++;
    }
    to->begin = from->begin;
    to->end = from->end;
}
