#include "base/arena.h"

#include "base/checked.h"

enum { ALIGN = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

typedef struct slm_arena_block {
    struct slm_arena_block *before;
    size_t size; /* of the bytes behind it */
} block;

void *slm_arena_alloc(slm_arena *a, size_t size) {
    size_t rounded;
    if (!slm_add_size(size, ALIGN - 1, &rounded))
        return NULL;
    rounded = rounded / ALIGN * ALIGN;
    if (!a->block || rounded > a->left) {
        /* Each block is twice the one before, so that there are few of them. */
        size_t want = a->block ? a->block->size * 2 : FIRST_BLOCK, total;
        want = want < LARGEST_BLOCK ? want : LARGEST_BLOCK;
        want = want > rounded ? want : rounded;
        block *b = slm_add_size(want, sizeof *b, &total) ? slm_alloc(a->host, total) : NULL;
        if (!b)
            return NULL;
        *b = (block){a->block, want};
        a->block = b;
        a->next = (char *)(b + 1);
        a->left = want;
    }
    void *p = a->next;
    a->next += rounded;
    a->left -= rounded;
    a->used += rounded;
    return p;
}

void slm_arena_free(slm_arena *a) {
    while (a->block) {
        block *before = a->block->before;
        slm_free(a->host, a->block);
        a->block = before;
    }
    *a = (slm_arena){.host = a->host};
}
