#include "text/detok.h"

#include "text/unicode.h"

#include <string.h>

/* ---- whole characters ---- */

/* Bytes of the sequence that this byte opens; 1 for ASCII, 0 for bytes that open none. */
static unsigned sequence_len(uint8_t b) {
    if (b < 0x80)
        return 1;
    if (b < 0xC2 || b > 0xF4)
        return 0;
    return b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

/* Whether b may follow what is held: Table 3-7 of the Unicode Standard. */
static int may_follow(const slm_utf8_stream *s, uint8_t b) {
    if ((b & 0xC0) != 0x80)
        return 0;
    if (s->n_held > 1)
        return 1;
    switch (s->held[0]) {
    case 0xE0:
        return b >= 0xA0;
    case 0xED:
        return b <= 0x9F;
    case 0xF0:
        return b >= 0x90;
    case 0xF4:
        return b <= 0x8F;
    default:
        return 1;
    }
}

static size_t put_replacement(char *out) {
    memcpy(out, "\xEF\xBF\xBD", 3);
    return 3;
}

size_t slm_utf8_feed(slm_utf8_stream *s, const char *bytes, size_t n, char *out) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t b = (uint8_t)bytes[i];
        if (s->n_held > 0) {
            if (may_follow(s, b)) {
                s->held[s->n_held++] = b;
                if (s->n_held == sequence_len(s->held[0])) {
                    memcpy(out + len, s->held, s->n_held);
                    len += s->n_held;
                    s->n_held = 0;
                }
                continue;
            }
            len += put_replacement(out + len);
            s->n_held = 0;
        }
        unsigned want = sequence_len(b);
        if (want == 1)
            out[len++] = (char)b;
        else if (want == 0)
            len += put_replacement(out + len);
        else
            s->held[s->n_held++] = b;
    }
    return len;
}

size_t slm_utf8_finish(slm_utf8_stream *s, char *out) {
    size_t len = s->n_held > 0 ? put_replacement(out) : 0;
    s->n_held = 0;
    return len;
}

size_t slm_utf8_valid_prefix(const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t len;
        if (slm_utf8_decode(text + i, n - i, &len) == SLM_CP_NONE)
            return i;
        i += len;
    }
    return n;
}

/* ---- stop texts ---- */

enum { MAX_STOP_TEXTS = 4096, MAX_STOP_BYTES = 65536 };

/* A state of the automaton of Aho and Corasick (1975): what was read last is the prefix of some stop
 * text that this node spells. */
typedef struct stop_node {
    uint32_t child, sibling; /* first child, next sibling; 0: none                                  */
    uint32_t fail;           /* the longest proper suffix that is also a prefix                     */
    uint32_t depth;          /* bytes                                                               */
    uint32_t match;          /* bytes of the longest stop text that ends here; 0: none              */
    uint8_t byte;
} stop_node;

struct slm_stopper {
    slm_host *host;
    stop_node *nodes;
    uint32_t n_nodes, state;
    size_t max_feed, max_depth;
    size_t n_held;  /* bytes at the end of the text in buf that may be part of a stop text          */
    size_t n_shown; /* bytes in front of them that were handed out                                  */
    int stopped;
    char *buf; /* [max_depth + max_feed]                                                            */
};

static uint32_t find_child(const slm_stopper *s, uint32_t node, uint8_t byte) {
    uint32_t c = s->nodes[node].child;
    while (c != 0 && s->nodes[c].byte != byte)
        c = s->nodes[c].sibling;
    return c;
}

static void add_stop(slm_stopper *s, const char *text, size_t len) {
    uint32_t node = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t c = find_child(s, node, (uint8_t)text[i]);
        if (c == 0) {
            c = s->n_nodes++;
            s->nodes[c] = (stop_node){
                .byte = (uint8_t)text[i], .depth = (uint32_t)i + 1, .sibling = s->nodes[node].child};
            s->nodes[node].child = c;
        }
        node = c;
    }
    s->nodes[node].match = s->nodes[node].depth;
}

static uint32_t step(const slm_stopper *s, uint32_t node, uint8_t byte) {
    for (;;) {
        uint32_t c = find_child(s, node, byte);
        if (c != 0 || node == 0)
            return c;
        node = s->nodes[node].fail;
    }
}

/* Level by level; queue has room for every node. */
static void link_failures(slm_stopper *s, uint32_t *queue) {
    uint32_t head = 0, tail = 0;
    queue[tail++] = 0;
    while (head < tail) {
        uint32_t node = queue[head++];
        for (uint32_t c = s->nodes[node].child; c != 0; c = s->nodes[c].sibling) {
            stop_node *n = &s->nodes[c];
            n->fail = node == 0 ? 0 : step(s, s->nodes[node].fail, n->byte);
            if (n->match == 0)
                n->match = s->nodes[n->fail].match;
            queue[tail++] = c;
        }
    }
}

static slm_status check_stops(const slm_span *stops, size_t n_stops, size_t *total, size_t *longest,
                              slm_error *error) {
    *total = *longest = 0;
    if (n_stops > MAX_STOP_TEXTS)
        return slm_fail(error, SLM_ERR_LIMIT, "stop", SLM_NO_OFFSET, "%zu stop texts, at most %d",
                        n_stops, MAX_STOP_TEXTS);
    for (size_t i = 0; i < n_stops; i++) {
        size_t len = stops[i].len == SLM_NTS && stops[i].text ? strlen(stops[i].text) : stops[i].len;
        if (!stops[i].text || len == 0)
            return slm_fail(error, SLM_ERR_ARG, "stop", SLM_NO_OFFSET, "stop text %zu is empty", i);
        if (len > MAX_STOP_BYTES - *total)
            return slm_fail(error, SLM_ERR_LIMIT, "stop", SLM_NO_OFFSET,
                            "stop text %zu makes more than %d bytes together", i, MAX_STOP_BYTES);
        *total += len;
        if (len > *longest)
            *longest = len;
    }
    return SLM_OK;
}

slm_status slm_stopper_open(slm_host *host, const slm_span *stops, size_t n_stops,
                            size_t max_feed_bytes, slm_stopper **out, slm_error *error) {
    *out = NULL;
    size_t total, longest;
    SLM_TRY(check_stops(stops, n_stops, &total, &longest, error));
    slm_stopper *s = slm_calloc(host, 1, sizeof *s);
    if (!s)
        return slm_fail_nomem(error, sizeof *s, "stop texts");
    s->host = host;
    s->max_feed = max_feed_bytes;
    s->max_depth = longest;
    s->nodes = slm_calloc(host, total + 1, sizeof *s->nodes);
    s->buf = slm_alloc(host, longest + max_feed_bytes);
    uint32_t *queue = slm_calloc(host, total + 1, sizeof *queue);
    if (!s->nodes || !s->buf || !queue) {
        slm_free(host, queue);
        slm_stopper_close(s);
        return slm_fail_nomem(error, (total + 1) * sizeof *s->nodes + longest + max_feed_bytes,
                              "stop texts");
    }
    s->n_nodes = 1;
    for (size_t i = 0; i < n_stops; i++)
        add_stop(s, stops[i].text, stops[i].len == SLM_NTS ? strlen(stops[i].text) : stops[i].len);
    link_failures(s, queue);
    slm_free(host, queue);
    *out = s;
    return SLM_OK;
}

void slm_stopper_close(slm_stopper *s) {
    if (!s)
        return;
    slm_free(s->host, s->nodes);
    slm_free(s->host, s->buf);
    slm_free(s->host, s);
}

int slm_stopper_feed(slm_stopper *s, const char *bytes, size_t n, const char **text, size_t *len) {
    memmove(s->buf, s->buf + s->n_shown, s->n_held);
    *text = s->buf;
    *len = s->n_shown = 0;
    if (s->stopped)
        return 1;
    size_t end = s->n_held;
    for (size_t i = 0; i < n; i++) {
        s->buf[end++] = bytes[i];
        s->state = step(s, s->state, (uint8_t)bytes[i]);
        size_t match = s->nodes[s->state].match;
        if (match > 0) {
            /* Bytes shown before were no part of any stop text, so this one starts behind them. */
            *len = end - match;
            s->n_held = s->n_shown = 0;
            s->stopped = 1;
            return 1;
        }
    }
    s->n_held = s->nodes[s->state].depth;
    *len = s->n_shown = end - s->n_held;
    return 0;
}

void slm_stopper_finish(slm_stopper *s, const char **text, size_t *len) {
    *text = s->buf + s->n_shown;
    *len = s->n_held;
    s->n_held = 0;
    s->state = 0;
}

size_t slm_stopper_held(const slm_stopper *s) { return s->n_held; }
