#include "support/fail_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH 0x5eedb10c5eedb10cu
#define FREED 0xdeadb10cdeadb10cu
#define GUARD 64u /* bytes after the block */
#define FILL  0xa5

/* Lies before the block, in as many bytes as its alignment needs. */
typedef struct head {
    uint64_t state;
    size_t size, align;
} head;

static void die(const char *what) {
    fprintf(stderr, "fail_alloc: %s\n", what);
    exit(2);
}

static size_t front_of(size_t align) {
    size_t front = sizeof(head);
    return (front + align - 1) / align * align;
}

static void *take(void *user, size_t size, size_t align) {
    fail_alloc *fa = user;
    uint64_t call = atomic_fetch_add(&fa->calls, 1) + 1;
    if (align == 0 || (align & (align - 1)) != 0 || align > 4096)
        die("alignment that the contract does not allow");
    if (fa->fail_at != 0 && (call == fa->fail_at || (fa->for_good && call > fa->fail_at)))
        return NULL;
    size_t front = front_of(align);
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t total = (front + size + GUARD + align - 1) / align * align;
    uint8_t *base = aligned_alloc(align, total);
    if (!base)
        return NULL;
    uint8_t *block = base + front;
    head h = {FRESH, size, align};
    memcpy(block - sizeof h, &h, sizeof h);
    /* Not zero: who relies on zeroed memory shall notice. */
    memset(block, FILL, size < 4096 ? size : 4096);
    memset(block + size, FILL, GUARD);
    fa->outstanding++;
    int64_t bytes = atomic_fetch_add(&fa->bytes, (int64_t)size) + (int64_t)size;
    int64_t peak = fa->peak;
    while (bytes > peak && !atomic_compare_exchange_weak(&fa->peak, &peak, bytes)) {
    }
    return block;
}

static void give(void *user, void *ptr, size_t size, size_t align) {
    fail_alloc *fa = user;
    uint8_t *block = ptr;
    head h;
    if (!ptr)
        die("free of NULL");
    memcpy(&h, block - sizeof h, sizeof h);
    if (h.state != FRESH)
        die("free of what was not allocated, or twice");
    if (h.size != size || h.align != align)
        die("free with another size or alignment");
    for (size_t i = 0; i < GUARD; i++) {
        if (block[size + i] != FILL)
            die("write beyond the end of a block");
    }
    h.state = FREED;
    memcpy(block - sizeof h, &h, sizeof h);
    fa->outstanding--;
    fa->bytes -= (int64_t)size;
    free(block - front_of(align));
}

slm_allocator fail_alloc_start(fail_alloc *fa) {
    slm_allocator allocator = {take, give, fa};
    fa->calls = 0;
    fa->peak = 0;
    return allocator;
}
